"""Narrowing a list of orders to the one that was asked for."""

from __future__ import annotations

from host_dispatch.outcome import ErrorClass, OrderState, Reading, VenueOrderView, narrow


def view(client_order_id: str, venue_order_id: str, state: OrderState) -> VenueOrderView:
    return VenueOrderView(client_order_id, venue_order_id, "BTCUSDT", state, filled_quantity="1", average_price="2")


def test_open_order_wins_over_a_done_one_under_the_same_client_id() -> None:
    listed = Reading(orders=(view("c", "1", OrderState.CANCELED), view("c", "2", OrderState.OPEN)))
    found = narrow(listed, client_order_id="c")
    assert (found.venue_order_id, found.state, found.filled_quantity) == ("2", OrderState.OPEN, "1")


def test_two_done_orders_under_one_client_id_prove_nothing() -> None:
    listed = Reading(orders=(view("c", "1", OrderState.CANCELED), view("c", "2", OrderState.FILLED)))
    assert narrow(listed, client_order_id="c") == Reading()


def test_missing_order_is_unknown_only_in_an_exhaustive_list() -> None:
    orders = (view("c", "1", OrderState.OPEN),)
    assert narrow(Reading(orders=orders), client_order_id="x") == Reading()
    assert narrow(Reading(orders=orders, exhaustive=True), client_order_id="x").error is ErrorClass.UNKNOWN_ORDER


def test_without_an_id_nothing_is_narrowed() -> None:
    listed = Reading(orders=(view("", "1", OrderState.OPEN),))
    assert narrow(listed) is listed


def test_errors_and_single_orders_stay_as_they_are() -> None:
    failed = Reading(error=ErrorClass.RATE_LIMITED)
    single = Reading(state=OrderState.OPEN, orders=(view("c", "1", OrderState.OPEN),))
    assert narrow(failed, client_order_id="x") is failed
    assert narrow(single, client_order_id="x") is single
