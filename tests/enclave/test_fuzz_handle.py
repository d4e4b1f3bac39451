"""Whatever comes in, a decodable reply goes out: never an exception, never a signature for what is not allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import ACCOUNT, BTC, START, empty, order, policy, ready

if TYPE_CHECKING:
    from google.protobuf.message import Message

REASONS = {
    "MALFORMED",
    "TOO_LARGE",
    "NOT_AUTHENTICATED",
    "NOT_APPROVED",
    "WRONG_PHASE",
    "BAD_POLICY",
    "BAD_CREDENTIAL",
    "NO_RIGHT",
}
TEXTS = st.one_of(
    st.sampled_from(
        ["", ACCOUNT, "tiny", BTC, "0", "1", "0.001", "1e400", "NaN", "-1", "1" * 40, "a&b=c", "\0", "ß", "10", "50"]
    ),
    st.text(max_size=12),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, START, START + 10**9, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1)
)


def value_of(field: Any) -> st.SearchStrategy[Any]:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return TEXTS
        case FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=40)
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_ENUM:
            return st.one_of(st.integers(0, 5), st.integers(-(2**31), 2**31 - 1))
        case FieldDescriptor.TYPE_UINT64:
            return st.integers(0, 2**64 - 1)
        case FieldDescriptor.TYPE_INT64:
            return NUMBERS
        case _:
            raise AssertionError(field.full_name)


@st.composite
def message(draw: st.DrawFn, kind: type[Message], base: Message | None = None) -> Message:
    """A message with some fields drawn at random, over a good one where there is one."""
    made = kind()
    if base is not None:
        made.CopyFrom(base)
    for field in made.DESCRIPTOR.fields:
        if not draw(st.integers(0, 3)):
            if field.message_type is not None:
                continue
            if field.is_repeated:
                getattr(made, field.name).extend(draw(st.lists(value_of(field), max_size=3)))
            else:
                setattr(made, field.name, draw(value_of(field)))
    return made


def sealed_intent(made: Message) -> intent_pb2.SealedIntent:
    assert isinstance(made, intent_pb2.SealedIntent)
    return made


@st.composite
def intents(draw: st.DrawFn) -> bytes:
    made = intent_pb2.Intent()
    kind = draw(st.sampled_from([field.name for field in made.DESCRIPTOR.fields]))
    inner = getattr(made, kind)
    inner.SetInParent()
    good = order().order
    for name in inner.DESCRIPTOR.fields_by_name:
        # Mostly good fields, so that the deeper checks are reached as well.
        if name in good.DESCRIPTOR.fields_by_name and draw(st.integers(0, 9)):
            setattr(inner, name, getattr(good, name))
    inner.CopyFrom(draw(message(type(inner), inner)))
    return made.SerializeToString()


def answered(raw: bytes, reply_bytes: bytes) -> None:
    reply = signer_pb2.EnclaveReply.FromString(reply_bytes)
    match reply.WhichOneof("answer"):
        case "not_judged":
            assert reply.not_judged.reason in REASONS, (raw, reply)
            assert reply.not_judged.message
        case "judged":
            judged(reply.judged)
        case "judged_batch":
            for answer in reply.judged_batch.answers:
                if answer.WhichOneof("answer") == "judged":
                    judged(answer.judged)
                else:
                    assert answer.not_judged.reason in REASONS
        case "loaded" | "status":
            pass
        case other:
            raise AssertionError(other)


def judged(answer: signer_pb2.Judged) -> None:
    assert answer.verdict.decision in {signer_pb2.DECISION_ALLOW, signer_pb2.DECISION_REFUSE}
    assert answer.verdict.rule
    assert answer.verdict.rule != "fault"
    if answer.HasField("request"):
        assert answer.verdict.decision == signer_pb2.DECISION_ALLOW


ENCLAVE = ready(policy(max_age_ms=60_000), capacity=100_000)
BARE = empty()
RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@RELAXED
@given(intents())
def test_every_field_of_every_intent_can_be_anything(raw: bytes) -> None:
    request = signer_pb2.EnclaveRequest(sign=intent_pb2.SealedIntent(session=b"mm", intent=raw)).SerializeToString()
    answered(request, ENCLAVE.service.handle(request))


@RELAXED
@given(
    st.one_of(
        message(intent_pb2.SealedIntent).map(lambda each: {"sign": each}),
        st.lists(message(intent_pb2.SealedIntent).map(sealed_intent), max_size=5).map(
            lambda each: {"sign_batch": signer_pb2.SealedBatch(intents=each)}
        ),
        message(signer_pb2.DerivedRequest).map(lambda each: {"derived": each}),
        message(signer_pb2.LoadPolicy).map(lambda each: {"load_policy": each}),
        message(signer_pb2.Provision).map(lambda each: {"provision": each}),
        message(signer_pb2.Resume).map(lambda each: {"resume": each}),
        st.just({"status": signer_pb2.StatusRequest()}),
        st.just({}),
    ),
    st.integers(0, 2**64 - 1),
)
def test_every_field_of_every_call_can_be_anything(call: dict[str, Any], request_id: int) -> None:
    request = signer_pb2.EnclaveRequest(request_id=request_id, **call).SerializeToString()
    for enclave in (ENCLAVE, BARE):
        answered(request, enclave.service.handle(request))
        assert signer_pb2.EnclaveReply.FromString(enclave.service.handle(request)).request_id == request_id


@RELAXED
@given(st.binary(max_size=300))
def test_random_bytes_get_an_answer(request: bytes) -> None:
    answered(request, ENCLAVE.service.handle(request))


@RELAXED
@given(st.data())
def test_a_cut_or_flipped_request_gets_an_answer(data: st.DataObject) -> None:
    sealed = intent_pb2.SealedIntent(session=b"mm", intent=order(client_order_id="f-1").SerializeToString())
    good = signer_pb2.EnclaveRequest(request_id=7, sign=sealed).SerializeToString()
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = good[:at] + bytes([good[at] ^ (1 << data.draw(st.integers(0, 7)))]) + good[at + 1 :]
    for bad in (good[:at], flipped):
        answered(bad, ENCLAVE.service.handle(bad))


@settings(max_examples=10, deadline=None)
@given(st.integers(2 << 20, (2 << 20) + 1000), st.sampled_from([b"\0", b"\xff", b"\x0a"]))
def test_an_oversized_request_gets_an_answer(size: int, fill: bytes) -> None:
    answered(b"", ENCLAVE.service.handle(fill * size))


def test_after_all_of_that_the_enclave_still_signs() -> None:
    fresh = order(client_order_id="after-all")
    sealed = intent_pb2.SealedIntent(session=b"mm", intent=fresh.SerializeToString())
    ENCLAVE.resume()
    reply = ENCLAVE.call(sign=sealed)
    assert reply.judged.verdict.rule == "grant:g", reply
