"""The primitives by which venues verify: written here on purpose, and nowhere shared with what signs.

Every comparison of a MAC is constant in time; every failure is False, never an exception.
"""

import base64
import binascii
import hashlib
import hmac
from functools import lru_cache
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

Digest = Literal["sha256", "sha512"]

RAW_ED25519_BYTES = 32
P256_COORDINATE_BYTES = 32


def hmac_bytes(secret: bytes, message: bytes, digest: Digest = "sha256") -> bytes:
    """Return the MAC."""
    return hmac.new(secret, message, digest).digest()


def hmac_hex_matches(secret: str, message: bytes, signature: str) -> bool:
    """Whether `signature` is the lower-case hex of HMAC-SHA256 under the secret's text."""
    expected = hmac_bytes(secret.encode(), message).hex()
    return hmac.compare_digest(expected.encode(), signature.encode())


def hmac_base64_matches(secret: bytes, message: bytes, signature: str, digest: Digest = "sha256") -> bool:
    """Whether `signature` is the base64 of the HMAC."""
    expected = base64.b64encode(hmac_bytes(secret, message, digest))
    return hmac.compare_digest(expected, signature.encode())


def sha256(message: bytes) -> bytes:
    """Return the SHA-256 digest."""
    return hashlib.sha256(message).digest()


def decode_base64(text: str) -> bytes | None:
    """Strict base64, None when it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def decode_base64url(text: str) -> bytes | None:
    """Base64url without padding, as JWTs use it; None when it is not."""
    if "=" in text:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def ed25519_matches(public_key: str, message: bytes, signature: bytes | None) -> bool:
    """Whether an Ed25519 signature verifies under a PEM or raw base64 public key."""
    key = load_public_key(public_key)
    if signature is None or not isinstance(key, ed25519.Ed25519PublicKey):
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def es256_matches(public_key: str, message: bytes, signature: bytes | None) -> bool:
    """Whether a JWS ES256 signature (r and s, 32 bytes each) verifies under a PEM public key."""
    key = load_public_key(public_key)
    if signature is None or len(signature) != 2 * P256_COORDINATE_BYTES:
        return False
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    try:
        key.verify(encode_dss_signature(*numbers), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def load_public_key(text: str) -> object:
    """Public key from PEM, or raw base64 for Ed25519. Raises ValueError for anything else."""
    if "-----BEGIN" in text:
        return serialization.load_pem_public_key(text.encode())
    raw = decode_base64(text)
    if raw is None or len(raw) != RAW_ED25519_BYTES:
        message = "a public key is a PEM or the base64 of 32 raw bytes"
        raise ValueError(message)
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)
