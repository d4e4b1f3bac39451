"""What the dispatcher can be told. Times in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from host_dispatch.dispatcher.retry import RetryPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

# Kraken takes only growing nonces: two orders on two connections could arrive the wrong way round.
_ORDERED: Final = frozenset({"kraken"})
# Coinbase's tokens are valid for two minutes whatever the intent says (its authentication guide), and no signed
# field shortens that: only afterwards does "not found" prove anything.
_LONG_VALIDITY_MS: Final = MappingProxyType({"coinbase": 125_000})


_REPEATS: Final = RetryPlan(attempts=3, first_ms=50, longest_ms=400)
# Bounded by `resolve_for_ms`, not by a number of attempts.
_RESOLVE: Final = RetryPlan(attempts=1_000_000, first_ms=250, longest_ms=5_000)


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """One venue. ``connect``: authority of a signed URL -> base URL to connect to instead."""

    connect: Mapping[str, str] = field(default_factory=dict)
    connections: int | None = None
    not_found_margin_ms: int | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    warm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """All venues."""

    connections: int = 8
    cancel_connections: int = 2
    timeout_ms: int = 10_000
    queue: int = 4096
    # Repeats after "no byte left", and of cancels whose reply was lost.
    repeats: RetryPlan = _REPEATS
    resolve: RetryPlan = _RESOLVE
    resolve_for_ms: int = 180_000
    not_found_margin_ms: int = 2_000
    recovery_ms: int = 30_000
    venues: Mapping[str, VenueSettings] = field(default_factory=dict)

    def slots(self, venue: str) -> int:
        """Requests of one account that may be at the venue at a time."""
        own = self.venues.get(venue, VenueSettings()).connections
        if own is not None:
            return own
        return 1 if venue in _ORDERED else self.connections

    def margin_ns(self, venue: str) -> int:
        """How long after an intent's end "not found" becomes proof."""
        own = self.venues.get(venue, VenueSettings()).not_found_margin_ms
        if own is None:
            own = max(self.not_found_margin_ms, _LONG_VALIDITY_MS.get(venue, 0))
        return own * 1_000_000
