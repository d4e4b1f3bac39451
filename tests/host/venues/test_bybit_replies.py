"""Bybit's replies, in own minimal examples of the documented shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.outcome import ErrorClass, Operation, OrderState
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

BYBIT = READERS["bybit"]
IDS = {"orderId": "b-77", "orderLinkId": "c-1"}
ORDER = IDS | {"symbol": "ETHUSDT", "price": "2500.1", "qty": "2", "cumExecQty": "0", "avgPrice": ""}


def read(operation: Operation, result: Any, code: int = 0, message: str = "OK", **headers: str) -> Reading:
    body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": 5_000}
    return BYBIT.read(operation, 200, headers, json.dumps(body).encode())


def test_acknowledged_create_is_open() -> None:
    reading = read(Operation.CREATE, IDS)
    assert (reading.state, reading.venue_order_id, reading.error) == (OrderState.OPEN, "b-77", None)


@pytest.mark.parametrize("operation", [Operation.CANCEL, Operation.AMEND])
def test_acknowledged_change_says_nothing_of_the_state(operation: Operation) -> None:
    reading = read(operation, IDS)
    assert (reading.state, reading.venue_order_id, reading.error) == (None, "b-77", None)


def test_create_without_an_id_shows_nothing() -> None:
    reading = read(Operation.CREATE, {})
    assert (reading.state, reading.error) == (OrderState.UNKNOWN, ErrorClass.UNKNOWN)


@pytest.mark.parametrize(
    ("word", "executed", "state"),
    [
        ("New", "0", OrderState.OPEN),
        ("New", "0.5", OrderState.PARTIALLY_FILLED),
        ("Untriggered", "0", OrderState.OPEN),
        ("PartiallyFilled", "0.5", OrderState.PARTIALLY_FILLED),
        ("Filled", "2", OrderState.FILLED),
        ("Cancelled", "0", OrderState.CANCELED),
        ("PartiallyFilledCanceled", "0.5", OrderState.CANCELED),
        ("Deactivated", "0", OrderState.CANCELED),
        ("Rejected", "0", OrderState.REJECTED),
    ],
)
def test_query_maps_states(word: str, executed: str, state: OrderState) -> None:
    reading = read(Operation.QUERY, {"list": [ORDER | {"orderStatus": word, "cumExecQty": executed}]})
    assert (reading.state, reading.filled_quantity, reading.orders[0].state) == (state, executed, state)


def test_query_that_finds_nothing_is_an_unknown_order() -> None:
    reading = read(Operation.QUERY, {"list": []})
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN_ORDER, None)


def test_query_that_finds_two_orders_is_not_believed() -> None:
    reading = read(Operation.QUERY, {"list": [ORDER | {"orderStatus": "New"}] * 2})
    assert reading.error is ErrorClass.UNKNOWN


def test_open_orders_and_cancel_all() -> None:
    assert [
        o.client_order_id for o in read(Operation.OPEN_ORDERS, {"list": [ORDER | {"orderStatus": "New"}]}).orders
    ] == ["c-1"]
    assert read(Operation.CANCEL_ALL, {"list": [IDS], "success": "1"}).error is None


def test_balances_prefer_what_the_venue_calls_available() -> None:
    coins = [
        {"coin": "USDT", "walletBalance": "10", "availableToWithdraw": "7.5", "locked": "2.5"},
        {"coin": "ETH", "walletBalance": "3.0", "availableToWithdraw": "", "locked": "1.25"},
    ]
    reading = read(Operation.BALANCES, {"list": [{"accountType": "UNIFIED", "coin": coins}]})
    assert [(b.asset, b.available, b.locked) for b in reading.balances] == [
        ("USDT", "7.5", "2.5"),
        ("ETH", "1.75", "1.25"),
    ]


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (10001, "Not supported symbols", ErrorClass.BAD_SYMBOL),
        (10001, "Qty invalid", ErrorClass.INVALID_ORDER),
        (10002, "invalid request, please check your server timestamp", ErrorClass.CLOCK_OR_NONCE),
        (10003, "API key is invalid.", ErrorClass.BAD_SIGNATURE),
        (10004, "error sign!", ErrorClass.BAD_SIGNATURE),
        (10005, "Permission denied", ErrorClass.PERMISSION),
        (10006, "Too many visits!", ErrorClass.RATE_LIMITED),
        (110007, "ab not enough for new order", ErrorClass.INSUFFICIENT_FUNDS),
        (170131, "Insufficient balance.", ErrorClass.INSUFFICIENT_FUNDS),
        (110072, "OrderLinkedID is duplicate", ErrorClass.DUPLICATE_CLIENT_ID),
        (170141, "Duplicate clientOrderId", ErrorClass.DUPLICATE_CLIENT_ID),
        (170218, "The LIMIT-MAKER order is rejected", ErrorClass.WOULD_TAKE),
    ],
)
def test_error_in_a_200_rejects_the_create(code: int, message: str, error: ErrorClass) -> None:
    reading = read(Operation.CREATE, {}, code, message)
    assert (reading.error, reading.state, reading.code) == (error, OrderState.REJECTED, str(code))


@pytest.mark.parametrize("code", [10000, 10014, 10016, 170007, 170146, 987654])
def test_code_that_leaves_the_outcome_open_is_unknown(code: int) -> None:
    reading = read(Operation.CREATE, {}, code, "Server Timeout")
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


@pytest.mark.parametrize("code", [110001, 170213])
def test_cancel_of_an_unknown_order_says_so(code: int) -> None:
    reading = read(Operation.CANCEL, {}, code, "order not exists or too late to cancel")
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN_ORDER, None)


def test_rate_limit_waits_until_the_reset_by_the_reply_own_clock() -> None:
    reading = read(Operation.CREATE, {}, 10006, "Too many visits!", **{"X-Bapi-Limit-Reset-Timestamp": "5750"})
    assert reading.retry_after_ms == 750


def test_ban_of_the_address_keeps_away_for_ten_minutes() -> None:
    reading = BYBIT.read(Operation.CREATE, 403, {}, b"403, access too frequent")
    assert (reading.error, reading.retry_after_ms) == (ErrorClass.RATE_LIMITED, 600_000)
    assert BYBIT.read(Operation.CREATE, 403, {}, b"<html>").error is ErrorClass.PERMISSION


def test_usage_headers_say_what_remains() -> None:
    headers = {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "19", "X-Bapi-Limit-Reset-Timestamp": "5750"}
    (usage,) = BYBIT.usage(headers)
    assert (usage.used, usage.remaining, usage.limit, usage.reset_ms) == (1, 19, 20, 5750)
    assert BYBIT.usage({}) == ()
