"""A rolling sum over a window of time: never too low, at most 1/256 of a window too high for a moment.

The window is cut into 256 slots of equal length, and one more is kept, because the window seldom begins where a
slot does. What was added to a slot is released when the whole slot lies outside the window, never earlier. So
for every moment the sum holds everything that was added within the window before it.

Time that goes backwards adds to the newest slot: that releases nothing earlier than it should.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLOTS: Final = 256
_KEPT: Final = _SLOTS + 1


class Window:
    """Two sums that roll together: what was spent (any unit) and how often."""

    __slots__ = ("_counts", "_slot", "_slot_ns", "_spent", "count", "rewritten", "spent", "window_ns")

    def __init__(self, window_ns: int) -> None:
        """Start empty."""
        self.window_ns = window_ns
        # Rounded up, so that 256 slots are never shorter than the window.
        self._slot_ns = -(-window_ns // _SLOTS)
        self._slot = 0
        self._spent = [0] * _KEPT
        self._counts = [0] * _KEPT
        self.spent = 0
        self.count = 0
        # Rises when slots before the newest one changed, which :meth:`add` never does.
        self.rewritten = 0

    def advance(self, now: int) -> None:
        """Release what lies wholly outside the window that ends at ``now`` (nanoseconds)."""
        slot = now // self._slot_ns
        passed = slot - self._slot
        if passed <= 0:
            return
        if passed >= _KEPT or not self.count:
            self._clear()
        else:
            for index in range(self._slot + 1, slot + 1):
                at = index % _KEPT
                self.spent -= self._spent[at]
                self.count -= self._counts[at]
                self._spent[at] = self._counts[at] = 0
        self._slot = slot

    def add(self, spent: int, count: int) -> None:
        """Count in the newest slot; :meth:`advance` comes first."""
        at = self._slot % _KEPT
        self._spent[at] += spent
        self._counts[at] += count
        self.spent += spent
        self.count += count

    def include(self, other: Window, now: int) -> None:
        """Add what ``other`` holds, each part as late as it can have happened: for a limit that a reload brings."""
        other.advance(now)
        self.advance(now)
        for back in range(_KEPT):
            index = other._slot - back
            # The last moment of the other's slot; if that is still to come, it counts as now.
            latest = (index + 1) * other._slot_ns - 1
            self.insert(latest, other._spent[index % _KEPT], other._counts[index % _KEPT])

    def insert(self, at: int, spent: int, count: int) -> None:
        """Count what happened at an earlier time; a later one counts as now. :meth:`advance` comes first."""
        age = self._slot - at // self._slot_ns
        if not count or age >= _KEPT:
            return
        self.rewritten += 1
        index = (self._slot - max(age, 0)) % _KEPT
        self._spent[index] += spent
        self._counts[index] += count
        self.spent += spent
        self.count += count

    def opens(self, least: int) -> int:
        """Return when the newest slot is released that holds at least as much or as many; 0 if none does."""
        held = [slot for slot, spent, count in self.slots() if spent >= least or count >= least]
        return (held[-1] + _KEPT) * self._slot_ns if held else 0

    @property
    def slot_ns(self) -> int:
        """Length of a slot in nanoseconds."""
        return self._slot_ns

    @property
    def newest(self) -> int:
        """Number of the newest slot; it began at this number times the length of a slot."""
        return self._slot

    @property
    def oldest(self) -> int:
        """Number of the oldest slot that is kept."""
        return self._slot - _SLOTS

    def slots(self, since: int = 0) -> Iterator[tuple[int, int, int]]:
        """Yield (number, spent, count) of every slot that is not empty, from slot ``since`` on, oldest first."""
        for slot in range(max(self.oldest, since), self._slot + 1):
            count = self._counts[slot % _KEPT]
            if count:
                yield slot, self._spent[slot % _KEPT], count

    def _clear(self) -> None:
        if self.count:
            self._spent = [0] * _KEPT
            self._counts = [0] * _KEPT
            self.spent = self.count = 0
