"""What a site writes is what the intent says: nothing else gets in, nothing of it is lost, and nothing is guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from enclave_signer.errors import Unsupported
from enclave_signer.model import (
    Cancel,
    Kind,
    MarginMode,
    Order,
    OrderType,
    PositionSide,
    Query,
    SelfTradePrevention,
    Side,
    Stamp,
    TimeInForce,
    TriggerBy,
    WireRequest,
)
from tests.enclave.venues.venue_rig import MARKETS, NOW_MS, Market, exact, stamp

EXPIRY_NS: Final = 2_000_000_000 * 10**9
# Fixed words of the venues that a create may contain beside the intent's own numbers and ids.
_FIXED: Final = """
    BTCUSDT BTC-USDT BTC-USDT-SWAP XBTUSDT BTC_USDT BTC_USDT_PERP BUY SELL Buy Sell buy sell Bid Ask LIMIT MARKET
    LIMIT_MAKER STOP_LOSS_LIMIT STOP Limit Market limit market trigger post_only ioc fok stop-loss-limit GTC IOC
    FOK GTD GTX PostOnly FULL RESULT CONDITIONAL CONTRACT_PRICE MARK_PRICE LastPrice MarkPrice IndexPrice last
    mark index LONG SHORT long short true false NONE EXPIRE_TAKER EXPIRE_MAKER EXPIRE_BOTH None CancelTaker
    CancelMaker CancelBoth cancel_taker cancel_maker cancel_both cancel-newest cancel-oldest cancel-both
    RejectTaker RejectMaker RejectBoth spot linear StopOrder baseCoin quoteCoin cash cross isolated base_ccy
    quote_ccy post viqc 0 1 2 STOP_DIRECTION_STOP_UP STOP_DIRECTION_STOP_DOWN
"""
FIXED: Final = frozenset(_FIXED.split())
SIGNED_PARTS: Final = frozenset({"signature", "recvWindow", "timestamp", "nonce", "deadline"})


def leaves(value: Any) -> list[str]:
    """Every value of a JSON document as text."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(value)]


def said(request: WireRequest) -> list[str]:
    """The values of a request's body, less what the enclave's stamp and key contribute."""
    text = (request.body or b"").decode("ascii")
    if text.startswith("{"):
        return leaves(json.loads(text))
    return [value for name, value in parse_qsl(text, strict_parsing=True) if name not in SIGNED_PARTS]


def own(order: Order) -> set[str]:
    """The texts that are the order's own."""
    amounts = (order.quantity, order.quote_quantity, order.price, order.stop_price)
    texts = {amount.text for amount in amounts if amount is not None} | {order.client_order_id}
    if order.time_in_force is TimeInForce.GTD:
        texts |= {"2000000000000", "2000000000", "2033-05-18T03:33:20Z"}
    return texts


decimals = st.decimals("0.00000001", "999999999", places=8).map(lambda value: exact(f"{value.normalize():f}"))
markets = st.sampled_from(MARKETS)


@st.composite
def any_order(draw: st.DrawFn, market: Market) -> Order:
    """An order as decoding lets it through, whether or not the venue can express it."""
    order_type = draw(st.sampled_from(OrderType))
    priced = order_type is not OrderType.MARKET
    stop = order_type is OrderType.STOP_LIMIT
    by_quote = not priced and draw(st.booleans())
    time = draw(st.sampled_from(TimeInForce)) if priced else None
    may_rest = time in {TimeInForce.GTC, TimeInForce.GTD}
    return market.order(
        side=draw(st.sampled_from(Side)),
        type=order_type,
        time_in_force=time,
        quantity=None if by_quote else draw(decimals),
        quote_quantity=draw(decimals) if by_quote else None,
        price=draw(decimals) if priced else None,
        stop_price=draw(decimals) if stop else None,
        trigger_by=draw(st.none() | st.sampled_from(TriggerBy)) if stop else None,
        post_only=may_rest and draw(st.booleans()),
        reduce_only=draw(st.booleans()),
        position_side=draw(st.none() | st.sampled_from(PositionSide)),
        self_trade_prevention=draw(st.none() | st.sampled_from(SelfTradePrevention)),
        client_order_id=draw(st.from_regex(r"[1-9][0-9]{0,8}", fullmatch=True)),
        expire_at=EXPIRY_NS if time is TimeInForce.GTD else 0,
    )


@given(data=st.data(), market=markets, hedged=st.booleans())
def test_a_create_contains_the_order_and_fixed_words_and_nothing_else(
    data: st.DataObject,
    market: Market,
    hedged: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    order = data.draw(any_order(market))
    try:
        request = market.site(hedged=hedged).create(order, market.instrument, stamp())
    except Unsupported:
        return
    values = said(request)
    assert set(values) <= own(order) | FIXED
    amounts = (order.quantity, order.quote_quantity, order.price, order.stop_price)
    for amount in amounts:
        assert amount is None or amount.text in values
    assert order.client_order_id in values


@given(data=st.data(), market=markets, hedged=st.booleans())
def test_no_two_different_orders_are_written_alike(
    data: st.DataObject,
    market: Market,
    hedged: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    """A change of any field changes the bytes or is refused: nothing that an intent says is dropped."""
    first, second = data.draw(any_order(market)), data.draw(any_order(market))
    changed = data.draw(
        st.sampled_from([name for name in Order._fields if getattr(first, name) != getattr(second, name)] or ["side"])
    )
    second = first._replace(**{changed: getattr(second, changed)})
    assume(first != second)
    site = market.site(hedged=hedged)
    try:
        bodies = [said(site.create(order, market.instrument, stamp())) for order in (_whole(first), _whole(second))]
    except Unsupported:
        return
    if not means_the_same(market, first, second, changed):
        assert bodies[0] != bodies[1], changed


def _whole(order: Order) -> Order:
    """Drop orders that decoding refuses, which a change of one field can make."""
    priced = order.type is not OrderType.MARKET
    stop = order.type is OrderType.STOP_LIMIT
    assume((order.price is not None) is priced and (order.time_in_force is not None) is priced)
    assume((order.stop_price is not None) is stop and (stop or order.trigger_by is None))
    assume((order.quantity is None) is not (order.quote_quantity is None) and (not priced or order.quantity))
    assume((order.time_in_force is TimeInForce.GTD) is bool(order.expire_at))
    return order


def means_the_same(market: Market, first: Order, second: Order, changed: str) -> bool:
    """Pairs that say one thing in two ways: a venue's default by name, and what a hedged leg implies."""
    if changed == "trigger_by":
        watched = {first.trigger_by, second.trigger_by}
        return watched == {None, TriggerBy.LAST} and not market.declared.abilities[market.kind].triggers[TriggerBy.LAST]
    return changed == "reduce_only" and first.position_side is not None


@given(market=markets, text=st.text(min_size=1, max_size=40), where=st.sampled_from(["create", "cancel", "query"]))
def test_free_text_cannot_become_a_parameter(market: Market, text: str, where: str) -> None:
    """Each id is taken whole or refused: it is read back as one value, under the name of an id."""
    site, traded = market.site(), market.instrument
    try:
        if where == "create":
            request = site.create(market.order(client_order_id=text), traded, stamp())
        elif where == "cancel":
            request = site.cancel(Cancel("main", market.venue, traded.symbol, text, text, 0, 0), traded, stamp())
        else:
            request = site.query(Query("main", market.venue, traded.symbol, text, text, 0, 0), traded, stamp())
    except Unsupported:
        return
    assert text.isascii()
    assert not set(text) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    whole = request.url + (request.body or b"").decode("ascii")
    assert text in whole


@pytest.mark.parametrize("text", ["a&quantity=9", 'a","qty":"9', "a%26b", "a\r\nX-Evil: 1", "a b", "é", "", "a/../b"])
@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_an_id_that_is_no_id_is_refused_in_every_request(market: Market, text: str) -> None:
    site, traded = market.site(), market.instrument
    with pytest.raises(Unsupported):
        site.create(market.order(client_order_id=text), traded, stamp())
    with pytest.raises(Unsupported):
        site.cancel(Cancel("main", market.venue, traded.symbol, "", text, 0, 0), traded, stamp())
    with pytest.raises(Unsupported):
        site.query(Query("main", market.venue, traded.symbol, "", text, 0, 0), traded, stamp())


def undeclared(market: Market) -> list[tuple[str, dict[str, Any]]]:
    """Every single thing that the declaration does not say the venue can express, as a change of the plain order."""
    declared, can = market.declared, market.declared.abilities[market.kind]
    stop = {"type": OrderType.STOP_LIMIT, "stop_price": exact("51000")}
    gtd = {"time_in_force": TimeInForce.GTD, "expire_at": EXPIRY_NS}
    found: list[tuple[str, dict[str, Any]]] = []
    for time in TimeInForce:
        terms = gtd if time is TimeInForce.GTD else {"time_in_force": time}
        if time not in declared.times_in_force[market.kind]:
            found.append(("time_in_force", terms))
        if time not in can.stop_times:
            found.append(("time_in_force", stop | terms))
    found += [("trigger_by", stop | {"trigger_by": by}) for by in TriggerBy if by not in can.triggers]
    found += [
        ("self_trade_prevention", {"self_trade_prevention": mode})
        for mode in SelfTradePrevention
        if mode not in can.self_trade
    ]
    if not can.reduce_only:
        found.append(("reduce_only", {"reduce_only": True}))
    if not can.stop_post_only:
        found.append(("post_only", stop | {"post_only": True}))
    if not can.quote_quantity:
        market_order = {"type": OrderType.MARKET, "time_in_force": None, "price": None, "quantity": None}
        found.append(("quote_quantity", market_order | {"quote_quantity": exact("100")}))
    found.append(("position_side", {"position_side": PositionSide.LONG}))
    found.append(("post_only", {"post_only": True, "time_in_force": TimeInForce.IOC}))
    return found


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_whatever_is_not_declared_is_refused_by_the_name_of_its_field(market: Market) -> None:
    site = market.site()
    tried = undeclared(market)
    assert tried
    for field, changes in tried:
        for _ in range(2):  # a refusal is not remembered as a plan
            with pytest.raises(Unsupported) as refused:
                site.create(market.order(**changes), market.instrument, stamp())
            assert refused.value.field == field, changes
            assert refused.value.rule == "venue_support"


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_whatever_is_declared_is_built(market: Market) -> None:
    declared, can = market.declared, market.declared.abilities[market.kind]
    site = market.site()
    stop = {"type": OrderType.STOP_LIMIT, "stop_price": exact("51000")}

    def times(of: frozenset[TimeInForce]) -> list[dict[str, Any]]:
        return [
            {"time_in_force": time, "expire_at": EXPIRY_NS if time is TimeInForce.GTD else 0} for time in sorted(of)
        ]

    tried: list[dict[str, Any]] = [{}, {"side": Side.SELL}]
    tried += times(declared.times_in_force[market.kind])
    tried += [stop | terms for terms in times(can.stop_times)]
    tried += [stop | {"trigger_by": by} for by in can.triggers]
    tried += [{"self_trade_prevention": mode} for mode in can.self_trade]
    tried += [{"post_only": True} | terms for terms in times(can.post_only_times)]
    tried += [{"type": OrderType.MARKET, "time_in_force": None, "price": None}]
    tried += [{"reduce_only": True}] if can.reduce_only else []
    for changes in tried:
        assert site.create(market.order(**changes), market.instrument, stamp()).body


@pytest.mark.parametrize("market", [market for market in MARKETS if market.kind is Kind.SWAP], ids=str)
def test_a_hedged_account_names_the_leg_or_is_refused(market: Market) -> None:
    site = market.site(hedged=True)
    if not market.declared.abilities[Kind.SWAP].hedge:
        with pytest.raises(Unsupported, match="hedged"):
            site.create(market.order(position_side=PositionSide.LONG), market.instrument, stamp())
        return
    with pytest.raises(Unsupported, match="LONG or SHORT"):
        site.create(market.order(), market.instrument, stamp())
    opening = market.order(position_side=PositionSide.LONG, reduce_only=True)
    with pytest.raises(Unsupported, match="only opens"):
        site.create(opening, market.instrument, stamp())
    long, short = (
        said(site.create(market.order(position_side=leg), market.instrument, stamp())) for leg in PositionSide
    )
    assert long != short


@pytest.mark.parametrize("market", [market for market in MARKETS if market.kind is Kind.SPOT], ids=str)
def test_spot_on_margin_is_refused(market: Market) -> None:
    site = market.site(margin_mode=MarginMode.CROSS)
    with pytest.raises(Unsupported, match="cash"):
        site.create(market.order(), market.instrument, stamp())
    with pytest.raises(Unsupported, match="cash"):
        site.cancel(Cancel("main", market.venue, "BTC/USDT", "4242", market.order_id, 0, 0), market.instrument, stamp())


def test_okx_swaps_are_isolated_if_the_account_is() -> None:
    market = next(market for market in MARKETS if str(market) == "okx-swap")
    for mode, word in ((MarginMode.CASH, "cross"), (MarginMode.CROSS, "cross"), (MarginMode.ISOLATED, "isolated")):
        request = market.site(margin_mode=mode).create(market.order(), market.instrument, stamp())
        assert json.loads(request.body or b"")["tdMode"] == word


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_plans_belong_to_a_venue_symbol_not_to_a_name_that_a_new_policy_may_use_anew(market: Market) -> None:
    site, traded = market.site(), market.instrument
    site.create(market.order(), traded, stamp())
    other = replace(traded, venue_symbol=traded.venue_symbol.replace("BTC", "ETH").replace("XBT", "ETH"))
    assert other.venue_symbol in said(site.create(market.order(), other, stamp()))
    assert other.venue_symbol not in said(site.create(market.order(), traded, stamp()))


def test_the_same_order_is_written_the_same_again() -> None:
    for market in MARKETS:
        if market.venue == "coinbase":
            continue
        site = market.site()
        once, twice = (site.create(market.order(), market.instrument, stamp()) for _ in range(2))
        assert once == twice


def test_nothing_of_a_signed_request_is_in_its_repr() -> None:
    for market in MARKETS:
        request = market.site().create(market.order(), market.instrument, Stamp(NOW_MS, 1, NOW_MS + 5000, bytes))
        assert "4242" not in repr(request)
        assert "50000.5" not in repr(request)
