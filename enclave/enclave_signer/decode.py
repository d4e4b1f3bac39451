"""Bytes of one ``Intent`` message to a validated value, or Malformed naming the field.

What can be said without a policy is said here: grammar of every text, range of every number, which fields go
together. Unknown fields are refused: signing what one only half understands is how surprises are signed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from google.protobuf.message import DecodeError

from enclave_signer.decimals import Amount, parse
from enclave_signer.errors import Malformed
from enclave_signer.model import (
    Amend,
    Balances,
    Cancel,
    CancelAll,
    Halt,
    HaltScope,
    Logon,
    OpenOrders,
    Order,
    OrderClosed,
    OrderType,
    PositionSide,
    Query,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerBy,
)
from signer_api.v1 import intent_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import IntEnum

    from enclave_signer.model import Intent

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII).fullmatch
_NAME: Final = _ID
_TAG: Final = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII).fullmatch
_VENUE: Final = re.compile(r"[a-z0-9]{1,32}", re.ASCII).fullmatch
_SYMBOL: Final = re.compile(r"[A-Za-z0-9]{1,20}/[A-Za-z0-9]{1,20}(?::[A-Za-z0-9]{1,20})?", re.ASCII).fullmatch
_MAX_PRIORITY: Final = 2
# Characters of a wrong value that an error shows.
_SHOWN: Final = 40
_EXPECTED_ID: Final = "1 to 64 characters of A-Z a-z 0-9 _ -"
_EXPECTED_DECIMAL: Final = "a decimal such as 0.5: (0|[1-9][0-9]{0,17})(.[0-9]{1,18})?"

_Member = TypeVar("_Member", bound="IntEnum")


def _members(kind: type[_Member]) -> tuple[_Member | None, ...]:
    """Members by their number, None at 0: a tuple, because calling an Enum costs a microsecond."""
    return (None, *sorted(kind))


_SIDES: Final = _members(Side)
_TYPES: Final = _members(OrderType)
_TIMES: Final = _members(TimeInForce)
_TRIGGERS: Final = _members(TriggerBy)
_POSITIONS: Final = _members(PositionSide)
_SELF_TRADE: Final = _members(SelfTradePrevention)
_SCOPES: Final = _members(HaltScope)


def decode_intent(data: bytes) -> Intent:
    """Decode and validate one serialised ``Intent``."""
    message = intent_pb2.Intent()
    try:
        message.ParseFromString(data)
    except DecodeError:
        _wrong("intent", "not an Intent message")
    kind = message.WhichOneof("kind")
    if kind is None:
        _wrong("kind", "one kind of intent is required")
    # What was authenticated is what is judged, and no more: an unknown field, one that comes twice or a number in a
    # longer form than it needs makes the bytes longer than the message that was read.
    message.DiscardUnknownFields()
    if message.ByteSize() != len(data):
        _wrong(kind, "fields that this version does not know, or not in the shortest form")
    return _READERS[kind](getattr(message, kind))


def _order(m: Any) -> Order:  # noqa: ANN401 - a protobuf message; one local for each field
    symbol, account, venue = _place(m.symbol, m.account, m.venue)
    side = _member(_SIDES, m.side, "side") or _missing("side")
    kind = _member(_TYPES, m.type, "type") or _missing("type")
    time = _member(_TIMES, m.time_in_force, "time_in_force")
    quantity, quote = m.quantity, m.quote_quantity
    price, stop = m.price, m.stop_price
    expire_at = m.expire_at
    post_only = m.post_only
    reference, reference_time = _reference(m)
    order = Order(
        account,
        venue,
        symbol,
        side,
        kind,
        time,
        _positive(quantity, "quantity") if quantity else None,
        _positive(quote, "quote_quantity") if quote else None,
        _positive(price, "price") if price else None,
        _positive(stop, "stop_price") if stop else None,
        _member(_TRIGGERS, m.trigger_by, "trigger_by"),
        post_only,
        m.reduce_only,
        _member(_POSITIONS, m.position_side, "position_side"),
        _member(_SELF_TRADE, m.self_trade_prevention, "self_trade_prevention"),
        _client_order_id(m.client_order_id),
        _created(m.created_at),
        m.valid_until,
        expire_at,
        reference,
        reference_time,
        _tag(m.tag),
    )
    # The host's hint; the enclave has no other use for it than to refuse what is none.
    if not 0 <= m.priority <= _MAX_PRIORITY:
        _wrong("priority", "not a value of this enum", m.priority)
    _check_prices(order)
    _check_quantities(order)
    _check_time(order)
    return order


def _check_prices(order: Order) -> None:
    if order.type is OrderType.MARKET:
        _absent(order.price, "price", "a MARKET order has no price")
    elif order.price is None:
        _missing("price")
    if order.type is OrderType.STOP_LIMIT:
        if order.stop_price is None:
            _missing("stop_price")
        return
    _absent(order.stop_price, "stop_price", "only a STOP_LIMIT order has a stop price")
    _absent(order.trigger_by, "trigger_by", "only a STOP_LIMIT order watches a price")


def _check_quantities(order: Order) -> None:
    if order.quote_quantity is not None:
        if order.type is not OrderType.MARKET:
            _wrong("quote_quantity", "only a MARKET order may state its quantity in quote units")
        _absent(order.quantity, "quantity", "exactly one of quantity and quote_quantity")
    elif order.quantity is None:
        _missing("quantity")


def _check_time(order: Order) -> None:
    time = order.time_in_force
    if order.type is OrderType.MARKET:
        _absent(time, "time_in_force", "a MARKET order has no time in force")
    elif time is None:
        _missing("time_in_force")
    if order.post_only and (order.type is OrderType.MARKET or time in {TimeInForce.IOC, TimeInForce.FOK}):
        _wrong("post_only", "an order that may not rest cannot be post-only")
    if time is TimeInForce.GTD:
        if order.expire_at <= 0:
            _missing("expire_at")
    elif order.expire_at:
        _wrong("expire_at", "only a GTD order expires")


def _cancel(m: Any) -> Cancel:  # noqa: ANN401 - a protobuf message
    symbol, account, venue = _place(m.symbol, m.account, m.venue)
    client, venues = _named(m)
    return Cancel(account, venue, symbol, client, venues, _created(m.created_at), m.valid_until, m.conditional)


def _query(m: Any) -> Query:  # noqa: ANN401 - a protobuf message
    symbol, account, venue = _place(m.symbol, m.account, m.venue)
    client, venues = _named(m)
    return Query(account, venue, symbol, client, venues, _created(m.created_at), m.valid_until, m.conditional, m.closed)


def _cancel_all(m: Any) -> CancelAll:  # noqa: ANN401 - a protobuf message
    symbol, account, venue = _place(m.symbol, m.account, m.venue)
    _tag(m.tag)
    side = _member(_SIDES, m.side, "side")
    return CancelAll(account, venue, symbol, side, _created(m.created_at), m.valid_until, m.conditional)


def _amend(m: Any) -> Amend:  # noqa: ANN401 - a protobuf message
    symbol, account, venue = _place(m.symbol, m.account, m.venue)
    if not (m.quantity or m.price):
        _wrong("quantity", "an amend changes quantity, price or both")
    if m.new_client_order_id and _ID(m.new_client_order_id) is None:
        _wrong("new_client_order_id", _EXPECTED_ID, m.new_client_order_id)
    if m.venue_order_id and _ID(m.venue_order_id) is None:
        _wrong("venue_order_id", _EXPECTED_ID, m.venue_order_id)
    return Amend(
        account,
        venue,
        symbol,
        _client_order_id(m.client_order_id),
        m.venue_order_id,
        m.new_client_order_id,
        _positive(m.quantity, "quantity") if m.quantity else None,
        _positive(m.price, "price") if m.price else None,
        _created(m.created_at),
        m.valid_until,
        *_reference(m),
    )


def _order_closed(m: Any) -> OrderClosed:  # noqa: ANN401 - a protobuf message
    if _NAME(m.account) is None:
        _wrong("account", _EXPECTED_ID, m.account)
    filled = parse(m.filled_quantity)
    if filled is None:
        _wrong("filled_quantity", _EXPECTED_DECIMAL, m.filled_quantity)
    return OrderClosed(m.account, _client_order_id(m.client_order_id), filled, _created(m.created_at), m.valid_until)


def _open_orders(m: Any) -> OpenOrders:  # noqa: ANN401 - a protobuf message
    symbol, account, venue = _place(m.symbol, m.account, m.venue)
    return OpenOrders(account, venue, symbol, _created(m.created_at), m.valid_until, m.conditional)


def _balances(m: Any) -> Balances:  # noqa: ANN401 - a protobuf message
    _, account, venue = _place("A/A", m.account, m.venue)
    return Balances(account, venue, _created(m.created_at), m.valid_until)


def _logon(m: Any) -> Logon:  # noqa: ANN401 - a protobuf message
    _, account, venue = _place("A/A", m.account, m.venue)
    return Logon(account, venue, _created(m.created_at), m.valid_until)


def _halt(m: Any) -> Halt:  # noqa: ANN401 - a protobuf message
    _tag(m.tag)
    scope = halt_scope(m.scope, m.account, m.venue, m.symbol)
    return Halt(scope, m.account, m.venue, m.symbol, _created(m.created_at), m.valid_until)


def halt_scope(number: int, account: str, venue: str, symbol: str) -> HaltScope:
    """Check what a HALT or a RESUME names: what its scope needs is there, and nothing beside it."""
    scope = _member(_SCOPES, number, "scope") or _missing("scope")
    allowed = _SCOPE_FIELDS[scope]
    for name, value, grammar in (("account", account, _NAME), ("venue", venue, _VENUE), ("symbol", symbol, _SYMBOL)):
        if value and name not in allowed:
            _wrong(name, f"not used with scope {scope.name}")
        if value and grammar(value) is None:
            _wrong(name, f"not the name of a {name}", value)
        if not value and name == allowed[0]:
            _missing(name)
    return scope


# The first is required; a SYMBOL may be narrowed to one account.
_SCOPE_FIELDS: Final[dict[HaltScope, tuple[str, ...]]] = {
    HaltScope.ALL: ("",),
    HaltScope.ACCOUNT: ("account",),
    HaltScope.VENUE: ("venue",),
    HaltScope.SYMBOL: ("symbol", "account"),
}

_READERS: Final[dict[str, Callable[[Any], Intent]]] = {
    "order": _order,
    "cancel": _cancel,
    "cancel_all": _cancel_all,
    "amend": _amend,
    "order_closed": _order_closed,
    "query": _query,
    "open_orders": _open_orders,
    "balances": _balances,
    "halt": _halt,
    "logon": _logon,
}


def _place(symbol: str, account: str, venue: str) -> tuple[str, str, str]:
    if _NAME(account) is None:
        _wrong("account", _EXPECTED_ID, account)
    if _VENUE(venue) is None:
        _wrong("venue", "1 to 32 characters of a-z 0-9", venue)
    if _SYMBOL(symbol) is None:
        _wrong("symbol", "a unified symbol such as BTC/USDT or BTC/USDT:USDT", symbol)
    return symbol, account, venue


def _named(m: Any) -> tuple[str, str]:  # noqa: ANN401 - a protobuf message
    """Return the client's and the venue's id of one order, of which at least one is there."""
    client, venues = m.client_order_id, m.venue_order_id
    if not (client or venues):
        _wrong("client_order_id", "client_order_id or venue_order_id is required")
    if client:
        _client_order_id(client)
    if venues and _ID(venues) is None:
        _wrong("venue_order_id", _EXPECTED_ID, m.venue_order_id)
    return client, venues


def _reference(m: Any) -> tuple[Amount | None, int]:  # noqa: ANN401 - a protobuf message
    text, time = m.reference_price, m.reference_time
    if not text:
        if time:
            _wrong("reference_time", "goes with reference_price only")
        return None, 0
    if time <= 0:
        _wrong("reference_time", "required with reference_price")
    return _positive(text, "reference_price"), time


def _client_order_id(text: str) -> str:
    if _ID(text) is None:
        _wrong("client_order_id", _EXPECTED_ID, text)
    return text


def _tag(text: str) -> str:
    if text and _TAG(text) is None:
        _wrong("tag", "up to 64 characters of A-Z a-z 0-9 _ -", text)
    return text


def _created(time: int) -> int:
    if time < 0:
        _wrong("created_at", "nanoseconds since 1970", time)
    return time


def _positive(text: str, field: str) -> Amount:
    amount = parse(text)
    if amount is None:
        _wrong(field, _EXPECTED_DECIMAL, text)
    if not amount.units:
        _wrong(field, "must be above zero", text)
    return amount


def _member(members: tuple[_Member | None, ...], number: int, field: str) -> _Member | None:
    if not 0 <= number < len(members):
        _wrong(field, "not a value of this enum", number)
    return members[number]


def _absent(value: object, field: str, reason: str) -> None:
    if value is not None:
        _wrong(field, reason)


def _missing(field: str) -> NoReturn:
    _wrong(field, "required")


def _wrong(field: str, reason: str, value: object = None) -> NoReturn:
    shown = "" if value is None else f" {ascii(value)[:_SHOWN]}:"
    message = f"{field}:{shown} {reason}"
    raise Malformed(message, field=field)
