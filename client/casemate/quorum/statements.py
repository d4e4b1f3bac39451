"""Statements and approvals: the bytes that the enclave's quorum counts. ``docs/quorum.md`` is their specification."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from casemate.quorum.errors import QuorumError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT: Final = "casemate.statement.v1"
POLICY: Final = "policy"
CREDENTIAL: Final = "credential"
QUORUM: Final = "quorum"
RESUME: Final = "resume"
HALT: Final = "halt"
GRANT: Final = "grant"
_SIGNATURE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What every statement says: for which deployment, its number, and from when until when (nanoseconds UTC)."""

    deployment: str
    sequence: int
    not_before: int
    not_after: int


def policy_fields(policy: bytes) -> dict[str, Any]:
    """Name a policy in its canonical form; raises QuorumError."""
    return {"subject": hashlib.sha256(policy).hexdigest(), "version": read_policy(policy)["version"]}


def credential_fields(account: str, version: int, subject: bytes) -> dict[str, Any]:
    """Name an account's sealed credential by the SHA-256 of its bundle, or of what a direct one seals."""
    return {"subject": subject.hex(), "account": account, "version": version}


def halt_fields(scope: str, account: str, venue: str, symbol: str) -> dict[str, Any]:
    """Name what an administrator's HALT stops."""
    return {"scope": scope, "account": account, "venue": venue, "symbol": symbol}


def resume_fields(scope: str, account: str, venue: str, symbol: str, *, last: int, boot: str) -> dict[str, Any]:
    """Name a HALT, the newest one (its number) that is to end, and the boot (public key, hexadecimal)."""
    return {"scope": scope, "account": account, "venue": venue, "symbol": symbol, "last": last, "boot": boot}


def successor_fields(successor: bytes, generation: int, predecessor: bytes) -> dict[str, Any]:
    """Name a quorum's successor and the quorum that it succeeds: both by their canonical files."""
    return {
        "subject": hashlib.sha256(successor).hexdigest(),
        "generation": generation,
        "predecessor": hashlib.sha256(predecessor).hexdigest(),
    }


def grant_fields(statement: bytes) -> dict[str, Any]:
    """Name a duty grant or a retirement: what the quorum signs where no duty daemon does."""
    return {"subject": hashlib.sha256(statement).hexdigest()}


def read_policy(policy: bytes) -> dict[str, Any]:
    """Read a policy in its canonical form; raises QuorumError."""
    try:
        document = cbor2.loads(policy)
        canonical = cbor2.dumps(document, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, EOFError, RecursionError):
        canonical = b""
        document = None
    if canonical != policy or not isinstance(document, dict) or document.get("format") != "casemate.policy.v1":
        message = "not a compiled policy: make one with `casemate policy compile`"
        raise QuorumError(message)
    if not isinstance(document.get("deployment"), str) or not isinstance(document.get("version"), int):
        message = "the policy names no deployment or no version"
        raise QuorumError(message)
    return document


def approve(key: Ed25519PrivateKey, kind: str, terms: Terms, fields: Mapping[str, Any]) -> bytes:
    """Sign one statement; returns the approval, a signature and what it signs."""
    said = {
        "format": FORMAT,
        "kind": kind,
        "deployment": terms.deployment,
        "sequence": terms.sequence,
        "not_before": terms.not_before,
        "not_after": terms.not_after,
        "signer": key.public_key().public_bytes_raw().hex(),
        **fields,
    }
    statement = cbor2.dumps(said, canonical=True)
    return key.sign(_tag(kind) + statement) + statement


def read_approval(approval: bytes) -> dict[str, Any]:
    """Check an approval's signature by the key that it names, and return what it says; raises QuorumError.

    Whether that key is an administrator's is the enclave's business.
    """
    message = "not an approval, or its signature does not fit"
    try:
        said = cbor2.loads(approval[_SIGNATURE:])
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(said["signer"]))
        key.verify(approval[:_SIGNATURE], _tag(said["kind"]) + approval[_SIGNATURE:])
    except (cbor2.CBORError, ValueError, TypeError, KeyError, EOFError, RecursionError, InvalidSignature):
        raise QuorumError(message) from None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise QuorumError(message)
    return said


def _tag(kind: str) -> bytes:
    return f"casemate.approval.{kind}.v1".encode() + b"\0"
