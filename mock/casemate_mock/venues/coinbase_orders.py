"""Coinbase's orders: `order_configuration` in, views out, and the names of refusals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
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
from casemate_mock.exchange.arithmetic import ZERO, plain
from casemate_mock.venues.fields import decimal_or_none, read_flag
from casemate_mock.venues.wire import VenueFault, json_reply

Json = dict[str, Any]
_SHAPES: dict[str, tuple[OrderType, TimeInForce, str]] = {
    "market_market_ioc": (OrderType.MARKET, TimeInForce.IOC, "IMMEDIATE_OR_CANCEL"),
    "market_market_fok": (OrderType.MARKET, TimeInForce.FOK, "FILL_OR_KILL"),
    "sor_limit_ioc": (OrderType.LIMIT, TimeInForce.IOC, "IMMEDIATE_OR_CANCEL"),
    "limit_limit_fok": (OrderType.LIMIT, TimeInForce.FOK, "FILL_OR_KILL"),
    "limit_limit_gtc": (OrderType.LIMIT, TimeInForce.GTC, "GOOD_UNTIL_CANCELLED"),
    "limit_limit_gtd": (OrderType.LIMIT, TimeInForce.GTC, "GOOD_UNTIL_DATE_TIME"),
    "stop_limit_stop_limit_gtc": (OrderType.STOP_LIMIT, TimeInForce.GTC, "GOOD_UNTIL_CANCELLED"),
    "stop_limit_stop_limit_gtd": (OrderType.STOP_LIMIT, TimeInForce.GTC, "GOOD_UNTIL_DATE_TIME"),
}


def invalid(message: str) -> VenueFault:
    """Build an error of the request's form."""
    body = {"error": "INVALID_ARGUMENT", "error_details": message, "message": message}
    return VenueFault(json_reply(body, 400))


def draft_order(values: Mapping[str, Any], instrument: VenueInstrument) -> OrderRequest:
    """Read a create. Raises VenueFault."""
    side, configuration = values.get("side"), values.get("order_configuration")
    if side not in {"BUY", "SELL"}:
        raise invalid("side must be BUY or SELL")
    if not isinstance(configuration, dict) or len(configuration) != 1:
        raise invalid("order_configuration must hold one configuration")
    shape, terms = next(iter(configuration.items()))
    if shape not in _SHAPES or not isinstance(terms, dict):
        raise invalid("unknown order_configuration")
    kind, tif, _ = _SHAPES[shape]
    quantity, quote = _size(terms, kind)
    stop = _decimal(terms, "stop_price") if kind is OrderType.STOP_LIMIT else None
    return OrderRequest(
        symbol=instrument.symbol,
        side=Side[side],
        type=kind,
        quantity=quantity,
        quote_quantity=quote,
        price=None if kind is OrderType.MARKET else _decimal(terms, "limit_price"),
        stop_price=stop,
        trigger_above=None if stop is None else _direction(terms),
        time_in_force=tif,
        post_only=read_flag(terms, "post_only"),
        expire_ms=_expiry(terms) if shape.endswith("_gtd") else None,
        client_id=str(values["client_order_id"]),
        tag=shape,
    )


def order_view(order: Order, instrument: VenueInstrument) -> Json:
    """Return the `order` of /orders/historical."""
    kind, _, tif = _SHAPES[order.request.tag]
    filled = order.cost
    done = ZERO if not order.quantity else order.filled / order.quantity * 100
    return {
        "order_id": order.venue_id,
        "product_id": instrument.venue_symbol,
        "user_id": order.account,
        "order_configuration": configuration_of(order),
        "side": order.side.name,
        "client_order_id": order.client_id,
        "status": _status(order),
        "time_in_force": tif,
        "created_time": iso_time(order.created_ms),
        "completion_percentage": plain(done.quantize(Decimal("0.01"))),
        "filled_size": plain(order.filled),
        "average_filled_price": plain(order.average),
        "fee": "",
        "number_of_fills": str(len(order.fills)),
        "filled_value": plain(filled),
        "pending_cancel": False,
        "size_in_quote": order.request.quote_quantity is not None,
        "total_fees": plain(order.fee),
        "size_inclusive_of_fees": False,
        "total_value_after_fees": plain(filled),
        "trigger_status": "STOP_PENDING" if order.status is OrderStatus.UNTRIGGERED else "INVALID_ORDER_TYPE",
        "order_type": {OrderType.MARKET: "MARKET", OrderType.LIMIT: "LIMIT"}.get(kind, "STOP_LIMIT"),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": order.status is OrderStatus.FILLED,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": "User requested cancel" if order.status is OrderStatus.CANCELED else "",
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": plain(order.locked),
        "is_liquidation": False,
        "last_fill_time": iso_time(order.fills[-1].at_ms) if order.fills else None,
    }


def configuration_of(order: Order) -> Json:
    """Write `order_configuration` with the order's present price and size."""
    request = order.request
    terms: Json = {}
    if request.quote_quantity is not None:
        terms["quote_size"] = plain(request.quote_quantity)
    else:
        terms["base_size"] = plain(order.quantity)
    if order.price is not None:
        terms["limit_price"] = plain(order.price)
    if order.stop_price is not None:
        direction = "STOP_DIRECTION_STOP_UP" if request.trigger_above else "STOP_DIRECTION_STOP_DOWN"
        terms |= {"stop_price": plain(order.stop_price), "stop_direction": direction}
    if request.tag.startswith("limit_limit_g"):
        terms["post_only"] = request.post_only
    return {request.tag: terms}


def iso_time(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def refusal_name(reason: Refusal) -> tuple[str, str, str]:
    """Coinbase's error, message and preview_failure_reason of a refusal."""
    match reason:
        case Refusal.TICK:
            return "INVALID_PRICE_PRECISION", "Invalid price precision", "PREVIEW_INVALID_PRICE_PRECISION"
        case Refusal.LOT:
            return "INVALID_SIZE_PRECISION", "Invalid size precision", "PREVIEW_INVALID_SIZE_PRECISION"
        case Refusal.MIN_QUANTITY | Refusal.MIN_NOTIONAL:
            return (
                "INVALID_BASE_SIZE_TOO_SMALL",
                "Order size too small",
                "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL",
            )
        case Refusal.INSUFFICIENT_BALANCE:
            return "INSUFFICIENT_FUND", "Insufficient balance in source account", "PREVIEW_INSUFFICIENT_FUND"
        case Refusal.POST_ONLY_WOULD_TAKE:
            name = "INVALID_LIMIT_PRICE_POST_ONLY"
            return name, "Post only order would cross the book", f"PREVIEW_{name}"
        case Refusal.WOULD_TRIGGER:
            name = "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"
            return "INVALID_STOP_PRICE", "Stop price is on the wrong side of the last trade price", name
        case Refusal.DUPLICATE_CLIENT_ID | Refusal.REDUCE_ONLY | Refusal.UNKNOWN_ORDER | Refusal.NOT_OPEN:
            return "UNKNOWN_FAILURE_REASON", reason.value, "UNKNOWN_PREVIEW_FAILURE_REASON"
        case Refusal.BELOW_FILLED:
            return "INVALID_EDITED_SIZE", "Size is not above what is filled", "BELOW_FILLED_SIZE"
        case _:
            assert_never(reason)


def _status(order: Order) -> str:
    match order.status:
        case OrderStatus.UNTRIGGERED | OrderStatus.NEW | OrderStatus.PARTIALLY_FILLED:
            return "OPEN"
        case OrderStatus.FILLED:
            return "FILLED"
        case OrderStatus.CANCELED | OrderStatus.EXPIRED:
            return "CANCELLED"
        case _:
            assert_never(order.status)


def _size(terms: Mapping[str, Any], kind: OrderType) -> tuple[Decimal | None, Decimal | None]:
    if kind is not OrderType.MARKET or "base_size" in terms:
        return _decimal(terms, "base_size"), None
    return None, _decimal(terms, "quote_size")


def _expiry(terms: Mapping[str, Any]) -> int:
    try:
        moment = datetime.fromisoformat(str(terms.get("end_time")))
    except ValueError as error:
        message = "end_time is missing or malformed"
        raise invalid(message) from error
    return int(moment.timestamp() * 1000)


def _direction(terms: Mapping[str, Any]) -> bool:
    directions = {"STOP_DIRECTION_STOP_UP": True, "STOP_DIRECTION_STOP_DOWN": False}
    direction = terms.get("stop_direction")
    if direction not in directions:
        raise invalid("stop_direction is missing")
    return directions[str(direction)]


def _decimal(terms: Mapping[str, Any], name: str) -> Decimal:
    value = decimal_or_none(terms.get(name))
    if value is None:
        raise invalid(f"{name} is missing or malformed")
    return value
