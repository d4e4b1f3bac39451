"""The hash chain of receipts: one for every decision and every change of state of this boot (S9).

A receipt is canonical CBOR that carries the hash of the one before; its own hash is SHA-256 behind a domain tag. A
head is the newest receipt's number and hash, signed by the key that the attestation document shows: whoever holds
one has everything before it. ``docs/receipts.md`` specifies the bytes.

The decision's receipt is written by hand, from parts that many orders share (the tests read it back with a CBOR
library and with a second implementation of the chain). Memory is bounded: the ring forgets the oldest receipts, and
what was signed is remembered by number and hash for longer, for those who have to name a head of this boot.
"""

from __future__ import annotations

import hashlib
from struct import Struct
from typing import TYPE_CHECKING, Final, Protocol

import cbor2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FORMAT: Final = "casemate.receipt.v1"
HEAD_FORMAT: Final = "casemate.head.v1"
TAG: Final = b"casemate.receipt.v1\0"
HEAD_TAG: Final = b"casemate.head.v1\0"
# Receipts that are remembered, and signed heads of which number and hash are.
RING: Final = 16_384
HEADS: Final = 65_536
# A decision that leaves so many receipts unsigned is answered with a head.
SIGN_EVERY: Final = 256
MAX_PAGE: Final = 1_024
# A page's receipts hold at most this many bytes together.
PAGE_BYTES: Final = 1 << 20

ALLOWED: Final = 1
REFUSED: Final = 2

_GENESIS: Final = bytes(32)
_SMALL: Final = tuple(cbor2.dumps(number) for number in range(1 << 8))
_U16: Final = Struct(">BH").pack
_U32: Final = Struct(">BI").pack
_U64: Final = Struct(">BQ").pack
_DIGEST: Final = b"\x58\x20"
_EMPTY: Final = b"\x40"
_Shared = tuple[bytes, bytes, bytes, bytes, bytes]


class BootKey(Protocol):
    """The Ed25519 key of this boot."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""

    def public_bytes(self) -> bytes:
        """Return the 32 bytes that name this boot."""


class Chain:
    """The receipts of one boot. Not for threads, as the service.

    Each method that appends changes nothing unless it has made the whole receipt.
    """

    def __init__(self, key: BootKey, now: Callable[[], int], *, ring: int = RING, heads: int = HEADS) -> None:
        """Begin with the boot's own receipt, number 0. ``now`` is nanoseconds UTC and never goes backwards."""
        self.boot = key.public_bytes()
        self.sequence = -1
        self.hash = _GENESIS
        self._sign = key.sign
        self._now = now
        self._ring = [b""] * ring
        self._heads: dict[int, bytes] = {}
        self._most_heads = heads
        self._deployment = ""
        self._version = 0
        self._digest = b""
        # The newest head with its signature, the number that it signed, and whether a reply has carried it.
        self._signed = (b"", b"")
        self._signed_at = -1
        self._told = True
        self._parts: dict[tuple[str, str, int, str], _Shared] = {}
        self.record("boot", format=FORMAT, boot=self.boot)

    def __repr__(self) -> str:
        """Show how long the chain is."""
        return f"<Chain of {self.sequence + 1}>"

    def policy(self, deployment: str, version: int, digest: bytes) -> bytes:
        """Record that a policy is about to go live: receipts from this one on name its version."""
        before = (self._deployment, self._version, self._digest)
        self._deployment, self._version, self._digest = deployment, version, digest
        try:
            receipt = self.record("policy", deployment=deployment, digest=digest)
        except BaseException:
            self._deployment, self._version, self._digest = before
            raise
        self._parts = {}
        return receipt

    def record(self, kind: str, **fields: str | int | bytes | list[str]) -> bytes:
        """Append a change of state."""
        sequence = self.sequence + 1
        receipt = {"seq": sequence, "prev": self.hash, "time": self._now(), "kind": kind, "policy": self._version}
        encoded: bytes = cbor2.dumps(receipt | fields, canonical=True)
        return self._append(encoded)

    def decision(  # noqa: PLR0913 - what a receipt holds
        self,
        now: int,
        engine: str,
        account: str,
        operation: int,
        verdict: int,
        rule: str,
        *,
        intent: bytes,
        request: bytes,
        charged: str,
        counter: int,
    ) -> bytes:
        """Append a decision; :attr:`hash` is then its own.

        ``intent`` and ``request`` are digests, 32 bytes or none; ``charged`` is what limits counted, as text.
        """
        if verdict == ALLOWED:
            # Bounded by the policy: every name in it was found there.
            key = (engine, account, operation, rule)
            parts = self._parts.get(key)
            if parts is None:
                parts = self._parts[key] = self._shared(engine, account, operation, verdict, rule)
        else:
            parts = self._shared(engine, account, operation, verdict, rule)
        rule_and_time, names, place, result, what = parts
        receipt = b"".join(
            (
                b"\xad\x63seq",
                uint(self.sequence + 1),
                b"\x64kind\x68decision\x64prev\x58\x20",
                self.hash,
                rule_and_time,
                uint(now),
                names,
                _DIGEST + intent if intent else _EMPTY,
                place,
                _DIGEST + request if request else _EMPTY,
                result,
                text(charged),
                b"\x67session",
                uint(counter),
                what,
            )
        )
        self._append(receipt)
        if self.sequence - self._signed_at >= SIGN_EVERY:
            self.head(now)
        return receipt

    def _shared(self, engine: str, account: str, operation: int, verdict: int, rule: str) -> _Shared:
        """Encode what lies between the values that differ from order to order."""
        return (
            b"\x64rule" + text(rule) + b"\x64time",
            b"\x66engine" + text(engine) + b"\x66intent",
            b"\x66policy" + uint(self._version) + b"\x67account" + text(account) + b"\x67request",
            b"\x67verdict" + uint(verdict) + b"\x68counters\xa2\x67charged",
            b"\x69operation" + uint(operation),
        )

    def _append(self, receipt: bytes) -> bytes:
        own = hashlib.sha256(TAG + receipt).digest()
        sequence = self.sequence + 1
        self._ring[sequence % len(self._ring)] = receipt
        self.sequence, self.hash = sequence, own
        return receipt

    def head(self, now: int) -> tuple[bytes, bytes]:
        """Return the newest receipt's number and hash with their signature, made now unless it was before."""
        if self._signed_at == self.sequence:
            return self._signed
        fields = {
            "format": HEAD_FORMAT,
            "deployment": self._deployment,
            "boot": self.boot,
            "seq": self.sequence,
            "hash": self.hash,
            "time": now,
            "policy_version": self._version,
            "policy_digest": self._digest,
        }
        head: bytes = cbor2.dumps(fields, canonical=True)
        self._signed = (head, self._sign(HEAD_TAG + head))
        self._signed_at, self._told = self.sequence, False
        if len(self._heads) >= self._most_heads:
            del self._heads[next(iter(self._heads))]
        self._heads[self.sequence] = self.hash
        return self._signed

    def news(self) -> tuple[bytes, bytes] | None:
        """Return the newest signed head, once: the next reply carries it."""
        if self._told:
            return None
        self._told = True
        return self._signed

    def holds(self, sequence: int, digest: bytes) -> bool:
        """Whether this is the hash of that receipt of this boot, as far as it is remembered."""
        if sequence == self.sequence:
            return digest == self.hash
        known = self._heads.get(sequence)
        if known is None and self.oldest <= sequence < self.sequence:
            known = hashlib.sha256(TAG + self._ring[sequence % len(self._ring)]).digest()
        return known == digest

    @property
    def oldest(self) -> int:
        """The first receipt that is remembered."""
        return max(0, self.sequence + 1 - len(self._ring))

    def page(self, start: int, limit: int) -> Sequence[bytes]:
        """Return remembered receipts from number ``start`` on: at most ``limit``, and no more than a reply bears."""
        first = max(start, self.oldest)
        found: list[bytes] = []
        size = 0
        for sequence in range(first, min(first + min(limit, MAX_PAGE), self.sequence + 1)):
            receipt = self._ring[sequence % len(self._ring)]
            size += len(receipt)
            if found and size > PAGE_BYTES:
                break
            found.append(receipt)
        return found


def uint(number: int) -> bytes:
    """Write an unsigned integer in its shortest CBOR form (RFC 7049, section 2.1)."""
    if number < 1 << 8:
        return _SMALL[number]
    if number < 1 << 16:
        return _U16(0x19, number)
    return _U32(0x1A, number) if number < 1 << 32 else _U64(0x1B, number)


def text(value: str) -> bytes:
    """Write a text in its shortest CBOR form."""
    encoded = value.encode()
    length = uint(len(encoded))
    return bytes((length[0] | 0x60,)) + length[1:] + encoded
