"""Every byte form of a session, each behind a domain tag of its own, as ``docs/client-protocol.md`` specifies them."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final, NamedTuple, Protocol

import cbor2

BOOT_FORMAT: Final = "casemate.boot.v1"
SESSION_BYTES: Final = 16
SECRET_BYTES: Final = 32
KEY_BYTES: Final = 32
DIGEST_BYTES: Final = 32
MAX_NAME_BYTES: Final = 64

POLICY_PCR: Final = 16
PCR_TAG: Final = b"casemate.pcr16.v1\0"
PROLOGUE_TAG: Final = b"casemate.session.v1\0"
CLAIM_TAG: Final = b"casemate.session.claim.v1\0"
INTENT_TAG: Final = b"casemate.session.intent.v1\0"
REPLY_TAG: Final = b"casemate.session.reply.v1\0"
RECEIPT_TAG: Final = b"casemate.receipt.v1\0"

_COUNTER: Final = struct.Struct(">Q")
_GRANT: Final = struct.Struct(f">{SESSION_BYTES}s{SECRET_BYTES}sQQ")


class Boot(NamedTuple):
    """What an attested boot says of itself; keys have 32 bytes."""

    deployment: str
    policy_version: int
    policy_digest: bytes
    # SHA-256 of the quorum file in force.
    quorum: bytes
    session_key: bytes
    receipt_key: bytes
    # X25519, to which a credential is sealed directly.
    provision_key: bytes


class Proof(Protocol):
    """What a reply's MAC covers of a ``VerdictProof``."""

    verdict: bytes
    request_digest: bytes
    receipt_digest: bytes
    repeated: bool


class Grant(NamedTuple):
    """What the enclave gave; times in nanoseconds UTC of its own clock."""

    session: bytes
    secret: bytes
    opened_at: int
    expires_at: int

    def __repr__(self) -> str:
        """Show no secret."""
        return f"<Grant {self.session.hex()}>"


def read_boot(user_data: bytes) -> Boot:
    """Read a verified document's user_data; ValueError if it is not a boot's statement. Unknown keys are left alone."""
    try:
        said = cbor2.loads(user_data)
    except (cbor2.CBORDecodeError, UnicodeDecodeError):
        said = None
    if not isinstance(said, dict) or said.get("format") != BOOT_FORMAT:
        message = f"user_data is not a statement of the form {BOOT_FORMAT}"
        raise ValueError(message)
    deployment, version = said.get("deployment"), said.get("policy_version")
    if not isinstance(deployment, str) or type(version) is not int:
        message = "user_data: deployment is a text, policy_version a number"
        raise ValueError(message)
    names = ("policy_digest", "quorum", "session_key", "receipt_key", "provision_key")
    octets = (_octets(said, name) for name in names)
    return Boot(deployment, version, *octets)


def _octets(said: dict[object, object], name: str) -> bytes:
    value = said.get(name)
    if not isinstance(value, bytes) or len(value) != KEY_BYTES:
        message = f"user_data: {name} has {KEY_BYTES} bytes"
        raise ValueError(message)
    return value


def first_policy_register(quorum: bytes, policy: bytes) -> bytes:
    """Return PCR16 of a boot with this quorum and first policy: both by the SHA-256 of their canonical bytes."""
    return hashlib.sha384(bytes(48) + PCR_TAG + quorum + policy).digest()


def prologue(user_data: bytes) -> bytes:
    """Return the handshake's prologue: it fails unless both sides mean the same attested statement."""
    return PROLOGUE_TAG + hashlib.sha256(user_data).digest()


def claim(engine: str, replaces: bytes, *, alone: bool) -> bytes:
    """Return what the engine says of itself, and signs behind CLAIM_TAG and the handshake's hash."""
    return b"".join((bytes((alone,)), replaces.ljust(SESSION_BYTES, b"\0"), engine.encode()))


def read_grant(plain: bytes) -> Grant:
    """Read the enclave's answer; ValueError if it has another length."""
    if len(plain) != _GRANT.size:
        message = f"a grant has {_GRANT.size} bytes, this one {len(plain)}"
        raise ValueError(message)
    return Grant(*_GRANT.unpack(plain))


def keys(secret: bytes, handshake_hash: bytes) -> tuple[bytes, bytes]:
    """Derive the key for intents and the key for replies: HKDF-SHA256 (RFC 5869), salted with the transcript."""
    pseudorandom = hmac.digest(handshake_hash, secret, "sha256")
    # One block of output each.
    intents = hmac.digest(pseudorandom, INTENT_TAG + b"\x01", "sha256")
    return intents, hmac.digest(pseudorandom, REPLY_TAG + b"\x01", "sha256")


def intent_mac(key: bytes, session: bytes, counter: int, intent: bytes) -> bytes:
    """Authenticate an intent's bytes."""
    return hmac.digest(key, b"".join((INTENT_TAG, session, _COUNTER.pack(counter), intent)), "sha256")


def reply_mac(key: bytes, session: bytes, counter: int, proof: Proof) -> bytes:
    """Return the MAC that the enclave's answer must carry; its digests have 32 bytes or none."""
    flags = bytes((proof.repeated, len(proof.request_digest), len(proof.receipt_digest)))
    said = (flags, proof.request_digest, proof.receipt_digest, proof.verdict)
    return hmac.digest(key, b"".join((REPLY_TAG, session, _COUNTER.pack(counter), *said)), "sha256")


def receipt_hash(receipt: bytes) -> bytes:
    """Return a receipt's hash in the chain."""
    return hashlib.sha256(RECEIPT_TAG + receipt).digest()
