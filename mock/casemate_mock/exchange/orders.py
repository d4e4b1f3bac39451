"""Orders as values: what was asked (`OrderRequest`) and what became of it (`Order`)."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique

from casemate_mock.exchange.arithmetic import ZERO, divide


@unique
class Side(Enum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


@unique
class OrderType(Enum):
    """Supported kinds; a stop becomes a limit or market order when its price is reached."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_LIMIT = "stop_limit"
    STOP_MARKET = "stop_market"


@unique
class TimeInForce(Enum):
    """How long an order may rest."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


@unique
class OrderStatus(Enum):
    """Where an order is in its life."""

    UNTRIGGERED = "untriggered"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        """Whether the order can still trade."""
        return self in {OrderStatus.UNTRIGGERED, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as a venue understood it. Exactly one of `quantity` and `quote_quantity` is set.

    `expire_ms` ends a resting order (good till date); None lets it rest.

    `trigger_above` says on which side of the market a stop waits: True fires when the price rises to
    `stop_price`.
    """

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trigger_above: bool | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    client_id: str | None = None
    expire_ms: int | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution: `size` in base units or contracts at `price`, at `at_ms`."""

    trade_id: int
    price: Decimal
    size: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An accepted order. `locked` is what it still holds back in `lock_asset`; `number` counts from 1."""

    number: int
    venue_id: str
    account: str
    request: OrderRequest
    client_id: str
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    status: OrderStatus
    lock_asset: str
    locked: Decimal
    created_ms: int
    updated_ms: int
    fills: tuple[Fill, ...] = ()
    note: str = ""

    @property
    def symbol(self) -> str:
        """Unified symbol."""
        return self.request.symbol

    @property
    def side(self) -> Side:
        """Direction."""
        return self.request.side

    @property
    def is_open(self) -> bool:
        """Whether the order can still trade."""
        return self.status.is_open

    @property
    def filled(self) -> Decimal:
        """Executed size."""
        return sum((fill.size for fill in self.fills), ZERO)

    @property
    def remaining(self) -> Decimal:
        """Size that is not executed."""
        return self.quantity - self.filled

    @property
    def cost(self) -> Decimal:
        """Sum of price times size over the fills, before any contract size."""
        return sum((fill.price * fill.size for fill in self.fills), ZERO)

    @property
    def average(self) -> Decimal:
        """Average fill price, 0 without fills."""
        return divide(self.cost, self.filled) if self.fills else ZERO

    @property
    def fee(self) -> Decimal:
        """Sum of the fees paid."""
        return sum((fill.fee for fill in self.fills), ZERO)
