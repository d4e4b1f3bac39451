"""S1, S4: a credential comes in sealed, approved and newer, or not at all; what cannot be opened ends the boot."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import cbor2
import grpc
import grpc.aio
import pytest

from casemate.attestation import verify
from casemate_mock.nitro import EnvelopeForm
from enclave_signer import __main__ as shipped
from enclave_signer.boot_codes import BootCode
from enclave_signer.closed import NoKeysIn
from enclave_signer.errors import NotApproved
from enclave_signer.nitro.recipients import MOST, RsaRecipients
from enclave_signer.server import Server, serve_until_ended
from signer_api.v1 import signer_pb2
from tests.enclave.enclave_rig import ACCOUNT, START, account, order, policy
from tests.enclave.quorum_rig import quorum_file
from tests.sealed.sealed_rig import (
    ARN,
    CHAIN,
    MEASUREMENTS,
    SECRET,
    Boot,
    KmsSealed,
    content,
    credential,
    direct_sealed,
    fields_of,
    kms_sealed,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OURS: Any = {"root": CHAIN.root, "max_age_ms": 1_000}
NOT_OPENED = ("NOT_OPENED", "bundle")


def given(boot: Boot, sealed: KmsSealed, **options: Any) -> signer_pb2.EnclaveReply:
    return boot.provision(sealed.bundle, boot.envelope(sealed.key), **options)


@pytest.mark.parametrize("form", list(EnvelopeForm))
def test_s4_a_bundle_of_kms_comes_in_by_every_shape_of_envelope(form: EnvelopeForm) -> None:
    boot, sealed = Boot(), kms_sealed()
    reply = boot.provision(sealed.bundle, boot.envelope(sealed.key, form=form))
    assert reply.loaded.phase == signer_pb2.PHASE_READY, reply.not_judged.message
    assert boot.enclave.judged(order()).HasField("request")
    assert not boot.ends


def test_s4_a_bundle_sealed_to_the_boot_comes_in() -> None:
    boot, inner = Boot(), content()
    reply = boot.provision(direct_sealed(inner, boot.boot, boot.key), approved=signed(hashlib.sha256(inner).digest()))
    assert reply.loaded.phase == signer_pb2.PHASE_READY, reply.not_judged.message
    assert boot.enclave.judged(order()).HasField("request")


def test_s1_a_credential_in_clear_is_not_taken_whoever_approves_it() -> None:
    boot, data = Boot(), credential()
    for bundle in (b"", kms_sealed().bundle):
        message = signer_pb2.Provision(
            account=ACCOUNT, credential=data, bundle=bundle, approvals=signed(hashlib.sha256(data).digest())
        )
        refused = boot.enclave.call(provision=message).not_judged
        assert (refused.reason, refused.field) == ("MALFORMED", "credential")
        assert SECRET not in refused.message
    assert boot.phase == signer_pb2.PHASE_AWAITING_CREDENTIALS


def test_a_document_for_kms_carries_a_fresh_key_and_is_verified_as_any_other() -> None:
    boot = Boot(fresh=True)
    asked = signer_pb2.Attest(nonce=b"n" * 16, purpose=signer_pb2.DOCUMENT_PURPOSE_KMS)
    keys = set()
    for _ in range(2):
        document = boot.enclave.call(attest=asked).attested.document
        found = verify(document, at=START // 1_000_000, pcrs={0: MEASUREMENTS[0]}, nonce=b"n" * 16, **OURS)
        keys.add(found.public_key)
    assert len(keys) == 2
    assert None not in keys
    other = boot.enclave.call(attest=signer_pb2.Attest(nonce=b"n" * 16)).attested.document
    assert verify(other, at=START // 1_000_000, pcrs={}, nonce=None, **OURS).public_key is None


def test_a_document_of_no_known_purpose_is_refused() -> None:
    unknown: Any = 7
    assert Boot().enclave.call(attest=signer_pb2.Attest(purpose=unknown)).not_judged.field == "purpose"


# --- before the opening: told for what it is, and the boot goes on


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda s: s.bundle[:-1], "bundle"),
        (lambda s: s.bundle + b"\0", "bundle"),
        (lambda s: fields_of(s.bundle, format="casemate.bundle.v2"), "bundle"),
        (lambda s: fields_of(s.bundle, sealed="none"), "bundle"),
        (lambda s: fields_of(s.bundle, more=1), "bundle"),
        (lambda s: fields_of(s.bundle, key_id=None), "bundle"),
        (lambda s: fields_of(s.bundle, version="1"), "bundle.version"),
        (lambda s: fields_of(s.bundle, version=0), "bundle.version"),
        (lambda s: fields_of(s.bundle, version=True), "bundle.version"),
        (lambda s: fields_of(s.bundle, nonce=bytes(11)), "bundle.nonce"),
        (lambda s: fields_of(s.bundle, wrapped_key=b""), "bundle.wrapped_key"),
        (lambda s: fields_of(s.bundle, ciphertext=bytes(16)), "bundle.ciphertext"),
    ],
)
def test_what_is_no_bundle_is_told_and_ends_nothing(change: Callable[[KmsSealed], bytes], field: str) -> None:
    boot = Boot()
    assert boot.reason(change(kms_sealed()), b"") == ("MALFORMED", field)
    assert not boot.ends


@pytest.mark.parametrize("signers", [(), (0,), (0, 0), (0, 3)])
def test_s4_a_bundle_without_enough_approvals_is_refused_and_ends_nothing(signers: tuple[int, ...]) -> None:
    boot, sealed = Boot(), kms_sealed()
    approved = signed(hashlib.sha256(sealed.bundle).digest(), *signers) if signers else []
    assert boot.reason(sealed.bundle, boot.envelope(sealed.key), approved)[0] == "NOT_APPROVED"
    assert not boot.ends
    # The envelope was not looked at: the same one still opens.
    assert given(boot, sealed).WhichOneof("answer") == "loaded"


def test_s4_approvals_of_one_bundle_are_none_of_another() -> None:
    boot, one, other = Boot(), kms_sealed(), kms_sealed()
    approved = signed(hashlib.sha256(one.bundle).digest())
    assert boot.reason(other.bundle, boot.envelope(other.key), approved)[0] == "NOT_APPROVED"


def test_s4_an_older_bundle_is_refused_although_it_was_approved_once() -> None:
    boot = Boot()
    old, new = kms_sealed(version=1), kms_sealed(version=2)
    approved = signed(hashlib.sha256(new.bundle).digest(), version=2, sequence=2)
    assert given(boot, new, approved=approved).WhichOneof("answer") == "loaded"
    for version, sealed in ((1, old), (2, new)):
        # Whatever number the statement has: the version itself must be newer.
        approved = signed(hashlib.sha256(sealed.bundle).digest(), version=version, sequence=9)
        refused = given(boot, sealed, approved=approved).not_judged
        assert (refused.reason, refused.field) == ("NOT_APPROVED", "version")
    assert not boot.ends


def test_s4_a_bundle_says_the_version_that_was_approved() -> None:
    boot, sealed = Boot(), kms_sealed(version=3)
    approved = signed(hashlib.sha256(sealed.bundle).digest(), version=4)
    assert boot.reason(sealed.bundle, b"", approved) == ("NOT_APPROVED", "approvals[0].version")


def test_s4_a_bundle_of_another_deployment_is_refused_although_approved() -> None:
    boot, sealed = Boot(), kms_sealed(deployment="other")
    assert boot.reason(sealed.bundle, boot.envelope(sealed.key)) == ("BAD_CREDENTIAL", "bundle.deployment")
    statement = signed(hashlib.sha256(sealed.bundle).digest(), deployment="other")
    with pytest.raises(NotApproved):
        boot.quorum.approve_credential(ACCOUNT, 1, hashlib.sha256(sealed.bundle).digest(), statement, START)


def test_s4_a_bundle_goes_to_its_own_account_only() -> None:
    two = policy(account(), account("other"), version=7)
    boot, sealed = Boot(two), kms_sealed()
    assert boot.reason(sealed.bundle, boot.envelope(sealed.key), name="other") == ("BAD_CREDENTIAL", "bundle.account")
    assert not boot.ends


def test_s4_a_bundle_for_another_purpose_is_refused() -> None:
    assert Boot().reason(kms_sealed(purpose="backup").bundle) == ("BAD_CREDENTIAL", "bundle.purpose")


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"deployment": "test", "account": "other", "purpose": "credential", "version": "1"},
        {"deployment": "test", "account": ACCOUNT, "purpose": "credential", "version": "2"},
        {"deployment": "test", "account": ACCOUNT, "purpose": "credential", "version": "1", "more": ""},
        {"deployment": "test", "account": ACCOUNT, "purpose": "credential", "version": 1},
    ],
)
def test_s4_a_data_key_that_is_bound_to_another_context_is_refused(context: dict[str, Any]) -> None:
    boot, sealed = Boot(), kms_sealed(context=context)
    assert boot.reason(sealed.bundle, boot.envelope(sealed.key)) == ("BAD_CREDENTIAL", "bundle.context")
    assert not boot.ends


def test_a_bundle_sealed_to_another_boot_is_told_and_ends_nothing() -> None:
    one, other, inner = Boot(), Boot(), content()
    approved = signed(hashlib.sha256(inner).digest())
    told = one.reason(direct_sealed(inner, other.boot, other.key), approved=approved)
    assert told == ("BAD_CREDENTIAL", "bundle.boot")
    assert not one.ends


@pytest.mark.parametrize(("name", "size"), [("bundle", 32_769), ("envelope", 8_193), ("credential", 16_385)])
def test_what_is_too_large_is_told_before_anything_else(name: str, size: int) -> None:
    message = signer_pb2.Provision(account=ACCOUNT)
    setattr(message, name, bytes(size))
    refused = Boot().enclave.call(provision=message).not_judged
    assert (refused.reason, refused.field) == ("TOO_LARGE", name)


# --- from the opening on: one answer, and the end


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def ways() -> dict[str, Callable[[Boot, KmsSealed], signer_pb2.EnclaveReply]]:
    """Everything that can be wrong from the envelope on. Approvals are right in each."""

    def changed(name: str, value: Any) -> Callable[[Boot, KmsSealed], signer_pb2.EnclaveReply]:
        return lambda boot, sealed: boot.provision(fields_of(sealed.bundle, **{name: value}), boot.envelope(sealed.key))

    def altered(at: float) -> Callable[[Boot, KmsSealed], signer_pb2.EnclaveReply]:
        def way(boot: Boot, sealed: KmsSealed) -> signer_pb2.EnclaveReply:
            envelope = boot.envelope(sealed.key)
            return boot.provision(sealed.bundle, flip(envelope, int(at * len(envelope))))

        return way

    return {
        "no envelope": lambda boot, sealed: boot.provision(sealed.bundle),
        "not an envelope": lambda boot, sealed: boot.provision(sealed.bundle, b"\x30\x03\x02\x01\x00"),
        "an envelope cut short": lambda boot, sealed: boot.provision(sealed.bundle, boot.envelope(sealed.key)[:-1]),
        "an envelope to another key": lambda boot, sealed: boot.provision(
            sealed.bundle, boot.envelope(sealed.key, Boot().public_key())
        ),
        "another data key": lambda boot, sealed: boot.provision(sealed.bundle, boot.envelope(bytes(32))),
        "31 bytes": lambda boot, sealed: boot.provision(sealed.bundle, boot.envelope(sealed.key[:31])),
        "33 bytes": lambda boot, sealed: boot.provision(sealed.bundle, boot.envelope(sealed.key + b"\0")),
        "the credential itself": lambda boot, sealed: boot.provision(sealed.bundle, boot.envelope(credential())),
        "the shape altered": altered(0.05),
        "the encrypted key altered": altered(0.5),
        "the vector altered": altered(0.85),
        "the ciphertext altered": altered(0.95),
        "another wrapped key": changed("wrapped_key", b"wrapped by somebody else's KMS key"),
        "another KMS key": changed("key_id", f"{ARN[:-1]}2"),
        "another nonce": changed("nonce", bytes(12)),
        "another time": changed("created", 8),
        "another bundle's ciphertext": changed("ciphertext", kms_sealed().fields["ciphertext"]),
    }


@pytest.mark.parametrize("way", ways().values(), ids=ways())
def test_s4_what_cannot_be_opened_gives_one_answer_and_ends_the_boot(
    way: Callable[[Boot, KmsSealed], signer_pb2.EnclaveReply],
) -> None:
    boot, sealed = Boot(), kms_sealed()
    reply = way(boot, sealed)
    reply.request_id = 0
    assert reply.SerializeToString() == EXPECTED
    assert boot.ends == [True]
    assert boot.phase == signer_pb2.PHASE_ENDED
    assert boot.enclave.status().ended == "NOT_OPENED"
    # Nothing more is answered, and what was right before is right no more.
    assert boot.enclave.sign(order()).not_judged.reason == "WRONG_PHASE"
    assert boot.enclave.call(attest=signer_pb2.Attest()).not_judged.reason == "WRONG_PHASE"
    assert boot.reason(sealed.bundle, b"") == ("WRONG_PHASE", "provision")


EXPECTED = signer_pb2.EnclaveReply(
    not_judged=signer_pb2.NotJudged(
        reason="NOT_OPENED", field="bundle", message="the bundle could not be opened: this boot has ended"
    )
).SerializeToString()


@pytest.mark.parametrize("at", range(0, 560, 7))
def test_s4_no_corrupted_envelope_tells_more_than_another(at: int) -> None:
    """Shape, encrypted key, vector, padding, content: byte for byte the same answer."""
    boot, sealed = Boot(), kms_sealed()
    envelope = boot.envelope(sealed.key)
    reply = boot.provision(sealed.bundle, flip(envelope, at % len(envelope)))
    reply.request_id = 0
    assert reply.SerializeToString() == EXPECTED
    assert boot.ends == [True]


def test_s4_the_dummy_that_stands_for_a_missing_key_opens_nothing() -> None:
    """A bundle sealed under the dummy itself, and no envelope that opens."""
    for envelope in (b"", b"no envelope"):
        boot, sealed = Boot(), kms_sealed(key=bytes(32))
        assert boot.reason(sealed.bundle, envelope) == NOT_OPENED


def test_s4_anyone_can_encrypt_to_the_enclave_and_it_does_not_help() -> None:
    """The envelope of somebody else is good as an envelope; the bundle inside is not what was approved."""
    boot, approved = Boot(), kms_sealed()
    forged_key = bytes(range(32))
    forged = kms_sealed(credential(apiKey="thief"), forged_key)
    # With the approvals of the right bundle; with none; and the right bundle with the thief's key.
    right = signed(hashlib.sha256(approved.bundle).digest())
    assert boot.reason(forged.bundle, boot.envelope(forged_key), right)[0] == "NOT_APPROVED"
    assert boot.reason(forged.bundle, boot.envelope(forged_key), [])[0] == "NOT_APPROVED"
    assert not boot.ends
    assert boot.reason(approved.bundle, boot.envelope(forged_key), right) == NOT_OPENED


def test_s4_a_documents_key_opens_one_envelope_and_no_second() -> None:
    two = policy(account(), account("other"), version=7)
    boot, public = Boot(two), b""
    sealed = kms_sealed()
    public = boot.public_key()
    assert boot.provision(sealed.bundle, boot.envelope(sealed.key, public)).WhichOneof("answer") == "loaded"
    other = kms_sealed(credential(apiKey="another"), account="other")
    approved = signed(hashlib.sha256(other.bundle).digest(), account="other", sequence=2)
    again = boot.envelope(other.key, public)
    assert boot.reason(other.bundle, again, approved, name="other") == NOT_OPENED
    assert boot.ends == [True]


def test_the_keys_that_wait_for_an_envelope_are_few_and_the_oldest_makes_room() -> None:
    recipients = RsaRecipients()
    publics = [recipients.new() for _ in range(MOST + 1)]
    boot = Boot()
    first, last = (boot.envelope(bytes(range(32)), public) for public in (publics[0], publics[-1]))
    assert recipients.open(first) is None
    assert recipients.open(last) == bytearray(range(32))
    assert repr(recipients) == f"<RsaRecipients {MOST - 1}>"
    assert recipients.open(last) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda b: fields_of(b, ciphertext=flip(_field(b, "ciphertext"), 3)),
        lambda b: fields_of(b, enc=flip(_field(b, "enc"), 3)),
        lambda b: fields_of(b, enc=bytes(32)),
        lambda b: fields_of(b, ciphertext=b""),
        lambda b: fields_of(b, created=8),
    ],
)
def test_s4_a_direct_bundle_that_cannot_be_opened_ends_the_boot_by_the_same_answer(
    change: Callable[[bytes], bytes],
) -> None:
    boot, inner = Boot(), content()
    bundle = change(direct_sealed(inner, boot.boot, boot.key))
    reply = boot.provision(bundle, approved=signed(hashlib.sha256(inner).digest()))
    reply.request_id = 0
    assert reply.SerializeToString() == EXPECTED
    assert boot.ends == [True]


def _field(bundle: bytes, name: str) -> bytes:
    return bytes(cbor2.loads(bundle)[name])


def test_s4_a_direct_bundle_cannot_hold_anything_but_what_was_approved() -> None:
    """Whoever seals is anybody: the digest that the administrators signed decides."""
    boot, approved = Boot(), content()
    subject = hashlib.sha256(approved).digest()
    forged = direct_sealed(content(credential(apiKey="thief")), boot.boot, boot.key, content=subject)
    assert boot.reason(forged, approved=signed(subject)) == NOT_OPENED


@pytest.mark.parametrize(
    "changes",
    [{"account": "other"}, {"version": 2}, {"deployment": "x"}, {"purpose": "x"}, {"format": "x"}, {"credential": "x"}],
)
def test_s4_a_direct_bundle_says_of_itself_what_its_content_says(changes: dict[str, Any]) -> None:
    boot, inner = Boot(), content(**changes)
    outside = {"account": ACCOUNT, "version": 1, "deployment": "test", "purpose": "credential"}
    bundle = direct_sealed(inner, boot.boot, boot.key, **outside)
    assert boot.reason(bundle, approved=signed(hashlib.sha256(inner).digest())) == NOT_OPENED


def test_s4_what_is_sealed_to_the_key_of_another_boot_does_not_open_here() -> None:
    """A host that swaps the keys of two enclaves: the info binds the boot, and the key is another anyway."""
    one, other, inner = Boot(), Boot(), content()
    bundle = direct_sealed(inner, one.boot, other.key)
    assert one.reason(bundle, approved=signed(hashlib.sha256(inner).digest())) == NOT_OPENED


def test_a_fault_of_ours_in_the_opening_is_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    boot, sealed = Boot(), kms_sealed()
    envelope = boot.envelope(sealed.key)

    def broken(_: object) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr("enclave_signer.nitro.recipients.parse_envelope", broken)
    assert boot.reason(sealed.bundle, envelope) == NOT_OPENED


# --- after the opening: what was approved is told for what it is


def test_a_credential_in_a_wrong_format_is_told_and_ends_nothing() -> None:
    boot, sealed = Boot(), kms_sealed(b"not a map")
    assert boot.reason(sealed.bundle, boot.envelope(sealed.key)) == ("BAD_CREDENTIAL", "credential")
    missing = kms_sealed(credential(secret=""))
    assert boot.reason(missing.bundle, boot.envelope(missing.key)) == ("BAD_CREDENTIAL", "secret")
    # Its statement is not used up: sealing again needs no higher number.
    assert given(boot, kms_sealed()).WhichOneof("answer") == "loaded"


def test_s1_one_sealed_credential_is_not_used_for_two_accounts() -> None:
    boot = Boot(policy(account(), account("other"), version=7))
    assert given(boot, kms_sealed()).WhichOneof("answer") == "loaded"
    other = kms_sealed(account="other")
    approved = signed(hashlib.sha256(other.bundle).digest(), account="other", sequence=2)
    told = boot.reason(other.bundle, boot.envelope(other.key), approved, name="other")
    assert told == ("BAD_CREDENTIAL", "apiKey")
    assert not boot.ends


def test_a_bundle_of_an_account_that_the_policy_lacks_is_told() -> None:
    boot, sealed = Boot(), kms_sealed(account="nobody")
    approved = signed(hashlib.sha256(sealed.bundle).digest(), account="nobody")
    told = boot.reason(sealed.bundle, boot.envelope(sealed.key), approved, name="nobody")
    assert told == ("BAD_CREDENTIAL", "account")


def test_s1_the_credential_is_overwritten_once_the_vault_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    boot, seen = Boot(), []
    take = boot.keys_in.take

    class Watched:
        recipient = boot.keys_in.recipient

        def take(self, *arguments: Any) -> Any:
            seen.append(take(*arguments))
            assert SECRET.encode() in seen[-1].credential
            assert SECRET not in repr(seen[-1])
            return seen[-1]

    monkeypatch.setattr(boot.service, "_keys_in", Watched())
    assert given(boot, kms_sealed()).WhichOneof("answer") == "loaded"
    bad = kms_sealed(credential(apiKey="no key"), version=2)
    approved = signed(hashlib.sha256(bad.bundle).digest(), version=2, sequence=2)
    given(boot, bad, approved=approved)
    assert len(seen) == 2
    assert not any(any(key.credential) for key in seen)


# --- rotation


def test_s4_a_venues_key_is_rotated_between_two_orders_and_nothing_is_refused() -> None:
    """The new bundle replaces the key at once; what the old one signed stays good at the venue until its own end."""
    boot = Boot()
    assert given(boot, kms_sealed()).WhichOneof("answer") == "loaded"
    before = boot.enclave.judged(order(client_order_id="before"))
    fields = {"apiKey": "rotated", "secret": "another secret of this account"}
    new = kms_sealed(credential(**fields), version=2)
    approved = signed(hashlib.sha256(new.bundle).digest(), version=2, sequence=2)
    assert given(boot, new, approved=approved).loaded.phase == signer_pb2.PHASE_READY
    after = boot.enclave.judged(order(client_order_id="after"))
    old_site, new_site = boot.venue.sites[-2:]
    for judged, site, other in ((before, old_site, new_site), (after, new_site, old_site)):
        text, signature = judged.request.body, judged.request.headers[0].value
        assert site.key.sign(text).hex() == signature
        assert other.key.sign(text).hex() != signature
    # A repeat returns the identical bytes: the old key's, while they are valid.
    assert boot.enclave.judged(order(client_order_id="before")).request == before.request
    assert boot.enclave.status().refused == 0


# --- the process that ships


def test_s4_the_shipped_enclave_leaves_with_a_code_of_its_own_when_the_boot_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quorum.cbor").write_bytes(quorum_file())
    arguments = ["--listen", f"unix:{tmp_path}/e.sock", "--quorum", str(tmp_path / "quorum.cbor")]

    async def serve(*_: object) -> bool:
        await asyncio.sleep(0)
        return True

    monkeypatch.setattr(shipped, "_serve", serve)
    assert shipped.main(arguments) == BootCode.BUNDLE
    assert "could not be opened" in capsys.readouterr().err


async def test_s4_the_answer_leaves_before_the_server_ends(tmp_path: Path) -> None:
    boot, sealed, ended = Boot(), kms_sealed(), asyncio.Event()
    boot.service._end = ended.set
    server = Server(boot.service.handle, f"unix:{tmp_path}/e.sock")
    serving = asyncio.create_task(serve_until_ended(server, ended))
    approved = signed(hashlib.sha256(sealed.bundle).digest())
    message = signer_pb2.Provision(account=ACCOUNT, bundle=sealed.bundle, envelope=b"no", approvals=approved)
    request = signer_pb2.EnclaveRequest(provision=message).SerializeToString()
    async with grpc.aio.insecure_channel(server.address) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/casemate.signer.v1.Signer/Call")
        assert await call(request, timeout=10, wait_for_ready=True) == EXPECTED
    assert await asyncio.wait_for(serving, 10) is True


def test_s1_an_enclave_without_a_security_module_takes_no_keys_at_all() -> None:
    boot = Boot()
    boot.service._keys_in = NoKeysIn()
    assert boot.reason(kms_sealed().bundle) == ("NO_DOCUMENT", "")
    asked = signer_pb2.Attest(purpose=signer_pb2.DOCUMENT_PURPOSE_KMS)
    assert boot.enclave.call(attest=asked).not_judged.reason == "NO_DOCUMENT"
