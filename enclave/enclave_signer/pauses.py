"""How long Python's garbage collector held the process up, counted for the status."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Pauses(NamedTuple):
    """Collections so far, their total and their longest, in nanoseconds."""

    collections: int = 0
    total: int = 0
    longest: int = 0


class PauseCounter:
    """Counts from :meth:`watch` on; ``clock`` is monotonic, in nanoseconds."""

    __slots__ = ("_clock", "_started", "pauses")

    def __init__(self, clock: Callable[[], int]) -> None:
        """Nothing is counted yet."""
        self._clock = clock
        self._started = 0
        self.pauses = Pauses()

    def watch(self) -> None:
        """Ask the interpreter to report each collection."""
        gc.callbacks.append(self._seen)

    def _seen(self, phase: str, _info: Mapping[str, int]) -> None:
        now = self._clock()
        if phase == "start":
            self._started = now
            return
        count, total, longest = self.pauses
        taken = now - self._started
        self.pauses = Pauses(count + 1, total + taken, max(longest, taken))
