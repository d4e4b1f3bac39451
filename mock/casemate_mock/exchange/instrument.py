"""What is traded: one frozen value per instrument of a simulated venue."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Kind = Literal["spot", "swap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueInstrument:
    """One instrument.

    `symbol` is ccxt's unified form (`BTC/USDT`, `BTC/USDT:USDT`), `venue_symbol` the venue's own spelling.
    `tick` is the price step in quote units, `lot` the size step in base units (spot) or contracts (swap),
    `contract_size` the base units of one contract. `min_quantity` defaults to one lot. Raises ValueError for
    steps that are not positive.
    """

    symbol: str
    venue_symbol: str
    base: str
    quote: str
    settle: str | None = None
    kind: Kind = "spot"
    tick: Decimal
    lot: Decimal
    contract_size: Decimal = Decimal(1)
    reference_price: Decimal
    min_quantity: Decimal | None = None
    min_notional: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse an instrument that no order could ever match."""
        for name in ("tick", "lot", "contract_size", "reference_price"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value <= 0:
                message = f"{self.symbol}: {name} must be positive, got {value}"
                raise ValueError(message)

    @property
    def settle_asset(self) -> str:
        """The asset in which profit, loss and margin are counted."""
        return self.settle or self.quote

    @property
    def smallest(self) -> Decimal:
        """Smallest accepted size."""
        return self.lot if self.min_quantity is None else self.min_quantity

    def notional(self, price: Decimal, size: Decimal) -> Decimal:
        """Value of `size` at `price`, in the settle asset."""
        return price * size * self.contract_size
