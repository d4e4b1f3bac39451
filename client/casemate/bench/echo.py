"""A raw echo over a unix socket: the floor under one request and its reply.

Run as a program: ``PATH REQUEST REPLY``, the last two in bytes.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_START_S: Final = 10.0


def serve(path: str, request: int, reply: int) -> None:
    """Answer each ``request`` bytes with ``reply`` bytes, for one connection, until it closes."""
    answer = bytes(reply)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        connection, _ = listener.accept()
        with connection:
            while _receive(connection, request):
                connection.sendall(answer)


def _receive(connection: socket.socket, count: int) -> bool:
    while count:
        piece = connection.recv(count)
        if not piece:
            return False
        count -= len(piece)
    return True


async def measure(path: Path, request: int, reply: int, count: int) -> list[int]:
    """Start the echo in a process of its own; return the sorted round trips in nanoseconds."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(path), str(request), str(reply)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        async with asyncio.timeout(_START_S):
            await process.stdout.readline()
        return await asyncio.to_thread(_ping, path, bytes(request), reply, count)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _ping(path: Path, request: bytes, reply: int, count: int) -> list[int]:
    times = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        for _ in range(count):
            start = time.perf_counter_ns()
            connection.sendall(request)
            _receive(connection, reply)
            times.append(time.perf_counter_ns() - start)
    return sorted(times)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
