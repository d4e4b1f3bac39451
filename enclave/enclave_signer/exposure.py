"""What could still happen to a position, at worst: for each side, never netted.

If every open buy fills and no sell does, the position ends at ``position + open_buys``; the other way round at
``open_sells - position`` short. The larger is the worst case. A hedged account has two legs, which do not make up
for each other: their worst cases are added.

Quantities are integers of 10**-18 base units or contracts. A book runs for every symbol that is traded, also where
no exposure rule looks at it, so that a rule that a reload brings meets what was signed before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.model import Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enclave_signer.model import PositionSide

# More than any quantity: 10**18 units of 10**-18, as often as a signature counts.
FULL: Final = 10**60


class Leg:
    """Position and open orders of one leg."""

    __slots__ = ("open_buys", "open_sells", "position")

    def __init__(self) -> None:
        """Start flat: what was held before this boot is not known here."""
        self.position = 0
        self.open_buys = 0
        self.open_sells = 0

    def worst(self) -> int:
        """Return the larger of the two worst cases."""
        return max(self.position + self.open_buys, self.open_sells - self.position)


class Book:
    """One symbol of one account: one leg, or LONG and SHORT where positions are hedged."""

    __slots__ = ("_legs",)

    def __init__(self) -> None:
        """Start flat."""
        self._legs: dict[PositionSide | None, Leg] = {None: Leg()}

    def worst_after(self, side: Side, leg: PositionSide | None, quantity: int) -> int:
        """Return the worst case of the order's side if ``quantity`` more were open."""
        one = self._legs.get(leg) or self._new(leg)
        worst = one.position + one.open_buys if side is Side.BUY else one.open_sells - one.position
        worst += quantity
        if len(self._legs) > 1:
            worst += sum(max(other.worst(), 0) for name, other in self._legs.items() if name is not leg)
        return worst

    def reserve(self, side: Side, leg: PositionSide | None, quantity: int) -> None:
        """Count ``quantity`` as open; a negative one releases."""
        one = self._legs.get(leg) or self._new(leg)
        if side is Side.BUY:
            one.open_buys += quantity
        else:
            one.open_sells += quantity

    def fill(self, side: Side, leg: PositionSide | None, quantity: int) -> None:
        """Move the position by what filled."""
        one = self._legs.get(leg) or self._new(leg)
        one.position += quantity if side is Side.BUY else -quantity

    def fill_up(self) -> None:
        """Nobody knows what is open: leave no room, on either side of any leg."""
        self.reserve(Side.BUY, None, FULL)
        self.reserve(Side.SELL, None, FULL)

    def legs(self) -> Iterator[tuple[PositionSide | None, Leg]]:
        """Yield the legs, to read."""
        yield from self._legs.items()

    def include(self, leg: PositionSide | None, position: int, open_buys: int, open_sells: int) -> None:
        """Add what another boot counted."""
        one = self._legs.get(leg) or self._new(leg)
        one.position += position
        one.open_buys += open_buys
        one.open_sells += open_sells

    def leg(self, leg: PositionSide | None = None) -> Leg:
        """Return one leg, to read."""
        return self._legs.get(leg) or self._new(leg)

    def _new(self, leg: PositionSide | None) -> Leg:
        made = self._legs[leg] = Leg()
        return made
