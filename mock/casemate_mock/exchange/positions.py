"""Positions in swaps: a signed number of contracts at an average entry price."""

from dataclasses import dataclass
from decimal import Decimal

from casemate_mock.exchange.arithmetic import ZERO, divide
from casemate_mock.exchange.orders import Side


@dataclass(frozen=True, slots=True)
class Position:
    """`size` contracts, positive long and negative short, entered at `entry`; `margin` is locked for it."""

    size: Decimal = ZERO
    entry: Decimal = ZERO
    margin: Decimal = ZERO

    def closable(self, side: Side) -> Decimal:
        """Contracts that an order of `side` would close."""
        return max(-self.size * side.sign, ZERO)

    def after(self, side: Side, size: Decimal, price: Decimal) -> tuple["Position", Decimal]:
        """Position after a fill, and the price difference times contracts that the closed part realised."""
        closed = min(self.closable(side), size)
        opened = size - closed
        realised = closed * (self.entry - price) * side.sign
        left = self.size + side.sign * closed
        total = left + side.sign * opened
        if opened == 0:
            return Position(total, self.entry if total else ZERO, self.margin), realised
        entry = divide(abs(left) * self.entry + opened * price, abs(total))
        return Position(total, entry, self.margin), realised
