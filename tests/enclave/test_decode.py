"""An intent's bytes become a value, or an error that names the field, the value and what was expected."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave_signer.decode import decode_intent
from enclave_signer.errors import Malformed
from enclave_signer.model import Order, Query
from signer_api.v1 import intent_pb2
from tests.enclave.enclave_rig import START, market, order, plain

STOP = intent_pb2.ORDER_TYPE_STOP_LIMIT
GTC, IOC, FOK, GTD = 1, 2, 3, 4

WRONG: list[tuple[intent_pb2.Intent, str]] = [
    (intent_pb2.Intent(), "kind"),
    (order(account=None), "account"),
    (order(account="a b"), "account"),
    (order(account="a" * 65), "account"),
    (order(venue="Binance"), "venue"),
    (order(symbol="BTCUSDT"), "symbol"),
    (order(symbol="BTC/USDT\n"), "symbol"),
    (order(side=None), "side"),
    (order(side=3), "side"),
    (order(side=-1), "side"),
    (order(type=None), "type"),
    (order(type=99), "type"),
    (order(time_in_force=None), "time_in_force"),
    (order(time_in_force=5), "time_in_force"),
    (order(quantity=None), "quantity"),
    (order(quantity="0"), "quantity"),
    (order(quantity="-1"), "quantity"),
    (order(quantity="1e3"), "quantity"),
    (order(quantity="NaN"), "quantity"),
    (order(quantity=".5"), "quantity"),
    (order(quantity="01"), "quantity"),
    (order(quantity="1."), "quantity"),
    (order(quantity="1" * 19), "quantity"),
    (order(quantity="0." + "1" * 19), "quantity"),
    (order(quantity="\N{ARABIC-INDIC DIGIT ONE}"), "quantity"),
    (order(quote_quantity="5"), "quote_quantity"),
    (order(price=None), "price"),
    (order(price="0.0"), "price"),
    (order(stop_price="5"), "stop_price"),
    (order(type=STOP), "stop_price"),
    (order(trigger_by=1), "trigger_by"),
    (order(trigger_by=9), "trigger_by"),
    (order(position_side=3), "position_side"),
    (order(self_trade_prevention=5), "self_trade_prevention"),
    (order(priority=3), "priority"),
    (order(client_order_id=None), "client_order_id"),
    (order(client_order_id="a&b"), "client_order_id"),
    (order(client_order_id="ä"), "client_order_id"),
    (order(client_order_id="a" * 65), "client_order_id"),
    (order(tag="a b"), "tag"),
    (order(tag="a" * 65), "tag"),
    (order(created_at=-1), "created_at"),
    (order(time_in_force=GTD), "expire_at"),
    (order(expire_at=START), "expire_at"),
    (order(time_in_force=IOC, post_only=True), "post_only"),
    (order(time_in_force=FOK, post_only=True), "post_only"),
    (order(reference_price="1"), "reference_time"),
    (order(reference_time=5), "reference_time"),
    (order(reference_price="x", reference_time=5), "reference_price"),
    (market(price="1"), "price"),
    (market(time_in_force=GTC), "time_in_force"),
    (market(quote_quantity="5"), "quantity"),
    (market(quantity=None), "quantity"),
    (market(post_only=True), "post_only"),
    (plain("cancel"), "client_order_id"),
    (plain("cancel", venue_order_id="1/2"), "venue_order_id"),
    (plain("query"), "client_order_id"),
    (plain("cancel_all", side=7), "side"),
    (plain("cancel_all", tag="?"), "tag"),
    (plain("amend", client_order_id="a"), "quantity"),
    (plain("amend", quantity="1"), "client_order_id"),
    (plain("amend", client_order_id="a", quantity="0"), "quantity"),
    (plain("amend", client_order_id="a", quantity="1", new_client_order_id="?"), "new_client_order_id"),
    (plain("amend", client_order_id="a", quantity="1", venue_order_id="?"), "venue_order_id"),
    (plain("order_closed", client_order_id="a"), "filled_quantity"),
    (plain("order_closed", client_order_id="a", filled_quantity="-1"), "filled_quantity"),
    (plain("open_orders", symbol="?"), "symbol"),
    (plain("balances", account="?"), "account"),
    (plain("halt"), "scope"),
    (plain("halt", scope=5), "scope"),
    (plain("halt", scope=2), "account"),
    (plain("halt", scope=3), "venue"),
    (plain("halt", scope=4), "symbol"),
    (plain("halt", scope=1, account="a"), "account"),
    (plain("halt", scope=2, account="a", symbol="BTC/USDT"), "symbol"),
    (plain("halt", scope=4, symbol="BTC"), "symbol"),
]


@pytest.mark.parametrize(("intent", "field"), WRONG)
def test_a_wrong_field_is_named(intent: intent_pb2.Intent, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_intent(intent.SerializeToString())
    assert caught.value.field == field
    assert field in caught.value.message


def test_the_wrong_value_is_shown_cut_and_in_ascii() -> None:
    with pytest.raises(Malformed) as caught:
        decode_intent(order(client_order_id="ä" * 64).SerializeToString())
    assert "'\\xe4\\xe4" in caught.value.message
    assert len(caught.value.message) < 120


def test_every_field_of_an_order_arrives() -> None:
    sent = order(
        type=STOP,
        time_in_force=GTD,
        stop_price="60.10",
        trigger_by=2,
        reduce_only=True,
        position_side=2,
        self_trade_prevention=4,
        expire_at=START,
        reference_price="50",
        reference_time=START,
        tag="t",
    )
    read = decode_intent(sent.SerializeToString())
    assert isinstance(read, Order)
    for name, field in sent.order.DESCRIPTOR.fields_by_name.items():
        if name == "priority":
            continue
        value, given_ = getattr(read, name), getattr(sent.order, name)
        if value is None:
            assert given_ == field.default_value
        elif field.type == field.TYPE_STRING and hasattr(value, "units"):
            assert value.text == given_.rstrip("0").rstrip(".") if "." in given_ else given_
        else:
            assert value == given_, name


def test_every_field_of_a_query_arrives() -> None:
    read = decode_intent(plain("query", client_order_id="a", conditional=True, closed=True).SerializeToString())
    assert isinstance(read, Query)
    assert (read.conditional, read.closed) == (True, True)


@pytest.mark.parametrize("where", ["intent", "order"])
def test_a_field_that_this_version_does_not_know_is_refused(where: str) -> None:
    unknown = b"\xf8\x07\x01"  # field 127, a varint
    inner = order().order.SerializeToString() + (unknown if where == "order" else b"")
    data = b"\x0a" + bytes([len(inner)]) + inner + (unknown if where == "intent" else b"")
    with pytest.raises(Malformed, match="does not know"):
        decode_intent(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_decode_or_are_malformed(data: bytes) -> None:
    with suppress(Malformed):
        decode_intent(data)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_decodes_or_is_malformed(data: st.DataObject) -> None:
    good = order().SerializeToString()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ (1 << data.draw(st.integers(0, 7)))]) + good[at + 1 :]
    with suppress(Malformed):
        decode_intent(bad)


def test_amounts_are_canonical_text() -> None:
    read: Any = decode_intent(order(quantity="1.500", price="50.0").SerializeToString())
    assert (read.quantity.text, read.price.text) == ("1.5", "50")
