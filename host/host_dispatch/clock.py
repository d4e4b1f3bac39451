"""The host's two clocks: wall time for validity, monotonic time for everything that waits."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the host takes time from."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never steps."""


class SystemClock:
    """The operating system's clocks."""

    # Bound once: this is read several times an order.
    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)
