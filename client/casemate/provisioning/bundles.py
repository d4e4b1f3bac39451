"""Bundles: the bytes of ``docs/sealed-keys.md``. Pure: randomness and time are arguments."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cbor2
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from casemate.provisioning.errors import SealError

FORMAT: Final = "casemate.bundle.v1"
CONTENT_FORMAT: Final = "casemate.credential.v1"
PURPOSE: Final = "credential"
KMS: Final = "kms"
DIRECT: Final = "hpke"
NONCE_BYTES: Final = 12
SALT_BYTES: Final = 32
MAX_FILE: Final = 65_536
_ENC_BYTES: Final = 32
_KMS_TAG: Final = b"casemate.bundle.kms.v1\0"
_DIRECT_TAG: Final = b"casemate.bundle.hpke.v1\0"
# RFC 9180, base mode.
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Whose credential: deployment and account as in the policy, its version, and when it was sealed (ms UTC)."""

    deployment: str
    account: str
    version: int
    created: int

    def fields(self) -> dict[str, Any]:
        """Return what every form says of itself."""
        return {
            "deployment": self.deployment,
            "account": self.account,
            "purpose": PURPOSE,
            "version": self.version,
            "created": self.created,
        }

    def context(self) -> dict[str, str]:
        """Return the encryption context of the data key."""
        return {
            "deployment": self.deployment,
            "account": self.account,
            "purpose": PURPOSE,
            "version": str(self.version),
        }


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key of KMS's: 32 bytes in clear, the same wrapped, and the ARN of the key that wrapped it."""

    plaintext: bytes
    wrapped: bytes
    key_id: str

    def __repr__(self) -> str:
        """Show no key."""
        return f"<DataKey of {self.key_id}>"


class Sealed(NamedTuple):
    """What a file says of itself. ``subject`` (SHA-256) is what administrators approve."""

    kind: str
    label: Label
    subject: bytes
    key_id: str = ""


def kms_bundle(label: Label, key: DataKey, credential: bytes, nonce: bytes) -> bytes:
    """Encrypt a credential's canonical bytes under a data key that is used for nothing else."""
    head = {
        "format": FORMAT,
        **label.fields(),
        "sealed": KMS,
        "key_id": key.key_id,
        "context": label.context(),
        "wrapped_key": key.wrapped,
        "nonce": nonce,
    }
    ciphertext = AESGCM(key.plaintext).encrypt(nonce, credential, _KMS_TAG + _encode(head))
    return _encode({**head, "ciphertext": ciphertext})


def content(label: Label, credential: bytes, salt: bytes) -> bytes:
    """Return what is sealed directly, and approved before any boot exists. It holds the credential in clear.

    The 32 random bytes of ``salt`` keep its digest, which is public, from telling anything.
    """
    return _encode({"format": CONTENT_FORMAT, **label.fields(), "salt": salt, "credential": credential})


def direct_bundle(made: bytes, boot: bytes, provision_key: bytes) -> bytes:
    """Seal a content to the provision key of one boot, whose receipt key is ``boot``. Raises SealError."""
    sealed = read(made)
    if sealed.kind != DIRECT:
        message = "not a content to seal directly"
        raise SealError(message)
    head = {
        "format": FORMAT,
        **sealed.label.fields(),
        "sealed": DIRECT,
        "boot": boot,
        "content": sealed.subject,
    }
    both = _SUITE.encrypt(made, X25519PublicKey.from_public_bytes(provision_key), _DIRECT_TAG + _encode(head))
    return _encode({**head, "enc": both[:_ENC_BYTES], "ciphertext": both[_ENC_BYTES:]})


def read(data: bytes) -> Sealed:
    """Read a bundle sealed through KMS, or a content to be sealed directly; raises SealError."""
    try:
        fields = cbor2.loads(data)
        canonical = _encode(fields)
    except (cbor2.CBORError, ValueError, TypeError, EOFError, RecursionError):
        fields, canonical = None, b""
    if canonical != data or not isinstance(fields, dict):
        raise SealError(_NOT_ONE)
    label = _label(fields)
    if fields.get("format") == CONTENT_FORMAT:
        return Sealed(DIRECT, label, hashlib.sha256(data).digest())
    key_id = fields.get("key_id")
    if fields.get("format") != FORMAT or fields.get("sealed") != KMS or not isinstance(key_id, str):
        raise SealError(_NOT_ONE)
    return Sealed(KMS, label, hashlib.sha256(data).digest(), key_id)


_NOT_ONE: Final = "expected a file that `casemate seal` wrote"


def _label(fields: dict[Any, Any]) -> Label:
    match fields:
        case {"deployment": str(deployment), "account": str(account), "purpose": "credential"}:
            version, created = fields.get("version"), fields.get("created")
            if type(version) is int and type(created) is int:
                return Label(deployment=deployment, account=account, version=version, created=created)
        case _:
            pass
    raise SealError(_NOT_ONE)


def _encode(fields: object) -> bytes:
    return cbor2.dumps(fields, canonical=True)
