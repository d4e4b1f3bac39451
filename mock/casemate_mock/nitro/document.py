"""Writes attestation documents: the payload map in both encodings, COSE_Sign1 (RFC 9052) around it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

if TYPE_CHECKING:
    from collections.abc import Sequence

_ES384: Final = cbor2.dumps({1: -35})
_COORDINATE_BYTES: Final = 48
# The order of P-384's base point (SEC 2, secp384r1).
P384_ORDER: Final = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)


class MapForm(Enum):
    """How the payload map is written: NSMs of 2025 and before, and after."""

    DEFINITE = "definite"
    INDEFINITE = "indefinite"


class SForm(Enum):
    """Which of the two equivalent signatures is written; real NSMs write either."""

    AS_SIGNED = "as signed"
    HIGH = "high"
    LOW = "low"


def encode_payload(fields: Sequence[tuple[str, object]], form: MapForm) -> bytes:
    """Write the fields in the given order; a test may give one twice."""
    body = b"".join(cbor2.dumps(name) + cbor2.dumps(value) for name, value in fields)
    if form is MapForm.INDEFINITE:
        return b"\xbf" + body + b"\xff"
    return bytes([0xA0 | len(fields)]) + body


def sign_document(payload: bytes, key: ec.EllipticCurvePrivateKey, form: SForm = SForm.AS_SIGNED) -> bytes:
    """Wrap the payload in an untagged COSE_Sign1 with ES384."""
    to_be_signed = cbor2.dumps(["Signature1", _ES384, b"", payload])
    r, s = utils.decode_dss_signature(key.sign(to_be_signed, ec.ECDSA(hashes.SHA384())))
    is_high = s > P384_ORDER // 2
    if (form is SForm.HIGH and not is_high) or (form is SForm.LOW and is_high):
        s = P384_ORDER - s
    signature = r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
    return cbor2.dumps([_ES384, {}, payload, signature])
