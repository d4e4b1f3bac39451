"""Signing handles: objects that can sign and can never show their key.

Pure: no store (that is the vault), no clock. Python cannot promise to wipe memory; these classes only make
sure that no repr, format, comparison, pickle or error text of ours carries a key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from enclave_signer.errors import BadCredential

if TYPE_CHECKING:
    from collections.abc import Mapping

_HASHES: Final = ("sha256", "sha384", "sha512")
_SEED_BYTES: Final = 32
_KEYPAIR_BYTES: Final = 64


class _Opaque:
    """Refuses to be shown, copied to bytes or pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        message = "a signing handle cannot be serialised"
        raise TypeError(message)


class HmacKey(_Opaque):
    """An HMAC secret with its hash: sha256, sha384 or sha512 (RFC 2104)."""

    __slots__ = ("_hash", "_secret")

    def __init__(self, secret: bytes, hash_name: str = "sha256") -> None:
        """Take the raw secret bytes; an empty secret or another hash raises BadCredential."""
        if not secret:
            message = "the secret is empty"
            raise BadCredential(message, field="secret")
        if hash_name not in _HASHES:
            message = f"hash must be one of {', '.join(_HASHES)}"
            raise BadCredential(message, field="hash")
        self._secret = secret
        self._hash = hash_name

    def sign(self, message: bytes) -> bytes:
        """Return the raw HMAC of ``message``."""
        return hmac.digest(self._secret, message, self._hash)


class Ed25519Key(_Opaque):
    """An Ed25519 private key (RFC 8032)."""

    __slots__ = ("_key",)

    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        """Use :func:`ed25519_from_text` to make one."""
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""
        return self._key.sign(message)

    def public_bytes(self) -> bytes:
        """Return the 32-byte public key."""
        return self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class EcdsaP256Key(_Opaque):
    """An ECDSA key on P-256 that signs with SHA-256 in JOSE form (RFC 7518, section 3.4)."""

    __slots__ = ("_key",)

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Use :func:`ecdsa_p256_from_pem` to make one."""
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """Return r || s, 64 bytes, of the SHA-256 of ``message``."""
        r, s = utils.decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


SigningKey = HmacKey | Ed25519Key | EcdsaP256Key


class Credential(_Opaque):
    """One account's key at one venue. ``api_key`` and ``passphrase`` travel in clear headers (S1's exceptions)."""

    __slots__ = ("api_key", "key", "passphrase")

    def __init__(self, api_key: str, key: SigningKey, passphrase: str = "") -> None:
        """Check that what goes into a header is printable ASCII."""
        for name, value in (("apiKey", api_key), ("password", passphrase)):
            if not value.isascii() or (value and not value.isprintable()):
                message = f"{name} must be printable ASCII"
                raise BadCredential(message, field=name)
        if " " in api_key:
            # Blanks at its ends are cut off on the way, so that two spellings would be one key.
            message = "apiKey must have no blanks"
            raise BadCredential(message, field="apiKey")
        if not api_key:
            message = "apiKey is empty"
            raise BadCredential(message, field="apiKey")
        self.api_key = api_key
        self.key = key
        self.passphrase = passphrase


def required(fields: Mapping[str, str], name: str) -> str:
    """Return a credential field (ccxt's name), or raise BadCredential naming it."""
    value = fields.get(name, "")
    if not value:
        message = f"{name} is missing"
        raise BadCredential(message, field=name)
    return value


def from_base64(text: str, name: str) -> bytes:
    """Decode standard base64 strictly; the error names the field, never its content."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        message = f"{name} is not valid base64"
        raise BadCredential(message, field=name) from None


def _load_pem(text: str, name: str) -> object:
    try:
        return serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        message = f"{name} is not an unencrypted PEM private key"
        raise BadCredential(message, field=name) from None


def ed25519_from_text(text: str, name: str = "secret") -> Ed25519Key:
    """Make a key of a PKCS#8 PEM, of a base64 32-byte seed, or of a base64 64-byte seed-and-public-key."""
    if "-----BEGIN" in text:
        key = _load_pem(text, name)
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            message = f"{name} is a PEM private key, but not an Ed25519 one"
            raise BadCredential(message, field=name)
        return Ed25519Key(key)
    raw = from_base64(text.strip(), name)
    if len(raw) not in (_SEED_BYTES, _KEYPAIR_BYTES):
        message = f"{name} must decode to {_SEED_BYTES} or {_KEYPAIR_BYTES} bytes, got {len(raw)}"
        raise BadCredential(message, field=name)
    made = Ed25519Key(ed25519.Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES]))
    if len(raw) == _KEYPAIR_BYTES and raw[_SEED_BYTES:] != made.public_bytes():
        message = f"{name}: the public half does not belong to the private half"
        raise BadCredential(message, field=name)
    return made


def ecdsa_p256_from_pem(text: str, name: str = "secret") -> EcdsaP256Key:
    """Make a key of an unencrypted SEC1 or PKCS#8 PEM on P-256."""
    # Key files often arrive with the two characters "\n" in place of line ends.
    key = _load_pem(text.replace("\\n", "\n"), name)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        message = f"{name} is a PEM private key, but not one on P-256"
        raise BadCredential(message, field=name)
    return EcdsaP256Key(key)


def p256_or_ed25519_from_text(text: str, name: str = "secret") -> EcdsaP256Key | Ed25519Key:
    """Make whichever key the text holds: a PEM on P-256 or of Ed25519, or a base64 Ed25519 key."""
    unescaped = text.replace("\\n", "\n")
    if "-----BEGIN" in text and isinstance(_load_pem(unescaped, name), ec.EllipticCurvePrivateKey):
        return ecdsa_p256_from_pem(text, name)
    return ed25519_from_text(unescaped, name)


def fingerprint(credential: Credential) -> bytes:
    """Identify a credential by its API key, so that one key is not used for two accounts."""
    return hashlib.sha256(credential.api_key.encode()).digest()
