"""The matching engine: what fills, what rests, what is refused, and that no money is made or lost."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate_mock.exchange import (
    ClientIdRule,
    Exchange,
    ExchangeRules,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    PostOnlyRule,
    Refusal,
    Refused,
    Side,
    TimeInForce,
    VenueInstrument,
)

SPOT = VenueInstrument(
    symbol="BTC/USDT",
    venue_symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    reference_price=Decimal(100),
    min_notional=Decimal(1),
)
SWAP = VenueInstrument(
    symbol="BTC/USDT:USDT",
    venue_symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    settle="USDT",
    kind="swap",
    tick=Decimal("0.01"),
    lot=Decimal("0.001"),
    contract_size=Decimal("0.1"),
    reference_price=Decimal(100),
)
ME = "main"


def exchange(rules: ExchangeRules | None = None, depth: Decimal | None = None) -> Exchange:
    made = Exchange([SPOT, SWAP], clock_ms=lambda: 1, rules=rules, depth=depth)
    made.deposit(ME, "USDT", Decimal(1000))
    made.deposit(ME, "BTC", Decimal(10))
    return made


def order(side: Side = Side.BUY, price: str | None = "90", quantity: str | None = "1", **more: Any) -> OrderRequest:
    values: dict[str, Any] = {
        "symbol": SPOT.symbol,
        "side": side,
        "type": OrderType.MARKET if price is None else OrderType.LIMIT,
        "price": None if price is None else Decimal(price),
        "quantity": None if quantity is None else Decimal(quantity),
    }
    return OrderRequest(**(values | more))


def refusal_of(made: Exchange, request: OrderRequest) -> Refusal:
    with pytest.raises(Refused) as caught:
        made.place(ME, request)
    return caught.value.reason


def test_a_limit_below_the_market_rests_and_locks_its_cost() -> None:
    made = exchange()
    placed = made.place(ME, order())
    assert placed.status is OrderStatus.NEW
    assert made.balances(ME)["USDT"].locked == Decimal(90)
    made.cancel(ME, placed.venue_id)
    assert made.balances(ME)["USDT"].available == Decimal(1000)


def test_a_marketable_limit_fills_at_the_better_price_and_returns_the_rest() -> None:
    made = exchange()
    placed = made.place(ME, order(price="120"))
    assert (placed.status, placed.average) == (OrderStatus.FILLED, Decimal("100.01"))
    assert made.balances(ME)["USDT"] == type(made.balances(ME)["USDT"])(Decimal("899.99"), Decimal(0))
    assert made.balances(ME)["BTC"].available == Decimal(11)


def test_a_market_buy_by_quote_amount_spends_no_more_than_it() -> None:
    made = exchange()
    placed = made.place(ME, order(price=None, quantity=None, quote_quantity=Decimal(150)))
    assert placed.filled == Decimal("1.499")
    assert made.balances(ME)["USDT"].available == Decimal(1000) - placed.cost
    assert made.balances(ME)["USDT"].locked == 0


@pytest.mark.parametrize(("tif", "filled"), [(TimeInForce.IOC, "2"), (TimeInForce.FOK, "0")])
def test_immediate_orders_take_what_the_depth_allows_and_never_rest(tif: TimeInForce, filled: str) -> None:
    made = exchange(depth=Decimal(2))
    placed = made.place(ME, order(price="101", quantity="3", time_in_force=tif))
    assert (placed.status, placed.filled) == (OrderStatus.EXPIRED, Decimal(filled))
    assert made.balances(ME)["USDT"].locked == 0


def test_what_the_depth_leaves_of_a_gtc_order_rests_and_fills_when_the_price_comes() -> None:
    made = exchange(depth=Decimal(2))
    placed = made.place(ME, order(price="101", quantity="3"))
    assert (placed.status, placed.filled) == (OrderStatus.PARTIALLY_FILLED, Decimal(2))
    (after,) = made.move_price(SPOT.symbol, Decimal(99))
    assert (after.status, after.fills[-1].price, after.fills[-1].maker) == (
        OrderStatus.FILLED,
        Decimal(101),
        True,
    )


def test_post_only_that_would_take_is_refused_or_cancelled_as_the_venue_does() -> None:
    taking = order(price="120", post_only=True)
    assert refusal_of(exchange(), taking) is Refusal.POST_ONLY_WOULD_TAKE
    cancelling = exchange(ExchangeRules(post_only=PostOnlyRule.CANCEL))
    placed = cancelling.place(ME, taking)
    assert (placed.status, placed.fills, placed.locked) == (OrderStatus.CANCELED, (), Decimal(0))


def test_a_stop_limit_waits_for_its_price_and_then_rests_or_fills() -> None:
    made = exchange()
    stop = order(Side.SELL, "94", type=OrderType.STOP_LIMIT, stop_price=Decimal(95), trigger_above=False)
    placed = made.place(ME, stop)
    assert placed.status is OrderStatus.UNTRIGGERED
    assert made.balances(ME)["BTC"].locked == 1
    (fired,) = made.move_price(SPOT.symbol, Decimal(95))
    assert (fired.status, fired.average) == (OrderStatus.FILLED, Decimal("94.99"))


def test_an_amendment_moves_price_and_quantity_and_keeps_the_order_on_refusal() -> None:
    made = exchange()
    placed = made.place(ME, order())
    amended = made.amend(ME, placed.venue_id, price=Decimal(80), quantity=Decimal(2))
    assert (amended.venue_id, made.balances(ME)["USDT"].locked) == (placed.venue_id, Decimal(160))
    with pytest.raises(Refused):
        made.amend(ME, placed.venue_id, quantity=Decimal(100))
    assert made.order(ME, venue_id=placed.venue_id) == amended


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (order(price="90.001"), Refusal.TICK),
        (order(quantity="1.0001"), Refusal.LOT),
        (order(quantity="0.0001"), Refusal.MIN_QUANTITY),
        (order(quantity="0.001"), Refusal.MIN_NOTIONAL),
        (order(quantity="100"), Refusal.INSUFFICIENT_BALANCE),
        (order(Side.SELL, "110", "100"), Refusal.INSUFFICIENT_BALANCE),
        (order(symbol=SWAP.symbol, reduce_only=True), Refusal.REDUCE_ONLY),
    ],
)
def test_a_refused_order_changes_nothing(request_: OrderRequest, reason: Refusal) -> None:
    made = exchange()
    before = made.balances(ME)
    assert refusal_of(made, request_) is reason
    assert (made.balances(ME), made.orders(), made.revision) == (before, (), 0)


@pytest.mark.parametrize(
    ("rule", "after_cancel"),
    [
        (ClientIdRule.OPEN_IN_SYMBOL, True),
        (ClientIdRule.OPEN, True),
        (ClientIdRule.FOREVER, False),
    ],
)
def test_a_client_id_is_unique_as_far_as_the_venue_says(rule: ClientIdRule, *, after_cancel: bool) -> None:
    made = exchange(ExchangeRules(client_ids=rule))
    first = made.place(ME, order(client_id="a"))
    assert refusal_of(made, order(client_id="a")) is Refusal.DUPLICATE_CLIENT_ID
    made.cancel(ME, first.venue_id)
    if after_cancel:
        made.place(ME, order(client_id="a"))
        assert len(made.orders_by_client("a")) == 2
    else:
        assert refusal_of(made, order(client_id="a")) is Refusal.DUPLICATE_CLIENT_ID


def test_a_swap_locks_margin_and_not_base_and_settles_profit() -> None:
    made = exchange()
    made.place(ME, order(price=None, quantity="10", symbol=SWAP.symbol))
    assert made.position(ME, SWAP.symbol).size == 10
    assert made.balances(ME)["BTC"].locked == 0
    assert made.balances(ME)["USDT"].locked == Decimal("10.001")
    made.move_price(SWAP.symbol, Decimal(110))
    made.place(ME, order(Side.SELL, None, "10", symbol=SWAP.symbol, reduce_only=True))
    assert made.position(ME, SWAP.symbol).size == 0
    assert made.balances(ME)["USDT"].available == Decimal(1000) + Decimal("9.98")


def test_reduce_only_never_turns_a_position_around() -> None:
    made = exchange()
    made.place(ME, order(price=None, quantity="2", symbol=SWAP.symbol))
    made.place(ME, order(Side.SELL, None, "5", symbol=SWAP.symbol, reduce_only=True))
    assert made.position(ME, SWAP.symbol).size == 0


_SIZES = st.integers(1, 5000).map(lambda n: Decimal(n) / 1000)
_PRICES = st.integers(9000, 11000).map(lambda n: Decimal(n) / 100)
_REQUESTS = st.builds(
    OrderRequest,
    symbol=st.sampled_from([SPOT.symbol, SWAP.symbol]),
    side=st.sampled_from(Side),
    type=st.just(OrderType.LIMIT),
    quantity=_SIZES,
    price=_PRICES,
    time_in_force=st.sampled_from(TimeInForce),
    post_only=st.booleans(),
    reduce_only=st.booleans(),
)
_ACTIONS = st.one_of(
    st.tuples(st.just("place"), _REQUESTS),
    st.tuples(st.just("market"), st.sampled_from(Side), _SIZES, st.sampled_from([SPOT.symbol, SWAP.symbol])),
    st.tuples(st.just("stop"), st.sampled_from(Side), _SIZES, _PRICES),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("amend"), st.integers(0, 20), _PRICES, _SIZES),
    st.tuples(st.just("move"), st.sampled_from([SPOT.symbol, SWAP.symbol]), _PRICES),
)


def _pick(made: Exchange, index: int) -> Order | None:
    every = made.orders()
    return every[index % len(every)] if every else None


def _act(made: Exchange, action: Any) -> None:
    match action:
        case ("place", request):
            made.place(ME, request)
        case ("market", side, size, symbol):
            made.place(ME, order(side, None, str(size), symbol=symbol))
        case ("stop", side, size, price):
            kind = OrderType.STOP_MARKET
            made.place(ME, order(side, None, str(size), type=kind, stop_price=price, trigger_above=side is Side.BUY))
        case ("cancel", index):
            found = _pick(made, index)
            if found is not None:
                made.cancel(ME, found.venue_id)
        case ("amend", index, price, size):
            found = _pick(made, index)
            if found is not None:
                made.amend(ME, found.venue_id, price=price, quantity=size)
        case ("move", symbol, price):
            made.move_price(symbol, price)
        case _:
            raise AssertionError(action)


@settings(max_examples=150, deadline=None)
@given(st.lists(_ACTIONS, max_size=25), st.sampled_from([None, Decimal(2)]), st.sampled_from(["0", "0.001"]))
def test_balances_are_never_negative_and_totals_never_change(
    actions: list[Any], depth: Decimal | None, fee: str
) -> None:
    made = exchange(ExchangeRules(taker_fee=Decimal(fee), maker_fee=Decimal(fee)), depth)
    totals = {asset: made.ledger.total(asset) for asset in ("USDT", "BTC")}
    for action in actions:
        try:
            _act(made, action)
        except Refused:
            continue
        for asset, held in made.balances(ME).items():
            assert held.available >= 0
            assert held.locked >= 0
            assert made.ledger.total(asset) == totals[asset]
        _locks_add_up(made)


def _locks_add_up(made: Exchange) -> None:
    for asset in ("USDT", "BTC"):
        locked = sum((o.locked for o in made.orders() if o.lock_asset == asset), Decimal(0))
        margin = made.position(ME, SWAP.symbol).margin if asset == "USDT" else Decimal(0)
        assert made.balances(ME)[asset].locked == locked + margin
    assert all(o.locked == 0 for o in made.orders() if not o.is_open)
