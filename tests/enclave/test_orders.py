"""The life of an order after it was signed: amended, queried by derived right, closed; and what a reload keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import (
    ACCOUNT,
    BTC,
    ETH,
    SECOND,
    START,
    Enclave,
    account,
    empty,
    exposure,
    grant,
    instrument,
    limit,
    market,
    order,
    plain,
    policy,
    ready,
    tiny,
    with_account,
)

if TYPE_CHECKING:
    from enclave_signer.exposure import Book

ALLOWED = "grant:g"
QUERY, CANCEL, AMEND = signer_pb2.OPERATION_QUERY, signer_pb2.OPERATION_CANCEL, signer_pb2.OPERATION_AMEND
SELL = intent_pb2.SIDE_SELL


def amend(**changes: Any) -> intent_pb2.Intent:
    return plain("amend", **{"client_order_id": "o-1", **changes})


def close(name: str = "o-1", filled: str = "0", **changes: Any) -> intent_pb2.Intent:
    return plain("order_closed", **{"client_order_id": name, "filled_quantity": filled, **changes})


def book(enclave: Enclave, symbol: str = BTC) -> Book:
    return enclave.service._ledger.account(ACCOUNT).book(symbol)


# --- amends


def test_an_amend_is_judged_as_the_order_that_it_makes() -> None:
    enclave = ready(with_account(grants=[grant(max_quantity="3", max_notional="250")]))
    enclave.judged(order())
    assert enclave.rule(amend(price="9")) == "band"
    assert enclave.rule(amend(quantity="1.0001")) == "precision"
    assert enclave.rule(amend(quantity="3.001")) == "max_quantity"
    assert enclave.rule(amend(quantity="2.6")) == "max_notional"
    judged = enclave.judged(amend(quantity="2.5"))
    assert judged.verdict.rule == ALLOWED
    assert judged.request.operation == AMEND
    assert "amend-BTCUSDT-o-1-1-2.5" in judged.request.url


def test_a_second_amend_starts_from_the_first() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.judged(amend(quantity="3"))
    assert "amend-BTCUSDT-o-1-3-" in enclave.judged(amend(price="60")).request.url


def test_an_amend_counts_its_full_notional_to_the_limits() -> None:
    enclave = ready(with_account(limits=[limit(max_notional="350")]))
    enclave.judged(order())
    assert enclave.rule(amend(quantity="2")) == ALLOWED
    assert enclave.rule(amend(quantity="0.6")) == "limit:day"
    assert enclave.rule(amend(quantity="0.5")) == ALLOWED


def test_an_amend_reserves_the_larger_of_old_and_new() -> None:
    enclave = ready(with_account(exposures=[exposure(max_quantity="5")]))
    enclave.judged(order(quantity="2"))
    enclave.judged(amend(quantity="1"))
    assert book(enclave).leg().open_buys == 2 * 10**18
    enclave.judged(amend(quantity="4"))
    assert book(enclave).leg().open_buys == 4 * 10**18
    assert enclave.rule(amend(quantity="5.001")) == "exposure:x"
    enclave.judged(amend(quantity="5"))
    assert enclave.rule(close(filled="5")) == "order_closed"
    leg = book(enclave).leg()
    assert (leg.position, leg.open_buys) == (5 * 10**18, 0)


def test_an_amend_of_what_was_not_signed_for_this_account_and_symbol_is_refused() -> None:
    enclave = ready(policy(account("a"), account("b")))
    enclave.judged(order(account="a"))
    assert enclave.rule(amend(account="b", quantity="2")) == "unknown_order"
    assert enclave.rule(amend(account="a", quantity="2", client_order_id="o-2")) == "unknown_order"
    assert enclave.rule(amend(account="a", quantity="2", symbol=ETH)) == "unknown_order"
    enclave.judged(close(account="a"))
    assert enclave.rule(amend(account="a", quantity="2")) == "unknown_order"


def test_s12_the_same_amend_twice_signs_once() -> None:
    enclave = ready(with_account(limits=[limit(max_orders=2)]))
    enclave.judged(order())
    first, again = enclave.judged(amend(quantity="2")), enclave.judged(amend(quantity="2"))
    assert again.repeated
    assert first.request == again.request
    assert enclave.rule(amend(quantity="3")) == "limit:day"


def test_a_new_id_is_taken_and_the_order_answers_to_both() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.judged(order(client_order_id="taken"))
    assert enclave.rule(amend(quantity="2", new_client_order_id="taken")) == "duplicate"
    assert enclave.rule(amend(quantity="2", new_client_order_id="o-9")) == ALLOWED
    assert enclave.rule(order(client_order_id="o-9")) == "duplicate"
    for name in ("o-1", "o-9"):
        assert enclave.derived(name, QUERY).judged.verdict.rule == "derived"
    assert enclave.rule(amend(quantity="3", client_order_id="o-9")) == ALLOWED
    assert enclave.rule(close("o-9", "3")) == "order_closed"
    assert enclave.rule(close("o-1", "3")) == "unknown_order"


def test_s10_live_amends_of_one_order_are_bounded() -> None:
    enclave = ready()
    enclave.judged(order())
    rules = [enclave.rule(amend(quantity=f"1.{n:03}")) for n in range(1, 66)]
    assert rules == [ALLOWED] * 64 + ["table_full"]
    enclave.later(seconds=10)
    assert enclave.rule(amend(quantity="2", valid_until=START + 20 * SECOND)) == ALLOWED


# --- the derived right


def test_the_host_may_query_and_cancel_what_this_boot_signed_and_nothing_else() -> None:
    enclave = ready()
    assert enclave.derived("o-1", QUERY).not_judged.reason == "NO_RIGHT"
    enclave.judged(order())
    for operation, word in ((QUERY, "query"), (CANCEL, "cancel")):
        request = enclave.derived("o-1", operation).judged.request
        assert request.url.startswith(f"https://tiny.test/{word}-BTCUSDT-o-1")
        assert (request.client_order_id, request.operation, request.symbol) == ("o-1", operation, BTC)
        assert request.valid_until == START + 20 * SECOND
    for other in (AMEND, signer_pb2.OPERATION_CREATE, signer_pb2.OPERATION_CANCEL_ALL, 0, 77):
        assert enclave.derived("o-1", other).not_judged.reason == "NO_RIGHT"
    assert enclave.derived("o-1", QUERY, "elsewhere").not_judged.reason == "NO_RIGHT"
    assert enclave.derived("o-2", QUERY).not_judged.reason == "NO_RIGHT"


def test_a_refused_order_gives_no_derived_right() -> None:
    enclave = ready()
    assert enclave.rule(order(tag="unsupported")) == "venue_support"
    assert enclave.derived("o-1", QUERY).not_judged.reason == "NO_RIGHT"


def test_a_derived_request_knows_that_the_order_is_a_stop() -> None:
    enclave = ready()
    enclave.judged(order(type=intent_pb2.ORDER_TYPE_STOP_LIMIT, stop_price="60"))
    assert enclave.derived("o-1", CANCEL).judged.request.url.startswith("https://tiny.test/cancel-BTCUSDT-o-1-True")


def test_a_derived_query_can_look_among_closed_orders() -> None:
    enclave = ready()
    enclave.judged(order())
    request = signer_pb2.DerivedRequest(account=ACCOUNT, client_order_id="o-1", operation=QUERY, closed=True)
    assert "query-BTCUSDT-o-1-True" in enclave.call(derived=request).judged.request.url


# --- closing


def test_an_order_is_closed_once_by_its_own_engine_with_no_more_than_was_signed() -> None:
    document = policy(
        account(grants=[grant(engines=["mm", "risk"])], exposures=[exposure()]),
        engines=[{"name": "mm", "accounts": [ACCOUNT]}, {"name": "risk", "accounts": [ACCOUNT]}],
    )
    enclave = ready(document)
    enclave.judged(order())
    assert enclave.rule(close(filled="0"), engine="risk") == "unknown_order"
    assert enclave.rule(close(filled="1.000000000000000001")) == "max_quantity"
    assert book(enclave).leg().open_buys == 10**18
    assert enclave.rule(close(filled="0.4")) == "order_closed"
    assert enclave.rule(close(filled="0.4")) == "unknown_order"
    leg = book(enclave).leg()
    assert (leg.position, leg.open_buys, leg.open_sells) == (4 * 10**17, 0, 0)


def test_positions_of_the_two_sides_move_against_each_other_and_open_orders_do_not() -> None:
    enclave = ready(with_account(exposures=[exposure(max_quantity="3")]))
    assert enclave.rule(order(quantity="2")) == ALLOWED
    # Open orders are never netted: sells may fill and buys not.
    assert enclave.rule(order(quantity="3", side=SELL, client_order_id="s-1")) == ALLOWED
    assert enclave.rule(order(quantity="0.001", side=SELL, client_order_id="s-2")) == "exposure:x"
    assert enclave.rule(order(quantity="1.001", client_order_id="o-2")) == "exposure:x"
    enclave.judged(close(filled="2"))
    # Long 2 now: 5 may be sold in all, 1 more bought.
    assert enclave.rule(order(quantity="2.001", side=SELL, client_order_id="s-2")) == "exposure:x"
    assert enclave.rule(order(quantity="2", side=SELL, client_order_id="s-2")) == ALLOWED
    assert enclave.rule(order(quantity="1.001", client_order_id="o-2")) == "exposure:x"
    assert enclave.rule(order(quantity="1", client_order_id="o-2")) == ALLOWED


def test_a_quote_quantity_reserves_what_it_could_buy_at_the_lowest_price() -> None:
    enclave = ready(with_account(exposures=[exposure(max_quantity="10")]))
    # 100.01 at 10 buy 10.001.
    assert enclave.rule(market(quantity=None, quote_quantity="100.01")) == "exposure:x"
    assert enclave.rule(market(quantity=None, quote_quantity="100")) == ALLOWED
    assert book(enclave).leg().open_buys == 10 * 10**18


def test_legs_of_a_hedged_account_do_not_make_up_for_each_other() -> None:
    swap = "BTC/USDT:USDT"
    document = policy(
        account(
            margin_mode="cross",
            hedged=True,
            instruments=[instrument(swap)],
            grants=[grant(symbols=[swap])],
            limits=[limit(symbols=[swap])],
            exposures=[exposure(symbol=swap, max_quantity="10")],
        )
    )
    enclave = ready(document)
    long, short = intent_pb2.POSITION_SIDE_LONG, intent_pb2.POSITION_SIDE_SHORT
    assert enclave.rule(order(symbol=swap, quantity="6", position_side=long)) == ALLOWED
    sold = {"symbol": swap, "side": SELL, "position_side": short, "client_order_id": "s"}
    assert enclave.rule(order(**sold, quantity="4.001")) == "exposure:x"
    assert enclave.rule(order(**sold, quantity="4")) == ALLOWED


def test_while_a_signature_that_counts_twice_lives_a_close_keeps_the_other_use_reserved() -> None:
    document = with_account(accept=["replayable"], count_uses=2, exposures=[exposure(max_quantity="4")])
    enclave = ready(document, tiny(uses=2))
    assert enclave.rule(order(quantity="2")) == ALLOWED
    assert enclave.rule(close()) == "order_closed"
    assert book(enclave).leg().open_buys == 2 * 10**18
    enclave.later(seconds=21)
    late = {"valid_until": START + 30 * SECOND}
    enclave.judged(order(quantity="0.001", client_order_id="o-2", **late))
    assert book(enclave).leg().open_buys == 2 * 10**15


# --- what a reload keeps


def reload(enclave: Enclave, version: int = 2, **changes: Any) -> None:
    reply = enclave.load(policy(account(**changes), version=version))
    assert reply.WhichOneof("answer") == "loaded", reply.not_judged.message


def test_a_reload_keeps_the_rings_of_limits_that_stay() -> None:
    enclave = ready(with_account(limits=[limit(max_notional="150")]))
    enclave.judged(order())
    reload(enclave, limits=[limit(max_notional="199")])
    assert enclave.rule(order(client_order_id="o-2")) == "limit:day"
    reload(enclave, 3, limits=[limit(max_notional="200")])
    assert enclave.rule(order(client_order_id="o-2")) == ALLOWED


def test_a_new_limit_that_a_longer_one_covers_starts_with_what_that_knows() -> None:
    enclave = ready(with_account(limits=[limit(max_notional="1000")]))
    enclave.judged(order())
    enclave.later(seconds=1800)
    reload(enclave, limits=[limit(max_notional="1000"), limit("hour", window_ms=3_600_000, max_notional="199")])
    now = enclave.clock.now
    assert enclave.rule(order(client_order_id="o-2", valid_until=now + SECOND)) == "limit:hour"
    # The day's slots are 337.5 s long: that late the order may have been.
    enclave.later(seconds=1800 + 338 + 15)
    now = enclave.clock.now
    assert enclave.rule(order(client_order_id="o-2", valid_until=now + SECOND)) == ALLOWED


def test_a_new_limit_that_nothing_covers_starts_full() -> None:
    enclave = ready(with_account(limits=[limit(window_ms=60_000)]))
    enclave.judged(order())
    reload(enclave, limits=[limit(window_ms=120_000)])
    assert enclave.rule(order(client_order_id="o-2")) == "limit:day"
    enclave.later(seconds=121)
    now = enclave.clock.now
    assert enclave.rule(order(client_order_id="o-2", valid_until=now + SECOND)) == ALLOWED


def test_a_new_limit_over_what_was_never_traded_starts_empty() -> None:
    enclave = ready(
        with_account(instruments=[instrument(BTC)], grants=[grant(symbols=[BTC])], limits=[limit(symbols=[BTC])])
    )
    enclave.judged(order())
    reload(enclave, limits=[limit(symbols=[BTC]), limit("eth", symbols=[ETH], max_notional="100")])
    assert enclave.rule(order(symbol=ETH, client_order_id="o-2")) == ALLOWED
    assert enclave.rule(order(client_order_id="o-3")) == ALLOWED


def test_a_limit_that_is_widened_to_a_traded_symbol_starts_full() -> None:
    few = limit("few", symbols=[BTC])
    enclave = ready(with_account(limits=[limit("a", symbols=[ETH], window_ms=1000), few]))
    enclave.judged(order(symbol=ETH))
    reload(enclave, limits=[limit("a", symbols=[ETH], window_ms=1000), limit("few", symbols=[BTC, ETH])])
    assert enclave.rule(order(client_order_id="o-2")) == "limit:few"


def test_a_limit_that_is_widened_to_what_was_never_traded_keeps_its_ring() -> None:
    enclave = ready(with_account(limits=[limit("a", symbols=[ETH]), limit("few", symbols=[BTC], max_orders=2)]))
    enclave.judged(order())
    reload(enclave, limits=[limit("a", symbols=[ETH]), limit("few", max_orders=2)])
    assert enclave.rule(order(client_order_id="o-2")) == ALLOWED
    assert enclave.rule(order(client_order_id="o-3")) == "limit:few"


def test_an_exposure_that_a_reload_brings_meets_what_was_signed_before() -> None:
    enclave = ready()
    enclave.judged(order(quantity="3"))
    reload(enclave, exposures=[exposure(max_quantity="3")])
    assert enclave.rule(order(quantity="0.001", client_order_id="o-2")) == "exposure:x"
    enclave.judged(close(filled="1"))
    assert enclave.rule(order(quantity="2", client_order_id="o-2")) == ALLOWED


def test_an_account_that_leaves_and_comes_back_has_forgotten_its_key_and_nothing_else() -> None:
    enclave = ready(with_account(limits=[limit(max_orders=1)]))
    enclave.judged(order())
    assert enclave.load(policy(account("other"), version=2)).loaded.phase == signer_pb2.PHASE_AWAITING_CREDENTIALS
    assert enclave.rule(order()) == "account"
    assert enclave.derived("o-1", CANCEL).not_judged.reason == "NO_RIGHT"
    enclave.load(policy(account(limits=[limit(max_orders=1)]), version=3))
    assert enclave.sign(order()).not_judged.reason == "WRONG_PHASE"
    enclave.provision()
    assert enclave.rule(order()) == "duplicate"
    assert enclave.rule(order(client_order_id="o-2")) == "limit:day"


def test_a_policy_of_another_deployment_is_refused() -> None:
    enclave = ready()
    assert enclave.load(policy(version=2, deployment="elsewhere")).not_judged.field == "deployment"


# --- phases


def test_before_a_policy_only_status_and_load_policy_are_answered() -> None:
    enclave = empty()
    assert enclave.sign(order()).not_judged.reason == "WRONG_PHASE"
    assert enclave.provision().not_judged.reason == "WRONG_PHASE"
    assert enclave.resume().not_judged.reason == "WRONG_PHASE"
    assert enclave.derived("o-1", QUERY).not_judged.reason == "WRONG_PHASE"
    status = enclave.status()
    assert (status.phase, status.policy_version, status.unauthenticated) == (1, 0, True)


def test_an_account_with_a_credential_does_not_wait_for_the_others() -> None:
    enclave = empty()
    enclave.load(policy(account("a"), account("b")))
    enclave.provision("a")
    assert enclave.status().phase == signer_pb2.PHASE_AWAITING_CREDENTIALS
    assert (list(enclave.status().accounts), list(enclave.status().provisioned)) == (["a", "b"], ["a"])
    assert enclave.rule(order(account="a")) == ALLOWED
    waiting = enclave.sign(order(account="b")).not_judged
    assert (waiting.reason, waiting.retry_can_help) == ("WRONG_PHASE", True)


def test_the_status_counts_and_names_the_live_policy() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.rule(order(price="9", client_order_id="o-2"))
    enclave.sign(order(account="?"))
    status = enclave.status()
    assert (status.judged, status.refused, status.policy_version, status.clock) == (2, 1, 1, START)
    assert len(status.policy_digest) == 32


@pytest.mark.parametrize("count", [0, 64])
def test_a_batch_answers_every_intent_in_its_order(count: int) -> None:
    enclave = ready()
    sealed = [
        intent_pb2.SealedIntent(session=b"mm", intent=order(client_order_id=f"o-{n}").SerializeToString())
        for n in range(count)
    ]
    if count:
        sealed[3].intent = b"\xff"
        sealed[4].intent = order(price="9").SerializeToString()
    answers = enclave.call(sign_batch=signer_pb2.SealedBatch(intents=sealed)).judged_batch.answers
    assert len(answers) == count
    for n, answer in enumerate(answers):
        match n:
            case 3:
                assert answer.not_judged.reason == "MALFORMED"
            case 4:
                assert answer.judged.verdict.rule == "band"
            case _:
                assert answer.judged.request.client_order_id == f"o-{n}"


def test_what_is_too_large_is_named() -> None:
    enclave = ready()
    big = intent_pb2.SealedIntent(session=b"mm", intent=bytes(4097))
    assert enclave.call(sign=big).not_judged.reason == "TOO_LARGE"
    many = signer_pb2.SealedBatch(intents=[intent_pb2.SealedIntent()] * 65)
    assert enclave.call(sign_batch=many).not_judged.reason == "TOO_LARGE"
    long = signer_pb2.LoadPolicy(policy=bytes((1 << 20) + 1))
    assert enclave.call(load_policy=long).not_judged.reason == "TOO_LARGE"
    fat = signer_pb2.Provision(account=ACCOUNT, credential=bytes(16_385))
    assert enclave.call(provision=fat).not_judged.reason == "TOO_LARGE"
    reply = signer_pb2.EnclaveReply.FromString(enclave.service.handle(bytes((2 << 20) + 1)))
    assert reply.not_judged.reason == "TOO_LARGE"
