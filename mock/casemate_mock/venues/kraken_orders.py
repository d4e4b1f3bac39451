"""Kraken's orders: parameters in, views out."""

import re
from typing import Any, assert_never

from casemate_mock.exchange import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    TimeInForce,
    VenueInstrument,
)
from casemate_mock.exchange.arithmetic import ZERO, fixed, plain
from casemate_mock.venues.fields import places
from casemate_mock.venues.kraken_wire import Caller, fault

Json = dict[str, Any]
VOLUME_PLACES = 8
_TYPES = {
    "limit": OrderType.LIMIT,
    "market": OrderType.MARKET,
    "stop-loss": OrderType.STOP_MARKET,
    "take-profit": OrderType.STOP_MARKET,
    "stop-loss-limit": OrderType.STOP_LIMIT,
    "take-profit-limit": OrderType.STOP_LIMIT,
}
_FLAGS = {"post", "fcib", "fciq", "nompp", "viqc"}
# A UUID with or without dashes, or up to 18 characters of text ("Spot Client Order Identifiers").
_CLIENT_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}")


def draft_order(caller: Caller, instrument: VenueInstrument) -> OrderRequest:
    """Read AddOrder. Raises VenueFault."""
    side, kind = caller.text("type"), caller.text("ordertype")
    if side not in {"buy", "sell"}:
        raise fault("EGeneral:Invalid arguments:type")
    if kind not in _TYPES:
        raise fault("EGeneral:Invalid arguments:ordertype")
    flags = set((caller.text("oflags") or "fciq").split(","))
    if flags - _FLAGS:
        raise fault("EGeneral:Invalid arguments:oflags")
    tif = (caller.text("timeinforce") or "GTC").upper()
    if tif not in {*TimeInForce.__members__, "GTD"}:
        raise fault("EGeneral:Invalid arguments:timeinforce")
    _check_client_id(caller)
    volume, first, second = (caller.decimal(name) for name in ("volume", "price", "price2"))
    if volume is None:
        raise fault("EGeneral:Invalid arguments:volume")
    by_quote = "viqc" in flags and kind == "market"
    stop = first if kind.startswith(("stop", "take")) else None
    price = second if kind.endswith("-limit") else first if kind == "limit" else None
    if (price is None) == kind.endswith("limit") or (stop is None) == kind.startswith(("stop", "take")):
        raise fault("EGeneral:Invalid arguments:price")
    return OrderRequest(
        symbol=instrument.symbol,
        side=Side(side),
        type=_TYPES[kind],
        quantity=None if by_quote else volume,
        quote_quantity=volume if by_quote else None,
        price=price,
        stop_price=stop,
        trigger_above=(side == "buy") == kind.startswith("stop"),
        time_in_force=TimeInForce.GTC if tif == "GTD" else TimeInForce[tif],
        expire_ms=_expiry(caller, tif),
        post_only="post" in flags,
        client_id=caller.text("cl_ord_id"),
        tag=f"{kind}/{','.join(sorted(flags))}",
    )


def describe(order: Order, instrument: VenueInstrument) -> str:
    """Say the order in the sentence that Kraken answers, `buy 0.50000000 XBTUSDT @ limit 50000.5`."""
    kind = order.request.tag.partition("/")[0]
    head = f"{order.side.value} {fixed(order.quantity, VOLUME_PLACES)} {instrument.venue_symbol} @ "
    price = "" if order.price is None else plain(order.price)
    if order.stop_price is None:
        return f"{head}{kind} {price}".rstrip()
    limit = f" -> limit {price}" if price else ""
    return f"{head}{kind.removesuffix('-limit').replace('-', ' ')} {plain(order.stop_price)}{limit}"


def order_view(order: Order, instrument: VenueInstrument) -> Json:
    """Return an order's info, as in OpenOrders, ClosedOrders and QueryOrders."""
    kind, _, flags = order.request.tag.partition("/")
    pair, quote = places(instrument.tick), 5
    first, second = (order.stop_price, order.price) if order.stop_price is not None else (order.price, None)
    closed = {} if order.is_open else {"closetm": order.updated_ms / 1000, "reason": _reason(order)}
    return closed | {
        "refid": None,
        "userref": 0,
        "cl_ord_id": order.client_id or None,
        "status": _status(order),
        "opentm": order.created_ms / 1000,
        "starttm": 0,
        "expiretm": (order.request.expire_ms or 0) // 1000,
        "descr": {
            "pair": instrument.venue_symbol,
            "type": order.side.value,
            "ordertype": kind,
            "price": fixed(first or ZERO, pair),
            "price2": fixed(second or ZERO, pair),
            "leverage": "none",
            "order": describe(order, instrument),
            "close": "",
        },
        "vol": fixed(order.quantity, VOLUME_PLACES),
        "vol_exec": fixed(order.filled, VOLUME_PLACES),
        "cost": fixed(order.cost, quote),
        "fee": fixed(order.fee, quote),
        "price": fixed(order.average, quote),
        "stopprice": fixed(ZERO, quote),
        "limitprice": fixed(ZERO, quote),
        "misc": "",
        "oflags": flags,
    }


def refusal_text(reason: Refusal) -> str:  # noqa: PLR0911 - one arm a reason
    """Kraken's error of a refusal."""
    match reason:
        case Refusal.TICK:
            return "EOrder:Invalid price:Invalid price argument"
        case Refusal.LOT:
            return "EGeneral:Invalid arguments:volume"
        case Refusal.MIN_QUANTITY:
            return "EGeneral:Invalid arguments:volume minimum not met"
        case Refusal.MIN_NOTIONAL:
            return "EOrder:Cost minimum not met"
        case Refusal.INSUFFICIENT_BALANCE:
            return "EOrder:Insufficient funds"
        case Refusal.DUPLICATE_CLIENT_ID:
            return "EOrder:Duplicate cl_ord_id"
        case Refusal.POST_ONLY_WOULD_TAKE:
            return "EOrder:Post only order"
        case Refusal.REDUCE_ONLY:
            return "EOrder:Reduce only:Non-PC order"
        case Refusal.WOULD_TRIGGER:
            return "EOrder:Invalid price"
        case Refusal.UNKNOWN_ORDER | Refusal.NOT_OPEN:
            return "EOrder:Unknown order"
        case Refusal.BELOW_FILLED:
            return "EOrder:Invalid order quantity"
        case _:
            assert_never(reason)


def _expiry(caller: Caller, tif: str) -> int | None:
    """Parameter `expiretm`, Unix seconds, which GTD needs."""
    text = caller.text("expiretm")
    if tif != "GTD":
        return None
    if text is None or not text.isdecimal():
        raise fault("EGeneral:Invalid arguments:expiretm")
    return int(text) * 1000


def _check_client_id(caller: Caller) -> None:
    client_id = caller.text("cl_ord_id")
    if client_id is not None and not _CLIENT_ID.fullmatch(client_id):
        raise fault("EGeneral:Invalid arguments:cl_ord_id")
    if client_id is not None and caller.text("userref") is not None:
        raise fault("EGeneral:Invalid arguments:cl_ord_id and userref are mutually exclusive")


def _status(order: Order) -> str:
    match order.status:
        case OrderStatus.UNTRIGGERED | OrderStatus.NEW | OrderStatus.PARTIALLY_FILLED:
            return "open"
        case OrderStatus.FILLED:
            return "closed"
        case OrderStatus.CANCELED | OrderStatus.EXPIRED:
            return "canceled"
        case _:
            assert_never(order.status)


def _reason(order: Order) -> str | None:
    if order.note == "post_only":
        return "Post only order"
    return "User requested" if order.status is OrderStatus.CANCELED else None
