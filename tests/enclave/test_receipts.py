"""S9: every decision enters the chain, and nothing signed leaves without its receipt."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from casemate_mock.fake_nitro import ClearKeys
from enclave_signer.boot import make_boot_key
from enclave_signer.receipts import ALLOWED, PAGE_BYTES, REFUSED, SIGN_EVERY, Chain
from enclave_signer.service import Service
from signer_api.v1 import signer_pb2
from tests.session.session_rig import Clock, Dice, Rig

DIGEST = bytes(range(32))


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.load()
    return rig


def hash_of(receipt: bytes) -> bytes:
    return hashlib.sha256(b"casemate.receipt.v1\0" + receipt).digest()


def page(rig: Rig, start: int = 0, limit: int = 1000) -> signer_pb2.Receipts:
    return rig.ask(receipts=signer_pb2.ReceiptsRequest(from_sequence=start, limit=limit)).receipts


def chain(**options: int) -> Chain:
    return Chain(make_boot_key(Dice()), Clock().now_ns, **options)


def decide(made: Chain, number: int = 1, verdict: int = ALLOWED, **changes: Any) -> bytes:
    fields: dict[str, Any] = {"intent": DIGEST, "request": DIGEST, "charged": "1.5", "counter": number}
    return made.decision(number, "mm", "main", 1, verdict, "grant:trade", **(fields | changes))


def test_s9_every_decision_is_in_the_chain_with_its_intent_verdict_and_request(rig: Rig) -> None:
    sealer = rig.opened()
    good, bad = rig.sealed(sealer), rig.sealed(sealer, quantity="1000000")
    yes, no = rig.sign(good), rig.sign(bad)
    said = [cbor2.loads(receipt) for receipt in page(rig).receipts]
    assert [each["kind"] for each in said] == ["boot", "policy", "credential", "decision", "decision"]
    assert [each["seq"] for each in said] == list(range(5))
    # What the approval is of, which anybody can compute who has it: here the credential itself.
    credential = cbor2.dumps({"apiKey": "k" * 64, "secret": "s" * 64}, canonical=True)
    assert (said[2]["account"], said[2]["digest"]) == ("main", hashlib.sha256(credential).digest())
    allowed, refused = said[3:]
    assert (allowed["verdict"], allowed["rule"]) == (ALLOWED, yes.verdict.rule)
    assert (refused["verdict"], refused["rule"]) == (REFUSED, no.verdict.rule)
    assert allowed["intent"] == hashlib.sha256(good.intent).digest()
    assert allowed["request"] == yes.proof.request_digest
    assert refused["request"] == b""
    assert allowed["counters"] == {"charged": yes.verdict.numbers[0].value, "session": good.counter}
    assert refused["counters"] == {"charged": "0", "session": bad.counter}
    assert (allowed["engine"], allowed["account"], allowed["operation"]) == ("mm", "main", 1)


def test_s9_each_answer_carries_its_own_receipt_and_hangs_on_the_one_before(rig: Rig) -> None:
    sealer = rig.opened()
    sealed = [rig.sealed(sealer, quantity=quantity) for quantity in ("0.5", "1000000", "0.7")]
    one = rig.sign(sealed[0])
    both = rig.ask(sign_batch=signer_pb2.SealedBatch(intents=sealed[1:])).judged_batch.answers
    name = one.request.client_order_id
    derived = rig.ask(
        derived=signer_pb2.DerivedRequest(account="main", client_order_id=name, operation=signer_pb2.OPERATION_QUERY)
    ).judged
    receipts = [one.receipt, *(answer.judged.receipt for answer in both), derived.receipt]
    assert all(receipts)
    previous = hash_of(page(rig).receipts[2])
    for receipt in receipts:
        said = cbor2.loads(receipt)
        assert said["prev"] == previous
        assert cbor2.dumps(said, canonical=True) == receipt
        previous = hash_of(receipt)
    assert [cbor2.loads(receipt)["rule"] for receipt in receipts][-1] == "derived"
    assert cbor2.loads(derived.receipt)["intent"] == b""
    assert list(page(rig, 3).receipts) == receipts


def test_s9_a_repeat_has_a_receipt_that_charges_nothing(rig: Rig) -> None:
    sealer = rig.opened()
    first, second = (rig.sign(rig.sealed(sealer, client_order_id="once")) for _ in range(2))
    assert second.repeated
    one, two = cbor2.loads(first.receipt), cbor2.loads(second.receipt)
    assert (two["request"], two["rule"]) == (one["request"], one["rule"])
    assert two["counters"]["charged"] == "0" != one["counters"]["charged"]


@pytest.mark.parametrize("failing", ["decision", "head"])
def test_s9_s10_without_a_receipt_nothing_signed_leaves(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    sealer = rig.opened()
    made = rig.service._chain

    def fault(*_: object, **__: object) -> bytes:
        message = "disk on fire"
        raise RuntimeError(message)

    monkeypatch.setattr(made, failing, fault)
    if failing == "head":
        made._signed_at = made.sequence - SIGN_EVERY
    request = signer_pb2.EnclaveRequest(request_id=7, sign=rig.sealed(sealer))
    raw = rig.service.handle(request.SerializeToString())
    reply = signer_pb2.EnclaveReply.FromString(raw)
    assert reply.not_judged.reason == "INTERNAL"
    assert b"signature" not in raw
    assert b"fire" not in raw
    batch = signer_pb2.EnclaveRequest(sign_batch=signer_pb2.SealedBatch(intents=[rig.sealed(sealer)]))
    raw = rig.service.handle(batch.SerializeToString())
    assert signer_pb2.EnclaveReply.FromString(raw).judged_batch.answers[0].not_judged.reason == "INTERNAL"
    assert b"signature" not in raw


def test_s9_a_head_is_signed_every_256_decisions_and_goes_with_the_reply(rig: Rig) -> None:
    sealer = rig.opened()
    page(rig)
    heads = []
    for _ in range(SIGN_EVERY + 1):
        reply = rig.ask(sign=rig.sealed(sealer, quantity="1000000"))
        if reply.HasField("head"):
            heads.append(reply.head)
    (head,) = heads
    said = cbor2.loads(head.head)
    key = Ed25519PublicKey.from_public_bytes(rig.sessions.keys.receipt_public)
    key.verify(head.signature, b"casemate.head.v1\0" + head.head)
    assert said["boot"] == rig.sessions.keys.receipt_public
    assert said["deployment"] == "rig"
    (named,) = page(rig, said["seq"], 1).receipts
    assert said["hash"] == hash_of(named)


def test_s9_the_timer_signs_what_is_unsigned_and_the_next_reply_brings_it(rig: Rig) -> None:
    sealer = rig.opened()
    rig.sign(rig.sealed(sealer))
    rig.service.sign_head()
    reply = rig.ask(sign=rig.sealed(sealer))
    assert cbor2.loads(reply.head.head)["seq"] == 3
    rig.service.sign_head()
    rig.service.sign_head()
    status = rig.ask(status=signer_pb2.StatusRequest())
    assert cbor2.loads(status.status.head.head)["seq"] == 4
    assert status.head == status.status.head
    assert not rig.ask(status=signer_pb2.StatusRequest()).HasField("head")


def test_s9_before_a_policy_the_boot_has_its_receipt() -> None:
    service = Service(Clock(), Dice(), Rig().sessions, _Nobody(), ClearKeys(_Nobody()))  # type: ignore[arg-type]
    raw = service.handle(signer_pb2.EnclaveRequest(receipts=signer_pb2.ReceiptsRequest(limit=5)).SerializeToString())
    (boot,) = signer_pb2.EnclaveReply.FromString(raw).receipts.receipts
    said = cbor2.loads(boot)
    assert (said["kind"], said["format"], said["prev"]) == ("boot", "casemate.receipt.v1", bytes(32))


class _Nobody:
    """Approves nothing."""


@given(
    numbers=st.integers(0, (1 << 64) - 1),
    now=st.integers(0, (1 << 63) - 1),
    names=st.tuples(st.text(max_size=300), st.text(max_size=300), st.text(max_size=70)),
    digests=st.tuples(st.sampled_from([b"", DIGEST]), st.sampled_from([b"", DIGEST])),
    verdict=st.sampled_from([ALLOWED, REFUSED]),
    version=st.integers(1, (1 << 64) - 1),
)
def test_the_receipt_written_by_hand_is_what_a_cbor_library_writes(
    numbers: int, now: int, names: tuple[str, str, str], digests: tuple[bytes, bytes], verdict: int, version: int
) -> None:
    made = chain()
    made.policy("d", version, DIGEST)
    previous = made.hash
    engine, account, rule = (name.encode(errors="replace").decode() for name in names)
    receipt = made.decision(
        now, engine, account, 4, verdict, rule, intent=digests[0], request=digests[1], charged="0", counter=numbers
    )
    expected = {
        "seq": 2, "prev": previous, "time": now, "kind": "decision", "engine": engine, "account": account,
        "operation": 4, "intent": digests[0], "verdict": verdict, "rule": rule, "request": digests[1],
        "policy": version, "counters": {"session": numbers, "charged": "0"},
    }  # fmt: skip
    assert receipt == cbor2.dumps(expected, canonical=True)
    assert made.hash == hash_of(receipt)


def test_the_ring_forgets_the_oldest_and_remembers_heads_for_longer() -> None:
    made = chain(ring=8, heads=3)
    known = {made.sequence: made.hash}
    for number in range(20):
        decide(made, number)
        known[made.sequence] = made.hash
        if number % 5 == 0:
            made.head(number)
    assert made.oldest == 13
    assert [cbor2.loads(receipt)["seq"] for receipt in made.page(0, 100)] == list(range(13, 21))
    assert [cbor2.loads(receipt)["seq"] for receipt in made.page(15, 2)] == [15, 16]
    assert made.page(21, 5) == []
    held = {number for number, digest in known.items() if made.holds(number, digest)}
    assert held == {6, 11, 16} | set(range(13, 21))
    assert not any(made.holds(number, DIGEST) for number in range(30))


def test_a_page_is_bounded_whatever_is_asked_for() -> None:
    made = chain()
    for _ in range(2000):
        decide(made, 1, REFUSED, charged="1" * 1500)
    found = made.page(0, (1 << 32) - 1)
    assert 1 < len(found) <= 1024
    assert sum(map(len, found)) <= PAGE_BYTES


def test_a_policys_receipt_that_cannot_be_made_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = chain()
    before = (made.sequence, made.hash)
    monkeypatch.setattr("enclave_signer.receipts.cbor2.dumps", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        made.policy("d", 2, DIGEST)
    assert (made.sequence, made.hash, made._version) == (*before, 0)


def test_s1_no_receipt_or_head_carries_a_secret_or_a_signature(rig: Rig) -> None:
    sealer = rig.opened()
    signed = [rig.sign(rig.sealed(sealer)) for _ in range(5)]
    found = page(rig)
    everything = b"".join((*found.receipts, found.head.head, found.head.signature))
    keys = rig.sessions.keys
    secrets = [keys.receipts._key.private_bytes_raw(), keys.session.private_bytes_raw(), b"s" * 64, b"k" * 64]
    secrets += [each.request.body.rpartition(b"signature=")[2] for each in signed]
    assert all(len(secret) >= 6 for secret in secrets)
    assert not [secret for secret in secrets if secret in everything or secret.hex().encode() in everything]
