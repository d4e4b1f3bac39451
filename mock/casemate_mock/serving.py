"""Processes of simulated venues: serve, say where on one READY line, end when asked."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

from casemate_mock.config import VenueConfig
from casemate_mock.control import Control, SteerableClock
from casemate_mock.venue_server import VenueServer
from casemate_mock.venues.registry import create_venue


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


async def serve_venues(configs: Mapping[str, VenueConfig], ports: Mapping[str, int], seed: int | None) -> None:
    """Serve venues and their side door until told to stop. `ports` gives a port by venue; without one any free port.

    `seed` fixes the venues' own randomness (order ids, trade ids).
    """
    clock = SteerableClock(now_ms)
    servers = {
        name: VenueServer(
            create_venue(
                name,
                config.keys,
                config.instruments,
                clock_ms=clock,
                # The ids of a simulated venue guard nothing.
                rng=Random(seed),
                settings=config.settings,
            ),
            port=ports.get(name, 0),
        )
        for name, config in configs.items()
    }
    for server in servers.values():
        await server.start()
    control = VenueSideDoor(Control(servers, clock))
    url = await control.start()
    try:
        ready(
            venues={name: {"url": server.url, "hosts": list(server.venue.hosts)} for name, server in servers.items()},
            control=url,
        )
        await until_told(watch_stdin=False)
    finally:
        await control.stop()
        for server in servers.values():
            await server.stop()


class VenueSideDoor:
    """Serves a :class:`Control` on a free port of 127.0.0.1."""

    def __init__(self, control: Control) -> None:
        """Not serving yet."""
        self._runner = web.AppRunner(control.app(), access_log=None)

    async def start(self) -> str:
        """Listen; return the URL."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
