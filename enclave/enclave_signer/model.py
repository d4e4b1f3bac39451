"""The values that the enclave reasons about: decoded, validated intents and what becomes of them.

NamedTuples rather than dataclasses on the hot path: as immutable, and several times faster to make.
The integer values of the enums are those of ``signer_api/v1/intent.proto``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from enclave_signer.decimals import Amount


class Side(IntEnum):
    """Which way."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """Kinds of order that the schema knows."""

    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3


class TimeInForce(IntEnum):
    """How long an order may rest."""

    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4


class TriggerBy(IntEnum):
    """The price that a stop watches."""

    LAST = 1
    MARK = 2
    INDEX = 3


class PositionSide(IntEnum):
    """Leg of a hedged position."""

    LONG = 1
    SHORT = 2


class SelfTradePrevention(IntEnum):
    """What the venue does when an account would trade with itself."""

    NONE = 1
    CANCEL_TAKER = 2
    CANCEL_MAKER = 3
    CANCEL_BOTH = 4


class Operation(IntEnum):
    """What an intent asks for; values of ``signer_api/v1/signer.proto``."""

    CREATE = 1
    CANCEL = 2
    CANCEL_ALL = 3
    AMEND = 4
    QUERY = 5
    OPEN_ORDERS = 6
    BALANCES = 7
    ORDER_CLOSED = 8
    HALT = 9
    LOGON = 10


class Kind(Enum):
    """What is traded."""

    SPOT = "spot"
    SWAP = "swap"


class MarginMode(Enum):
    """How an account backs its positions; CASH is the only one for spot."""

    CASH = "cash"
    CROSS = "cross"
    ISOLATED = "isolated"


class Environment(Enum):
    """Which of a venue's hosts: policy decides, never the host process."""

    PRODUCTION = "production"
    TESTNET = "testnet"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing, as the signed policy describes it.

    ``tick_size``, ``lot_size``, ``contract_size`` are amounts of price, quantity, and base per contract
    (1 for spot). ``quantity`` of an order is base units for spot, contracts for swaps.
    """

    symbol: str
    venue_symbol: str
    base: str
    quote: str
    settle: str
    kind: Kind
    tick_size: Amount
    lot_size: Amount
    contract_size: Amount


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how an account trades; belongs to the policy, so that no intent can change it."""

    environment: Environment = Environment.PRODUCTION
    margin_mode: MarginMode = MarginMode.CASH
    hedged: bool = False


class Order(NamedTuple):
    """A create, validated. Exactly one of ``quantity`` and ``quote_quantity`` is there."""

    account: str
    venue: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce | None
    quantity: Amount | None
    quote_quantity: Amount | None
    price: Amount | None
    stop_price: Amount | None
    trigger_by: TriggerBy | None
    post_only: bool
    reduce_only: bool
    position_side: PositionSide | None
    self_trade_prevention: SelfTradePrevention | None
    client_order_id: str
    created_at: int
    valid_until: int
    expire_at: int
    reference_price: Amount | None
    reference_time: int
    tag: str


class Cancel(NamedTuple):
    """A cancel by client order id or, where that is empty, by the venue's id."""

    account: str
    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    created_at: int
    valid_until: int
    # The order is a stop order; some venues keep those apart, under other paths.
    conditional: bool = False


class CancelAll(NamedTuple):
    """A cancel of every open order of one symbol; ``side`` narrows it where the venue can."""

    account: str
    venue: str
    symbol: str
    side: Side | None
    created_at: int
    valid_until: int
    # The open stop orders rather than the others, where a venue keeps them apart.
    conditional: bool = False


class Amend(NamedTuple):
    """A change of one order. ``original`` is what this boot signed; quantity and price are after the change."""

    account: str
    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    new_client_order_id: str
    quantity: Amount | None
    price: Amount | None
    created_at: int
    valid_until: int
    reference_price: Amount | None
    reference_time: int


class OrderClosed(NamedTuple):
    """The engine's word that an order of its own can fill no more."""

    account: str
    client_order_id: str
    filled_quantity: Amount
    created_at: int
    valid_until: int


class Query(NamedTuple):
    """A read of one order."""

    account: str
    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    created_at: int
    valid_until: int
    # The order is a stop order; some venues keep those apart, under other paths.
    conditional: bool = False
    # Look among the orders that are done, where the venue keeps them apart.
    closed: bool = False


class OpenOrders(NamedTuple):
    """A read of the open orders of one symbol."""

    account: str
    venue: str
    symbol: str
    created_at: int
    valid_until: int
    # The open stop orders rather than the others, where a venue keeps them apart.
    conditional: bool = False


class Balances(NamedTuple):
    """A read of an account's balances."""

    account: str
    venue: str
    created_at: int
    valid_until: int


class Logon(NamedTuple):
    """The logon of a connection for an account's private stream."""

    account: str
    venue: str
    created_at: int
    valid_until: int


class HaltScope(IntEnum):
    """How much a HALT stops."""

    ALL = 1
    ACCOUNT = 2
    VENUE = 3
    SYMBOL = 4


class Halt(NamedTuple):
    """A HALT as an engine asks for it."""

    scope: HaltScope
    account: str
    venue: str
    symbol: str
    created_at: int
    valid_until: int


Intent = Order | Cancel | CancelAll | Amend | OrderClosed | Query | OpenOrders | Balances | Halt | Logon


class Stamp(NamedTuple):
    """What the enclave itself contributes to a request (S11).

    ``now_ms`` is the enclave's clock; ``nonce`` is strictly increasing for each credential;
    ``valid_until_ms`` is where the signature's validity must have ended, rounded down;
    ``random`` returns that many random bytes.
    """

    now_ms: int
    nonce: int
    valid_until_ms: int
    random: Callable[[int], bytes]


class WireRequest(NamedTuple):
    """The venue's own signed HTTP request, byte-exact. A bearer token: its repr shows no header and no body."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None

    def __repr__(self) -> str:
        """Name the request without what would let a reader send it."""
        return f"WireRequest({self.method} {self.url.split('?', 1)[0]})"
