"""OKX's replies, in own minimal examples of the documented shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.outcome import ErrorClass, Operation, OrderState
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

OKX = READERS["okx"]
ACK = {"ordId": "31415", "clOrdId": "c1", "tag": "", "ts": "1", "sCode": "0", "sMsg": ""}
ORDER = {
    "ordId": "31415",
    "clOrdId": "c1",
    "algoClOrdId": "",
    "instId": "ETH-USDT",
    "sz": "2",
    "px": "2500.1",
}


def read(operation: Operation, data: list[Any], code: str = "0", message: str = "", status: int = 200) -> Reading:
    return OKX.read(operation, status, {}, json.dumps({"code": code, "msg": message, "data": data}).encode())


def test_acknowledged_create_is_open() -> None:
    reading = read(Operation.CREATE, [ACK])
    assert (reading.state, reading.venue_order_id, reading.error) == (OrderState.OPEN, "31415", None)


def test_acknowledged_conditional_create_is_open_under_its_algo_id() -> None:
    reading = read(Operation.CREATE, [{"algoId": "27", "algoClOrdId": "s1", "clOrdId": "", "sCode": "0", "sMsg": ""}])
    assert (reading.state, reading.venue_order_id) == (OrderState.OPEN, "27")


@pytest.mark.parametrize("operation", [Operation.CANCEL, Operation.AMEND])
def test_acknowledged_change_says_nothing_of_the_state(operation: Operation) -> None:
    reading = read(operation, [ACK])
    assert (reading.state, reading.venue_order_id, reading.error) == (None, "31415", None)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("51000", "Parameter instId error", ErrorClass.BAD_SYMBOL),
        ("51000", "Parameter sz error", ErrorClass.INVALID_ORDER),
        ("51001", "Instrument ID does not exist", ErrorClass.BAD_SYMBOL),
        ("51008", "Insufficient balance", ErrorClass.INSUFFICIENT_FUNDS),
        ("51016", "Client order ID already exists", ErrorClass.DUPLICATE_CLIENT_ID),
        ("51020", "Below the minimum", ErrorClass.INVALID_ORDER),
        ("50061", "Too many orders of the sub-account", ErrorClass.RATE_LIMITED),
    ],
)
def test_item_that_failed_rejects_the_create_whatever_the_envelope_says(
    code: str, message: str, error: ErrorClass
) -> None:
    item = ACK | {"ordId": "", "sCode": code, "sMsg": message}
    for envelope in ("0", "1"):
        reading = read(Operation.CREATE, [item], envelope, "All operations failed")
        assert (reading.error, reading.state, reading.code, reading.message) == (
            error, OrderState.REJECTED, code, message,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "50111", ErrorClass.BAD_SIGNATURE),
        (401, "50113", ErrorClass.BAD_SIGNATURE),
        (401, "50102", ErrorClass.CLOCK_OR_NONCE),
        (401, "50112", ErrorClass.CLOCK_OR_NONCE),
        (400, "50110", ErrorClass.PERMISSION),
        (429, "50011", ErrorClass.RATE_LIMITED),
        (429, "50013", ErrorClass.MAINTENANCE),
    ],
)
def test_error_of_the_whole_request_rejects_the_create(status: int, code: str, error: ErrorClass) -> None:
    reading = read(Operation.CREATE, [], code, "no", status)
    assert (reading.error, reading.state) == (error, OrderState.REJECTED)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "50004"), (200, "51149"), (500, "50026"), (503, "50001"), (200, "1"), (400, "79999")],
)
def test_code_that_leaves_the_outcome_open_is_unknown(status: int, code: str) -> None:
    for data in ([], [ACK | {"ordId": "", "sCode": code}]):
        reading = read(Operation.CREATE, data, code, "API endpoint request timeout", status)
        assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


@pytest.mark.parametrize(
    ("word", "filled", "state"),
    [
        ("live", "0", OrderState.OPEN),
        ("live", "1", OrderState.PARTIALLY_FILLED),
        ("partially_filled", "1", OrderState.PARTIALLY_FILLED),
        ("filled", "2", OrderState.FILLED),
        ("canceled", "0", OrderState.CANCELED),
        ("mmp_canceled", "0", OrderState.CANCELED),
    ],
)
def test_query_maps_states(word: str, filled: str, state: OrderState) -> None:
    reading = read(Operation.QUERY, [ORDER | {"state": word, "accFillSz": filled, "avgPx": "2500"}])
    assert (reading.state, reading.filled_quantity, reading.average_price) == (state, filled, "2500")


@pytest.mark.parametrize(
    ("word", "state"),
    [("live", OrderState.OPEN), ("effective", OrderState.UNKNOWN), ("order_failed", OrderState.REJECTED)],
)
def test_conditional_order_is_read_by_its_own_names(word: str, state: OrderState) -> None:
    order = {
        "algoId": "27",
        "algoClOrdId": "s1",
        "instId": "ETH-USDT",
        "state": word,
        "sz": "2",
        "ordPx": "2400",
    }
    (view,) = read(Operation.QUERY, [order]).orders
    assert (view.venue_order_id, view.client_order_id, view.price, view.state) == ("27", "s1", "2400", state)


def test_query_that_finds_nothing_is_an_unknown_order() -> None:
    assert read(Operation.QUERY, [], "51603", "Order does not exist").error is ErrorClass.UNKNOWN_ORDER
    assert read(Operation.QUERY, []).error is ErrorClass.UNKNOWN_ORDER


def test_cancel_of_an_order_that_is_done_is_an_unknown_order() -> None:
    reading = read(Operation.CANCEL, [ACK | {"sCode": "51400", "sMsg": "already filled"}], "1")
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN_ORDER, None)


def test_balances() -> None:
    details = [
        {"ccy": "USDT", "availBal": "7.5", "frozenBal": "2.5"},
        {"ccy": "ETH", "availBal": "", "frozenBal": "0"},
    ]
    reading = read(Operation.BALANCES, [{"details": details}])
    assert [(b.asset, b.available, b.locked) for b in reading.balances] == [
        ("USDT", "7.5", "2.5"),
        ("ETH", "", "0"),
    ]
