"""What is fuzzed: each target takes bytes, and may raise nothing but the errors that its reader documents.

The signature stops every edit of a whole document, so beside ``document`` there are targets that reach further: a
payload that is signed after the fuzzer wrote it, and a certificate by itself.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

import cbor2
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from casemate.attestation import AttestationError, parse, read_document, verify
from casemate.attestation.certificates import load
from casemate.attestation.view import as_json
from casemate.quorum.files import quorum_bytes
from casemate.quorum.statements import Terms, approve, policy_fields
from casemate.session.noise import Initiator
from casemate_mock.nitro import FakeChain, MapForm, encode_payload
from casemate_mock.nitro.envelope import EnvelopeForm, seal_envelope
from casemate_mock.nitro.forge import Forge
from enclave_signer.admins import BadQuorum, read_admins
from enclave_signer.errors import NoDocument, NotApproved
from enclave_signer.nitro import NsmError
from enclave_signer.nitro.cms import EnvelopeError, Recipient, open_envelope
from enclave_signer.nitro.nsm import decode_answer
from enclave_signer.quorum import Quorum
from enclave_signer.session.facts import read_facts
from enclave_signer.session.forms import read_claim
from enclave_signer.session.noise import NoiseError, respond

if TYPE_CHECKING:
    from collections.abc import Callable

_FORGE: Final = Forge(FakeChain())
_DOCUMENTS: Final = tuple(_FORGE.nsm(map_form=form).attestation(nonce=b"nonce", public_key=b"key") for form in MapForm)
_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_PLAINTEXT: Final = bytes(range(32))
_ENVELOPES: Final = tuple(
    seal_envelope(
        _PLAINTEXT,
        Recipient(_KEY).public_key,
        content_key=bytes(range(32, 64)),
        initialisation_vector=bytes(16),
        form=form,
    )
    for form in EnvelopeForm
)
_SIGNATURE_BYTES: Final = 96
_NOW: Final = 1_763_697_600_000_000_000
_ADMIN: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_QUORUM: Final = quorum_bytes("d", 1, [_ADMIN.public_key().public_bytes_raw().hex()])
_ADMINS: Final = read_admins(_QUORUM)
_POLICY: Final = cbor2.dumps({"format": "casemate.policy.v1", "deployment": "d", "version": 1}, canonical=True)
_TERMS: Final = Terms(deployment="d", sequence=1, not_before=_NOW - 1, not_after=_NOW + 1)
_QUORUM_APPROVAL: Final = approve(_ADMIN, "policy", _TERMS, policy_fields(_POLICY))
_STATIC: Final = X25519PrivateKey.from_private_bytes(bytes(range(32)))
_EPHEMERAL: Final = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
_HELLO: Final = Initiator(_STATIC.public_key().public_bytes_raw(), bytes(range(2, 34)), b"prologue").message


class Target(NamedTuple):
    """A function to feed, the inputs to begin with, and the modules whose coverage guides."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    modules: tuple[str, ...]


def _verify(document: bytes) -> None:
    verify(document, at=_FORGE.now_ms, pcrs={}, nonce=None, max_age_ms=None, root=_FORGE.chain.root)


def _document(content: bytes) -> None:
    document = read_document(content)
    with contextlib.suppress(AttestationError):
        as_json(parse(document))
    try:
        _verify(document)
    except AttestationError:
        return
    # Accepted: then all but the optional tag and the form of the signature is a document that was signed.
    signed = {genuine[:-_SIGNATURE_BYTES] for genuine in _DOCUMENTS}
    if document.removeprefix(b"\xd2")[:-_SIGNATURE_BYTES] not in signed:
        message = "a document was accepted that nobody signed"
        raise AssertionError(message)


def _payload(content: bytes) -> None:
    with contextlib.suppress(AttestationError):
        _verify(_FORGE.signed(content))


def _certificate(content: bytes) -> None:
    with contextlib.suppress(AttestationError):
        load(content, "certificate")


def _envelope(content: bytes) -> None:
    with contextlib.suppress(EnvelopeError):
        open_envelope(content, _KEY, length=len(_PLAINTEXT))


def _nsm_answer(content: bytes) -> None:
    with contextlib.suppress(NsmError):
        decode_answer(content)


def _quorum(content: bytes) -> None:
    """Quorum files, approvals, and an approval of a succession by the file itself."""
    with contextlib.suppress(BadQuorum):
        read_admins(content)
    with contextlib.suppress(NotApproved):
        Quorum(_ADMINS, bytes(32)).approve_policy(_POLICY, [content], _NOW)
    with contextlib.suppress(NotApproved):
        Quorum(_ADMINS, bytes(32)).succeed(content, [content], _NOW)


def _claim(content: bytes) -> None:
    claim = read_claim(content, bytes(32))
    if claim is not None and not (claim.signed.endswith(content[64:]) and content.startswith(claim.signature)):
        message = "a claim that says something else than was signed"
        raise AssertionError(message)


def _handshake(content: bytes) -> None:
    with contextlib.suppress(NoiseError):
        respond(_STATIC, _EPHEMERAL, b"prologue", content)


def _facts(content: bytes) -> None:
    with contextlib.suppress(NoDocument):
        read_facts(content)


_VERIFIER: Final = ("casemate.attestation",)
TARGETS: Final = {
    "document": Target(_document, _DOCUMENTS, _VERIFIER),
    "payload": Target(_payload, tuple(encode_payload(_FORGE.fields(), form) for form in MapForm), _VERIFIER),
    "certificate": Target(_certificate, tuple(issued.der for issued in _FORGE.chain.path(_FORGE.now_ms)), _VERIFIER),
    "envelope": Target(_envelope, _ENVELOPES, ("enclave_signer.nitro.cms",)),
    "quorum": Target(
        _quorum,
        (_QUORUM, _QUORUM_APPROVAL),
        ("enclave_signer.admins", "enclave_signer.canonical", "enclave_signer.quorum"),
    ),
    "claim": Target(_claim, (bytes(64) + b"\x01" + bytes(16) + b"mm",), ("enclave_signer.session",)),
    "handshake": Target(_handshake, (_HELLO,), ("enclave_signer.session",)),
    "facts": Target(_facts, _DOCUMENTS, ("enclave_signer.session",)),
    "nsm": Target(_nsm_answer, (b"\xbf\x61a\xa1\x61b\x83\xf4\x19\x01\x00\x42xy\xff",), ("enclave_signer.nitro.nsm",)),
}
