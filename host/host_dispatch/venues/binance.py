"""Binance spot and USD-M futures: what replies mean and what requests cost.

Errors are ``{"code": -2010, "msg": "..."}`` with a 4xx or 5xx status. A 5xx, and the codes of
`binance_codes.OUTCOME_UNKNOWN`, leave open whether the order was placed ("execution status unknown" in the venue's
general information page); a 503 with -1008 does not (the request was turned away before the matching engine).
Sources: binance-spot-api-docs `errors.md`, `rest-api.md`; the USD-M derivatives error page; ccxt 4.5.90 maps
the same codes. Marks in comments: D documentation, C ccxt, M recalled and not checked.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from host_dispatch.outcome import BalanceView, ErrorClass, Operation, OrderState, Reading, VenueOrderView
from host_dispatch.venues.base import (
    Bucket,
    Cost,
    Reader,
    Reply,
    Usage,
    accepted,
    acknowledged,
    is_success,
    judged,
    nothing,
    refusal,
    unread,
)
from host_dispatch.venues.binance_codes import BEFORE_MATCHING, classify
from host_dispatch.venues.fields import (
    Json,
    UnreadableError,
    as_list,
    as_object,
    average,
    difference,
    identifier,
    number,
    objects,
    parse,
    positive,
    required_identifier,
    state_of,
    text,
    weighted_average,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# Order status: spot "enums" page and USD-M "common definition" page (D). EXPIRED_IN_MATCH is self-trade
# prevention.
_STATES: Final = {
    "NEW": OrderState.OPEN,
    "PENDING_NEW": OrderState.OPEN,
    "PARTIALLY_FILLED": OrderState.PARTIALLY_FILLED,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "PENDING_CANCEL": OrderState.OPEN,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
    "NEW_INSURANCE": OrderState.OPEN,
    "NEW_ADL": OrderState.OPEN,
}

# USD-M's conditional orders (D: "algo order" pages). FINISHED means that the order it became is filled or
# canceled, without saying which: nobody knows.
_CONDITIONAL_STATES: Final = {
    "NEW": OrderState.OPEN,
    "TRIGGERING": OrderState.OPEN,
    "TRIGGERED": OrderState.OPEN,
    "FINISHED": OrderState.UNKNOWN,
    "CANCELED": OrderState.CANCELED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
}

# Spot's cancelReplace: -2021 half failed, -2022 both halves failed; `data` holds both answers (D:
# rest-api.md).
_REPLACE_FAILED: Final = frozenset({"-2021", "-2022"})


class BinanceReader(Reader):
    """Reads replies of spot and USD-M alike: their shapes tell them apart."""

    costs = MappingProxyType(
        {
            # Weights of single requests (D: rest-api.md for spot; USD-M's are at most these, M).
            Operation.CREATE: (Cost("orders-10s", 1), Cost("orders-long", 1), Cost("weight-1m", 1)),
            Operation.AMEND: (Cost("orders-10s", 1), Cost("orders-long", 1), Cost("weight-1m", 1)),
            Operation.CANCEL: (Cost("weight-1m", 1),),
            Operation.CANCEL_ALL: (Cost("weight-1m", 1),),
            Operation.QUERY: (Cost("weight-1m", 4),),
            Operation.OPEN_ORDERS: (Cost("weight-1m", 6),),
            Operation.BALANCES: (Cost("weight-1m", 20),),
            Operation.LOGON: (Cost("weight-1m", 1),),
        },
    )

    def __init__(self, name: str, buckets: tuple[Bucket, ...], counters: Mapping[str, str]) -> None:
        """``counters`` maps a usage header to the bucket that it counts."""
        self.name = name
        self.buckets = buckets
        self._counters = counters

    def usage(self, headers: Mapping[str, str]) -> tuple[Usage, ...]:
        """Read X-MBX-USED-WEIGHT-1M and X-MBX-ORDER-COUNT-*, which count what is used (D)."""
        lower = {name.lower(): value for name, value in headers.items()}
        limits = {bucket.name: bucket.limit for bucket in self.buckets}
        found = ((bucket, whole(lower.get(header))) for header, bucket in self._counters.items())
        return tuple(
            Usage(bucket, used, max(limits[bucket] - used, 0), limits[bucket])
            for bucket, used in found
            if used is not None
        )

    def interpret(self, reply: Reply) -> Reading:
        """Tell an error from an answer by the status, or by a negative code beside a 2xx."""
        try:
            value = parse(reply.body)
        except UnreadableError:
            # The web application firewall answers 403 in HTML (D): too much, or malformed, and in any case
            # not taken.
            return unread(reply)
        if not is_success(reply.status) or (isinstance(value, dict) and text(value.get("code")).startswith("-")):
            return _error(reply, as_object(value))
        return _ANSWERS[reply.operation](reply, value)


def _error(reply: Reply, body: dict[str, Json]) -> Reading:
    code, message = text(body.get("code")), text(body.get("msg"))
    if reply.operation is Operation.AMEND and code in _REPLACE_FAILED:
        return _half_replaced(reply, as_object(body.get("data")))
    return judged(reply, classify(code, message), code, message, definite=code in BEFORE_MATCHING)


def _half_replaced(reply: Reply, data: dict[str, Json]) -> Reading:
    """Read a cancelReplace that failed: the cancel may have happened although the new order did not."""
    if text(data.get("newOrderResult")) == "SUCCESS":
        message = "the replacement stands although the cancel failed: two orders where one was meant"
        return refusal(reply, ErrorClass.UNKNOWN, "-2021", message)
    failed_half = "newOrderResponse" if text(data.get("cancelResult")) == "SUCCESS" else "cancelResponse"
    half = as_object(data.get(failed_half))
    code, message = text(half.get("code")), text(half.get("msg"))
    reading = refusal(reply, classify(code, message), code, message)
    if failed_half == "cancelResponse" or reading.error is ErrorClass.UNKNOWN:
        return reading
    canceled = _order(as_object(data.get("cancelResponse")))
    return Reading(
        state=canceled.state,
        venue_order_id=canceled.venue_order_id,
        filled_quantity=canceled.filled_quantity,
        average_price=canceled.average_price,
        error=reading.error,
        code=reading.code,
        message=reading.message,
        retry_after_ms=reading.retry_after_ms,
    )


def _order(order: dict[str, Json]) -> VenueOrderView:
    """Read an order in any form: spot FULL or RESULT, a query's, a cancel's, USD-M's, a conditional one."""
    if "algoId" in order:
        return _conditional(order)
    filled = number(order.get("executedQty"))
    return VenueOrderView(
        # A cancel's reply names the order in origClientOrderId, and itself in clientOrderId.
        client_order_id=identifier(order.get("origClientOrderId")) or identifier(order.get("clientOrderId")),
        venue_order_id=required_identifier(order.get("orderId")),
        symbol=identifier(order.get("symbol")),
        state=state_of(order.get("status"), _STATES, filled),
        quantity=number(order.get("origQty")),
        filled_quantity=filled,
        price=positive(order.get("price")),
        average_price=_average(order, filled),
    )


def _conditional(order: dict[str, Json]) -> VenueOrderView:
    return VenueOrderView(
        client_order_id=identifier(order.get("clientAlgoId")),
        venue_order_id=required_identifier(order.get("algoId")),
        symbol=identifier(order.get("symbol")),
        state=state_of(order.get("algoStatus"), _CONDITIONAL_STATES, ""),
        quantity=number(order.get("quantity")),
        filled_quantity=number(order.get("actualQty")),
        price=positive(order.get("price")),
        average_price=positive(order.get("actualPrice")),
    )


def _average(order: dict[str, Json], filled: str) -> str:
    if "avgPrice" in order:
        return positive(order["avgPrice"])
    fills = order.get("fills")
    if isinstance(fills, list) and fills:
        return weighted_average((number(fill.get("price")), number(fill.get("qty"))) for fill in objects(fills))
    return average(number(order.get("cummulativeQuoteQty")), filled)


def _created(reply: Reply, value: Json) -> Reading:
    order = as_object(value)
    if "algoId" not in order and "status" not in order:
        # newOrderRespType=ACK: taken, and no word about fills.
        return acknowledged(reply.operation, required_identifier(order.get("orderId")))
    return accepted(reply.operation, _order(order))


def _canceled(reply: Reply, value: Json) -> Reading:
    order = as_object(value)
    if "algoId" in order and text(order.get("code")) == "200":
        # USD-M answers the cancel of a conditional order with its ids and "success" (D).
        return Reading(state=OrderState.CANCELED, venue_order_id=required_identifier(order["algoId"]))
    return accepted(reply.operation, _order(order))


def _one(reply: Reply, value: Json) -> Reading:
    return accepted(reply.operation, _order(as_object(value)))


def _amended(reply: Reply, value: Json) -> Reading:
    """Read USD-M's order, spot's cancelReplace, or spot's amend that keeps its place in the queue."""
    body = as_object(value)
    replacement = body.get("newOrderResponse", body.get("amendedOrder", value))
    if "amendedOrder" not in body:
        return _created(reply, replacement)
    amended = as_object(replacement)
    filled = number(amended.get("executedQty"))
    return Reading(
        state=state_of(amended.get("status"), _STATES, filled),
        venue_order_id=required_identifier(amended.get("orderId")),
        filled_quantity=filled,
    )


def _all_canceled(_reply: Reply, value: Json) -> Reading:
    """Read spot's canceled orders (order lists hold theirs in orderReports) or USD-M's `{"code": 200}`."""
    if isinstance(value, dict):
        if text(value.get("code")) != "200":
            message = "a cancel-all without its code"
            raise UnreadableError(message)
        return Reading()
    items = objects(value)
    nested = [objects(item["orderReports"]) if "orderReports" in item else [item] for item in items]
    return Reading(orders=tuple(_order(order) for reports in nested for order in reports))


def _open_orders(_reply: Reply, value: Json) -> Reading:
    return Reading(orders=tuple(map(_order, objects(value))))


def _balances(_reply: Reply, value: Json) -> Reading:
    """Read spot's /account, USD-M's /balance (a list) or USD-M's /account."""
    if isinstance(value, list):
        return Reading(balances=tuple(_margin(asset, "balance") for asset in objects(value)))
    body = as_object(value)
    if "assets" in body:
        return Reading(balances=tuple(_margin(asset, "walletBalance") for asset in objects(body["assets"])))
    return Reading(
        balances=tuple(
            BalanceView(identifier(item.get("asset")), number(item.get("free")), number(item.get("locked")))
            for item in objects(as_list(body.get("balances")))
        ),
    )


def _margin(asset: dict[str, Json], total: str) -> BalanceView:
    available = number(asset.get("availableBalance"), signed=True)
    held = difference(number(asset.get(total), signed=True), available)
    return BalanceView(identifier(asset.get("asset")), available, held)


def _listen_key(_reply: Reply, value: Json) -> Reading:
    """Read USD-M's POST /fapi/v1/listenKey (D); spot logs its connections on by themselves."""
    return Reading(token=required_identifier(as_object(value).get("listenKey")))


_ANSWERS: Final = MappingProxyType(
    {
        Operation.CREATE: _created,
        Operation.CANCEL: _canceled,
        Operation.CANCEL_ALL: _all_canceled,
        Operation.AMEND: _amended,
        Operation.QUERY: _one,
        Operation.OPEN_ORDERS: _open_orders,
        Operation.BALANCES: _balances,
        Operation.ORDER_CLOSED: nothing,
        Operation.HALT: nothing,
        Operation.LOGON: _listen_key,
    },
)

BINANCE: Final = BinanceReader(
    "binance",
    (
        # Spot: the documentation's example of exchangeInfo says 50 / 10 s and 160,000 / day for each account
        # (D).
        Bucket("orders-10s", 50, 10_000, "account"),
        Bucket("orders-long", 160_000, 86_400_000, "account"),
        Bucket("weight-1m", 6_000, 60_000, "ip"),  # REQUEST_WEIGHT (D)
    ),
    {
        "x-mbx-order-count-10s": "orders-10s",
        "x-mbx-order-count-1d": "orders-long",
        "x-mbx-used-weight-1m": "weight-1m",
    },
)

BINANCEUSDM: Final = BinanceReader(
    "binanceusdm",
    (
        # USD-M: 300 / 10 s and 1,200 / min for each account, 2,400 weight / min for each IP (M).
        Bucket("orders-10s", 300, 10_000, "account"),
        Bucket("orders-long", 1_200, 60_000, "account"),
        Bucket("weight-1m", 2_400, 60_000, "ip"),
    ),
    {
        "x-mbx-order-count-10s": "orders-10s",
        "x-mbx-order-count-1m": "orders-long",
        "x-mbx-used-weight-1m": "weight-1m",
    },
)
