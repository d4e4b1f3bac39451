"""Processes of simulated venues: serve, say where on one READY line, end when asked."""

from collections.abc import Mapping
from pathlib import Path
from random import Random

from aiohttp import web

from casemate_mock.config import VenueConfig
from casemate_mock.control import Control, SteerableClock
from casemate_mock.lifecycle import now_ms, ready, until_told
from casemate_mock.venue_server import VenueServer
from casemate_mock.venues.registry import create_venue


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
