"""S4: the policy is sealed into PCR16 before any document exists, and documents say what is live."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any, NoReturn

import cbor2
import pytest

from casemate.attestation import AttestationError, verify
from casemate.errors import BadRequest, NotJudged, NotReady
from casemate.session.forms import first_policy_register, read_boot
from casemate_mock.fake_nitro import EverybodyApproves
from casemate_mock.nitro import measure
from enclave_signer import __main__ as shipped
from enclave_signer.admins import read_admins
from enclave_signer.errors import EnclaveError
from enclave_signer.session.boot import REUSE_NS
from enclave_signer.session.facts import read_facts
from enclave_signer.session.sessions import Sessions
from signer_api.v1 import signer_pb2
from tests.enclave.quorum_rig import quorum_file
from tests.session.session_rig import MEASUREMENTS, Rig

if TYPE_CHECKING:
    from casemate.attestation import Attestation
    from enclave_signer.service import Service

NONCE = b"n" * 16


def attested(rig: Rig, nonce: bytes = NONCE) -> Attestation:
    """A verified document."""
    document = rig.ask(attest=signer_pb2.Attest(nonce=nonce)).attested.document
    now = rig.clock.now // 1_000_000
    return verify(
        document, at=now, pcrs={0: MEASUREMENTS[0]}, nonce=nonce or None, max_age_ms=60_000, root=rig.chain.root
    )


def test_s4_no_document_is_issued_before_a_policy_is_live() -> None:
    rig = Rig()
    for call in (
        {"attest": signer_pb2.Attest(nonce=NONCE)},
        {"open_session": signer_pb2.OpenSession(message=bytes(48))},
    ):
        with pytest.raises(NotReady, match="WRONG_PHASE"):
            rig.ask(**call)
    with pytest.raises(NotJudged):
        rig.load_policy(b"\xa0")
    with pytest.raises(NotReady, match="WRONG_PHASE"):
        rig.ask(attest=signer_pb2.Attest())
    assert not rig.nsm.describe_pcr(16).locked


def test_s4_quorum_and_first_policy_are_in_pcr16_and_the_register_is_locked() -> None:
    rig = Rig()
    policy = rig.policy()
    rig.load_policy(policy)
    expected = measure(b"casemate.pcr16.v1\0" + EverybodyApproves.digest + hashlib.sha256(policy).digest())
    assert rig.nsm.describe_pcr(16) == (True, expected)
    assert attested(rig).pcrs[16] == expected
    boot = read_boot(attested(rig).user_data or b"")
    assert first_policy_register(boot.quorum, boot.policy_digest) == expected


def test_s4_a_later_policy_is_in_the_user_data_and_leaves_pcr16_alone() -> None:
    rig = Rig()
    rig.load_policy(rig.policy())
    first = attested(rig)
    second_policy = rig.policy(2)
    rig.load_policy(second_policy)
    second = attested(rig)
    assert second.pcrs[16] == first.pcrs[16]
    before, after = (read_boot(each.user_data or b"") for each in (first, second))
    assert (before.policy_version, after.policy_version) == (1, 2)
    assert after.policy_digest == hashlib.sha256(second_policy).digest()
    assert (after.session_key, after.receipt_key) == (before.session_key, before.receipt_key)
    assert after.session_key == rig.sessions.keys.session_public
    assert after.deployment == "rig"


def test_every_boot_has_keys_of_its_own() -> None:
    keys = {
        key for rig in (Rig(), Rig()) for key in (rig.sessions.keys.session_public, rig.sessions.keys.receipt_public)
    }
    assert len(keys) == 4


def test_a_document_is_handed_out_again_only_for_the_same_nonce_and_while_young() -> None:
    rig = Rig().load()
    first = rig.sessions.attest(NONCE)
    assert rig.sessions.attest(NONCE) is first
    assert rig.sessions.attest(b"m" * 16) != first
    again = rig.sessions.attest(NONCE)
    rig.clock.now += REUSE_NS
    assert rig.sessions.attest(NONCE) != again
    assert attested(rig, b"").nonce is None


@pytest.mark.parametrize("length", [1, 15, 65, 1024])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BadRequest, match="nonce"):
        Rig().load().ask(attest=signer_pb2.Attest(nonce=bytes(length)))


@pytest.mark.parametrize("broken", ["extend_pcr", "lock_pcr"])
def test_s4_a_register_that_cannot_be_locked_means_no_policy_and_no_document(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig()
    with monkeypatch.context() as patch:
        patch.setattr(rig.nsm, broken, _fails)
        with pytest.raises(NotReady, match="NO_DOCUMENT"):
            rig.load_policy(rig.policy())
    # Not tried again: the register could hold anything by now.
    with pytest.raises(NotReady, match="NO_DOCUMENT"):
        rig.load_policy(rig.policy())
    assert rig.ask(status=signer_pb2.StatusRequest()).status.policy_version == 0


def test_a_security_module_that_fails_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().load()
    monkeypatch.setattr(rig.nsm, "attestation", _fails)
    with pytest.raises(NotReady, match="NO_DOCUMENT"):
        rig.ask(attest=signer_pb2.Attest(nonce=NONCE))


def test_a_document_is_renewed_at_80_percent_of_what_its_certificates_have_left() -> None:
    rig = Rig()
    rig.load_policy(rig.policy())
    ends_ms = read_facts(rig.ask(attest=signer_pb2.Attest()).attested.document).ends_ms
    assert ends_ms is not None
    rig.clock.now = (ends_ms - 10_000) * 1_000_000
    first = rig.ask(attest=signer_pb2.Attest()).attested.document
    assert read_facts(first).ends_ms == ends_ms
    rig.clock.now += 7_999_000_000
    assert rig.ask(attest=signer_pb2.Attest()).attested.document == first
    rig.clock.now += 1_000_000
    assert rig.ask(attest=signer_pb2.Attest()).attested.document != first


def test_a_document_of_a_module_without_certificates_is_issued_and_never_handed_out_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    issue = rig.nsm.attestation
    monkeypatch.setattr(rig.nsm, "attestation", lambda **fields: without_certificates(issue(**fields)))
    rig.load_policy(rig.policy())
    first = rig.ask(attest=signer_pb2.Attest()).attested.document
    assert read_facts(first) == (rig.clock.now // 1_000_000, None)
    rig.clock.now += 1_000_000
    second = rig.ask(attest=signer_pb2.Attest()).attested.document
    assert read_facts(second).timestamp_ms == read_facts(first).timestamp_ms + 1
    with pytest.raises(AttestationError):
        now = rig.clock.now // 1_000_000
        verify(second, at=now, pcrs={0: MEASUREMENTS[0]}, nonce=None, max_age_ms=60_000, root=rig.chain.root)


def without_certificates(document: bytes) -> bytes:
    """Put 64 zero bytes in their place, as qemu's module has them."""
    parts = cbor2.loads(document)
    payload = cbor2.loads(parts[2])
    payload["certificate"], payload["cabundle"] = bytes(64), [bytes(64)]
    return cbor2.dumps([parts[0], parts[1], cbor2.dumps(payload), parts[3]])


def _fails(*_: object, **__: object) -> bytes:
    message = "InternalError: as the test asked"
    raise EnclaveError(message)


def test_the_shipped_enclave_says_when_it_has_no_security_module(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> NoReturn:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(shipped, "open_device", missing)
    assert shipped._device() is None
    assert "no sessions, every intent is refused: /dev/nsm: No such file" in capsys.readouterr().err


def test_the_shipped_enclave_wires_its_security_module_to_sessions_clock_and_entropy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nsm = Rig().nsm
    made: list[Service] = []
    seeded: list[object] = []

    class Told(Exception):
        pass

    def listen(handle: Any, *_: object, **__: object) -> NoReturn:
        made.append(handle.__self__)
        raise Told

    monkeypatch.setattr(shipped, "open_device", lambda: nsm)
    monkeypatch.setattr(shipped, "Server", listen)
    monkeypatch.setattr(shipped, "needs_seed", lambda: True)
    monkeypatch.setattr(shipped, "seed", seeded.append)
    # This machine's clock is far from the rig's: nothing may be signed.
    with pytest.raises(Told):
        asyncio.run(shipped._serve("unix:/nowhere", read_admins(quorum_file())))
    (service,) = made
    assert isinstance(service._sessions, Sessions)
    assert service._authenticator is service._sessions
    assert not service._sessions.unauthenticated
    assert service._drift.stops
    assert seeded == [nsm]
