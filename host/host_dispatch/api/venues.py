"""WatchVenues: the health of every venue, at once and whenever it changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.api import checks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from host_dispatch.api.server import Context
    from host_dispatch.dispatcher.sites import Site


class VenueWatch:
    """Watchers see the latest of each venue; what changed twice in between they see once."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        """Listen to every site."""
        self._sites = sites
        self._changed: list[tuple[dict[str, None], asyncio.Event]] = []
        for site in sites.values():
            site.changed = self._on_change

    def _on_change(self, site: Site) -> None:
        for names, wake in self._changed:
            names[site.name] = None
            wake.set()

    async def watch(self, data: bytes, _: Context) -> AsyncIterator[bytes]:
        """Yield serialised statuses for ever."""
        checks.parse(wire.WatchVenuesRequest, data)
        names: dict[str, None] = dict.fromkeys(self._sites)
        wake = asyncio.Event()
        watcher = (names, wake)
        self._changed.append(watcher)
        try:
            while True:
                while names:
                    name = next(iter(names))
                    del names[name]
                    yield self._sites[name].status().SerializeToString()
                wake.clear()
                await wake.wait()
        finally:
            self._changed = [other for other in self._changed if other is not watcher]
