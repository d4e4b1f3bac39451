"""Explanations say what every rule says; a simulation says what the enclave says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave_signer.errors import BadPolicy, Malformed
from enclave_signer.policy.explain import Line, Word, explain
from enclave_signer.policy.simulate import Simulator
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import (
    BTC,
    ENGINE,
    ETH,
    SECOND,
    START,
    account,
    canonical,
    exposure,
    grant,
    limit,
    order,
    plain,
    policy,
    ready,
    tiny,
    with_account,
)

VENUES = {"tiny": tiny()}


def explained(intent: intent_pb2.Intent, document: dict[str, Any] | None = None, engine: str = ENGINE) -> list[Line]:
    data = canonical(document or policy())
    return list(explain(data, engine, intent.SerializeToString(), START, venues=VENUES))


def test_every_rule_says_yes_to_a_good_order_with_its_numbers() -> None:
    lines = explained(order(), with_account(exposures=[exposure()]))
    assert {line.word for line in lines} == {Word.PASS}
    assert [line.rule for line in lines] == [
        "engine",
        "account",
        "halted",
        "duty",
        "max_age",
        "read_only",
        "operation",
        "instrument",
        "denied",
        "precision",
        "band",
        "grant",
        "signature_gaps",
        "validity",
        "client_order_id",
        "duplicate",
        "open_orders_full",
        "limit",
        "exposure",
        "table_full",
        "venue_support",
    ]
    numbers = {line.rule: dict(line.numbers) for line in lines}
    assert numbers["band"] == {"price_min": "10", "price_max": "100"}
    assert numbers["grant"]["notional"] == "100"
    assert numbers["limit"]["charge"] == "100"
    assert numbers["exposure"] == {"name": "x", "worst_case": "1", "limit": "10"}


def test_every_refusal_is_told_and_not_only_the_first() -> None:
    document = with_account(read_only=True, limits=[limit(max_notional="1")], exposures=[exposure(max_quantity="0.1")])
    lines = explained(order(price="9.999", client_order_id="a" * 40), document)
    assert [line.rule for line in lines if line.word is Word.REFUSE] == [
        "read_only",
        "precision",
        "band",
        "client_order_id",
        "limit:day",
        "exposure:x",
    ]


def test_what_an_earlier_rule_found_missing_is_not_asked() -> None:
    lines = explained(order(symbol="XRP/USDT"))
    words = {line.rule: line.word for line in lines}
    assert words["instrument"] is Word.REFUSE
    assert words["band"] is words["grant"] is words["limit"] is Word.NOT_ASKED
    assert [line.rule for line in explained(order(), engine="stranger")] == ["engine"]
    assert [line.rule for line in explained(order(account="b"))] == ["engine", "account"]


@pytest.mark.parametrize(
    ("intent", "last"),
    [
        (plain("cancel", client_order_id="a"), ("validity", Word.PASS)),
        (plain("balances"), ("validity", Word.PASS)),
        (plain("amend", client_order_id="a", quantity="1"), ("unknown_order", Word.REFUSE)),
        (plain("order_closed", client_order_id="a", filled_quantity="1"), ("unknown_order", Word.REFUSE)),
        (plain("halt", scope=1), ("halt", Word.PASS)),
    ],
)
def test_every_kind_of_intent_can_be_explained(intent: intent_pb2.Intent, last: tuple[str, Word]) -> None:
    line = explained(intent)[-1]
    assert (line.rule, line.word) == last


def test_explaining_counts_nothing_and_refuses_what_it_cannot_read() -> None:
    document = with_account(limits=[limit(max_orders=1)])
    assert explained(order(), document) == explained(order(), document)
    with pytest.raises(Malformed):
        explain(canonical(document), ENGINE, b"\xff", START, venues=VENUES)
    with pytest.raises(BadPolicy):
        explain(b"\xff", ENGINE, b"", START, venues=VENUES)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, str, intent_pb2.Intent]]:
    found: list[tuple[int, str, intent_pb2.Intent]] = []
    # Beyond any step back: the enclave has seen its clock once already when its policy was loaded.
    now = START + 100 * SECOND
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.integers(-2, 8)) * SECOND
        times: dict[str, Any] = {"created_at": 0, "valid_until": now + draw(st.integers(-1, 20)) * SECOND}
        name = f"o-{draw(st.integers(0, 6))}"
        quantity = str(draw(st.integers(1, 4)))
        symbol = draw(st.sampled_from([BTC, ETH]))
        side = draw(st.sampled_from([1, 2]))
        intent = draw(
            st.sampled_from(
                [
                    order(
                        client_order_id=name,
                        quantity=quantity,
                        symbol=symbol,
                        side=side,
                        time_in_force=draw(st.integers(1, 3)),
                        **times,
                    ),
                    plain("amend", client_order_id=name, quantity=quantity, symbol=symbol, **times),
                    plain("order_closed", client_order_id=name, filled_quantity=quantity, **times),
                    plain("cancel", client_order_id=name, symbol=symbol, **times),
                    plain("halt", scope=4, symbol=ETH, **times),
                ]
            )
        )
        found.append((now, draw(st.sampled_from([ENGINE, ENGINE, ENGINE, "risk"])), intent))
    return found


@settings(max_examples=150, deadline=None)
@given(histories())
def test_a_simulation_says_what_the_enclave_says(history: list[tuple[int, str, intent_pb2.Intent]]) -> None:
    document = policy(
        account(
            grants=[grant(engines=["mm", "risk"])],
            limits=[limit(), limit("short", window_ms=10_000, max_notional="700", max_orders=5)],
            exposures=[exposure(max_quantity="5")],
            max_open_orders=4,
        ),
        engines=[{"name": "mm", "accounts": ["main"]}, {"name": "risk", "accounts": ["main"]}],
    )
    enclave = ready(document)
    simulator = Simulator(canonical(document), venues=VENUES)
    for now, engine, intent in history:
        enclave.clock.now = now
        real = enclave.judged(intent, engine)
        said = simulator.judge(engine, intent.SerializeToString(), now)
        assert said.allowed is (real.verdict.decision == signer_pb2.DECISION_ALLOW)
        assert said.repeated is real.repeated
        if not real.repeated:
            assert said.rule == real.verdict.rule
            assert dict(said.numbers) == {number.name: number.value for number in real.verdict.numbers}


def test_a_simulation_sees_what_the_venue_declares_that_it_cannot_do() -> None:
    verdict = Simulator(canonical(policy()), venues=VENUES).judge(
        ENGINE, order(position_side=1).SerializeToString(), START
    )
    assert (verdict.allowed, verdict.rule) == (False, "venue_support")
