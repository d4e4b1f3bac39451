"""Intents are checked when they are made, and say what is wrong."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate import CloseIntent, OrderIntent, Side, TimeInForce, wire
from casemate.calls import Calls
from casemate.decimals import GRAMMAR, canonical, to_text
from casemate.errors import InvalidIntentError
from casemate.ids import ClientOrderIds
from casemate.sealing import UnauthenticatedSealer
from signer_api.v1 import intent_pb2


def order(**changes: object) -> OrderIntent:
    """A valid limit order, changed."""
    values = {"quantity": "0.5", "price": "60000", "client_order_id": "id-1", **changes}
    return OrderIntent.limit("main", "okx", "BTC/USDT", "BUY", **values)  # type: ignore[arg-type]


def test_decimal_str_and_int_become_the_same_canonical_text() -> None:
    for quantity in ("0.50", Decimal("0.5"), Decimal("5E-1")):
        assert order(quantity=quantity).quantity == "0.5"
    assert order(price=60000).price == "60000"
    assert order(price=Decimal("6E4")).price == "60000"


@pytest.mark.parametrize(
    "value",
    [
        *(0.5, float("nan"), Decimal("NaN"), Decimal("Infinity"), True),
        *("1e400", "-1", "0", "0.0", "01", ".5", "5.", "", " 1", "0." + "1" * 19, "1" * 19),
    ],
)
def test_refuses_what_is_no_exact_positive_decimal(value: object) -> None:
    with pytest.raises(InvalidIntentError) as caught:
        order(quantity=value)
    assert caught.value.field == "quantity"


def test_a_float_is_told_how_to_be_written() -> None:
    with pytest.raises(InvalidIntentError, match=r'such as "0\.1": a float is not exact'):
        order(price=0.1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time_in_force": "IOC", "post_only": True}, "post_only"),
        ({"time_in_force": "GTD"}, "expire_at"),
        ({"expire_at": 5}, "expire_at"),
        ({"client_order_id": "a b"}, "client_order_id"),
        ({"client_order_id": "x" * 65}, "client_order_id"),
        ({"tag": "a&b"}, "tag"),
        ({"time_in_force": "DAY"}, "time_in_force"),
    ],
)
def test_refuses_an_order_that_the_schema_cannot_mean(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidIntentError) as caught:
        order(**changes)
    assert caught.value.field == field


def test_market_orders_take_one_of_quantity_and_quote_quantity() -> None:
    bought = OrderIntent.market("main", "okx", "BTC/USDT", Side.BUY, quote_quantity="100")
    assert (bought.quote_quantity, bought.quantity, bought.time_in_force) == ("100", "", None)
    for both in ({}, {"quantity": "1", "quote_quantity": "1"}):
        with pytest.raises(InvalidIntentError, match="exactly one of quantity and quote_quantity"):
            OrderIntent.market("main", "okx", "BTC/USDT", "BUY", **both)  # type: ignore[arg-type]


def test_stop_limit_needs_its_stop_price() -> None:
    stop = OrderIntent.stop_limit("main", "okx", "BTC/USDT", "SELL", quantity=1, price="59000", stop_price="59500")
    assert stop.stop_price == "59500"
    with pytest.raises(InvalidIntentError, match="stop_price"):
        OrderIntent.stop_limit("main", "okx", "BTC/USDT", "SELL", quantity=1, price="59000", stop_price=0)


def test_zero_is_a_filled_quantity() -> None:
    assert CloseIntent(account="main", client_order_id="id-1", filled_quantity="0.00").filled_quantity == "0"


def test_every_field_of_an_order_reaches_the_wire() -> None:
    names = {field.name for field in intent_pb2.OrderIntent.DESCRIPTOR.fields}
    assert names == set(OrderIntent.__dataclass_fields__)
    sent = wire.intent_message(order(post_only=True, tag="t", reference_price="5", reference_time=9)).order
    assert (sent.account, sent.quantity, sent.price, sent.post_only, sent.tag) == ("main", "0.5", "60000", True, "t")
    assert (sent.side, sent.time_in_force, sent.reference_price, sent.reference_time) == (1, 1, "5", 9)


def test_times_are_filled_in_from_the_clock_that_was_passed_in() -> None:
    calls = Calls(UnauthenticatedSealer("mm-1"), lambda: 1_000, validity_ns=50)
    request = calls.request(order())
    sent = intent_pb2.Intent.FromString(request.sealed.intent).order
    assert (sent.created_at, sent.valid_until, request.routing.valid_until) == (1_000, 1_050, 1_050)
    assert request.sealed.session == b"mm-1"
    assert request.sealed.mac == b""


def test_a_reference_price_without_a_time_is_of_now() -> None:
    calls = Calls(UnauthenticatedSealer("mm-1"), lambda: 1_000)
    assert calls.stamped(order(reference_price="5")).reference_time == 1_000
    assert calls.stamped(order(reference_price="5", reference_time=7)).reference_time == 7
    assert calls.stamped(order()).reference_time == 0


def test_client_order_ids_have_the_venues_format_and_do_not_repeat() -> None:
    ids = ClientOrderIds(start=2**32 - 3)
    numbers = [int(ids.new("backpack")) for _ in range(6)]
    assert numbers == [2**32 - 2, 2**32 - 1, 1, 2, 3, 4]
    texts = {ids.new("okx") for _ in range(100)}
    assert len(texts) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in texts)


@given(st.decimals(min_value=0, max_value=Decimal(10) ** 18 - 1, places=18, allow_nan=False))
def test_every_decimal_within_the_grammar_survives_unchanged(value: Decimal) -> None:
    text = to_text(value)
    assert text is not None
    assert Decimal(text) == value
    assert GRAMMAR.fullmatch(text)
    assert canonical(text) == text


@given(st.text(alphabet="0123456789.eE-+ _\u0661", max_size=24))
def test_text_is_read_exactly_or_not_at_all(text: str) -> None:
    got = canonical(text)
    assert got is None or Decimal(got) == Decimal(text)


def test_time_in_force_default_is_gtc() -> None:
    assert order().time_in_force is TimeInForce.GTC
