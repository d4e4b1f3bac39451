"""The synthetic book: one best bid and one best ask around a reference price, with a depth."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never

from casemate_mock.exchange.instrument import VenueInstrument
from casemate_mock.exchange.orders import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """Bid and ask stand `half_spread_ticks` ticks from `reference`; `depth` is the size of each, None: any.

    Depth is used up by fills and restored when the price moves.
    """

    reference: Decimal
    tick: Decimal
    half_spread_ticks: int = 1
    depth: Decimal | None = None
    bid_left: Decimal | None = None
    ask_left: Decimal | None = None

    @classmethod
    def around(cls, instrument: VenueInstrument, half_spread_ticks: int, depth: Decimal | None) -> "Liquidity":
        """Book of an instrument at its reference price."""
        return cls(
            reference=instrument.reference_price,
            tick=instrument.tick,
            half_spread_ticks=half_spread_ticks,
            depth=depth,
            bid_left=depth,
            ask_left=depth,
        )

    @property
    def bid(self) -> Decimal:
        """Best bid; never below one tick."""
        return max(self.reference - self.tick * self.half_spread_ticks, self.tick)

    @property
    def ask(self) -> Decimal:
        """Best ask."""
        return self.reference + self.tick * self.half_spread_ticks

    def opposite(self, side: Side) -> Decimal:
        """Price at which an order of `side` takes."""
        match side:
            case Side.BUY:
                return self.ask
            case Side.SELL:
                return self.bid
            case _:
                assert_never(side)

    def left(self, side: Side) -> Decimal | None:
        """Size that an order of `side` can take; None without bound."""
        return self.ask_left if side is Side.BUY else self.bid_left

    def crosses(self, side: Side, price: Decimal | None) -> bool:
        """Whether an order at `price` (None: any price) would take."""
        if price is None:
            return True
        return price >= self.ask if side is Side.BUY else price <= self.bid

    def taken(self, side: Side, size: Decimal) -> "Liquidity":
        """Book after an order of `side` took `size`."""
        left = self.left(side)
        if left is None:
            return self
        return replace(self, ask_left=left - size) if side is Side.BUY else replace(self, bid_left=left - size)

    def moved(self, reference: Decimal) -> "Liquidity":
        """Book at a new reference price, with its depth restored."""
        return replace(self, reference=reference, bid_left=self.depth, ask_left=self.depth)

    def deepened(self, depth: Decimal | None) -> "Liquidity":
        """Book with another depth on both sides."""
        return replace(self, depth=depth, bid_left=depth, ask_left=depth)
