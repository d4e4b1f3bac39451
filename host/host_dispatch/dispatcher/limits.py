"""A venue's rate limits as counters. Pure: time comes in as monotonic nanoseconds."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, assert_never

if TYPE_CHECKING:
    from collections.abc import Mapping

    from host_dispatch.outcome import Operation
    from host_dispatch.venues.base import Bucket, VenueReader

_MS: Final = 1_000_000
# A window is counted in this many slices; one slice more than the window is always counted, so that the
# limit is never passed, at the price of waiting up to a sixteenth of the window longer than needed.
_SLICES: Final = 16


class Counter(Protocol):
    """One limit."""

    def wait_ns(self, weight: int, now: int) -> int:
        """Return 0 if ``weight`` may be taken now, else how long to wait before asking again."""

    def take(self, weight: int, now: int) -> None:
        """Count it."""


class Window:
    """At most ``limit`` units in any ``window_ns``."""

    __slots__ = ("_limit", "_slice", "_slices", "_total")

    def __init__(self, limit: int, window_ns: int) -> None:
        """``limit`` >= 1."""
        self._limit = limit
        self._slice = max(window_ns // _SLICES, 1)
        self._slices: deque[list[int]] = deque()
        self._total = 0

    def wait_ns(self, weight: int, now: int) -> int:
        """See :class:`Counter`."""
        here = now // self._slice
        while self._slices and self._slices[0][0] < here - _SLICES:
            self._total -= self._slices.popleft()[1]
        if self._total + weight <= self._limit or not self._slices:
            return 0
        return max((self._slices[0][0] + _SLICES + 1) * self._slice - now, 1)

    def take(self, weight: int, now: int) -> None:
        """See :class:`Counter`."""
        here = now // self._slice
        if self._slices and self._slices[-1][0] >= here:
            self._slices[-1][1] += weight
        else:
            self._slices.append([here, weight])
        self._total += weight


class Leaky:
    """A level that drains steadily: full at ``limit``, empty again ``window_ns`` later."""

    __slots__ = ("_at", "_level", "_limit", "_window")

    def __init__(self, limit: int, window_ns: int) -> None:
        """Levels are held in units times ``window_ns``, so that draining is exact in integers."""
        self._limit = limit
        self._window = window_ns
        self._level = 0
        self._at = 0

    def wait_ns(self, weight: int, now: int) -> int:
        """See :class:`Counter`."""
        self._drain(now)
        over = self._level + weight * self._window - self._limit * self._window
        if over <= 0 or self._level == 0:
            return 0
        return max(-(-over // self._limit), 1)

    def take(self, weight: int, now: int) -> None:
        """See :class:`Counter`."""
        self._drain(now)
        self._level += weight * self._window

    def _drain(self, now: int) -> None:
        self._level = max(self._level - (now - self._at) * self._limit, 0)
        self._at = now


class Budget:
    """All limits of one venue, each counted where its scope says: per IP, account, or account and instrument."""

    def __init__(self, reader: VenueReader, overrides: Mapping[str, int]) -> None:
        """``overrides``: bucket name -> limit, for accounts with other limits than the venue's lowest tier."""
        self._buckets = {bucket.name: bucket for bucket in reader.buckets}
        self._overrides = overrides
        self._reader = reader
        self._counters: dict[tuple[str, str], Counter] = {}

    def wait_ns(self, operation: Operation, account: str, symbol: str, now: int) -> int:
        """Return 0 and count the request if every limit has room, else how long to wait."""
        wanted = [
            (self._counter(self._buckets[cost.bucket], account, symbol), cost.weight)
            for cost in self._reader.cost(operation)
            if cost.weight
        ]
        wait = max((counter.wait_ns(weight, now) for counter, weight in wanted), default=0)
        if not wait:
            for counter, weight in wanted:
                counter.take(weight, now)
        return wait

    def needs(self, operation: Operation, account: str, symbol: str) -> frozenset[tuple[str, str]]:
        """Return which counters a request takes from: who has none in common cannot get in another's way."""
        costs = (cost for cost in self._reader.cost(operation) if cost.weight)
        return frozenset(_key(self._buckets[cost.bucket], account, symbol) for cost in costs)

    def _counter(self, bucket: Bucket, account: str, symbol: str) -> Counter:
        key = _key(bucket, account, symbol)
        counter = self._counters.get(key)
        if counter is None:
            limit = self._overrides.get(bucket.name, bucket.limit)
            make = Leaky if bucket.kind == "leaky" else Window
            counter = self._counters[key] = make(limit, bucket.window_ms * _MS)
        return counter


def _key(bucket: Bucket, account: str, symbol: str) -> tuple[str, str]:
    """Return the bucket's name and who shares it."""
    match bucket.scope:
        case "ip":
            return bucket.name, ""
        case "account":
            return bucket.name, account
        case "instrument":
            return bucket.name, f"{account}\0{symbol}"
        case _:
            assert_never(bucket.scope)
