"""S3: an intent counts only with a valid MAC over its raw bytes, under a session with the attested enclave."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.calls import Calls
from casemate.errors import NotAllowed, NotAttested, NotJudged, NotReady
from casemate.sealing import Step
from casemate.session.sealer import ATTEST, OPEN
from casemate_mock.nitro import FakeChain
from enclave_signer.session import table
from enclave_signer.session.window import WINDOW
from signer_api.v1 import intent_pb2, signer_pb2
from tests.session.session_rig import HOUR, SECOND, Rig, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

ALLOW = signer_pb2.DECISION_ALLOW


@pytest.fixture
def rig() -> Rig:
    """An enclave with policy and credential."""
    return Rig().load()


def refused(rig: Rig, sealed: intent_pb2.SealedIntent, field: str) -> None:
    """The enclave does not take this intent, and says where it is wrong."""
    with pytest.raises(NotAllowed) as caught:
        rig.sign(sealed)
    assert (caught.value.reason, caught.value.field) == ("NOT_AUTHENTICATED", field)


def test_s3_an_order_under_a_session_is_signed_and_the_answer_is_proven(rig: Rig) -> None:
    sealer = rig.opened()
    sealed = rig.sealed(sealer)
    judged = rig.sign(sealed)
    assert judged.verdict.decision == ALLOW
    assert judged.request.method == "POST"
    assert sealer.proves(sealed.session, sealed.counter, judged.proof, judged.receipt)
    assert signer_pb2.Verdict.FromString(judged.proof.verdict) == judged.verdict
    assert not rig.ask(status=signer_pb2.StatusRequest()).status.unauthenticated


def test_s3_a_batch_is_checked_intent_by_intent(rig: Rig) -> None:
    sealer = rig.opened()
    good, bad, also_good = (rig.sealed(sealer) for _ in range(3))
    bad.mac = bytes(32)
    answers = rig.ask(sign_batch=signer_pb2.SealedBatch(intents=[good, bad, also_good])).judged_batch.answers
    assert [each.WhichOneof("answer") for each in answers] == ["judged", "not_judged", "judged"]
    for sealed, answer in ((good, answers[0]), (also_good, answers[2])):
        assert sealer.proves(sealed.session, sealed.counter, answer.judged.proof, answer.judged.receipt)


def test_s3_an_altered_intent_is_refused_before_it_is_decoded(rig: Rig) -> None:
    sealed = rig.sealed(rig.opened())
    sealed.intent += b"\xff"
    # Not MALFORMED, which is what decoding these bytes says.
    refused(rig, sealed, "mac")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_s3_any_single_changed_byte_of_a_sealed_intent_is_refused(rig: Rig, data: st.DataObject) -> None:
    sealer = rig.opened(alone=True)
    sealed = rig.sealed(sealer)
    part = data.draw(st.sampled_from(["session", "intent", "mac"]))
    value = bytearray(getattr(sealed, part))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    altered = intent_pb2.SealedIntent()
    altered.CopyFrom(sealed)
    setattr(altered, part, bytes(value))
    refused(rig, altered, "session" if part == "session" else "mac")
    altered.CopyFrom(sealed)
    altered.counter ^= 1 << data.draw(st.integers(0, 63))
    refused(rig, altered, "mac")
    assert rig.sign(sealed).verdict.decision == ALLOW


def test_s3_a_replayed_intent_is_refused(rig: Rig) -> None:
    sealed = rig.sealed(rig.opened())
    rig.sign(sealed)
    refused(rig, sealed, "counter")


def test_s3_order_within_the_window_is_free_and_past_it_is_refused(rig: Rig) -> None:
    sealer = rig.opened()
    sealed = [rig.sealed(sealer) for _ in range(WINDOW + 1)]
    rig.sign(sealed[-1])
    refused(rig, sealed[0], "counter")
    assert rig.sign(sealed[1]).verdict.decision == ALLOW
    refused(rig, sealed[1], "counter")


@pytest.mark.parametrize("length", [0, 1, 15, 16, 31, 33])
def test_s3_a_truncated_or_longer_mac_is_refused(rig: Rig, length: int) -> None:
    sealed = rig.sealed(rig.opened())
    sealed.mac = (sealed.mac + b"\0")[:length]
    refused(rig, sealed, "mac")


def test_s3_a_mac_is_spliced_neither_between_sessions_nor_between_engines(rig: Rig) -> None:
    first, second, other = rig.opened(), rig.opened(), rig.opened("other")
    mine = rig.sealed(first)
    for stranger in (second, other):
        spliced = intent_pb2.SealedIntent()
        spliced.CopyFrom(mine)
        spliced.session = rig.sealed(stranger).session
        refused(rig, spliced, "mac")


def test_s3_a_session_belongs_to_the_engine_whose_key_opened_it(rig: Rig) -> None:
    assert rig.sessions.identify(*_parts(rig.sealed(rig.opened("other")))).engine == "other"


def test_s3_an_unknown_session_is_refused(rig: Rig) -> None:
    sealed = rig.sealed(rig.opened())
    for session in (b"", b"mm", bytes(16)):
        sealed.session = session
        refused(rig, sealed, "session")


def test_s3_sessions_end_when_the_policy_changes(rig: Rig) -> None:
    sealer = rig.opened()
    before = rig.sealed(sealer)
    rig.load_policy(rig.policy(2))
    refused(rig, before, "session")
    rig.open(sealer)
    rig.clock.now += SECOND
    assert rig.sign(rig.sealed(sealer)).verdict.decision == ALLOW


def test_s3_a_policy_that_is_not_accepted_ends_no_session(rig: Rig) -> None:
    sealer = rig.opened()
    with pytest.raises(NotJudged):
        rig.load_policy(rig.policy(1))
    assert rig.sign(rig.sealed(sealer)).verdict.decision == ALLOW


def test_s3_a_session_expires(rig: Rig) -> None:
    sealer = rig.opened()
    rig.clock.now += table.SESSION_NS - 1
    assert rig.sign(rig.sealed(sealer)).verdict.decision == ALLOW
    sealed = rig.sealed(sealer)
    rig.clock.now += 1
    refused(rig, sealed, "session")


def test_s3_a_clock_that_goes_back_does_not_revive_a_session(rig: Rig) -> None:
    sealed = rig.sealed(rig.opened())
    rig.clock.now += table.SESSION_NS
    rig.sessions.attest(b"")
    rig.clock.now -= HOUR
    refused(rig, sealed, "session")


def test_s12_an_intent_created_before_its_session_opened_is_refused(rig: Rig) -> None:
    handed_over = Calls(rig.sealer(), rig.clock.now_ns).stamped(rig.order())
    rig.clock.now += SECOND
    sealer = rig.opened()
    sealed = Calls(sealer, rig.clock.now_ns).request(handed_over).sealed
    judged = rig.sign(sealed)
    assert (judged.verdict.decision, judged.verdict.rule) == (signer_pb2.DECISION_REFUSE, "session_start")
    assert not judged.HasField("request")
    # The refusal is the enclave's word as well.
    assert sealer.proves(sealed.session, sealed.counter, judged.proof, judged.receipt)


# --- who opens a session


def test_s3_a_key_that_the_policy_does_not_name_opens_nothing(rig: Rig) -> None:
    with pytest.raises(NotAllowed, match="signature"):
        rig.opened("mm", sign=key_of("other").sign)
    with pytest.raises(NotAllowed, match="engine"):
        rig.opened("nobody")


def test_s3_an_engine_without_a_key_in_the_policy_opens_nothing() -> None:
    rig = Rig()
    rig.load(rig.policy(keyless="mm"))
    with pytest.raises(NotAllowed, match="engine"):
        rig.opened("mm")
    rig.opened("other")


def test_s3_a_key_that_a_new_policy_drops_opens_nothing_more(rig: Rig) -> None:
    rig.opened("other")
    rig.load_policy(rig.policy(2, ("mm",)))
    with pytest.raises(NotAllowed, match="engine"):
        rig.opened("other")


@pytest.mark.parametrize("call", [1, 2])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
def test_s3_any_single_changed_byte_of_a_handshake_message_is_refused(rig: Rig, call: int, data: st.DataObject) -> None:
    def change(step: Step) -> Step:
        asked = signer_pb2.OpenSession.FromString(step.request)
        message = bytearray(asked.message)
        message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
        return Step(
            step.method, signer_pb2.OpenSession(handle=asked.handle, message=bytes(message)).SerializeToString()
        )

    before = len(rig.sessions._table)
    rig.tamper = _only(OPEN, call, change)
    with pytest.raises(NotAllowed, match="message"):
        rig.opened()
    assert len(rig.sessions._table) == before


def test_s3_a_claim_is_worth_nothing_in_another_handshake(rig: Rig) -> None:
    seen: list[signer_pb2.OpenSession] = []
    rig.tamper = _seen(seen)
    rig.opened()
    for handle in (seen[1].handle, bytes(16)):
        with pytest.raises(NotAllowed, match="handle"):
            rig.ask(open_session=signer_pb2.OpenSession(handle=handle, message=seen[1].message))
    fresh = rig.ask(open_session=seen[0]).session_opened
    with pytest.raises(NotAllowed, match="message"):
        rig.ask(open_session=signer_pb2.OpenSession(handle=fresh.handle, message=seen[1].message))
    assert len(rig.sessions._table) == 1


def test_s3_a_handshake_that_takes_too_long_is_forgotten(rig: Rig) -> None:
    def late(step: Step) -> Step:
        rig.clock.now += table.HANDSHAKE_NS
        return step

    rig.tamper = _only(OPEN, 2, late)
    with pytest.raises(NotAllowed, match="handle"):
        rig.opened()


def test_s3_the_handshake_fails_if_the_policy_changes_on_the_way(rig: Rig) -> None:
    def reload(step: Step) -> Step:
        rig.load_policy(rig.policy(2))
        return step

    # Once: the engine verifies a new document and begins again. That one names the new policy.
    rig.tamper = _once(_only(OPEN, 1, reload))
    assert rig.opened().usable()
    versions = iter((3, 4))

    def reload_again(step: Step) -> Step:
        if step.method == OPEN and not signer_pb2.OpenSession.FromString(step.request).handle:
            rig.load_policy(rig.policy(next(versions)))
        return step

    rig.tamper = reload_again
    with pytest.raises(NotAllowed):
        rig.opened()


# --- with whom


@pytest.mark.parametrize(
    ("pins", "why"),
    [
        ({"root": FakeChain().root}, "untrusted_root"),
        ({"pcrs": {0: bytes(47) + b"\1"}}, "pcr_mismatch"),
        ({"pcrs": {0: Rig().measurements[0], 16: bytes(48)}}, "pcr_mismatch"),
        ({"deployment": "elsewhere"}, "deployment"),
        ({"minimum_policy_version": 2}, "version"),
    ],
)
def test_s3_an_engine_opens_no_session_with_another_enclave(rig: Rig, pins: dict[str, Any], why: str) -> None:
    with pytest.raises(NotAttested, match=why):
        rig.opened(pins=rig.pins(**pins))
    assert len(rig.sessions._table) == 0


def test_s8_an_enclave_in_debug_mode_gets_no_session() -> None:
    rig = Rig(debug=True).load()
    with pytest.raises(NotAttested, match="debug_mode"):
        rig.opened(pins=rig.pins(pcrs={0: bytes(48)}))


def test_s8_a_document_of_another_nonce_is_refused(rig: Rig) -> None:
    rig.tamper = _only(
        ATTEST, 1, lambda step: Step(step.method, signer_pb2.Attest(nonce=bytes(32)).SerializeToString())
    )
    with pytest.raises(NotAttested, match="nonce_mismatch"):
        rig.opened()


def test_s8_an_old_document_is_refused(rig: Rig) -> None:
    old = Rig(clock=rig.clock)
    clock = rig.clock.now
    old.load()
    document = old.sessions.attest(bytes(32))
    rig.clock.now += 61 * SECOND
    sealer = rig.sealer(random=bytes)
    opening = sealer.opening()
    next(opening)
    with pytest.raises(NotAttested, match="too_old"):
        opening.send(signer_pb2.Attested(document=document).SerializeToString())
    assert rig.clock.now > clock


def test_s8_a_foreign_enclaves_document_does_not_open_a_session_here(rig: Rig) -> None:
    """The host shows the document of one genuine enclave and leads the handshake to another."""
    other = Rig(clock=rig.clock).load()
    opening = rig.sealer().opening()
    step = opening.send(other.carry(next(opening)))
    with pytest.raises(NotAllowed, match="message"):
        rig.carry(step)


def test_pins_without_the_images_measurement_are_a_mistake(rig: Rig) -> None:
    with pytest.raises(ValueError, match="PCR0"):
        rig.pins(pcrs={8: bytes(48)})


# --- bounds


def test_s10_an_engines_sessions_are_bounded_and_none_is_pushed_out(rig: Rig) -> None:
    first = rig.opened()
    for _ in range(table.MAX_OF_ONE_ENGINE - 1):
        rig.opened()
    with pytest.raises(NotReady, match="SESSIONS_FULL"):
        rig.opened()
    assert rig.sign(rig.sealed(first)).verdict.decision == ALLOW
    rig.opened("other")
    newest = rig.opened(alone=True)
    refused(rig, rig.sealed(first), "session")
    assert rig.sign(rig.sealed(newest)).verdict.decision == ALLOW
    assert len(rig.sessions._table) == 2


def test_s10_all_sessions_are_bounded_and_expired_ones_make_room(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_SESSIONS", 2)
    rig.opened(), rig.opened("other")
    with pytest.raises(NotReady, match="SESSIONS_FULL"):
        rig.opened()
    rig.clock.now += table.SESSION_NS
    rig.opened()


def test_a_session_that_replaces_a_lost_one_takes_its_place(rig: Rig) -> None:
    sealer = rig.opened()
    for _ in range(table.MAX_OF_ONE_ENGINE + 1):
        sealer.lost(rig.sealed(sealer).session)
        rig.open(sealer)
    assert len(rig.sessions._table) == 1
    # Somebody else's session is not replaced.
    other = rig.sealer("other")
    other._lost = rig.sealed(sealer).session
    rig.open(other)
    assert rig.sign(rig.sealed(sealer)).verdict.decision == ALLOW


def test_handshakes_that_nobody_finishes_are_bounded_and_hinder_no_live_session(rig: Rig) -> None:
    sealer = rig.opened()
    seen: list[signer_pb2.OpenSession] = []
    rig.tamper = _seen(seen)
    rig.opened()
    for _ in range(table.MAX_HANDSHAKES + 5):
        rig.ask(open_session=seen[0])
    assert len(rig.sessions._table._handshakes) == table.MAX_HANDSHAKES
    assert rig.sign(rig.sealed(sealer)).verdict.decision == ALLOW


@pytest.mark.parametrize("handle", [b"", b"x" * 16, b"x" * 17])
@pytest.mark.parametrize("message", [b"", b"x", bytes(48), bytes(1024), bytes(1025)])
def test_what_is_no_handshake_message_is_told_so(rig: Rig, handle: bytes, message: bytes) -> None:
    with pytest.raises(NotJudged) as caught:
        rig.ask(open_session=signer_pb2.OpenSession(handle=handle, message=message))
    assert caught.value.reason in {"NOT_AUTHENTICATED", "TOO_LARGE"}


def test_s1_no_key_of_a_session_shows_itself(rig: Rig) -> None:
    sealer = rig.opened()
    (live,) = rig.sessions._table._live.values()
    for shown in (live, rig.sessions, rig.sessions.keys, rig.sessions._table, sealer, sealer._live):
        text = repr(shown)
        for secret in (*_secrets(live), *_secrets(sealer._live)):
            assert secret.hex() not in text
            assert repr(secret)[2:-1] not in text
    for hidden in (live, rig.sessions.keys, sealer._live):
        with pytest.raises(TypeError):
            pickle.dumps(hidden)


# --- answers


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_s3_any_single_change_of_a_proof_is_noticed(rig: Rig, data: st.DataObject) -> None:
    sealer = rig.opened(alone=True)
    sealed = rig.sealed(sealer)
    judged = rig.sign(sealed)
    proof = judged.proof
    octets = ["verdict", "request_digest", "receipt_digest", "reply_mac"]
    part = data.draw(st.sampled_from([*octets, "repeated", "counter"]))
    altered = signer_pb2.VerdictProof()
    altered.CopyFrom(proof)
    if part == "repeated":
        altered.repeated = not proof.repeated
    elif part == "counter":
        altered.counter += data.draw(st.integers(1, 100))
    else:
        value = bytearray(getattr(proof, part))
        value[data.draw(st.integers(0, 10_000)) % len(value)] ^= data.draw(st.integers(1, 255))
        setattr(altered, part, bytes(value))
    assert not sealer.proves(sealed.session, sealed.counter, altered, judged.receipt)
    other = bytearray(judged.receipt)
    # Receipts grow with their numbers: what is drawn must not depend on that.
    other[data.draw(st.integers(0, 10_000)) % len(other)] ^= data.draw(st.integers(1, 255))
    assert not sealer.proves(sealed.session, sealed.counter, proof, bytes(other))
    assert not sealer.proves(sealed.session, sealed.counter, proof, b"")
    assert sealer.proves(sealed.session, sealed.counter, proof, judged.receipt)


def test_s3_the_answer_to_one_intent_does_not_prove_another(rig: Rig) -> None:
    sealer = rig.opened()
    first, second = rig.sealed(sealer), rig.sealed(sealer, quantity="1000")
    yes, no = ((each.proof, each.receipt) for each in (rig.sign(first), rig.sign(second)))
    assert sealer.proves(first.session, first.counter, *yes)
    assert sealer.proves(second.session, second.counter, *no)
    assert not sealer.proves(second.session, second.counter, *yes)
    assert not sealer.proves(first.session, first.counter, *no)
    assert not rig.opened().proves(first.session, first.counter, *yes)
    assert not sealer.proves(first.session, first.counter, signer_pb2.VerdictProof(), b"")


def test_a_repeat_is_proven_as_one(rig: Rig) -> None:
    sealer = rig.opened()
    order = Calls(sealer, rig.clock.now_ns).stamped(rig.order())
    first, again = (Calls(sealer, rig.clock.now_ns).request(order).sealed for _ in range(2))
    once, twice = rig.sign(first), rig.sign(again)
    assert twice.repeated
    assert twice.proof.repeated
    assert twice.request == once.request
    assert not once.proof.repeated
    assert twice.proof.request_digest == once.proof.request_digest
    assert sealer.proves(again.session, again.counter, twice.proof, twice.receipt)


def _parts(sealed: intent_pb2.SealedIntent) -> tuple[bytes, int, bytes, bytes]:
    return sealed.session, sealed.counter, sealed.intent, sealed.mac


def _secrets(session: Any) -> tuple[bytes, bytes]:
    return session._intent_key, session._reply_key


def _only(method: str, number: int, change: Callable[[Step], Step]) -> Callable[[Step], Step]:
    """Change the calls of one method that are the first (1) or the second (2) message of their kind."""

    def tamper(step: Step) -> Step:
        if step.method != method:
            return step
        second = method == OPEN and bool(signer_pb2.OpenSession.FromString(step.request).handle)
        return change(step) if (2 if second else 1) == number else step

    return tamper


def _once(tamper: Callable[[Step], Step]) -> Callable[[Step], Step]:
    """Tamper until a step was changed or refused once."""
    seen: list[Step] = []

    def first(step: Step) -> Step:
        if step.method == OPEN:
            seen.append(step)
        return tamper(step) if len(seen) <= 1 else step

    return first


def _seen(seen: list[signer_pb2.OpenSession]) -> Callable[[Step], Step]:
    """Keep every handshake message."""

    def tamper(step: Step) -> Step:
        if step.method == OPEN:
            seen.append(signer_pb2.OpenSession.FromString(step.request))
        return step

    return tamper
