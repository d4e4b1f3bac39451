"""What is fuzzed: each target takes bytes, and may raise nothing but the errors that its reader documents.

The signature stops every edit of a whole document, so beside ``document`` there are targets that reach further: a
payload that is signed after the fuzzer wrote it, and a certificate by itself.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa

from casemate.attestation import AttestationError, parse, read_document, verify
from casemate.attestation.certificates import load
from casemate.attestation.view import as_json
from casemate_mock.nitro import FakeChain, MapForm, encode_payload
from casemate_mock.nitro.envelope import EnvelopeForm, seal_envelope
from casemate_mock.nitro.forge import Forge
from enclave_signer.nitro import NsmError
from enclave_signer.nitro.cms import EnvelopeError, Recipient, open_envelope
from enclave_signer.nitro.nsm import decode_answer

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


_VERIFIER: Final = ("casemate.attestation",)
TARGETS: Final = {
    "document": Target(_document, _DOCUMENTS, _VERIFIER),
    "payload": Target(_payload, tuple(encode_payload(_FORGE.fields(), form) for form in MapForm), _VERIFIER),
    "certificate": Target(_certificate, tuple(issued.der for issued in _FORGE.chain.path(_FORGE.now_ms)), _VERIFIER),
    "envelope": Target(_envelope, _ENVELOPES, ("enclave_signer.nitro.cms",)),
    "nsm": Target(_nsm_answer, (b"\xbf\x61a\xa1\x61b\x83\xf4\x19\x01\x00\x42xy\xff",), ("enclave_signer.nitro.nsm",)),
}
