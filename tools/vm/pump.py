"""Carries bytes between two machines' vsocks, in the hypervisor's place.

vhost-device-vsock joins machines by itself, but loses every packet between them that is larger than the receiver's
buffer (about 3.7 KiB; rust-vmm/vhost-device issue 384). What passes through a socket on this side is not lost. So the
parent calls context id 2, this machine, and the daemon hands that to a unix socket; from there it goes to the enclave.
Heartbeats and codes are small, and go straight.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path
    from types import TracebackType

_CHUNK: Final = 16_384
_FIRST_PORT: Final = 6_000


def port_of(cid: int) -> int:
    """Return the port of this machine that leads to an enclave."""
    return _FIRST_PORT + cid


class Pump:
    """Runs in a thread of its own while it is entered."""

    def __init__(self, folder: Path, parent: int, enclaves: Mapping[int, int]) -> None:
        """``enclaves``: from context id to the port that it listens on."""
        self._folder = folder
        self._parent = parent
        self._enclaves = enclaves
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        for cid, port in self._enclaves.items():
            path = f"{self._folder}/{self._parent}.uds_{port_of(cid)}"
            self._loop.run_until_complete(asyncio.start_unix_server(self._leading_to(cid, port), path))
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(_cancel_all())
        self._loop.close()

    def _leading_to(
        self, cid: int, port: int
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                far_reader, far_writer = await asyncio.open_unix_connection(f"{self._folder}/{cid}.uds")
                far_writer.write(b"CONNECT %d\n" % port)
                if not (await far_reader.readline()).startswith(b"OK"):
                    far_writer.close()
                    raise ConnectionError
            except OSError:
                writer.close()
                return
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(_one_way(reader, far_writer), _one_way(far_reader, writer))

        return carry


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_CHUNK):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
