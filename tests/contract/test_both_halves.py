"""The contract of a venue's two halves: what the enclave signs, the venue takes, and the host reads rightly.

The simulated venue verifies every signature by code of its own and keeps the truth that the readings are held
against.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pytest

from casemate_mock.exchange import OrderStatus, OrderType, Side, TimeInForce
from enclave_signer import model
from enclave_signer.errors import Unsupported
from host_dispatch.outcome import ErrorClass, Operation, OrderState
from tests.contract.contract_rig import ACCOUNT, CASES, Bench, Case, Keys, another_secret, exact, make_keys

# Facts of the venues that no shape of an intent can hide.
CANCELS_BY_VENUE_ID_ONLY: Final = {"coinbase"}
ANSWERS_WITH_THE_FIRST_ORDER: Final = {"coinbase"}
# The reply to a create carries the order's state; elsewhere it is only taken, and its fate is asked for.
TELLS_THE_STATE: Final = {"binance", "binanceusdm", "backpack"}
# The state that the reply to a cancel carries; elsewhere none.
CANCEL_TELLS: Final = {"binance", "binanceusdm", "backpack", "kraken"}
# Whether a post-only order that would take is refused at once, or taken and canceled.
REFUSES_TAKERS: Final = {"binance", "binanceusdm", "coinbase", "backpack"}
# Which class an order meets that comes too late. Kraken's deadline leaves the outcome open, coinbase does not say
# what is wrong with a token.
TOO_LATE: Final = {"kraken": ErrorClass.UNKNOWN, "coinbase": ErrorClass.BAD_SIGNATURE}
# A query finds open orders, and done ones only if it asks for those.
KEEPS_DONE_ORDERS_APART: Final = {"backpack", "kraken"}
# Whether an order that is not found by client id, or by the venue's id, is known not to exist.
SILENCE_PROVES_NOTHING: Final = {("kraken", "client id"), ("backpack", "client id"), ("backpack", "venue id")}
# Spot keeps an order's place and so only reduces it; Backpack has no amend at all.
AMENDS_NO_PRICE: Final = {"binance-spot", "binance-spot-ed25519", "backpack-spot", "backpack-swap"}
# The reply shows an asset's whole balance, from which neither what is free nor what is held follows.
TELLS_WHOLE_BALANCES_ONLY: Final = {"coinbase"}
DONE: Final = {OrderState.CANCELED, OrderState.EXPIRED}


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def keys(case: Case) -> Keys:
    return make_keys(case)


@pytest.fixture
def bench(case: Case, keys: Keys) -> Bench:
    return Bench(case, keys)


def asked(bench: Bench, client_id: str, *, conditional: bool = False, closed: bool = False) -> OrderState | None:
    """State of an order by its client id."""
    return bench.look(client_id, conditional=conditional, closed=closed).state


def ends(bench: Bench, client_id: str) -> OrderState | None:
    """State of an order that is done, which some venues keep apart."""
    return asked(bench, client_id, closed=bench.case.venue in KEEPS_DONE_ORDERS_APART)


def test_limit_order_rests_as_it_was_intended(bench: Bench) -> None:
    reading = bench.create(bench.limit("1001"))
    kept = bench.order("1001")
    assert (reading.state, reading.error, reading.venue_order_id) == (OrderState.OPEN, None, kept.venue_id)
    assert (kept.symbol, kept.side, kept.quantity, kept.price) == (
        bench.btc.symbol, Side.BUY, Decimal("0.5"), Decimal("40000.5"),
    )  # fmt: skip
    assert (kept.request.type, kept.request.time_in_force) == (OrderType.LIMIT, TimeInForce.GTC)
    assert asked(bench, "1001") is OrderState.OPEN


@pytest.mark.parametrize("side", [model.Side.BUY, model.Side.SELL])
def test_market_order_fills(bench: Bench, side: model.Side) -> None:
    reading = bench.create(bench.market("1002", side=side))
    assert reading.error is None
    kept = bench.order("1002")
    assert (kept.status, kept.filled, kept.side.name) == (OrderStatus.FILLED, Decimal("0.5"), side.name)
    if bench.case.venue in TELLS_THE_STATE:
        assert reading.state is OrderState.FILLED
        assert Decimal(reading.filled_quantity) == kept.filled
        assert Decimal(reading.average_price) == kept.average
    assert ends(bench, "1002") is OrderState.FILLED


def test_market_order_by_quote_quantity_spends_that_much(bench: Bench) -> None:
    order = bench.market("1003", quantity=None, quote_quantity=exact("20000"))
    kind = bench.btc.kind
    if not bench.declared.abilities[kind].quote_quantity:
        with pytest.raises(Unsupported):
            bench.create(order)
        return
    assert bench.create(order).error is None
    assert Decimal(19_900) < bench.order("1003").cost <= Decimal(20_000)


@pytest.mark.parametrize("time", [model.TimeInForce.IOC, model.TimeInForce.FOK])
@pytest.mark.parametrize(
    ("price", "state"), [("40000.5", DONE), ("60000", {OrderState.FILLED})], ids=["misses", "takes"]
)
def test_order_that_may_not_rest_is_done_at_once(
    bench: Bench, time: model.TimeInForce, price: str, state: set[OrderState]
) -> None:
    if time not in bench.declared.times_in_force[bench.btc.kind]:
        with pytest.raises(Unsupported):
            bench.create(bench.limit("1004", time_in_force=time))
        return
    reading = bench.create(bench.limit("1004", time_in_force=time, price=exact(price)))
    assert reading.error is None
    assert bench.order("1004").request.time_in_force.value == time.name
    assert not bench.order("1004").is_open
    if bench.case.venue in TELLS_THE_STATE:
        assert reading.state in state
    assert ends(bench, "1004") in state


def test_post_only_order_never_takes(bench: Bench) -> None:
    resting = bench.create(bench.limit("1005", post_only=True))
    assert (resting.state, resting.error) == (OrderState.OPEN, None)
    assert bench.order("1005").request.post_only
    taking = bench.create(bench.limit("1006", post_only=True, price=exact("60000")))
    if bench.case.venue in REFUSES_TAKERS:
        assert (taking.state, taking.error) == (OrderState.REJECTED, ErrorClass.WOULD_TAKE)
        return
    assert taking.error is None
    assert ends(bench, "1006") is OrderState.CANCELED
    assert not bench.order("1006").fills


def test_reduce_only_order_reduces_and_never_opens(bench: Bench) -> None:
    if not bench.declared.abilities[bench.btc.kind].reduce_only:
        with pytest.raises(Unsupported):
            bench.create(bench.limit("1007", reduce_only=True))
        return
    refused = bench.create(bench.limit("1007", reduce_only=True))
    assert (refused.state, refused.error) == (OrderState.REJECTED, ErrorClass.INVALID_ORDER)
    bench.create(bench.market("1008"))
    close = bench.market("1009", side=model.Side.SELL, reduce_only=True)
    assert bench.create(close).error is None
    assert bench.order("1009").request.reduce_only
    assert bench.venue.exchange.position(ACCOUNT, bench.btc.symbol).size == 0


def test_stop_order_waits_is_found_and_is_canceled(bench: Bench) -> None:
    order = bench.limit("1010", type=model.OrderType.STOP_LIMIT, stop_price=exact("55000"), price=exact("55100"))
    if model.OrderType.STOP_LIMIT not in bench.declared.order_types[bench.btc.kind]:
        with pytest.raises(Unsupported):
            bench.create(order)
        return
    reading = bench.create(order)
    assert (reading.state, reading.error) == (OrderState.OPEN, None)
    kept = bench.order("1010")
    assert (kept.status, kept.stop_price, kept.price) == (
        OrderStatus.UNTRIGGERED,
        Decimal(55_000),
        Decimal(55_100),
    )
    assert asked(bench, "1010", conditional=True) is OrderState.OPEN
    (listed,) = listed_orders(bench, conditional=True)
    assert listed == reading.venue_order_id
    cancel = named_cancel(bench, "1010", reading.venue_order_id, conditional=True)
    assert bench.ask(Operation.CANCEL, cancel).error is None
    assert bench.order("1010").status is OrderStatus.CANCELED


def listed_orders(bench: Bench, *, conditional: bool = False) -> list[str]:
    """Ids of the open orders of the first symbol, as the venue's list shows them."""
    read = bench.open_orders()._replace(conditional=conditional)
    reading = bench.ask(Operation.OPEN_ORDERS, bench.site.open_orders(read, bench.btc, bench.stamp()))
    assert reading.error is None
    return [order.venue_order_id for order in reading.orders]


def named_cancel(bench: Bench, client_id: str, venue_id: str, *, conditional: bool = False) -> model.WireRequest:
    """A cancel by client id where the venue has it, else by the venue's id."""
    if bench.case.venue in CANCELS_BY_VENUE_ID_ONLY:
        client_id = ""
    cancel = bench.cancel(client_id, venue_id, conditional=conditional)
    return bench.site.cancel(cancel, bench.btc, bench.stamp())


@pytest.mark.parametrize("by", ["client id", "venue id"])
def test_cancel_ends_the_order_and_a_second_one_finds_nothing(bench: Bench, by: str) -> None:
    created = bench.create(bench.limit("1011"))
    bench.create(bench.limit("1012"))
    cancel = bench.cancel("1011") if by == "client id" else bench.cancel("", created.venue_order_id)
    if by == "client id" and bench.case.venue in CANCELS_BY_VENUE_ID_ONLY:
        with pytest.raises(Unsupported):
            bench.site.cancel(cancel, bench.btc, bench.stamp())
        return
    first = bench.ask(Operation.CANCEL, bench.site.cancel(cancel, bench.btc, bench.stamp()))
    assert first.error is None
    assert first.state is (OrderState.CANCELED if bench.case.venue in CANCEL_TELLS else None)
    assert bench.order("1011").status is OrderStatus.CANCELED
    assert bench.order("1012").is_open
    second = bench.ask(Operation.CANCEL, bench.site.cancel(cancel, bench.btc, bench.stamp()))
    assert (second.error, second.state) == (ErrorClass.UNKNOWN_ORDER, None)


def test_cancel_all_ends_every_order_of_the_symbol_and_no_other(bench: Bench) -> None:
    if Operation.CANCEL_ALL.name not in {operation.name for operation in bench.declared.operations}:
        with pytest.raises(Unsupported):
            bench.site.cancel_all(bench.cancel_all(), bench.btc, bench.stamp())
        return
    for client_id in ("1013", "1014"):
        bench.create(bench.limit(client_id))
    other = bench.limit("1015", symbol=bench.eth.symbol)
    assert bench.create(other, bench.eth).error is None
    reading = bench.ask(Operation.CANCEL_ALL, bench.site.cancel_all(bench.cancel_all(), bench.btc, bench.stamp()))
    assert reading.error is None
    assert [bench.order(name).is_open for name in ("1013", "1014", "1015")] == [False, False, True]


def test_amend_changes_the_order_that_rests(bench: Bench) -> None:
    original = bench.limit("1016")
    created = bench.create(original)
    lower = bench.amend("1016", created.venue_order_id, quantity=exact("0.4"))
    if Operation.AMEND.name not in {operation.name for operation in bench.declared.operations}:
        with pytest.raises(Unsupported):
            bench.site.amend(lower, original, bench.btc, bench.stamp())
        return
    reading = bench.ask(Operation.AMEND, bench.site.amend(lower, original, bench.btc, bench.stamp()))
    assert reading.error is None
    kept = bench.order("1016")
    assert (kept.quantity, kept.price, kept.is_open) == (Decimal("0.4"), Decimal("40000.5"), True)


def test_amend_changes_the_price_where_the_venue_can(bench: Bench) -> None:
    original = bench.limit("1017")
    created = bench.create(original)
    dearer = bench.amend("1017", created.venue_order_id, price=exact("41000"))
    if bench.case.name in AMENDS_NO_PRICE:
        with pytest.raises(Unsupported):
            bench.site.amend(dearer, original, bench.btc, bench.stamp())
        return
    request = bench.site.amend(dearer, original, bench.btc, bench.stamp())
    assert bench.ask(Operation.AMEND, request).error is None
    assert (bench.order("1017").price, bench.order("1017").quantity) == (Decimal(41_000), Decimal("0.5"))


def test_amend_of_an_order_that_is_gone_finds_nothing(bench: Bench) -> None:
    if Operation.AMEND.name not in {operation.name for operation in bench.declared.operations}:
        return
    original = bench.limit("1018")
    created = bench.create(original)
    bench.venue.exchange.cancel(ACCOUNT, created.venue_order_id)
    gone = bench.amend("1018", created.venue_order_id, quantity=exact("0.4"))
    reading = bench.ask(Operation.AMEND, bench.site.amend(gone, original, bench.btc, bench.stamp()))
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN_ORDER, None)


@pytest.mark.parametrize("by", ["client id", "venue id"])
def test_query_shows_the_order_and_does_not_mistake_silence(bench: Bench, by: str) -> None:
    created = bench.create(bench.limit("1019"))
    bench.create(bench.limit("1020"))
    venue_id = created.venue_order_id
    reading = bench.look("1019") if by == "client id" else bench.look("", venue_id)
    (view,) = reading.orders
    assert (reading.state, reading.error) == (OrderState.OPEN, None)
    assert (view.client_order_id, view.venue_order_id) == ("1019", venue_id)
    assert (Decimal(view.quantity), Decimal(view.price)) == (Decimal("0.5"), Decimal("40000.5"))
    missing = bench.look("4040") if by == "client id" else bench.look("", stranger(venue_id))
    silent = (bench.case.venue, by) in SILENCE_PROVES_NOTHING
    assert (missing.error, missing.state) == (None if silent else ErrorClass.UNKNOWN_ORDER, None)


def test_query_finds_an_order_that_is_done(bench: Bench) -> None:
    bench.create(bench.limit("1030"))
    bench.venue.exchange.cancel(ACCOUNT, bench.order("1030").venue_id)
    assert ends(bench, "1030") is OrderState.CANCELED
    if bench.case.venue in KEEPS_DONE_ORDERS_APART:
        assert (bench.look("1030").state, bench.look("1030").error) == (None, None)


def stranger(venue_id: str) -> str:
    """An id of the same form that no order has."""
    return venue_id[:-1] + ("7" if venue_id[-1] != "7" else "3")


def test_query_tells_a_partial_fill(bench: Bench) -> None:
    created = bench.create(bench.limit("1020"))
    bench.venue.exchange.fill(created.venue_order_id, Decimal("0.2"))
    assert asked(bench, "1020") is OrderState.PARTIALLY_FILLED


def test_open_orders_lists_what_is_open_in_the_symbol(bench: Bench) -> None:
    ids = {bench.create(bench.limit(client_id)).venue_order_id for client_id in ("1021", "1022")}
    gone = bench.create(bench.limit("1023")).venue_order_id
    bench.venue.exchange.cancel(ACCOUNT, gone)
    assert ids <= set(listed_orders(bench))
    assert gone not in listed_orders(bench)


def test_balances_tell_what_is_free_and_what_is_held(bench: Bench) -> None:
    bench.create(bench.limit("1024"))
    reading = bench.ask(Operation.BALANCES, bench.site.balances(bench.balances(), bench.stamp()))
    assert reading.error is None
    found = {balance.asset.removeprefix("Z"): balance for balance in reading.balances}
    held = bench.venue.exchange.balances(ACCOUNT)[bench.case.quote]
    assert held.locked > 0
    quote = found[bench.case.quote]
    if bench.case.venue in TELLS_WHOLE_BALANCES_ONLY:
        assert (quote.available, quote.locked) == ("", "")
        return
    assert (Decimal(quote.available), Decimal(quote.locked)) == (held.available, held.locked)


def test_order_beyond_the_balance_is_refused(case: Case, keys: Keys) -> None:
    bench = Bench(case, keys, balances={case.quote: "10", "BTC": "0"})
    reading = bench.create(bench.limit("1025"))
    assert (reading.state, reading.error) == (OrderState.REJECTED, ErrorClass.INSUFFICIENT_FUNDS)


def test_order_for_a_symbol_that_is_not_listed_is_refused(bench: Bench) -> None:
    reading = bench.create(bench.limit("1026", symbol=bench.none.symbol), bench.none)
    assert (reading.state, reading.error) == (OrderState.REJECTED, ErrorClass.BAD_SYMBOL)


def test_client_id_that_is_in_use_makes_no_second_order(bench: Bench) -> None:
    first = bench.create(bench.limit("1027"))
    second = bench.create(bench.limit("1027", price=exact("39000")))
    assert len(bench.venue.exchange.orders_by_client("1027")) == 1
    if bench.case.venue in ANSWERS_WITH_THE_FIRST_ORDER:
        assert (second.error, second.venue_order_id) == (None, first.venue_order_id)
        return
    assert (second.state, second.error) == (OrderState.REJECTED, ErrorClass.DUPLICATE_CLIENT_ID)


def test_signature_of_another_secret_is_refused(case: Case, keys: Keys) -> None:
    forger = Bench(case, keys)
    forger.site = forger.half.site(forger.placement, forger.half.credential(another_secret(case, keys).fields))
    reading = forger.create(forger.limit("1028"))
    assert (reading.state, reading.error) == (OrderState.REJECTED, ErrorClass.BAD_SIGNATURE)
    assert forger.venue.exchange.orders() == ()


def test_order_that_arrives_after_its_validity_is_refused(bench: Bench) -> None:
    request = bench.site.create(bench.limit("1029"), bench.btc, bench.stamp())
    bench.now_ms += bench.declared.validity.longest_ms + 1_001
    reading = bench.ask(Operation.CREATE, request)
    assert reading.error is TOO_LATE.get(bench.case.venue, ErrorClass.CLOCK_OR_NONCE)
    assert bench.venue.exchange.orders() == ()
