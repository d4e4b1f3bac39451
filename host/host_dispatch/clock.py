"""The host's two clocks: wall time for validity, monotonic time for everything that waits."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol


class Clock(Protocol):
    """Where the host takes time from."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never steps."""


class Moment(NamedTuple):
    """One moment on both clocks (ns), from which later ones can be told although the wall clock steps."""

    wall: int
    monotonic: int

    @classmethod
    def now(cls, clock: Clock) -> Moment:
        """Return this moment."""
        return cls(clock.now_ns(), clock.monotonic_ns())

    def latest(self, clock: Clock) -> int:
        """Return the wall time that it is at the latest: a clock set back makes nothing young again."""
        return max(clock.now_ns(), self.wall + clock.monotonic_ns() - self.monotonic)

    def earliest(self, clock: Clock) -> int:
        """Return the wall time that it is at the earliest: a clock set forward proves no time to have passed."""
        return min(clock.now_ns(), self.wall + clock.monotonic_ns() - self.monotonic)


class SystemClock:
    """The operating system's clocks."""

    # Bound once: this is read several times an order.
    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)
