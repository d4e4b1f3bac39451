"""The life of a stand-in's process: the clock it reads, the READY line, and when it ends. No server in here."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def ready(**fields: Any) -> None:  # noqa: ANN401 - plain JSON values
    """Say on stdout, on one line, that this process serves."""
    sys.stdout.write(f"READY {json.dumps(fields)}\n")
    sys.stdout.flush()


async def until_told(*, watch_stdin: bool) -> None:
    """Wait for SIGTERM or SIGINT or, where asked, for the end of stdin."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if watch_stdin:
        # A thread, because an event loop cannot wait for every kind of stdin (a file, /dev/null).
        threading.Thread(target=_drain_stdin, args=(loop, told), daemon=True).start()
    await told.wait()


def _drain_stdin(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    # Not sys.stdin: its lock would still be held when the interpreter ends.
    while os.read(0, 1 << 12):
        pass
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(told.set)
