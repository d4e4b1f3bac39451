"""A host that does what it likes to what engines hand over, and to what the enclave answers (S3, S8, S12)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.errors import NotAllowed, NotAttested
from casemate.session.sealer import ATTEST, OPEN
from casemate_mock.nitro import FakeChain
from enclave_signer.session.window import WINDOW
from signer_api.v1 import intent_pb2, signer_pb2
from tests.hostile.stage import (
    ACCOUNT,
    ALT,
    BTC,
    ETH,
    FOREIGN,
    HOSTS,
    HOUR,
    MINUTE,
    OTHER,
    SECOND,
    Boot,
    Clock,
    Stage,
    allowed,
    canonical,
    document,
    named,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.sealing import Step

QUERY, CANCEL = signer_pb2.OPERATION_QUERY, signer_pb2.OPERATION_CANCEL


@pytest.fixture
def stage() -> Stage:
    """A deployment whose one boot is on duty."""
    return Stage()


def copy(sealed: intent_pb2.SealedIntent, **changes: object) -> intent_pb2.SealedIntent:
    made = intent_pb2.SealedIntent()
    made.CopyFrom(sealed)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def judged_so_far(stage: Stage) -> int:
    return stage.boot.status().judged


# --- alters


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
def test_s3_a_host_that_alters_an_intent_gets_nothing_judged(stage: Stage, data: st.DataObject) -> None:
    sealed = stage.engine(alone=True).order()
    before = judged_so_far(stage)
    part = data.draw(st.sampled_from(["session", "intent", "mac"]))
    value = bytearray(getattr(sealed, part))
    how = data.draw(st.sampled_from(["flip", "cut", "add", "double"]))
    if how == "flip":
        value[data.draw(st.integers(0, 999)) % len(value)] ^= data.draw(st.integers(1, 255))
    elif how == "cut":
        del value[data.draw(st.integers(0, 999)) % len(value) :]
    else:
        value += bytes(value) if how == "double" else data.draw(st.binary(min_size=1, max_size=9))
    stage.boot.refused(copy(sealed, **{part: bytes(value)}))
    stage.boot.refused(copy(sealed, counter=sealed.counter + data.draw(st.integers(1, 9))))
    assert judged_so_far(stage) == before
    assert allowed(stage.boot.sign(sealed))


def test_s3_a_host_that_swaps_the_symbol_side_or_size_of_an_order_gets_nothing_judged(stage: Stage) -> None:
    engine = stage.engine()
    sealed = engine.order()
    for change in ({"symbol": ETH}, {"side": intent_pb2.SIDE_SELL}, {"quantity": "9"}, {"account": ALT}):
        intent = intent_pb2.Intent.FromString(sealed.intent)
        for name, value in change.items():
            setattr(intent.order, name, value)
        assert stage.boot.refused(copy(sealed, intent=intent.SerializeToString())) == "mac"
    assert b"create-BTCUSDT-" in stage.boot.sign(sealed).request.body


# --- replays


def test_s3_a_replayed_intent_is_refused_at_once_later_and_in_a_batch(stage: Stage) -> None:
    engine = stage.engine()
    sealed = engine.order()
    assert allowed(stage.boot.sign(sealed))
    assert stage.boot.refused(sealed) == "counter"
    stage.clock.now += 5 * SECOND
    assert stage.boot.refused(sealed) == "counter"
    again = stage.boot.call(sign_batch=signer_pb2.SealedBatch(intents=[sealed, sealed])).judged_batch.answers
    assert [each.WhichOneof("answer") for each in again] == ["not_judged", "not_judged"]


def test_s3_a_replay_is_refused_by_the_next_boot_and_by_a_twin(stage: Stage) -> None:
    sealed = stage.engine().order()
    twin = stage.started()
    assert twin.refused(sealed) == "session"
    assert allowed(stage.boot.sign(sealed))
    assert stage.started().refused(sealed) == "session"


def test_s12_an_order_that_is_handed_over_twice_is_one_order(stage: Stage) -> None:
    engine = stage.engine()
    intent = engine.intent()
    first, second = stage.boot.sign(engine.seal(intent)), stage.boot.sign(engine.seal(intent))
    assert (first.request, second.repeated) == (second.request, True)
    # What it charged, it charged once: a limit of both would show in the checkpoint as two orders.
    assert stage.boot.service._ledger.account(ACCOUNT).windows["day"][0].count == 1


# --- reorders


def test_s3_a_host_that_reorders_gets_each_intent_judged_once_and_in_any_order_the_limits_hold() -> None:
    for order in itertools.permutations(range(4)):
        few = [each | {"max_open_orders": 2} for each in document()["accounts"]]
        stage = Stage(first={"accounts": few})
        boot, engine = stage.boot, stage.engine()
        sealed = [engine.order() for _ in range(4)]
        verdicts = [allowed(boot.sign(sealed[each])) for each in order]
        assert verdicts == [True, True, False, False]
        assert {boot.refused(each) for each in sealed} == {"counter"}


def test_s3_a_host_that_lets_a_cancel_overtake_its_order_gains_no_order(stage: Stage) -> None:
    engine = stage.engine()
    order = engine.order(client_order_id="o-1")
    cancel = engine.other("cancel", client_order_id="o-1")
    assert stage.boot.sign(cancel).request.method == "DELETE"
    assert allowed(stage.boot.sign(order))
    assert stage.boot.refused(cancel) == "counter"


# --- delays


def test_s12_a_host_that_holds_an_order_back_until_it_is_over_gets_a_refusal(stage: Stage) -> None:
    engine = stage.engine()
    sealed = engine.order()
    stage.clock.now += 10 * SECOND
    judged = stage.boot.sign(sealed)
    assert (allowed(judged), judged.verdict.rule) == (False, "max_age")
    assert engine.believes(sealed, judged)


@pytest.mark.parametrize("event", ["window", "policy", "expiry", "reboot"])
def test_s3_a_host_that_holds_an_intent_back_past_its_sessions_end_gets_nothing(stage: Stage, event: str) -> None:
    engine = stage.engine()
    sealed = engine.order(valid_until=stage.clock.now + 50 * SECOND)
    boot = stage.boot
    if event == "window":
        later = [engine.order() for _ in range(WINDOW)]
        assert allowed(boot.sign(later[-1]))
    elif event == "policy":
        assert boot.load(*stage.policy(2)).WhichOneof("answer") == "loaded"
    elif event == "expiry":
        stage.clock.now += HOUR
    else:
        boot = stage.started()
    assert boot.refused(sealed) == ("counter" if event == "window" else "session")


# --- drops


def test_s12_a_host_that_drops_the_answer_has_spent_the_order_and_gets_no_second_one(stage: Stage) -> None:
    engine = stage.engine()
    intent = engine.intent()
    dropped = stage.boot.sign(engine.seal(intent))
    # The engine does not seal again what it handed over. If it did, it would be the same request.
    again = stage.boot.sign(engine.seal(intent))
    assert again.request == dropped.request
    stage.clock.now += 20 * SECOND
    late = stage.boot.sign(engine.seal(intent))
    assert not allowed(late)


def test_s7_a_host_that_drops_the_answer_to_a_halt_has_halted_all_the_same(stage: Stage) -> None:
    engine = stage.engine()
    stage.boot.sign(engine.other("halt", scope=intent_pb2.HALT_SCOPE_ALL))
    assert stage.boot.sign(engine.order()).verdict.rule == "halted"


def test_s12_what_was_created_before_a_session_is_not_signed_under_it(stage: Stage) -> None:
    intent = stage.engine().intent()
    stage.clock.now += SECOND
    # An engine that lost its session and hands the same over again: the host may hold the first copy.
    engine = stage.engine(alone=True)
    judged = stage.boot.sign(engine.seal(intent))
    assert (allowed(judged), judged.verdict.rule) == (False, "session_start")


# --- splices


def test_s3_what_is_sealed_under_one_session_is_nothing_under_another(stage: Stage) -> None:
    sealers = [stage.engine(), stage.engine(), stage.engine(name=OTHER)]
    sealed = [engine.order() for engine in sealers]
    for mine, others in itertools.permutations(range(3), 2):
        spliced = copy(sealed[mine], session=sealed[others].session)
        assert stage.boot.refused(spliced) == "mac"
        assert stage.boot.refused(copy(spliced, mac=sealed[others].mac)) == "mac"
    assert all(allowed(stage.boot.sign(each)) for each in sealed)


def test_s3_the_messages_of_two_handshakes_do_not_make_one_session(stage: Stage) -> None:
    steps: list[Step] = []
    stage.boot.tamper = lambda step: steps.append(step) or step  # type: ignore[func-returns-value,redundant-expr]
    stage.engine()
    mine = [signer_pb2.OpenSession.FromString(step.request) for step in steps if step.method == OPEN]
    stage.boot.tamper = lambda step: step
    # The claim of a handshake that is over, in one that the host began with the same first message.
    begun = stage.boot.ask(open_session=mine[0]).session_opened
    replayed = signer_pb2.OpenSession(handle=begun.handle, message=mine[1].message)
    assert named(stage.boot.call(open_session=replayed))[0] == "NOT_AUTHENTICATED"


def test_s3_an_engine_does_not_speak_for_an_account_that_is_not_its_own(stage: Stage) -> None:
    judged = stage.boot.sign(stage.engine(name=OTHER).order(account=ALT))
    assert (allowed(judged), judged.verdict.rule) == (False, "account")


# --- keys and enclaves of the host's own


def test_s3_the_host_opens_no_session_with_a_key_of_its_own(stage: Stage) -> None:
    with pytest.raises(NotAllowed):
        stage.engine(sign=HOSTS.sign)
    with pytest.raises(NotAllowed):
        stage.engine(name="root")


def hosts_own(boot: Boot, stage: Stage) -> Boot:
    """An enclave of the host's own, in the place of the one that the engine expects."""
    policy, _ = stage.policy()
    boot.service._authority = type("Yes", (), {"digest": b"\1" * 32, "approve_policy": lambda *_: lambda: None})()
    assert boot.load(policy, []).WhichOneof("answer") == "loaded"
    return boot


OWN: dict[str, tuple[Callable[[Clock], Boot], str]] = {
    "another image": (lambda clock: Boot(clock, FOREIGN), "PCR0"),
    "another root": (lambda clock: Boot(clock, chain=FakeChain()), "chain|root|certificate|issuer"),
    "a debug enclave": (lambda clock: Boot(clock, debug=True), "debug"),
    "the image with another quorum": (Boot, "quorum"),
}


@pytest.mark.parametrize("what", OWN)
def test_s3_s8_an_engine_opens_no_session_with_an_enclave_of_the_hosts_own(stage: Stage, what: str) -> None:
    made, reason = OWN[what]
    boot = hosts_own(made(stage.clock), stage)
    with pytest.raises(NotAttested, match=reason):
        stage.engine(boot)


@pytest.mark.parametrize("what", ["another boot's", "an old one", "a foreign one"])
def test_s3_s8_a_document_that_is_not_this_boots_own_opens_nothing(stage: Stage, what: str) -> None:
    asked = signer_pb2.Attest(nonce=bytes(32))
    boots: dict[str, Callable[[], Boot]] = {
        "another boot's": stage.started,
        "an old one": lambda: stage.boot,
        "a foreign one": lambda: hosts_own(Boot(stage.clock, FOREIGN, FakeChain()), stage),
    }
    shown = boots[what]().ask(attest=asked).attested.SerializeToString()
    stage.clock.now += 2 * MINUTE
    honest = stage.boot.carry
    stage.boot.carry = lambda step: shown if step.method == ATTEST else honest(step)  # type: ignore[method-assign]
    with pytest.raises(NotAttested):
        stage.engine()


def test_s3_s8_a_twins_document_with_this_engines_nonce_opens_no_session_here(stage: Stage) -> None:
    twin = stage.started()
    honest = stage.boot.carry
    stage.boot.carry = lambda step: (twin.carry if step.method == ATTEST else honest)(step)  # type: ignore[method-assign]
    with pytest.raises(NotAllowed):
        stage.engine()


def test_s4_an_engine_that_pins_a_policy_version_opens_no_session_under_an_older_one(stage: Stage) -> None:
    assert stage.boot.load(*stage.policy(3)).WhichOneof("answer") == "loaded"
    older = stage.started(1)
    with pytest.raises(NotAttested, match="policy"):
        stage.engine(older, pins=stage.pins(minimum_policy_version=3))


# --- answers


LIES: dict[str, Callable[[signer_pb2.Judged, signer_pb2.Judged], None]] = {
    "a refusal": lambda lie, _: lie.proof.__setattr__(
        "verdict", signer_pb2.Verdict(decision=signer_pb2.DECISION_REFUSE).SerializeToString()
    ),
    "another request": lambda lie, _: lie.proof.__setattr__("request_digest", bytes(32)),
    "no request": lambda lie, _: lie.proof.__setattr__("request_digest", b""),
    "a repeat": lambda lie, _: lie.proof.__setattr__("repeated", True),
    "another receipt": lambda lie, other: lie.__setattr__("receipt", other.receipt),
    "another's whole proof": lambda lie, other: lie.proof.CopyFrom(other.proof),
    "the answer to another": lambda lie, other: lie.CopyFrom(other),
    "no proof": lambda lie, _: lie.ClearField("proof"),
}


@pytest.mark.parametrize("what", LIES)
def test_s3_a_lie_about_an_answer_is_not_believed(stage: Stage, what: str) -> None:
    engine = stage.engine()
    first, second = engine.order(), engine.order()
    told, other = stage.boot.sign(first), stage.boot.sign(second)
    assert engine.believes(first, told)
    lie = signer_pb2.Judged()
    lie.CopyFrom(told)
    LIES[what](lie, other)
    assert not engine.believes(first, lie)


# --- what the host may ask for by itself


def test_s3_the_hosts_own_right_is_to_query_and_cancel_what_was_signed(stage: Stage) -> None:
    engine = stage.engine()
    stage.boot.sign(engine.order(client_order_id="mine"))
    refused = stage.boot.sign(engine.order(client_order_id="too-large", quantity="100000000"))
    assert not allowed(refused)
    for operation in signer_pb2.OPERATION_CREATE, signer_pb2.OPERATION_AMEND, signer_pb2.OPERATION_CANCEL_ALL:
        asked = signer_pb2.DerivedRequest(account=ACCOUNT, client_order_id="mine", operation=operation)
        assert named(stage.boot.call(derived=asked)) == ("NO_RIGHT", "operation")
    for account, name in ((ALT, "mine"), (ACCOUNT, "too-large"), (ACCOUNT, "never-seen")):
        asked = signer_pb2.DerivedRequest(account=account, client_order_id=name, operation=CANCEL)
        assert named(stage.boot.call(derived=asked)) == ("NO_RIGHT", "client_order_id")
    for operation, method in ((QUERY, "GET"), (CANCEL, "DELETE")):
        asked = signer_pb2.DerivedRequest(account=ACCOUNT, client_order_id="mine", operation=operation)
        assert stage.boot.call(derived=asked).judged.request.method == method


def test_s2_instruments_are_the_policys_and_no_hosts(stage: Stage) -> None:
    thin = document(2)
    for account in thin["accounts"]:
        account["instruments"][0]["venue_symbol"] = "THINUSDT"
    engine = stage.engine()
    # Nobody approved it; what approves version 2 of the real one does not approve this one either.
    assert named(stage.boot.load(thin, []))[0] == "NOT_APPROVED"
    assert named(stage.boot.load(thin, stage.policy(2)[1]))[0] == "NOT_APPROVED"
    assert canonical(thin) != canonical(stage.policy(2)[0])
    request = stage.boot.sign(engine.order(symbol=BTC)).request
    assert "create-BTCUSDT-" in request.url
    assert request.symbol == BTC
