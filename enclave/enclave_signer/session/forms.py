"""Every byte form of a session, each behind a domain tag of its own, as ``docs/client-protocol.md`` specifies them."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import cbor2

if TYPE_CHECKING:
    from enclave_signer.policy.model import Policy

BOOT_FORMAT: Final = "casemate.boot.v1"
SESSION_BYTES: Final = 16
SECRET_BYTES: Final = 32
MAC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
MAX_NAME_BYTES: Final = 64

PCR_TAG: Final = b"casemate.pcr16.v1\0"
PROLOGUE_TAG: Final = b"casemate.session.v1\0"
CLAIM_TAG: Final = b"casemate.session.claim.v1\0"
INTENT_TAG: Final = b"casemate.session.intent.v1\0"
REPLY_TAG: Final = b"casemate.session.reply.v1\0"

_ALONE: Final = 0x01
_CLAIM_HEAD: Final = SIGNATURE_BYTES + 1 + SESSION_BYTES
_COUNTER: Final = struct.Struct(">Q")
_GRANT: Final = struct.Struct(f">{SESSION_BYTES}s{SECRET_BYTES}sQQ")


def commitment(policy_digest: bytes) -> bytes:
    """Return what PCR16 is extended with when the first policy of a boot goes live."""
    return PCR_TAG + policy_digest


def user_data(policy: Policy, session_key: bytes, receipt_key: bytes, provision_key: bytes) -> bytes:
    """Return what a document says of this boot: its public keys (32 bytes each) and the live policy."""
    statement = {
        "format": BOOT_FORMAT,
        "deployment": policy.deployment,
        "policy_version": policy.version,
        "policy_digest": policy.digest,
        "session_key": session_key,
        "receipt_key": receipt_key,
        "provision_key": provision_key,
    }
    return cbor2.dumps(statement, canonical=True)


def prologue(statement: bytes) -> bytes:
    """Return the handshake's prologue: it fails unless both sides mean the same attested statement."""
    return PROLOGUE_TAG + hashlib.sha256(statement).digest()


class Claim(NamedTuple):
    """Who the initiator says it is, and its signature. ``signed`` is what the signature has to cover."""

    engine: str
    alone: bool
    replaces: bytes
    signature: bytes
    signed: bytes


def read_claim(plain: bytes, handshake_hash: bytes) -> Claim | None:
    """Read the first message in the channel; None if it is none."""
    signature, rest = plain[:SIGNATURE_BYTES], plain[SIGNATURE_BYTES:]
    name = plain[_CLAIM_HEAD:]
    if not 1 <= len(name) <= MAX_NAME_BYTES or not name.isascii() or rest[0] & ~_ALONE:
        return None
    replaces = rest[1 : 1 + SESSION_BYTES]
    return Claim(name.decode(), bool(rest[0] & _ALONE), replaces, signature, CLAIM_TAG + handshake_hash + rest)


def grant(session: bytes, secret: bytes, opened_at: int, expires_at: int) -> bytes:
    """Return the enclave's answer in the channel; times in nanoseconds UTC."""
    return _GRANT.pack(session, secret, opened_at, expires_at)


def keys(secret: bytes, handshake_hash: bytes) -> tuple[bytes, bytes]:
    """Derive the key for intents and the key for replies: HKDF-SHA256 (RFC 5869), salted with the transcript."""
    pseudorandom = hmac.digest(handshake_hash, secret, "sha256")
    # One block of output each.
    intents = hmac.digest(pseudorandom, INTENT_TAG + b"\x01", "sha256")
    return intents, hmac.digest(pseudorandom, REPLY_TAG + b"\x01", "sha256")


def intent_text(session: bytes, counter: int, intent: bytes) -> bytes:
    """Return what an intent's MAC covers."""
    return b"".join((INTENT_TAG, session, _COUNTER.pack(counter), intent))


def reply_text(
    session: bytes, counter: int, verdict: bytes, request_digest: bytes, receipt_digest: bytes, *, repeated: bool
) -> bytes:
    """Return what a reply's MAC covers; a digest has 32 bytes or none."""
    flags = bytes((repeated, len(request_digest), len(receipt_digest)))
    return b"".join((REPLY_TAG, session, _COUNTER.pack(counter), flags, request_digest, receipt_digest, verdict))
