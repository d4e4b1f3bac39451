"""Replies as venues really sent them, where the collection of them is at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from host_dispatch.outcome import ErrorClass, Operation, OrderState
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

SHARED: Final = Path(os.environ.get("CASEMATE_SHARED", Path(__file__).parents[4] / "shared"))
REPLIES: Final = SHARED / "venue-replies"
pytestmark = pytest.mark.skipif(not REPLIES.is_dir(), reason="recorded replies are not at hand; own examples still run")


def read(venue: str, operation: Operation, file: str, folder: str | None = None) -> Reading:
    body = (REPLIES / (folder or venue) / f"{file}.json").read_bytes()
    return READERS[venue].read(operation, 200, {}, body)


def test_binance_full_create() -> None:
    reading = read("binance", Operation.CREATE, "spot-http_json-new_order_full_response")
    assert (reading.state, reading.venue_order_id) == (OrderState.FILLED, "28")
    assert (reading.filled_quantity, reading.average_price) == ("10.00000000", "3998.3")


def test_binance_usdm_create() -> None:
    reading = read("binanceusdm", Operation.CREATE, "futures-http_json-order_response", "binance")
    assert (reading.state, reading.venue_order_id, reading.average_price) == (OrderState.OPEN, "12345678", "")


def test_binance_cancel_all_and_lists() -> None:
    canceled = read("binance", Operation.CANCEL_ALL, "spot-http_json-cancel_open_orders_response")
    assert [(o.venue_order_id, o.state) for o in canceled.orders] == [
        (number, OrderState.CANCELED) for number in ("11", "13", "20", "21")
    ]
    (listed,) = read("binance", Operation.OPEN_ORDERS, "spot-http_json-all_orders_response").orders
    assert (listed.client_order_id, listed.state, listed.quantity) == ("myOrder1", OrderState.OPEN, "1.0")
    (stop,) = read("binanceusdm", Operation.OPEN_ORDERS, "futures-http_json-open_algo_orders", "binance").orders
    assert (stop.client_order_id, stop.venue_order_id, stop.state) == (
        "test-algo-order-1",
        "123456789",
        OrderState.OPEN,
    )


def test_binance_usdm_balances() -> None:
    (usdt,) = read("binanceusdm", Operation.BALANCES, "futures-http_json-balance", "binance").balances
    assert (usdt.asset, usdt.available, usdt.locked) == ("USDT", "122.12345678", "0")


def test_bybit_orders() -> None:
    one = read("bybit", Operation.QUERY, "http_get_orders_history")
    assert (one.state, one.venue_order_id, one.filled_quantity) == (OrderState.CANCELED, "abcdef123456", "0")
    many = read("bybit", Operation.OPEN_ORDERS, "http_get_orders_history_with_duplicate").orders
    assert [(o.client_order_id, o.state) for o in many] == [
        ("client-open-1", OrderState.OPEN),
        ("client-closed-1", OrderState.CANCELED),
    ]


def test_bybit_balances() -> None:
    wallet = {b.asset: b for b in read("bybit", Operation.BALANCES, "http_get_wallet_balance").balances}
    assert (wallet["USDT"].available, wallet["USDT"].locked) == ("1000.50", "0")
    (borrowed,) = read("bybit", Operation.BALANCES, "http_get_wallet_balance_with_spot_borrow").balances
    assert borrowed.available == "800.00"


def test_okx_orders() -> None:
    filled = read("okx", Operation.QUERY, "http_get_orders_history")
    assert (filled.state, filled.filled_quantity, filled.average_price) == (
        OrderState.FILLED,
        "0.03",
        "103698.9",
    )
    for file, client_id in (
        ("http_get_orders_pending", "client-order-1"),
        ("http_get_orders_pending_with_attached_tp_sl", "O-attached-entry"),
    ):
        (order,) = read("okx", Operation.OPEN_ORDERS, file).orders
        assert (order.client_order_id, order.state, order.filled_quantity) == (
            client_id,
            OrderState.OPEN,
            "0",
        )
    (waiting,) = read("okx", Operation.OPEN_ORDERS, "http_get_orders_algo_pending").orders
    assert (waiting.client_order_id, waiting.price, waiting.state) == (
        "client_algo_1",
        "40000",
        OrderState.OPEN,
    )
    (triggered,) = read("okx", Operation.OPEN_ORDERS, "http_get_orders_algo_history").orders
    assert (triggered.venue_order_id, triggered.state) == ("987654321", OrderState.UNKNOWN)
    (spread,) = read("okx", Operation.OPEN_ORDERS, "http_get_spread_orders").orders
    assert (spread.state, spread.average_price) == (OrderState.PARTIALLY_FILLED, "1.20")


def test_okx_rejected_conditional_order() -> None:
    reading = read("okx", Operation.CREATE, "http_place_algo_order_rejected")
    assert (reading.state, reading.error, reading.code) == (
        OrderState.REJECTED,
        ErrorClass.BAD_SYMBOL,
        "51000",
    )


def test_okx_balances() -> None:
    (usdt,) = read("okx", Operation.BALANCES, "http_get_account_balance").balances
    assert (usdt.asset, usdt.available, usdt.locked) == ("USDT", "94.42612990333333", "5.468566666666667")


def test_kraken_create_and_closed_orders() -> None:
    created = read("kraken", Operation.CREATE, "http_add_order_spot")
    assert (created.state, created.venue_order_id) == (OrderState.OPEN, "OUF4EM-FRGI2-MQMWZD")
    closed = read("kraken", Operation.OPEN_ORDERS, "http_closed_orders").orders
    assert [(o.symbol, o.state, o.average_price) for o in closed] == [
        ("XBTUSDT", OrderState.FILLED, "29500.0"),
        ("ETHUSDT", OrderState.FILLED, "1850.0"),
    ]


def test_coinbase_order() -> None:
    reading = read("coinbase", Operation.QUERY, "http_order")
    (order,) = reading.orders
    assert (reading.state, reading.filled_quantity) == (OrderState.PARTIALLY_FILLED, "0.001")
    assert (order.client_order_id, order.quantity, order.price) == (
        "11111-000000-000000",
        "0.001",
        "10000.00",
    )


@pytest.mark.parametrize("venue", sorted(READERS))
def test_no_recorded_reply_of_any_venue_makes_a_reader_raise_or_accept_a_create_without_an_id(venue: str) -> None:
    for file in sorted(REPLIES.glob("*/*.json")):
        reading = READERS[venue].read(Operation.CREATE, 200, {}, file.read_bytes())
        assert reading.error is not None or reading.venue_order_id, file
