"""Backpack's orders, instruments and refusals."""

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
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.venues.backpack_auth import fault
from casemate_mock.venues.fields import decimal_or_none, read_flag

Json = dict[str, Any]
_MAX_CLIENT_ID = 2**32 - 1


def draft_order(values: Mapping[str, object], instrument: VenueInstrument, reference: Decimal) -> OrderRequest:
    """Read orderExecute. Raises VenueFault."""
    side, kind = values.get("side"), values.get("orderType")
    if side not in {"Bid", "Ask"} or kind not in {"Limit", "Market"}:
        raise fault("INVALID_CLIENT_REQUEST", "Invalid side or orderType")
    tif = values.get("timeInForce", "GTC")
    if tif not in TimeInForce.__members__:
        raise fault("INVALID_CLIENT_REQUEST", "Invalid timeInForce")
    market = kind == "Market"
    stop, trigger_size = optional(values, "triggerPrice"), optional(values, "triggerQuantity")
    if (stop is None) != (trigger_size is None):
        raise fault("INVALID_CLIENT_REQUEST", "Must specify both `triggerPrice` and `triggerQuantity` or neither")
    quantity, quote = optional(values, "quantity") or trigger_size, optional(values, "quoteQuantity")
    price = optional(values, "price")
    if (price is None) != market or (quantity is None) == (quote is None) or (quote is not None and not market):
        raise fault("INVALID_CLIENT_REQUEST", "Price, quantity and quoteQuantity do not fit the orderType")
    plain_type, stop_type = (OrderType.MARKET, OrderType.STOP_MARKET), (OrderType.LIMIT, OrderType.STOP_LIMIT)
    return OrderRequest(
        symbol=instrument.symbol,
        side=Side.BUY if side == "Bid" else Side.SELL,
        type=(plain_type if market else stop_type)[stop is not None],
        quantity=quantity,
        quote_quantity=quote,
        price=price,
        stop_price=stop,
        trigger_above=None if stop is None else stop > reference,
        time_in_force=TimeInForce[str(tif)],
        post_only=read_flag(values, "postOnly"),
        reduce_only=instrument.kind == "swap" and read_flag(values, "reduceOnly"),
        client_id=client_id(values),
        tag=str(kind),
    )


def client_id(values: Mapping[str, object]) -> str | None:
    """`clientId`, an unsigned number of 32 bits (text in a query). Raises VenueFault."""
    value = values.get("clientId")
    if value is None:
        return None
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if type(number) is not int or not 0 <= number <= _MAX_CLIENT_ID:
        raise fault("INVALID_CLIENT_REQUEST", "clientId must be an unsigned 32-bit integer")
    return str(number)


def optional(values: Mapping[str, object], name: str) -> Decimal | None:
    """Return a plain decimal as text, or None. Raises VenueFault when malformed."""
    if values.get(name) is None:
        return None
    value = decimal_or_none(values[name])
    if value is None:
        raise fault("INVALID_CLIENT_REQUEST", f"Invalid {name}")
    return value


def order_view(order: Order, instrument: VenueInstrument, *, history: bool = False) -> Json:
    """Write an order; history writes its time as text."""
    stop = order.stop_price
    sized = "triggerQuantity" if stop is not None else "quantity"
    quote = order.request.quote_quantity
    return {
        "id": order.venue_id,
        "clientId": int(order.client_id) if order.client_id else None,
        "createdAt": _iso(order.created_ms) if history else order.created_ms,
        "symbol": instrument.venue_symbol,
        "side": "Bid" if order.side is Side.BUY else "Ask",
        "orderType": order.request.tag,
        "status": _status(order),
        "timeInForce": order.request.time_in_force.value,
        "quantity": None,
        "quoteQuantity": None if quote is None else plain(quote),
        "triggerPrice": None if stop is None else plain(stop),
        "triggerQuantity": None,
        "triggerBy": None,
        "executedQuantity": plain(order.filled),
        "executedQuoteQuantity": plain(order.cost),
        "postOnly": order.request.post_only,
        "reduceOnly": order.request.reduce_only if instrument.kind == "swap" else None,
        "relatedOrderId": None,
        "selfTradePrevention": "RejectTaker",
        "strategyId": None,
        **({} if order.price is None else {"price": plain(order.price)}),
        sized: plain(order.quantity),
    }


def market_view(instrument: VenueInstrument) -> Json:
    """Return an entry of /api/v1/markets."""
    tick, lot = plain(instrument.tick), plain(instrument.lot)
    return {
        "symbol": instrument.venue_symbol,
        "baseSymbol": instrument.base,
        "quoteSymbol": instrument.quote,
        "marketType": "PERP" if instrument.kind == "swap" else "SPOT",
        "orderBookState": "Open",
        "visible": True,
        "createdAt": "2025-01-21T06:34:54.691858",
        "filters": {
            "price": {"minPrice": tick, "maxPrice": None, "tickSize": tick},
            "quantity": {"minQuantity": plain(instrument.smallest), "maxQuantity": None, "stepSize": lot},
        },
    }


def refusal_code(reason: Refusal) -> tuple[str, str]:
    """Backpack's code and message of a refusal."""
    match reason:
        case Refusal.TICK:
            return "INVALID_PRICE", "Price decimal too long"
        case Refusal.LOT:
            return "INVALID_QUANTITY", "Quantity decimal too long"
        case Refusal.MIN_QUANTITY | Refusal.MIN_NOTIONAL:
            return "INVALID_QUANTITY", "Quantity is below the minimum"
        case Refusal.INSUFFICIENT_BALANCE:
            return "INSUFFICIENT_FUNDS", "Insufficient funds"
        case Refusal.DUPLICATE_CLIENT_ID:
            return "INVALID_ORDER", "Duplicate clientId"
        case Refusal.POST_ONLY_WOULD_TAKE:
            return "INVALID_ORDER", "Order would immediately match and take"
        case Refusal.REDUCE_ONLY:
            return "INVALID_ORDER", "Reduce only order not reduced"
        case Refusal.WOULD_TRIGGER:
            return "INVALID_ORDER", "Order would immediately trigger"
        case Refusal.UNKNOWN_ORDER | Refusal.NOT_OPEN:
            return "RESOURCE_NOT_FOUND", "Order not found"
        case Refusal.BELOW_FILLED:
            return "INVALID_QUANTITY", "Quantity is not above what is filled"
        case _:
            assert_never(reason)


def _status(order: Order) -> str:
    match order.status:
        case OrderStatus.UNTRIGGERED:
            return "TriggerPending"
        case OrderStatus.NEW:
            return "New"
        case OrderStatus.PARTIALLY_FILLED:
            return "PartiallyFilled"
        case OrderStatus.FILLED:
            return "Filled"
        case OrderStatus.CANCELED:
            return "Cancelled"
        case OrderStatus.EXPIRED:
            return "Expired"
        case _:
            assert_never(order.status)


def _iso(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000, tzinfo=None)
    return moment.isoformat(timespec="milliseconds")
