"""Sealed bundles: one account's credential, encrypted, in canonical CBOR. Reads them strictly and opens nothing.

Both kinds have "format", "deployment", "account", "purpose", "version", "created" (milliseconds) and "sealed", and

    kms   "key_id", "context", "wrapped_key", "nonce", "ciphertext": AES-256-GCM under a data key of KMS's
    hpke  "boot", "content", "enc", "ciphertext": HPKE to the provision key of one boot

Every field but the encryption's own output is authenticated by it: ``bound`` is a tag and the rest of the map.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cbor2

from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = "casemate.bundle.v1"
CONTENT_FORMAT: Final = "casemate.credential.v1"
PURPOSE: Final = "credential"
KMS: Final = "kms"
DIRECT: Final = "hpke"
KMS_TAG: Final = b"casemate.bundle.kms.v1\0"
DIRECT_TAG: Final = b"casemate.bundle.hpke.v1\0"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
MAX_WRAPPED_KEY: Final = 6_144
_MOST: Final = (1 << 63) - 1
_COMMON: Final[Mapping[str, type]] = {
    "format": str,
    "deployment": str,
    "account": str,
    "purpose": str,
    "version": int,
    "created": int,
    "sealed": str,
}
_OWN: Final[Mapping[str, Mapping[str, type]]] = {
    KMS: {"key_id": str, "context": dict, "wrapped_key": bytes, "nonce": bytes, "ciphertext": bytes},
    DIRECT: {"boot": bytes, "content": bytes, "enc": bytes, "ciphertext": bytes},
}


class KmsBundle(NamedTuple):
    """Sealed under a data key that KMS hands out only to the enclave."""

    deployment: str
    account: str
    purpose: str
    version: int
    context: Mapping[str, Any]
    nonce: bytes
    ciphertext: bytes
    # Authenticated beside the ciphertext.
    bound: bytes
    # SHA-256 of the whole bundle: what the quorum approves.
    subject: bytes


class DirectBundle(NamedTuple):
    """Sealed to the provision key of one boot."""

    deployment: str
    account: str
    purpose: str
    version: int
    boot: bytes
    # Encapsulated key and ciphertext, as HPKE writes them.
    sealed: bytes
    bound: bytes
    # SHA-256 of what is sealed: what the quorum approves, before any boot exists.
    subject: bytes


def read(data: bytes) -> KmsBundle | DirectBundle:
    """Read a bundle's bytes; raises Malformed."""
    try:
        fields = decode(data)
    except NotCanonical as error:
        raise _no(str(error)) from None
    kind = fields.get("sealed") if isinstance(fields, dict) else None
    own = _OWN.get(kind) if isinstance(kind, str) else None
    if own is None or fields.get("format") != FORMAT:
        raise _no(f"expected a map with format {FORMAT}, sealed by {KMS} or {DIRECT}")
    _check(fields, {**_COMMON, **own})
    return _kms(fields, data) if kind == KMS else _direct(fields)


def expected_context(bundle: KmsBundle) -> dict[str, str]:
    """Return the encryption context that KMS must have bound the data key to."""
    return {
        "deployment": bundle.deployment,
        "account": bundle.account,
        "purpose": bundle.purpose,
        "version": str(bundle.version),
    }


def _kms(fields: dict[str, Any], data: bytes) -> KmsBundle:
    _sized(fields, "nonce", NONCE_BYTES, NONCE_BYTES)
    _sized(fields, "wrapped_key", 1, MAX_WRAPPED_KEY)
    _sized(fields, "ciphertext", TAG_BYTES + 1, len(data))
    return KmsBundle(
        *_named(fields),
        context=fields["context"],
        nonce=fields["nonce"],
        ciphertext=fields["ciphertext"],
        bound=KMS_TAG + _without(fields, "ciphertext"),
        subject=hashlib.sha256(data).digest(),
    )


def _direct(fields: dict[str, Any]) -> DirectBundle:
    for name in ("boot", "content", "enc"):
        _sized(fields, name, KEY_BYTES, KEY_BYTES)
    return DirectBundle(
        *_named(fields),
        boot=fields["boot"],
        sealed=fields["enc"] + fields["ciphertext"],
        bound=DIRECT_TAG + _without(fields, "enc", "ciphertext"),
        subject=fields["content"],
    )


def _named(fields: dict[str, Any]) -> tuple[str, str, str, int]:
    return fields["deployment"], fields["account"], fields["purpose"], fields["version"]


def _check(fields: dict[str, Any], expected: Mapping[str, type]) -> None:
    if fields.keys() != expected.keys():
        raise _no("a field is missing, or there is one too many")
    for name, kind in expected.items():
        if type(fields[name]) is not kind:
            raise _no(f"{name} is of another type", name)
    if not 0 < fields["version"] <= _MOST:
        raise _no("version is a whole number above zero", "version")


def _sized(fields: dict[str, Any], name: str, least: int, most: int) -> None:
    if not least <= len(fields[name]) <= most:
        raise _no(f"{name} has {len(fields[name])} bytes", name)


def _without(fields: dict[str, Any], *names: str) -> bytes:
    return cbor2.dumps({name: value for name, value in fields.items() if name not in names}, canonical=True)


def _no(reason: str, field: str = "") -> Malformed:
    return Malformed(f"bundle: {reason}", field=f"bundle.{field}" if field else "bundle")
