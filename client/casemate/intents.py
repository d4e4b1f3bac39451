"""Intents: what an engine asks for. Checked when they are made; money and size are Decimal, str or int, never float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Self, TypeVar

from casemate import decimals
from casemate.errors import InvalidIntentError
from casemate.ids import new_client_order_id
from casemate.models import HaltScope, OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from decimal import Decimal

    from casemate.models import PositionSide, Priority, SelfTradePrevention, TriggerBy

    Number = Decimal | str | int
E = TypeVar("E", bound=IntEnum)

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_FREE: Final = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII)


def amount(field: str, value: Number | None) -> str:
    """Write a positive number canonically; empty for None. Raises InvalidIntentError for floats and the like."""
    if value is None:
        return ""
    if isinstance(value, float):
        raise InvalidIntentError(field, value, f'Decimal, str or int, such as "{value}": a float is not exact')
    text = decimals.to_text(value)
    if text is None or text == "0":
        raise InvalidIntentError(field, value, f"{decimals.EXPECTED}, greater than zero")
    return text


def _member(kind: type[E], field: str, value: E | str) -> E:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str) or value not in kind.__members__:
        raise InvalidIntentError(field, value, f"one of {', '.join(kind.__members__)}")
    return kind[value]


def _check_id(field: str, value: object, *, required: bool = True) -> None:
    if not isinstance(value, str) or not (_ID if required else _FREE).fullmatch(value):
        raise InvalidIntentError(field, value, f"{'1' if required else '0'} to 64 characters of A-Z a-z 0-9 _ -")


def _check_one_id(client_order_id: str, venue_order_id: str) -> None:
    if not client_order_id and not venue_order_id:
        raise InvalidIntentError("client_order_id", client_order_id, "client_order_id or venue_order_id")
    _check_id("client_order_id", client_order_id, required=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """Create one order. Use :meth:`limit`, :meth:`market` and :meth:`stop_limit`.

    Numbers are canonical decimal text, empty where absent. ``created_at`` and ``valid_until`` (nanoseconds UTC) are
    filled in by the gateway where they are 0. Quantity is base units for spot, contracts for swaps.
    """

    account: str
    venue: str
    symbol: str
    side: Side
    type: OrderType
    client_order_id: str
    time_in_force: TimeInForce | None = None
    quantity: str = ""
    quote_quantity: str = ""
    price: str = ""
    stop_price: str = ""
    trigger_by: TriggerBy | None = None
    post_only: bool = False
    reduce_only: bool = False
    position_side: PositionSide | None = None
    self_trade_prevention: SelfTradePrevention | None = None
    created_at: int = 0
    valid_until: int = 0
    expire_at: int = 0
    reference_price: str = ""
    reference_time: int = 0
    priority: Priority | None = None
    tag: str = ""

    def __post_init__(self) -> None:
        """Refuse what the schema cannot mean; whether the policy allows it is the enclave's business."""
        for name in ("account", "client_order_id"):
            _check_id(name, getattr(self, name))
        for name in ("venue", "symbol"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InvalidIntentError(name, getattr(self, name), "text")
        _check_id("tag", self.tag, required=False)
        for name in ("quantity", "quote_quantity", "price", "stop_price", "reference_price"):
            object.__setattr__(self, name, amount(name, getattr(self, name) or None))
        _check_shape(self)

    @classmethod
    def limit(  # noqa: PLR0913 - one parameter a field of the message
        cls,
        account: str,
        venue: str,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        price: Number,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        client_order_id: str | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        reference_price: Number | None = None,
        reference_time: int = 0,
        expire_at: int = 0,
        tag: str = "",
    ) -> Self:
        """Make a limit order; without ``client_order_id`` a fresh one in the venue's format."""
        return cls(
            account=account,
            venue=venue,
            symbol=symbol,
            side=_member(Side, "side", side),
            type=OrderType.LIMIT,
            time_in_force=_member(TimeInForce, "time_in_force", time_in_force),
            quantity=amount("quantity", quantity),
            price=amount("price", price),
            client_order_id=client_order_id or new_client_order_id(venue),
            post_only=post_only,
            reduce_only=reduce_only,
            reference_price=amount("reference_price", reference_price),
            reference_time=reference_time,
            expire_at=expire_at,
            tag=tag,
        )

    @classmethod
    def market(  # noqa: PLR0913 - one parameter a field of the message
        cls,
        account: str,
        venue: str,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number | None = None,
        quote_quantity: Number | None = None,
        client_order_id: str | None = None,
        reduce_only: bool = False,
        tag: str = "",
    ) -> Self:
        """Make a market order by quantity or by amount of quote currency."""
        return cls(
            account=account,
            venue=venue,
            symbol=symbol,
            side=_member(Side, "side", side),
            type=OrderType.MARKET,
            quantity=amount("quantity", quantity),
            quote_quantity=amount("quote_quantity", quote_quantity),
            client_order_id=client_order_id or new_client_order_id(venue),
            reduce_only=reduce_only,
            tag=tag,
        )

    @classmethod
    def stop_limit(  # noqa: PLR0913 - one parameter a field of the message
        cls,
        account: str,
        venue: str,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        price: Number,
        stop_price: Number,
        trigger_by: TriggerBy | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        client_order_id: str | None = None,
        reduce_only: bool = False,
        tag: str = "",
    ) -> Self:
        """Make a limit order that waits for ``stop_price``."""
        return cls(
            account=account,
            venue=venue,
            symbol=symbol,
            side=_member(Side, "side", side),
            type=OrderType.STOP_LIMIT,
            time_in_force=_member(TimeInForce, "time_in_force", time_in_force),
            quantity=amount("quantity", quantity),
            price=amount("price", price),
            stop_price=amount("stop_price", stop_price),
            trigger_by=trigger_by,
            client_order_id=client_order_id or new_client_order_id(venue),
            reduce_only=reduce_only,
            tag=tag,
        )


def _check_shape(order: OrderIntent) -> None:
    market = order.type is OrderType.MARKET
    if bool(order.quantity) == bool(order.quote_quantity):
        raise InvalidIntentError("quantity", order.quantity, "exactly one of quantity and quote_quantity")
    rules = (
        ("price", not order.price if market else bool(order.price), "a price, save for MARKET"),
        ("quote_quantity", market or not order.quote_quantity, "quote_quantity with MARKET only"),
        (
            "stop_price",
            bool(order.stop_price) == (order.type is OrderType.STOP_LIMIT),
            "one for STOP_LIMIT, only there",
        ),
        ("time_in_force", (order.time_in_force is None) == market, "one, save for MARKET"),
        (
            "expire_at",
            bool(order.expire_at) == (order.time_in_force is TimeInForce.GTD),
            "a time for GTD, only there",
        ),
        (
            "post_only",
            not (order.post_only and order.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}),
            "no post_only with IOC or FOK",
        ),
    )
    for name, holds, expected in rules:
        if not holds:
            raise InvalidIntentError(name, getattr(order, name), expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelIntent:
    """Cancel one order, by client order id, by the venue's id or by both: some venues cancel by their own alone."""

    account: str
    venue: str
    symbol: str
    client_order_id: str = ""
    venue_order_id: str = ""
    created_at: int = 0
    valid_until: int = 0

    def __post_init__(self) -> None:
        """One id must be there."""
        _check_one_id(self.client_order_id, self.venue_order_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAllIntent:
    """Cancel every open order of one symbol; ``side`` narrows it where the venue can."""

    account: str
    venue: str
    symbol: str
    side: Side | None = None
    tag: str = ""
    created_at: int = 0
    valid_until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendIntent:
    """Change quantity and/or price of an order: totals after the change, empty leaves it as it is."""

    account: str
    venue: str
    symbol: str
    client_order_id: str
    new_client_order_id: str = ""
    quantity: str = ""
    price: str = ""
    reference_price: str = ""
    reference_time: int = 0
    venue_order_id: str = ""
    created_at: int = 0
    valid_until: int = 0

    def __post_init__(self) -> None:
        """Something must change."""
        _check_id("client_order_id", self.client_order_id)
        for name in ("quantity", "price", "reference_price"):
            object.__setattr__(self, name, amount(name, getattr(self, name) or None))
        if not self.quantity and not self.price:
            raise InvalidIntentError("quantity", self.quantity, "a new quantity or a new price")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseIntent:
    """The engine's word that an order of its own can fill no more; releases its exposure, once."""

    account: str
    client_order_id: str
    filled_quantity: str
    created_at: int = 0
    valid_until: int = 0

    def __post_init__(self) -> None:
        """Zero is a filled quantity too."""
        _check_id("client_order_id", self.client_order_id)
        text = decimals.to_text(self.filled_quantity)
        if text is None:
            raise InvalidIntentError("filled_quantity", self.filled_quantity, decimals.EXPECTED)
        object.__setattr__(self, "filled_quantity", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryIntent:
    """Read one order from the venue."""

    account: str
    venue: str
    symbol: str
    client_order_id: str = ""
    venue_order_id: str = ""
    created_at: int = 0
    valid_until: int = 0

    def __post_init__(self) -> None:
        """One id must be there."""
        _check_one_id(self.client_order_id, self.venue_order_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrdersIntent:
    """Read the open orders of one symbol from the venue."""

    account: str
    venue: str
    symbol: str
    created_at: int = 0
    valid_until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancesIntent:
    """Read the balances of an account from the venue."""

    account: str
    venue: str
    created_at: int = 0
    valid_until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogonIntent:
    """Log a connection of the account's private stream on: for accounts alone that the policy marks read-only."""

    account: str
    venue: str
    created_at: int = 0
    valid_until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltIntent:
    """Refuse everything but cancels and reads in this scope, until a RESUME."""

    scope: HaltScope = HaltScope.ALL
    account: str = ""
    venue: str = ""
    symbol: str = ""
    tag: str = ""
    created_at: int = 0
    valid_until: int = 0


Intent = (
    OrderIntent
    | CancelIntent
    | CancelAllIntent
    | AmendIntent
    | CloseIntent
    | QueryIntent
    | OpenOrdersIntent
    | BalancesIntent
    | LogonIntent
    | HaltIntent
)
