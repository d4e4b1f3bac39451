"""Backpack's replies, in own minimal examples of the documented shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.outcome import ErrorClass, Operation, OrderState, narrow
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

BACKPACK = READERS["backpack"]
ORDER = {
    "id": "11",
    "clientId": 7,
    "symbol": "SOL_USDC",
    "quantity": "4",
    "price": "150.5",
    "executedQuantity": "0",
    "executedQuoteQuantity": "0",
}


def read(operation: Operation, body: Any, status: int = 200) -> Reading:
    return BACKPACK.read(operation, status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("word", "executed", "quote", "state", "average"),
    [
        ("New", "0", "0", OrderState.OPEN, ""),
        ("TriggerPending", "0", "0", OrderState.OPEN, ""),
        ("PartiallyFilled", "1", "150", OrderState.PARTIALLY_FILLED, "150"),
        ("Filled", "4", "601", OrderState.FILLED, "150.25"),
        ("Cancelled", "1", "150.5", OrderState.CANCELED, "150.5"),
        ("Expired", "0", "0", OrderState.EXPIRED, ""),
    ],
)
def test_order_comes_back_whole(word: str, executed: str, quote: str, state: OrderState, average: str) -> None:
    body = ORDER | {"status": word, "executedQuantity": executed, "executedQuoteQuantity": quote}
    for operation in (Operation.CREATE, Operation.CANCEL, Operation.QUERY):
        reading = read(operation, body)
        assert (reading.state, reading.venue_order_id) == (state, "11")
        assert (reading.filled_quantity, reading.average_price, reading.error) == (executed, average, None)


def test_create_that_was_only_taken_is_open_by_its_id_and_unknown_without() -> None:
    assert read(Operation.CREATE, {"id": "11"}, 202).state is OrderState.OPEN
    assert read(Operation.CREATE, {}, 202).state is OrderState.UNKNOWN
    assert BACKPACK.read(Operation.CREATE, 202, {}, b"").state is OrderState.UNKNOWN


def test_cancel_that_was_only_taken_says_nothing_of_the_state() -> None:
    reading = BACKPACK.read(Operation.CANCEL, 202, {}, b"")
    assert (reading.state, reading.error) == (None, None)


def test_client_id_is_read_although_it_is_a_number() -> None:
    (order,) = read(Operation.OPEN_ORDERS, [ORDER | {"status": "New"}]).orders
    assert (order.client_order_id, order.quantity, order.price) == ("7", "4", "150.5")


@pytest.mark.parametrize(
    ("status", "code", "message", "error"),
    [
        (400, "INSUFFICIENT_FUNDS", "Insufficient funds", ErrorClass.INSUFFICIENT_FUNDS),
        (400, "INVALID_SYMBOL", "Invalid symbol", ErrorClass.BAD_SYMBOL),
        (400, "INVALID_MARKET", "no such market", ErrorClass.BAD_SYMBOL),
        (400, "INVALID_ORDER", "Order would immediately match and take", ErrorClass.WOULD_TAKE),
        (400, "INVALID_ORDER", "Quantity is too small", ErrorClass.INVALID_ORDER),
        (400, "INVALID_CLIENT_REQUEST", "Invalid signature", ErrorClass.BAD_SIGNATURE),
        (400, "INVALID_CLIENT_REQUEST", "Request has expired", ErrorClass.CLOCK_OR_NONCE),
        (400, "INVALID_CLIENT_REQUEST", "Duplicate client id", ErrorClass.DUPLICATE_CLIENT_ID),
        (401, "UNAUTHORIZED", "no", ErrorClass.BAD_SIGNATURE),
        (403, "FORBIDDEN", "no", ErrorClass.PERMISSION),
        (429, "TOO_MANY_REQUESTS", "slow down", ErrorClass.RATE_LIMITED),
        (400, "TRADING_PAUSED", "paused", ErrorClass.MAINTENANCE),
    ],
)
def test_error_rejects_the_create(status: int, code: str, message: str, error: ErrorClass) -> None:
    reading = read(Operation.CREATE, {"code": code, "message": message}, status)
    assert (reading.error, reading.state, reading.code) == (error, OrderState.REJECTED, code)


@pytest.mark.parametrize(
    ("status", "code"), [(500, "SERVER_ERROR"), (504, "TIMEOUT"), (503, "INVALID_ORDER"), (400, "X")]
)
def test_error_that_leaves_the_outcome_open_is_unknown(status: int, code: str) -> None:
    reading = read(Operation.CREATE, {"code": code, "message": "?"}, status)
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


def test_cancel_of_an_order_that_is_not_open_is_an_unknown_order() -> None:
    reading = read(Operation.CANCEL, {"code": "RESOURCE_NOT_FOUND", "message": "Order not found"}, 404)
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN_ORDER, None)


def test_query_that_finds_no_open_order_proves_nothing() -> None:
    reading = read(Operation.QUERY, {"code": "RESOURCE_NOT_FOUND", "message": "Order not found"}, 404)
    assert (reading.error, reading.state, reading.code) == (None, None, "RESOURCE_NOT_FOUND")


def test_history_is_narrowed_to_the_order_that_was_asked_for() -> None:
    done = ORDER | {"status": "Filled", "executedQuantity": "4", "executedQuoteQuantity": "601"}
    listed = read(Operation.QUERY, [done, done | {"id": "12", "clientId": 8, "status": "Cancelled"}])
    assert listed.state is None
    assert narrow(listed, client_order_id="7").state is OrderState.FILLED
    assert narrow(listed, venue_order_id="12").state is OrderState.CANCELED
    missing = narrow(listed, client_order_id="9")
    assert (missing.error, missing.state) == (None, None)


def test_balances() -> None:
    reading = read(Operation.BALANCES, {"SOL": {"available": "1.5", "locked": "0.5", "staked": "9"}})
    assert [(b.asset, b.available, b.locked) for b in reading.balances] == [("SOL", "1.5", "0.5")]
