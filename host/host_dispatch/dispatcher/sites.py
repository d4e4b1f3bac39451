"""What the host keeps for each venue: its reader, limits, lanes and health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.dispatcher.lane import Gate, Lane
from host_dispatch.dispatcher.limits import Budget
from host_dispatch.dispatcher.settings import VenueSettings
from host_dispatch.venues.authorities import AUTHORITIES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from host_dispatch.clock import Clock
    from host_dispatch.dispatcher.settings import DispatchSettings
    from host_dispatch.venues.base import VenueReader

# Failures in a row after which a venue counts as down.
_DOWN_AFTER: Final = 5


class Site:
    """One venue."""

    def __init__(
        self,
        name: str,
        reader: VenueReader,
        settings: DispatchSettings,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        """``name`` is the policy's name of the venue."""
        self.name = name
        self.reader = reader
        self.gate = Gate(Budget(reader, settings.venues.get(name, VenueSettings()).limits))
        # Where its requests may go.
        self.authorities = (
            AUTHORITIES.get(name, frozenset()) | settings.venues.get(name, VenueSettings()).connect.keys()
        )
        self.lanes: dict[str, Lane] = {}
        self._settings = settings
        self._loop = loop
        self._clock = clock
        self._failures = 0
        self._health = wire.VENUE_HEALTH_UP
        self._reason = ""
        self._since = clock.now_ns()
        self.changed: Callable[[Site], None] = lambda _: None

    def lane(self, account: str) -> Lane:
        """Return the account's lane, made when first asked for."""
        lane = self.lanes.get(account)
        if lane is None:
            lane = self.lanes[account] = Lane(
                account,
                self.gate,
                self._loop,
                self._clock,
                slots=self._settings.slots(self.name),
                reserved=self._settings.cancel_connections,
            )
        return lane

    def answered(self) -> None:
        """Note that the venue answered."""
        self._failures = 0
        if self._clock.monotonic_ns() >= self.gate.until:
            self._become(wire.VENUE_HEALTH_UP, "")

    def failed(self, reason: str) -> None:
        """Note that it could not be reached or did not answer."""
        self._failures += 1
        down = self._failures >= _DOWN_AFTER
        self._become(wire.VENUE_HEALTH_DOWN if down else wire.VENUE_HEALTH_DEGRADED, reason)

    def held(self, milliseconds: int, reason: str) -> None:
        """Leave the venue alone for as long as it asked."""
        self.gate.close_for(milliseconds, self._clock.monotonic_ns())
        self._become(wire.VENUE_HEALTH_DEGRADED, reason)

    def status(self) -> wire.VenueStatus:
        """Return what watchers and operators see."""
        lanes = self.lanes.values()
        return wire.VenueStatus(
            venue=self.name,
            health=self._health,
            reason=self._reason,
            since=self._since,
            connections=sum(lane.out for lane in lanes),
            queued=sum(len(lane) for lane in lanes),
        )

    def _become(self, health: wire.VenueHealth, reason: str) -> None:
        if health != self._health:
            self._health, self._reason, self._since = health, reason, self._clock.now_ns()
            self.changed(self)
