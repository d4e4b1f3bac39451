"""Kraken's replies, in own minimal examples of the documented shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.outcome import ErrorClass, Operation, OrderState, narrow
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

KRAKEN = READERS["kraken"]
ORDER = {
    "cl_ord_id": "c-1",
    "vol": "2.0",
    "vol_exec": "0.0",
    "price": "0.0",
    "descr": {"pair": "ETHUSDT", "price": "2500.1"},
}


def read(operation: Operation, result: Any = None, *errors: str, status: int = 200) -> Reading:
    body = {"error": list(errors)} | ({} if result is None else {"result": result})
    return KRAKEN.read(operation, status, {}, json.dumps(body).encode())


def test_acknowledged_create_is_open() -> None:
    reading = read(Operation.CREATE, {"descr": {"order": "buy"}, "txid": ["OAAAAA-BBBBB-CCCCCC"]})
    assert (reading.state, reading.venue_order_id, reading.error) == (
        OrderState.OPEN,
        "OAAAAA-BBBBB-CCCCCC",
        None,
    )


@pytest.mark.parametrize("result", [None, {}, {"descr": {}}, {"txid": []}, {"txid": [""]}, {"txid": ["a", "b"]}])
def test_create_without_one_id_shows_nothing(result: Any) -> None:
    reading = read(Operation.CREATE, result)
    assert (reading.state, reading.error) == (OrderState.UNKNOWN, ErrorClass.UNKNOWN)


def test_warning_is_no_error() -> None:
    reading = read(Operation.CREATE, {"txid": ["OAAAAA-BBBBB-CCCCCC"]}, "WGeneral:Something")
    assert (reading.state, reading.error) == (OrderState.OPEN, None)


@pytest.mark.parametrize(
    ("result", "state", "error"),
    [
        ({"count": 1}, OrderState.CANCELED, None),
        ({"count": 1, "pending": False}, OrderState.CANCELED, None),
        ({"count": 1, "pending": True}, None, None),
        ({"count": 0}, None, ErrorClass.UNKNOWN_ORDER),
        ({"count": "many"}, OrderState.UNKNOWN, ErrorClass.UNKNOWN),
    ],
)
def test_cancel_counts_what_it_canceled(result: Any, state: OrderState | None, error: ErrorClass | None) -> None:
    reading = read(Operation.CANCEL, result)
    assert (reading.state, reading.error) == (state, error)


@pytest.mark.parametrize(
    ("word", "executed", "state"),
    [
        ("pending", "0.0", OrderState.OPEN),
        ("open", "0.0", OrderState.OPEN),
        ("open", "1.0", OrderState.PARTIALLY_FILLED),
        ("closed", "2.0", OrderState.FILLED),
        ("canceled", "1.0", OrderState.CANCELED),
        ("expired", "0.0", OrderState.EXPIRED),
    ],
)
def test_query_maps_states_in_each_of_the_three_shapes(word: str, executed: str, state: OrderState) -> None:
    order = {"OAAAAA-BBBBB-CCCCCC": ORDER | {"status": word, "vol_exec": executed}}
    for result in (order, {"open": order}, {"closed": order, "count": 1}):
        reading = narrow(read(Operation.QUERY, result), client_order_id="c-1")
        assert (reading.state, reading.filled_quantity, reading.venue_order_id) == (
            state, executed, "OAAAAA-BBBBB-CCCCCC",
        )  # fmt: skip


def test_query_by_transaction_id_that_finds_nothing_is_an_unknown_order() -> None:
    assert read(Operation.QUERY, {}).error is ErrorClass.UNKNOWN_ORDER
    assert read(Operation.QUERY, None, "EOrder:Unknown order").error is ErrorClass.UNKNOWN_ORDER


@pytest.mark.parametrize("result", [{"open": {}}, {"closed": {}, "count": 0}])
def test_order_that_is_not_among_the_open_or_the_closed_ones_proves_nothing(result: Any) -> None:
    reading = narrow(read(Operation.QUERY, result), client_order_id="c-1")
    assert (reading.state, reading.error) == (None, None)


def test_balances_with_and_without_holds() -> None:
    extended = read(Operation.BALANCES, {"XXBT": {"balance": "1.50", "hold_trade": "0.25"}})
    plain = read(Operation.BALANCES, {"ZUSD": "12.5"})
    assert [(b.asset, b.available, b.locked) for b in extended.balances] == [("XXBT", "1.25", "0.25")]
    assert [(b.asset, b.available, b.locked) for b in plain.balances] == [("ZUSD", "12.5", "")]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("EOrder:Insufficient funds", ErrorClass.INSUFFICIENT_FUNDS),
        ("EQuery:Unknown asset pair", ErrorClass.BAD_SYMBOL),
        ("EQuery:Invalid asset pair", ErrorClass.BAD_SYMBOL),
        ("EAPI:Invalid key", ErrorClass.BAD_SIGNATURE),
        ("EAPI:Invalid signature", ErrorClass.BAD_SIGNATURE),
        ("EAPI:Invalid nonce", ErrorClass.CLOCK_OR_NONCE),
        ("EOrder:Rate limit exceeded", ErrorClass.RATE_LIMITED),
        ("EAPI:Rate limit exceeded", ErrorClass.RATE_LIMITED),
        ("EGeneral:Temporary lockout", ErrorClass.RATE_LIMITED),
        ("EService: Throttled: 1763702400", ErrorClass.RATE_LIMITED),
        ("EOrder:Post only order", ErrorClass.WOULD_TAKE),
        ("EOrder:Order minimum not met", ErrorClass.INVALID_ORDER),
        ("EGeneral:Invalid arguments:volume", ErrorClass.INVALID_ORDER),
        ("EOrder:Duplicate cl_ord_id", ErrorClass.DUPLICATE_CLIENT_ID),
        ("EGeneral:Invalid arguments:cl_ord_id already in use", ErrorClass.DUPLICATE_CLIENT_ID),
        ("EGeneral:Permission denied", ErrorClass.PERMISSION),
        ("EService:Market in cancel_only mode", ErrorClass.MAINTENANCE),
    ],
)
def test_error_text_rejects_the_create(text: str, error: ErrorClass) -> None:
    reading = read(Operation.CREATE, None, text)
    assert (reading.error, reading.state, reading.message) == (error, OrderState.REJECTED, text)


@pytest.mark.parametrize(
    "text",
    [
        "EService:Unavailable",
        "EService:Busy",
        "EService:Deadline elapsed",
        "EGeneral:Internal error",
        "EOrder:Novel",
        "",
    ],
)
def test_error_text_that_leaves_the_outcome_open_is_unknown(text: str) -> None:
    reading = read(Operation.CREATE, None, text)
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


def test_unavailable_service_is_maintenance_for_a_read() -> None:
    assert read(Operation.BALANCES, None, "EService:Unavailable").error is ErrorClass.MAINTENANCE


def test_amend_says_nothing_of_the_state() -> None:
    reading = read(Operation.AMEND, {"amend_id": "TAAAAA-BBBBB-CCCCCC"})
    assert (reading.state, reading.error) == (None, None)
