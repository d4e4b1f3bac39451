"""Which counters of a session were used: each once, in any order within a window."""

from __future__ import annotations

from typing import Final

# As many as the host allows unanswered on one stream: cancels may overtake that many new orders.
WINDOW: Final = 1024
MAX_COUNTER: Final = (1 << 63) - 1


class Window:
    """A bit for each of the WINDOW counters up to the highest one seen."""

    __slots__ = ("_seen", "_top")

    def __init__(self) -> None:
        """Nothing was used; 0 never is."""
        self._top = 0
        self._seen = 1

    def take(self, counter: int) -> bool:
        """Use a counter: False if it was used before, is older than the window, or out of range."""
        ahead = counter - self._top
        if ahead > 0:
            if counter > MAX_COUNTER:
                return False
            self._seen = ((self._seen << ahead) | 1) & _ALL if ahead < WINDOW else 1
            self._top = counter
            return True
        # First the window: a shift by what an engine chose would make a number as large as memory.
        if ahead <= -WINDOW or counter < 1:
            return False
        bit = 1 << -ahead
        if self._seen & bit:
            return False
        self._seen |= bit
        return True


_ALL: Final = (1 << WINDOW) - 1
