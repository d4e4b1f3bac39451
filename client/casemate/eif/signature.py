"""The signature section: PCR0, signed with the key of a certificate that PCR8 measures.

CBOR: an array of one map, "signing_certificate" (PEM) and "signature" (COSE_Sign1, untagged, over {"register_index": 0,
"register_value": PCR0}). Byte strings are arrays of numbers here, because that is how AWS's writer encodes them.
Only the one encoding that it uses is read: what can be written in two ways could be changed without a trace.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any, Final, NamedTuple

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from casemate.eif.errors import EifError, Reason
from casemate.eif.measures import extended

_BYTE: Final = 256
_ALGORITHM: Final = 1
_COSE_PARTS: Final = 4


class _Scheme(NamedTuple):
    """A COSE algorithm (RFC 9053, 2.1), its hash, and the bytes of each half of a signature."""

    algorithm: int
    hashing: hashes.HashAlgorithm
    half: int


_SCHEMES: Final = {
    "secp256r1": _Scheme(-7, hashes.SHA256(), 32),
    "secp384r1": _Scheme(-35, hashes.SHA384(), 48),
    "secp521r1": _Scheme(-36, hashes.SHA512(), 66),
}


class Signer(NamedTuple):
    """A certificate in PEM and its private key."""

    certificate: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Signer:
        """Read two PEM files; raises EifError if they do not belong together."""
        public = _public_key(_certificate(certificate))
        try:
            private = load_pem_private_key(key, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise EifError(Reason.SIGNATURE, "the signing key is no unencrypted PEM key") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != public:
            raise EifError(Reason.SIGNATURE, "the signing key is not that of the certificate")
        return cls(certificate, private)


def sign(signer: Signer, pcr0: bytes) -> bytes:
    """Return the section. The nonce is derived (RFC 6979), so that the same inputs give the same bytes."""
    scheme = _scheme(signer.key.public_key())
    protected, payload = cbor2.dumps({_ALGORITHM: scheme.algorithm}), cbor2.dumps(_statement(pcr0))
    algorithm = ec.ECDSA(scheme.hashing, deterministic_signing=True)
    r, s = utils.decode_dss_signature(signer.key.sign(_signed(protected, payload), algorithm))
    raw = r.to_bytes(scheme.half, "big") + s.to_bytes(scheme.half, "big")
    cose = cbor2.dumps([protected, {}, payload, raw])
    return cbor2.dumps([{"signing_certificate": list(signer.certificate), "signature": list(cose)}])


def pcr8_of(certificate: bytes) -> bytes:
    """Return the register for a certificate in PEM; raises EifError."""
    return extended(hashlib.sha384(_certificate(certificate).public_bytes(Encoding.DER)).digest())


def check(section: bytes, pcr0: bytes) -> bytes:
    """Return PCR8 of a section that signs ``pcr0``; raises EifError."""
    entry = _decoded(section)
    if not isinstance(entry, list) or len(entry) != 1 or not isinstance(entry[0], dict):
        raise EifError(Reason.SIGNATURE, "expected an array of one map")
    if set(entry[0]) != {"signing_certificate", "signature"}:
        raise EifError(Reason.SIGNATURE, 'expected "signing_certificate" and "signature"')
    pem, cose = (_octets(entry[0][name]) for name in ("signing_certificate", "signature"))
    _verify(_public_key(_certificate(pem)), _decoded(cose), pcr0)
    return pcr8_of(pem)


def _verify(key: ec.EllipticCurvePublicKey, cose: Any, pcr0: bytes) -> None:  # noqa: ANN401 - decoded CBOR
    if not isinstance(cose, list) or len(cose) != _COSE_PARTS or cose[1] != {}:
        raise EifError(Reason.SIGNATURE, "not a COSE_Sign1 without unprotected headers")
    protected, _, payload, raw = cose
    scheme = _scheme(key)
    if protected != cbor2.dumps({_ALGORITHM: scheme.algorithm}) or not isinstance(raw, bytes):
        raise EifError(Reason.SIGNATURE, "the algorithm is not that of the certificate's key")
    if len(raw) != 2 * scheme.half:
        raise EifError(Reason.SIGNATURE, f"a signature of {len(raw)} bytes; expected {2 * scheme.half}")
    if payload != cbor2.dumps(_statement(pcr0)):
        raise EifError(Reason.SIGNATURE_WRONG, "another PCR0 was signed than this image's")
    halves = (int.from_bytes(raw[: scheme.half], "big"), int.from_bytes(raw[scheme.half :], "big"))
    try:
        key.verify(utils.encode_dss_signature(*halves), _signed(protected, payload), ec.ECDSA(scheme.hashing))
    except InvalidSignature:
        raise EifError(Reason.SIGNATURE_WRONG, "the certificate's key did not make this signature") from None


def _statement(pcr0: bytes) -> dict[str, Any]:
    return {"register_index": 0, "register_value": list(pcr0)}


def _signed(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, b"", payload])


def _scheme(key: ec.EllipticCurvePublicKey) -> _Scheme:
    if key.curve.name not in _SCHEMES:
        raise EifError(Reason.SIGNATURE, f"a key on {key.curve.name}; expected one of {', '.join(_SCHEMES)}")
    return _SCHEMES[key.curve.name]


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise EifError(Reason.SIGNATURE, "the signing certificate is no PEM certificate") from None


def _public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    try:
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise EifError(Reason.SIGNATURE, "the certificate's key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise EifError(Reason.SIGNATURE, "the certificate's key is not one of an elliptic curve")
    return key


def _octets(value: Any) -> bytes:  # noqa: ANN401 - decoded CBOR
    if not isinstance(value, list) or not all(type(item) is int and 0 <= item < _BYTE for item in value):
        raise EifError(Reason.SIGNATURE, "expected an array of bytes")
    return bytes(value)


def _decoded(raw: bytes) -> Any:  # noqa: ANN401 - decoded CBOR
    stream = BytesIO(raw)
    try:
        value = cbor2.CBORDecoder(stream, max_depth=8).decode()
        # Trailing bytes, long lengths, doubled keys: none comes back the same.
        same = cbor2.dumps(value) == raw
    except Exception:  # noqa: BLE001 - whatever the decoder meets, the section is not in form
        raise EifError(Reason.SIGNATURE, "not CBOR") from None
    if not same:
        raise EifError(Reason.SIGNATURE, "not in the one encoding that is read")
    return value
