"""Bybit's orders: parameters in, views out."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from casemate_mock.exchange import (
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    VenueInstrument,
)
from casemate_mock.exchange.arithmetic import ZERO, plain
from casemate_mock.venues.bybit_wire import Caller, fault
from casemate_mock.venues.fields import decimal_or_none, read_flag, text_or_none

Json = dict[str, Any]
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_TIMES = {"GTC", "IOC", "FOK", "PostOnly"}


def draft_order(caller: Caller, instrument: VenueInstrument, reference: Decimal) -> OrderRequest:
    """Read POST /v5/order/create; raises VenueFault 10001 for what cannot be an order."""
    values = caller.values
    side, kind = values.get("side"), values.get("orderType")
    if side not in {"Buy", "Sell"} or kind not in {"Limit", "Market"}:
        raise fault(caller.now_ms, 10001, "params error: side or orderType invalid")
    market = kind == "Market"
    tif = "IOC" if market else text_or_none(values, "timeInForce") or "GTC"
    if tif not in _TIMES:
        raise fault(caller.now_ms, 10001, "params error: timeInForce invalid")
    if values.get("positionIdx") not in {None, 0}:
        raise fault(caller.now_ms, 10001, "position idx not match position mode")
    link_id = text_or_none(values, "orderLinkId")
    if link_id is not None and not _LINK_ID.fullmatch(link_id):
        raise fault(caller.now_ms, 10001, "params error: orderLinkId invalid")
    quantity = _decimal(caller, "qty")
    stop = _optional(caller, "triggerPrice")
    by_quote = _is_quote(values, instrument, market=market, side=str(side))
    return OrderRequest(
        symbol=instrument.symbol,
        side=Side.BUY if side == "Buy" else Side.SELL,
        type=_type(market=market, stop=stop),
        quantity=None if by_quote else quantity,
        quote_quantity=quantity if by_quote else None,
        price=None if market else _decimal(caller, "price"),
        stop_price=stop,
        trigger_above=_direction(caller, instrument, stop, reference),
        time_in_force=TimeInForce[tif] if tif != "PostOnly" else TimeInForce.GTC,
        post_only=tif == "PostOnly",
        reduce_only=instrument.kind == "swap" and read_flag(values, "reduceOnly"),
        client_id=link_id,
        tag=f"{kind}/{tif}",
    )


def amended_values(caller: Caller) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Price, quantity and trigger price of an amendment, None for what stays."""
    return _optional(caller, "price"), _optional(caller, "qty"), _optional(caller, "triggerPrice")


def order_view(order: Order, instrument: VenueInstrument) -> Json:
    """Return an entry of /v5/order/realtime."""
    kind, _, tif = order.request.tag.partition("/")
    contract = {"tpslMode": "", "positionIdx": 0} if instrument.kind == "swap" else {"positionIdx": 0}
    by_quote = order.request.quote_quantity
    quantity = order.quantity if by_quote is None else by_quote
    left = order.remaining if order.is_open else ZERO
    return contract | {
        "symbol": instrument.venue_symbol,
        "orderId": order.venue_id,
        "orderLinkId": order.client_id,
        "blockTradeId": "",
        "side": "Buy" if order.side is Side.BUY else "Sell",
        "orderType": kind,
        "timeInForce": tif,
        "orderStatus": _status(order),
        "cancelType": "UNKNOWN",
        "rejectReason": "EC_PostOnlyWillTakeLiquidity" if order.note == "post_only" else "EC_NoError",
        "price": plain(order.price or ZERO),
        "qty": plain(quantity),
        "marketUnit": "" if kind == "Limit" else "baseCoin" if by_quote is None else "quoteCoin",
        "avgPrice": plain(order.average) if order.fills else "",
        "leavesQty": plain(left),
        "leavesValue": plain(left * (order.price or ZERO)),
        "cumExecQty": plain(order.filled),
        "cumExecValue": plain(order.cost * instrument.contract_size),
        "cumExecFee": plain(order.fee),
        "cumFeeDetail": {order.fills[0].fee_asset: plain(order.fee)} if order.fills else {},
        "stopOrderType": "" if order.stop_price is None else "Stop",
        "triggerPrice": plain(order.stop_price or ZERO),
        "triggerDirection": 0 if order.stop_price is None else 1 if order.request.trigger_above else 2,
        "reduceOnly": order.request.reduce_only,
        "closeOnTrigger": False,
        "smpType": "None",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
    }


def _status(order: Order) -> str:
    names = {
        OrderStatus.UNTRIGGERED: "Untriggered",
        OrderStatus.NEW: "New",
        OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
        OrderStatus.FILLED: "Filled",
        OrderStatus.CANCELED: "PartiallyFilledCanceled" if order.fills else "Cancelled",
        OrderStatus.EXPIRED: "PartiallyFilledCanceled" if order.fills else "Cancelled",
    }
    return names[order.status]


def _type(*, market: bool, stop: Decimal | None) -> OrderType:
    if stop is not None:
        return OrderType.STOP_MARKET if market else OrderType.STOP_LIMIT
    return OrderType.MARKET if market else OrderType.LIMIT


def _is_quote(values: Mapping[str, object], instrument: VenueInstrument, *, market: bool, side: str) -> bool:
    if not market or instrument.kind != "spot":
        return False
    unit = text_or_none(values, "marketUnit") or ("quoteCoin" if side == "Buy" else "baseCoin")
    return unit == "quoteCoin"


def _direction(caller: Caller, instrument: VenueInstrument, stop: Decimal | None, reference: Decimal) -> bool | None:
    """Linear orders name the direction (1 rises to it, 2 falls); spot infers it from the last price."""
    if stop is None:
        return None
    if instrument.kind == "spot":
        return stop > reference
    direction = caller.values.get("triggerDirection")
    if direction not in {1, 2}:
        raise fault(caller.now_ms, 10001, "params error: TriggerDirection invalid")
    return direction == 1


def _decimal(caller: Caller, name: str) -> Decimal:
    value = decimal_or_none(caller.values.get(name))
    if value is None:
        raise fault(caller.now_ms, 10001, f"params error: {name} invalid")
    return value


def _optional(caller: Caller, name: str) -> Decimal | None:
    if caller.values.get(name) in {None, "", "0"}:
        return None
    return _decimal(caller, name)
