"""Receipts and heads as bytes, read strictly: whatever is not the one canonical encoding is refused.

``docs/receipts.md`` specifies them; a key that is not known is left alone, so that a newer enclave can add one.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, NamedTuple

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT: Final = "casemate.receipt.v1"
HEAD_FORMAT: Final = "casemate.head.v1"
TAG: Final = b"casemate.receipt.v1\0"
HEAD_TAG: Final = b"casemate.head.v1\0"
GENESIS: Final = bytes(32)
HASH_BYTES: Final = 32
BOOT: Final = "boot"
DECISION: Final = "decision"
POLICY: Final = "policy"
RETIRED: Final = "retired"
ALLOWED: Final = 1
REFUSED: Final = 2
# What an enclave counts has 18 digits on either side; sums and products of them a few more.
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,63})(\.[0-9]{1,64})?", re.ASCII)


class NotAReceipt(ValueError):
    """Bytes that are no receipt, or no head; the text says why."""


class Receipt(NamedTuple):
    """One link of the chain. ``time`` is nanoseconds UTC of the enclave's clock; ``said`` has every key."""

    sequence: int
    previous: bytes
    time: int
    kind: str
    policy: int
    hash: bytes
    said: dict[str, Any]


class Decision(NamedTuple):
    """What a receipt of kind "decision" says; digests have 32 bytes or none, ``charged`` is a decimal."""

    engine: str
    account: str
    operation: int
    verdict: int
    rule: str
    intent: bytes
    request: bytes
    charged: str


class Head(NamedTuple):
    """The newest receipt at some moment, as its boot signed it."""

    deployment: str
    boot: bytes
    sequence: int
    hash: bytes
    time: int
    policy_version: int
    policy_digest: bytes


def receipt_hash(receipt: bytes) -> bytes:
    """Return a receipt's hash in the chain."""
    return hashlib.sha256(TAG + receipt).digest()


def read_receipt(data: bytes) -> Receipt:
    """Read a receipt; raises NotAReceipt."""
    said = _canonical(data)
    return Receipt(
        _uint(said, "seq"),
        _hash(said, "prev"),
        _uint(said, "time"),
        _text(said, "kind"),
        _uint(said, "policy"),
        receipt_hash(data),
        said,
    )


def read_decision(receipt: Receipt) -> Decision:
    """Read the rest of a decision's receipt; raises NotAReceipt."""
    said = receipt.said
    counters = said.get("counters")
    if not isinstance(counters, dict):
        message = "counters: expected a map"
        raise NotAReceipt(message)
    verdict = _uint(said, "verdict")
    if verdict not in (ALLOWED, REFUSED):
        message = f"verdict: {verdict}: expected {ALLOWED} or {REFUSED}"
        raise NotAReceipt(message)
    charged = _text(counters, "charged")
    if not _AMOUNT.fullmatch(charged):
        message = "charged: expected a decimal"
        raise NotAReceipt(message)
    return Decision(
        _text(said, "engine"),
        _text(said, "account"),
        _uint(said, "operation"),
        verdict,
        _text(said, "rule"),
        _hash(said, "intent", empty=True),
        _hash(said, "request", empty=True),
        charged,
    )


def read_head(data: bytes) -> Head:
    """Read a head; raises NotAReceipt. Says nothing of its signature."""
    said = _canonical(data)
    if said.get("format") != HEAD_FORMAT:
        message = f"format: expected {HEAD_FORMAT}"
        raise NotAReceipt(message)
    return Head(
        _text(said, "deployment"),
        _hash(said, "boot"),
        _uint(said, "seq"),
        _hash(said, "hash"),
        _uint(said, "time"),
        _uint(said, "policy_version"),
        _hash(said, "policy_digest", empty=True),
    )


def signed_by(boot: bytes, head: bytes, signature: bytes) -> bool:
    """Whether the boot's key signed these bytes as a head."""
    try:
        Ed25519PublicKey.from_public_bytes(boot).verify(signature, HEAD_TAG + head)
    except (InvalidSignature, ValueError):
        return False
    return True


def _canonical(data: bytes) -> dict[str, Any]:
    said: Any = None
    try:
        said = cbor2.loads(data)
        same = isinstance(said, dict) and cbor2.dumps(said, canonical=True) == data
    except Exception:  # noqa: BLE001 - whatever the bytes do to the reader, they are no receipt
        same = False
    if not same or not all(isinstance(key, str) for key in said):
        message = "not a canonical CBOR map with text keys"
        raise NotAReceipt(message)
    return dict(said)


def _uint(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    if type(value) is not int or not 0 <= value < 1 << 64:
        message = f"{name}: expected an unsigned integer"
        raise NotAReceipt(message)
    return value


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        message = f"{name}: expected a text"
        raise NotAReceipt(message)
    return value


def _hash(said: dict[str, Any], name: str, *, empty: bool = False) -> bytes:
    value = said.get(name)
    if not isinstance(value, bytes) or len(value) not in ((0, HASH_BYTES) if empty else (HASH_BYTES,)):
        message = f"{name}: expected {HASH_BYTES} bytes"
        raise NotAReceipt(message)
    return value
