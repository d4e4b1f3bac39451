"""Binance spot's views: orders, fills, coins, cancel-replace, and the codes of refusals."""

from decimal import Decimal
from typing import Any

from casemate_mock.exchange import Fill, Order, Refusal
from casemate_mock.exchange.arithmetic import ZERO, fixed
from casemate_mock.venues.binance_orders import STATUS
from casemate_mock.venues.wire import VenueFault, VenueResponse, json_reply

Json = dict[str, Any]
PLACES = 8


def numbers(order: Order) -> Json:
    """Return the numbers that every order view shares."""
    stop = {} if order.stop_price is None else {"stopPrice": fixed(order.stop_price, PLACES)}
    return {
        "price": fixed(order.price or ZERO, PLACES),
        "origQty": fixed(order.quantity, PLACES),
        "executedQty": fixed(order.filled, PLACES),
        "origQuoteOrderQty": fixed(order.request.quote_quantity or ZERO, PLACES),
        "cummulativeQuoteQty": fixed(order.cost, PLACES),
        "status": STATUS[order.status],
        "timeInForce": order.request.time_in_force.value,
        "type": order.request.tag,
        "side": order.side.name,
        **stop,
    }


def fill_view(fill: Fill) -> Json:
    """Return one entry of `fills`."""
    return {
        "price": fixed(fill.price, PLACES),
        "qty": fixed(fill.size, PLACES),
        "commission": fixed(fill.fee, PLACES),
        "commissionAsset": fill.fee_asset,
        "tradeId": fill.trade_id,
    }


def coin_view(asset: str, free: Decimal) -> Json:
    """Return one coin of capital/config/getall."""
    network = {"network": asset, "coin": asset, "name": asset, "isDefault": True, "depositEnable": True}
    limits = {"withdrawEnable": False, "withdrawFee": "0", "withdrawMin": "0", "withdrawMax": "0"}
    network |= limits | {"withdrawIntegerMultiple": "0.00000001"}
    return {
        "coin": asset,
        "name": asset,
        "free": fixed(free, PLACES),
        "trading": True,
        "networkList": [network],
    }


def error_of(fault: VenueFault) -> Json:
    """Return the body of a fault."""
    value = fault.response.json()
    return value if isinstance(value, dict) else {"code": -1000, "msg": "unknown"}


def replaced(canceled: Json, placed: Json | None) -> VenueResponse:
    """Answer a cancel-replace: what became of the cancel and of the new order (None: not attempted)."""
    cancel_ok, place_ok = "code" not in canceled, placed is not None and "code" not in placed
    data = {
        "cancelResult": "SUCCESS" if cancel_ok else "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED" if placed is None else "SUCCESS" if place_ok else "FAILURE",
        "cancelResponse": canceled,
        "newOrderResponse": placed,
    }
    if cancel_ok and place_ok:
        return json_reply(data)
    if cancel_ok or place_ok:
        return json_reply({"code": -2021, "msg": "Order cancel-replace partially failed.", "data": data}, 409)
    return json_reply({"code": -2022, "msg": "Order cancel-replace failed.", "data": data}, 400)


REFUSALS: dict[Refusal, tuple[int, str]] = {
    Refusal.TICK: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.LOT: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.MIN_QUANTITY: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.MIN_NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    Refusal.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    Refusal.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
    Refusal.POST_ONLY_WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Refusal.REDUCE_ONLY: (-2010, "Order was rejected."),
    Refusal.WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
    Refusal.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Refusal.NOT_OPEN: (-2011, "Unknown order sent."),
    Refusal.BELOW_FILLED: (-2038, "The requested action would change no state; rejecting."),
}
ACCOUNT = {
    "makerCommission": 0,
    "takerCommission": 0,
    "buyerCommission": 0,
    "sellerCommission": 0,
    "canTrade": True,
    "canWithdraw": False,
    "canDeposit": True,
    "brokered": False,
    "requireSelfTradePrevention": False,
    "preventSor": False,
    "accountType": "SPOT",
    "permissions": ["SPOT"],
    "uid": 1,
}
