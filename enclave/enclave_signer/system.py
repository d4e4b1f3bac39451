"""The ports that come from the operating system: its clock and its randomness."""

from __future__ import annotations

import os
import time

from enclave_signer.pauses import PauseCounter


class SystemClock:
    """The kernel's real-time clock."""

    __slots__ = ()

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns()


class KeptClock:
    """The kernel's real-time clock with a correction, as nothing else sets the time inside an enclave."""

    __slots__ = ("_correction",)

    def __init__(self) -> None:
        """Begin as the kernel has it."""
        self._correction = 0

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() + self._correction

    def correct(self, by: int) -> None:
        """Add to the clock from now on."""
        self._correction += by


class SystemRandomness:
    """The kernel's random number generator."""

    __slots__ = ()

    def bytes(self, count: int) -> bytes:
        """Return ``count`` random bytes."""
        return os.urandom(count)


def pause_counter() -> PauseCounter:
    """Return a counter of the garbage collector's pauses; the server starts it when it serves."""
    return PauseCounter(time.perf_counter_ns)
