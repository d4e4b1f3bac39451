"""Credentials of ccxt's field names, for the venues that take one kind of key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enclave_signer.credentials import HmacKey, from_base64, required
from enclave_signer.errors import BadCredential

if TYPE_CHECKING:
    from collections.abc import Mapping


def hmac_key(fields: Mapping[str, str], hash_name: str = "sha256", *, base64_secret: bool = False) -> HmacKey:
    """Make an HMAC key of ``secret``: its UTF-8 bytes, or what its base64 decodes to."""
    secret = required(fields, "secret")
    if "-----BEGIN" in secret:
        message = "secret is a PEM private key, but this venue file signs with an HMAC secret"
        raise BadCredential(message, field="secret")
    return HmacKey(from_base64(secret.strip(), "secret") if base64_secret else _utf8(secret), hash_name)


def _utf8(secret: str) -> bytes:
    try:
        return secret.encode()
    except UnicodeEncodeError:
        message = "secret is not text"
        # Without its cause, whose text would show the secret.
        raise BadCredential(message, field="secret") from None
