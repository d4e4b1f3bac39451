"""Coinbase's replies, in own minimal examples of the documented shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.outcome import ErrorClass, Operation, OrderState, narrow
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

COINBASE = READERS["coinbase"]
ORDER = {
    "order_id": "u-77",
    "client_order_id": "c-1",
    "product_id": "ETH-USD",
    "filled_size": "0",
    "average_filled_price": "0",
    "order_configuration": {"limit_limit_gtc": {"base_size": "2", "limit_price": "2500.1"}},
}


def read(operation: Operation, body: Any, status: int = 200) -> Reading:
    return COINBASE.read(operation, status, {}, json.dumps(body).encode())


def test_successful_create_is_open() -> None:
    reading = read(Operation.CREATE, {"success": True, "success_response": {"order_id": "u-77"}})
    assert (reading.state, reading.venue_order_id, reading.error) == (OrderState.OPEN, "u-77", None)


@pytest.mark.parametrize(
    "body", [{}, {"success": "true"}, {"success": True}, {"success": True, "success_response": {}}]
)
def test_create_without_success_and_an_id_shows_nothing(body: Any) -> None:
    reading = read(Operation.CREATE, body)
    assert (reading.state, reading.error) == (OrderState.UNKNOWN, ErrorClass.UNKNOWN)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("INSUFFICIENT_FUND", ErrorClass.INSUFFICIENT_FUNDS),
        ("PREVIEW_INSUFFICIENT_FUND", ErrorClass.INSUFFICIENT_FUNDS),
        ("INVALID_PRODUCT_ID", ErrorClass.BAD_SYMBOL),
        ("INVALID_LIMIT_PRICE_POST_ONLY", ErrorClass.WOULD_TAKE),
        ("UNSUPPORTED_ORDER_CONFIGURATION", ErrorClass.INVALID_ORDER),
        ("PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE", ErrorClass.INVALID_ORDER),
    ],
)
def test_failure_in_a_200_rejects_the_create(reason: str, error: ErrorClass) -> None:
    for response in (
        {"error": reason, "message": "no"},
        {"error": "UNKNOWN_FAILURE_REASON", "new_order_failure_reason": reason},
        {"error": "", "preview_failure_reason": reason},
    ):
        reading = read(Operation.CREATE, {"success": False, "error_response": response})
        assert (reading.error, reading.state, reading.code) == (error, OrderState.REJECTED, reason)


def test_failure_of_unknown_reason_is_unknown() -> None:
    body = {"success": False, "failure_reason": "UNKNOWN_FAILURE_REASON", "error_response": {}}
    reading = read(Operation.CREATE, body)
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"error": "unauthorized", "message": "Unauthorized"}, ErrorClass.BAD_SIGNATURE),
        (401, {"error": "x", "message": "request timestamp expired"}, ErrorClass.CLOCK_OR_NONCE),
        (429, {"error": "rate_limit_exceeded"}, ErrorClass.RATE_LIMITED),
        (403, {"error": "PERMISSION_DENIED", "message": "missing scope"}, ErrorClass.PERMISSION),
        (
            400,
            {"error": "INVALID_ARGUMENT", "message": "valid product_id is required"},
            ErrorClass.BAD_SYMBOL,
        ),
        (400, {"error": "INVALID_ARGUMENT", "message": "account is not available"}, ErrorClass.INVALID_ORDER),
    ],
)
def test_http_error_rejects_the_create(status: int, body: Any, error: ErrorClass) -> None:
    reading = read(Operation.CREATE, body, status)
    assert (reading.error, reading.state) == (error, OrderState.REJECTED)


def test_plain_text_unauthorized_is_a_bad_signature() -> None:
    assert COINBASE.read(Operation.CREATE, 401, {}, b"Unauthorized\n").error is ErrorClass.BAD_SIGNATURE


def test_server_fault_is_unknown() -> None:
    reading = read(Operation.CREATE, {"error": "INSUFFICIENT_FUND"}, 500)
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


@pytest.mark.parametrize(
    ("result", "error", "state"),
    [
        ({"success": True, "order_id": "u-77"}, None, None),
        ({"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER"}, ErrorClass.UNKNOWN_ORDER, None),
        (
            {"success": False, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON"},
            ErrorClass.UNKNOWN,
            OrderState.UNKNOWN,
        ),
    ],
)
def test_cancel_reads_its_one_result(result: Any, error: ErrorClass | None, state: OrderState | None) -> None:
    reading = read(Operation.CANCEL, {"results": [result]})
    assert (reading.error, reading.state) == (error, state)


def test_edit_reads_its_errors() -> None:
    assert read(Operation.AMEND, {"success": True, "errors": []}).error is None
    failed = read(Operation.AMEND, {"success": False, "errors": [{"edit_failure_reason": "ORDER_NOT_FOUND"}]})
    assert (failed.error, failed.state) == (ErrorClass.UNKNOWN_ORDER, None)


@pytest.mark.parametrize(
    ("word", "filled", "state"),
    [
        ("PENDING", "0", OrderState.OPEN),
        ("OPEN", "1", OrderState.PARTIALLY_FILLED),
        ("FILLED", "2", OrderState.FILLED),
        ("CANCELLED", "1", OrderState.CANCELED),
        ("EXPIRED", "0", OrderState.EXPIRED),
        ("FAILED", "0", OrderState.REJECTED),
    ],
)
def test_query_maps_states(word: str, filled: str, state: OrderState) -> None:
    order = ORDER | {"status": word, "filled_size": filled}
    other = order | {"order_id": "u-78", "client_order_id": "c-2", "status": "OPEN"}
    for body in ({"order": order}, {"orders": [other, order], "has_next": True}):
        reading = narrow(read(Operation.QUERY, body), client_order_id="c-1")
        assert (reading.state, reading.filled_quantity, reading.orders[0].price) == (state, filled, "2500.1")


def test_query_that_finds_nothing_is_an_unknown_order() -> None:
    missing = {"error": "NOT_FOUND", "message": "order with this orderID was not found"}
    assert read(Operation.QUERY, missing, 404).error is ErrorClass.UNKNOWN_ORDER
    listed = read(Operation.QUERY, {"orders": [ORDER | {"status": "OPEN"}], "has_next": False})
    assert narrow(listed, client_order_id="c-9").error is ErrorClass.UNKNOWN_ORDER


def test_order_beyond_the_page_proves_nothing() -> None:
    listed = read(Operation.QUERY, {"orders": [ORDER | {"status": "OPEN"}], "has_next": True})
    reading = narrow(listed, client_order_id="c-9")
    assert (reading.state, reading.error) == (None, None)


def test_balances() -> None:
    account = {"currency": "USD", "available_balance": {"value": "7.5"}, "hold": {"value": "2.5"}}
    reading = read(Operation.BALANCES, {"accounts": [account], "has_next": False})
    assert [(b.asset, b.available, b.locked) for b in reading.balances] == [("USD", "7.5", "2.5")]


def test_whole_balances_are_not_mistaken_for_free_ones() -> None:
    account = {"currency": {"code": "USD"}, "balance": {"amount": "10", "currency": "USD"}}
    reading = read(Operation.BALANCES, {"pagination": {}, "data": [account]})
    assert [(b.asset, b.available, b.locked) for b in reading.balances] == [("USD", "", "")]
