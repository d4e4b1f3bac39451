"""Reads an attestation document as KMS does: signature, chain, validity, a public key."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COORDINATE: Final = 48
# KMS takes a document for five minutes.
LONGEST_MS: Final = 300_000
_BITS: Final = (2048, 3072, 4096)


class BadDocument(Exception):
    """The document is none, or not good any more; the text says why."""


class Attested(NamedTuple):
    """What is believed of a document."""

    pcrs: Mapping[int, bytes]
    public_key: bytes


def read(document: bytes, root: x509.Certificate, now_ms: int) -> Attested:
    """Verify a document against a root; raises BadDocument."""
    try:
        protected, _, payload, signature = cbor2.loads(document)
        fields: dict[str, Any] = cbor2.loads(payload)
        chain = [x509.load_der_x509_certificate(der) for der in (*fields["cabundle"], fields["certificate"])]
        _check_chain(chain, root, datetime.fromtimestamp(now_ms / 1000, UTC))
        _check_signature(chain[-1], cbor2.dumps(["Signature1", protected, b"", payload]), signature)
        age_ms = now_ms - fields["timestamp"]
        pcrs, public_key = fields["pcrs"], fields["public_key"]
    except BadDocument:
        raise
    except (cbor2.CBORError, InvalidSignature, ValueError, TypeError, KeyError, AttributeError) as error:
        message = f"not an attestation document: {type(error).__name__}"
        raise BadDocument(message) from None
    if age_ms > LONGEST_MS:
        message = "the attestation document is too old"
        raise BadDocument(message)
    _check_public_key(public_key)
    return Attested(pcrs, public_key)


def _check_chain(chain: Sequence[x509.Certificate], root: x509.Certificate, now: datetime) -> None:
    if chain[0] != root:
        message = "the attestation document does not end in the trusted root"
        raise BadDocument(message)
    for issuer, issued in pairwise(chain):
        issued.verify_directly_issued_by(issuer)
    if any(not each.not_valid_before_utc <= now <= each.not_valid_after_utc for each in chain):
        message = "a certificate of the attestation document has expired"
        raise BadDocument(message)


def _check_signature(leaf: x509.Certificate, signed: bytes, signature: bytes) -> None:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 2 * _COORDINATE:
        message = "the attestation document is not signed with ES384"
        raise BadDocument(message)
    r, s = (int.from_bytes(signature[at : at + _COORDINATE], "big") for at in (0, _COORDINATE))
    key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384()))


def _check_public_key(public_key: bytes | None) -> None:
    if not public_key:
        message = "the attestation document has no public key"
        raise BadDocument(message)
    try:
        key = load_der_public_key(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in _BITS:
        message = "the attestation document's public key is not RSA of 2048, 3072 or 4096 bits"
        raise BadDocument(message)
