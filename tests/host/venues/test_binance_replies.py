"""Binance's replies, in own minimal examples of the documented shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.outcome import ErrorClass, Operation, OrderState
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

ORDER = {
    "symbol": "ETHBTC",
    "orderId": 71,
    "clientOrderId": "c-1",
    "price": "0.05000000",
    "origQty": "3.00000000",
}


def read(operation: Operation, body: Any, status: int = 200, venue: str = "binance", **headers: str) -> Reading:
    return READERS[venue].read(operation, status, headers, json.dumps(body).encode())


def test_full_create_reports_fills_and_their_weighted_average() -> None:
    fills = [{"price": "0.0498", "qty": "1"}, {"price": "0.0501", "qty": "2"}]
    body = ORDER | {
        "executedQty": "3.00000000",
        "cummulativeQuoteQty": "0.15",
        "status": "FILLED",
        "fills": fills,
    }
    reading = read(Operation.CREATE, body)
    assert (reading.state, reading.error) == (OrderState.FILLED, None)
    assert (reading.venue_order_id, reading.filled_quantity, reading.average_price) == (
        "71",
        "3.00000000",
        "0.05",
    )


def test_result_create_takes_the_average_from_the_quote_total() -> None:
    body = ORDER | {
        "executedQty": "2.00000000",
        "cummulativeQuoteQty": "0.0999",
        "status": "PARTIALLY_FILLED",
    }
    reading = read(Operation.CREATE, body)
    assert (reading.state, reading.average_price) == (OrderState.PARTIALLY_FILLED, "0.04995")


def test_ack_create_is_open_with_its_id_and_nothing_else() -> None:
    reading = read(Operation.CREATE, {"symbol": "ETHBTC", "orderId": 71, "clientOrderId": "c-1"})
    assert (reading.state, reading.venue_order_id, reading.filled_quantity) == (OrderState.OPEN, "71", "")


@pytest.mark.parametrize(
    ("status", "executed", "state"),
    [
        ("NEW", "0.000", OrderState.OPEN),
        ("EXPIRED", "0.000", OrderState.EXPIRED),
        ("EXPIRED_IN_MATCH", "0.001", OrderState.EXPIRED),
        ("CANCELED", "0.001", OrderState.CANCELED),
    ],
)
def test_usdm_create_uses_its_own_average(status: str, executed: str, state: OrderState) -> None:
    body = ORDER | {"executedQty": executed, "avgPrice": "61000.5", "status": status}
    reading = read(Operation.CREATE, body, venue="binanceusdm")
    assert (reading.state, reading.average_price, reading.error) == (state, "61000.5", None)


def test_create_that_is_shown_as_rejected_is_not_accepted() -> None:
    reading = read(Operation.CREATE, ORDER | {"executedQty": "0", "status": "REJECTED"})
    assert (reading.state, reading.error) == (OrderState.REJECTED, ErrorClass.INVALID_ORDER)


def test_cancel_names_the_order_that_was_canceled() -> None:
    body = ORDER | {
        "origClientOrderId": "c-1",
        "clientOrderId": "x",
        "executedQty": "1.0",
        "status": "CANCELED",
    }
    reading = read(Operation.CANCEL, body)
    assert (reading.state, reading.venue_order_id, reading.filled_quantity) == (
        OrderState.CANCELED,
        "71",
        "1.0",
    )


def test_conditional_order_of_usdm_is_read_by_its_algo_id() -> None:
    created = read(
        Operation.CREATE,
        {"algoId": 9, "clientAlgoId": "s-1", "algoStatus": "NEW", "quantity": "1"},
        venue="binanceusdm",
    )
    canceled = read(
        Operation.CANCEL,
        {"algoId": 9, "clientAlgoId": "s-1", "code": "200", "msg": "success"},
        venue="binanceusdm",
    )
    assert (created.state, created.venue_order_id) == (OrderState.OPEN, "9")
    assert (canceled.state, canceled.error) == (OrderState.CANCELED, None)


def test_finished_conditional_order_leaves_its_fate_unknown() -> None:
    body = {"algoId": 9, "clientAlgoId": "s-1", "algoStatus": "FINISHED"}
    assert read(Operation.QUERY, body, venue="binanceusdm").state is OrderState.UNKNOWN


def test_query_shows_the_order() -> None:
    reading = read(Operation.QUERY, ORDER | {"executedQty": "0.0", "cummulativeQuoteQty": "0.0", "status": "NEW"})
    (order,) = reading.orders
    assert (order.client_order_id, order.symbol, order.quantity, order.price) == (
        "c-1",
        "ETHBTC",
        "3.00000000",
        "0.05000000",
    )
    assert reading.state is OrderState.OPEN


def test_amend_that_keeps_priority_reports_the_order() -> None:
    amended = {"symbol": "ETHBTC", "orderId": 71, "qty": "2.0", "executedQty": "1.0", "status": "NEW"}
    reading = read(Operation.AMEND, {"transactTime": 1, "executionId": 2, "amendedOrder": amended})
    assert (reading.state, reading.filled_quantity, reading.error) == (
        OrderState.PARTIALLY_FILLED,
        "1.0",
        None,
    )


def test_replacement_that_half_failed_tells_of_both_halves() -> None:
    data = {
        "cancelResult": "SUCCESS",
        "newOrderResult": "FAILURE",
        "cancelResponse": ORDER | {"executedQty": "1.0", "status": "CANCELED"},
        "newOrderResponse": {"code": -2010, "msg": "Account has insufficient balance for requested action."},
    }
    reading = read(Operation.AMEND, {"code": -2021, "msg": "partially failed", "data": data}, 409)
    assert (reading.state, reading.error) == (OrderState.CANCELED, ErrorClass.INSUFFICIENT_FUNDS)
    assert (reading.venue_order_id, reading.code) == ("71", "-2010")


def test_replacement_that_failed_altogether_leaves_the_order_as_it_was() -> None:
    data = {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    reading = read(Operation.AMEND, {"code": -2022, "msg": "failed", "data": data}, 400)
    assert (reading.state, reading.error) == (None, ErrorClass.UNKNOWN_ORDER)


def test_replacement_that_stands_beside_the_old_order_is_unknown() -> None:
    data = {"cancelResult": "FAILURE", "newOrderResult": "SUCCESS", "newOrderResponse": ORDER}
    reading = read(Operation.AMEND, {"code": -2021, "msg": "partially failed", "data": data}, 409)
    assert (reading.state, reading.error) == (OrderState.UNKNOWN, ErrorClass.UNKNOWN)


def test_cancel_all_lists_also_the_orders_of_order_lists() -> None:
    canceled = ORDER | {"executedQty": "0", "status": "CANCELED"}
    body = [
        canceled,
        {"orderListId": 5, "orderReports": [canceled | {"orderId": 72}, canceled | {"orderId": 73}]},
    ]
    reading = read(Operation.CANCEL_ALL, body)
    assert [order.venue_order_id for order in reading.orders] == ["71", "72", "73"]
    assert read(Operation.CANCEL_ALL, {"code": 200, "msg": "done"}, venue="binanceusdm").error is None


def test_balances_of_spot_and_of_usdm() -> None:
    spot = read(Operation.BALANCES, {"balances": [{"asset": "BTC", "free": "1.5", "locked": "0.25"}]})
    swap = read(
        Operation.BALANCES,
        [{"asset": "USDT", "balance": "100.10", "availableBalance": "70.05"}],
        venue="binanceusdm",
    )
    assert [(b.asset, b.available, b.locked) for b in spot.balances] == [("BTC", "1.5", "0.25")]
    assert [(b.asset, b.available, b.locked) for b in swap.balances] == [("USDT", "70.05", "30.05")]


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (-2010, "Account has insufficient balance for requested action.", ErrorClass.INSUFFICIENT_FUNDS),
        (-2010, "Duplicate order sent.", ErrorClass.DUPLICATE_CLIENT_ID),
        (-2010, "Order would immediately match and take.", ErrorClass.WOULD_TAKE),
        (-2010, "Stop price would trigger immediately.", ErrorClass.INVALID_ORDER),
        (-2010, "Market is closed.", ErrorClass.MAINTENANCE),
        (-2011, "Unknown order sent.", ErrorClass.UNKNOWN_ORDER),
        (-2015, "Invalid API-key, IP, or permissions for action.", ErrorClass.BAD_SIGNATURE),
    ],
)
def test_text_decides_where_one_code_means_many_things(code: int, message: str, error: ErrorClass) -> None:
    reading = read(Operation.CREATE, {"code": code, "msg": message}, 400)
    assert (reading.error, reading.state) == (error, OrderState.REJECTED)


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.CANCEL, Operation.AMEND, Operation.CANCEL_ALL])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"code": -1007, "msg": "Timeout waiting for response from backend server."}),
        (400, {"code": -1006, "msg": "An unexpected response was received from the message bus."}),
        (400, {"code": -1001, "msg": "Internal error; unable to process your request."}),
        (500, {"code": -2010, "msg": "Duplicate order sent."}),
        (502, "<html>"),
        (400, {"code": -9876, "msg": "never heard of"}),
        (400, {"msg": "no code"}),
        (200, {"orderId": 71, "status": "SOMETHING_NEW"}),
        (200, {}),
        (302, {}),
    ],
)
def test_unsure_reply_to_a_write_is_unknown(operation: Operation, status: int, body: Any) -> None:
    reading = read(operation, body, status)
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


def test_overload_that_came_before_matching_is_definite_even_with_503() -> None:
    reading = read(Operation.CREATE, {"code": -1008, "msg": "Server is currently overloaded"}, 503)
    assert (reading.error, reading.state) == (ErrorClass.MAINTENANCE, OrderState.REJECTED)


@pytest.mark.parametrize("status", [418, 429])
def test_ban_says_how_long_to_wait(status: int) -> None:
    reading = read(Operation.CREATE, {"code": -1003, "msg": "Way too much"}, status, **{"Retry-After": "17"})
    assert (reading.error, reading.retry_after_ms) == (ErrorClass.RATE_LIMITED, 17_000)
    assert READERS["binance"].read(Operation.CREATE, status, {}, b"").error is ErrorClass.RATE_LIMITED


def test_usage_headers_count_what_is_used() -> None:
    headers = {"X-MBX-USED-WEIGHT-1M": "1200", "x-mbx-order-count-10s": "7", "X-MBX-ORDER-COUNT-1D": "12"}
    usage = {entry.bucket: entry.remaining for entry in READERS["binance"].usage(headers)}
    assert usage == {"weight-1m": 4_800, "orders-10s": 43, "orders-long": 159_988}
    assert READERS["binance"].usage({"X-MBX-USED-WEIGHT-1M": "a lot"}) == ()
