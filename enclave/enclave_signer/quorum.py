"""S4, S7: M of N administrators approve a policy, a credential or a RESUME. Pure; time is passed in.

An approval is a 64-byte Ed25519 signature followed by a statement in canonical CBOR. What is signed is the kind's
own tag, a zero byte and the statement, so that no other bytes signed by the same key read as one. The statement is

    {"format": "casemate.statement.v1", "kind", "deployment", "sequence", "not_before", "not_after", "signer"}

with the times in nanoseconds and the signer's key in hexadecimal, and

    policy      "subject" (SHA-256 of the policy's canonical bytes, hexadecimal), "version"
    credential  "subject" (SHA-256 of the bundle, or of what a direct one seals), "account", "version"
    quorum      "subject" (SHA-256 of the successor's canonical file), "generation", "predecessor" (SHA-256 of the file
                of the quorum in force, whose administrators sign)
    halt        "scope", "account", "venue", "symbol"; one administrator's is enough
    resume      "scope", "account", "venue", "symbol", "last" (the number of the newest HALT that it ends),
                "boot" (this boot's public key, hexadecimal)
    grant       "subject" (SHA-256 of a duty grant or retirement, which names its boot)

Every approval that is handed in must be right, not only enough of them: each of its fields, its signature, its time.
All say the same save for signer and times. Sequences rise within each kind and boot, and so do the versions of an
account's credential. A statement is used up only once the enclave has taken what it approves. A boot that goes on from
another one's checkpoint goes on from its sequences and versions too; only a credential that the other boot had is
taken again, by the statement of then.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from enclave_signer.admins import BadQuorum, read_admins
from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.errors import NotApproved
from enclave_signer.ports import Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from enclave_signer.admins import Admins
    from enclave_signer.ports import Halted, Resumed

FORMAT: Final = "casemate.statement.v1"
POLICY: Final = "policy"
CREDENTIAL: Final = "credential"
QUORUM: Final = "quorum"
RESUME: Final = "resume"
HALT: Final = "halt"
GRANT: Final = "grant"
TAGS: Final = {
    kind: f"casemate.approval.{kind}.v1".encode() + b"\0" for kind in (POLICY, CREDENTIAL, QUORUM, RESUME, HALT, GRANT)
}
# Long enough for an enclave that restarts unattended, short enough that nothing is approved for ever.
LONGEST_NS: Final = 366 * 86_400 * 1_000_000_000
_SIGNATURE: Final = 64
_MOST: Final = (1 << 63) - 1
# What one admin's statement may say differently from another's.
_OWN: Final = ("signer", "not_before", "not_after")


class Quorum:
    """The authority of the shipped enclave."""

    __slots__ = ("_admins", "_boot", "_bundles", "_carried", "_sequences")

    def __init__(self, admins: Admins, boot_key: bytes) -> None:
        """``boot_key`` is the public key, 32 bytes, that this boot made for itself."""
        self._admins = admins
        self._boot = boot_key.hex()
        self._sequences = dict.fromkeys(TAGS, 0)
        self._bundles: dict[str, int] = {}
        self._carried: dict[str, int] = {}

    @property
    def digest(self) -> bytes:
        """SHA-256 of the quorum file in force."""
        return self._admins.digest

    @property
    def generation(self) -> int:
        """0 for a quorum that succeeds no other."""
        return self._admins.generation

    def succeed(self, quorum: bytes, approvals: Sequence[bytes], now: int) -> None:
        """Put a successor in this quorum's place, or raise NotApproved."""
        try:
            successor = read_admins(quorum)
        except BadQuorum as error:
            raise _no("quorum", str(error)) from None
        if successor.deployment != self._admins.deployment:
            raise _no("quorum", f"expected one of deployment {self._admins.deployment}")
        if successor.generation != self.generation + 1:
            raise _no("quorum", f"generation {successor.generation}: expected {self.generation + 1}, the next one")
        expected = {
            "subject": successor.digest.hex(),
            "generation": successor.generation,
            "predecessor": self.digest.hex(),
        }
        said = self._counted(QUORUM, expected, (), approvals, now)
        self._admins = successor
        self._use_up(QUORUM, said["sequence"])

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return what uses the statement up, or raise NotApproved."""
        named = _named(policy)
        if named.get("deployment") != self._admins.deployment:
            raise NotApproved(f"policy: expected one of deployment {self._admins.deployment}", field="policy")
        expected = {"subject": hashlib.sha256(policy).hexdigest(), "version": named.get("version")}
        said = self._counted(POLICY, expected, (), approvals, now)
        return lambda: self._use_up(POLICY, said["sequence"])

    def approve_credential(
        self, account: str, version: int, subject: bytes, approvals: Sequence[bytes], now: int
    ) -> Callable[[], None]:
        """Return what uses the statement up, or raise NotApproved. ``subject`` is a SHA-256."""
        expected = {"subject": subject.hex(), "account": account, "version": version}
        said = self._counted(CREDENTIAL, expected, (), approvals, now)
        before = self._bundles.get(account, 0)
        if not _is_whole(version) or version <= before:
            raise _no("version", f"expected more than {before}, the latest of the account's credential")

        def used_up() -> None:
            self._use_up(CREDENTIAL, said["sequence"])
            self._bundles[account] = version

        return used_up

    def approve_resume(self, resumed: Resumed, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return what uses the statement up, or raise NotApproved."""
        said = self._counted(RESUME, {**resumed._asdict(), "boot": self._boot}, (), approvals, now)
        return lambda: self._use_up(RESUME, said["sequence"])

    def approve_halt(self, halted: Halted, approval: bytes, now: int) -> tuple[str, Callable[[], None]]:
        """Return the administrator's key and what uses the statement up, or raise NotApproved. One is enough."""
        said = self._counted(HALT, halted._asdict(), (), [approval], now, least=1)
        return str(_statement(approval, "approval")["signer"]), lambda: self._use_up(HALT, said["sequence"])

    def approve_duty(self, statement: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return what uses the approvals up, or raise NotApproved."""
        said = self._counted(GRANT, {"subject": hashlib.sha256(statement).hexdigest()}, (), approvals, now)
        return lambda: self._use_up(GRANT, said["sequence"])

    def marks(self) -> Marks:
        """Return the latest sequences and versions, of this boot or of one that it goes on from."""
        accounts = self._bundles.keys() | self._carried.keys()
        latest = {name: max(self._bundles.get(name, 0), self._carried.get(name, 0)) for name in accounts}
        return Marks(dict(self._sequences), latest)

    def carry(self, marks: Marks) -> None:
        """Go on from another boot's. Each boot is given its credentials anew: a version carried over is the least."""
        for kind in self._sequences.keys() - {CREDENTIAL}:
            self._use_up(kind, marks.sequences.get(kind, 0))
        for account, version in marks.bundles.items():
            self._carried[account] = max(self._carried.get(account, 0), version)
            self._bundles[account] = max(self._bundles.get(account, 0), version - 1)

    def _use_up(self, kind: str, sequence: int) -> None:
        self._sequences[kind] = max(self._sequences[kind], sequence)

    def _counted(
        self,
        kind: str,
        expected: Mapping[str, object],
        free: Sequence[str],
        approvals: Sequence[bytes],
        now: int,
        *,
        least: int | None = None,
    ) -> dict[str, Any]:
        """Return what every approval says in common; raises NotApproved unless each is right and they are enough.

        ``least``: as many are enough as the quorum says, unless this says otherwise.
        """
        least = self._admins.threshold if least is None else least
        fixed = {"format": FORMAT, "kind": kind, "deployment": self._admins.deployment, **expected}
        signers: set[str] = set()
        common: dict[str, Any] = {}
        for index, approval in enumerate(approvals):
            at = f"approvals[{index}]"
            said = _statement(approval, at)
            self._check(said, fixed, free, now, at)
            self._check_signature(kind, said["signer"], approval, at)
            if said["signer"] in signers:
                raise _no(at, "this administrator has approved already: one key counts once")
            signers.add(said["signer"])
            same = {name: value for name, value in said.items() if name not in _OWN}
            if common and same != common:
                raise _no(at, "says something else than the approvals before it")
            common = same
        if len(signers) < least:
            raise _no("approvals", f"{len(signers)} of {least} administrators that it takes")
        return common

    def _check(
        self, said: Mapping[str, Any], fixed: Mapping[str, object], free: Sequence[str], now: int, at: str
    ) -> None:
        if said.keys() != fixed.keys() | {"sequence", *free, *_OWN}:
            raise _no(at, "a field is missing, or there is one too many")
        for name, value in fixed.items():
            # The types too: True is 1 to Python.
            if type(said[name]) is not type(value) or said[name] != value:
                raise _no(f"{at}.{name}", f"expected {value}")
        latest = self._sequences[str(fixed["kind"])]
        if not _is_whole(said["sequence"]) or said["sequence"] <= latest:
            raise _no(f"{at}.sequence", f"expected more than {latest}, the latest of its kind in this boot")
        _check_times(said["not_before"], said["not_after"], now, at)

    def _check_signature(self, kind: str, signer: object, approval: bytes, at: str) -> None:
        if not isinstance(signer, str) or signer not in self._admins.keys:
            raise _no(f"{at}.signer", "not an administrator of this quorum")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer))
        try:
            key.verify(approval[:_SIGNATURE], TAGS[kind] + approval[_SIGNATURE:])
        except InvalidSignature:
            raise _no(at, "the signature does not fit the statement") from None


def _statement(approval: bytes, at: str) -> dict[str, Any]:
    try:
        said = decode(approval[_SIGNATURE:])
    except NotCanonical as error:
        raise _no(at, str(error)) from None
    if not isinstance(said, dict):
        raise _no(at, "expected a signature and a statement")
    return said


def _check_times(not_before: object, not_after: object, now: int, at: str) -> None:
    if not _is_whole(not_before) or not _is_whole(not_after) or not 0 < not_after - not_before <= LONGEST_NS:
        raise _no(f"{at}.not_after", "expected nanoseconds, after not_before and at most 366 days later")
    if now < not_before:
        raise _no(f"{at}.not_before", "not valid yet by the enclave's clock")
    if now >= not_after:
        raise _no(f"{at}.not_after", "not valid any more by the enclave's clock")


def _named(policy: bytes) -> dict[str, Any]:
    """Return the policy as a map; what is none names nothing."""
    try:
        document = decode(policy)
    except NotCanonical:
        return {}
    return document if isinstance(document, dict) else {}


def _is_whole(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 < value <= _MOST


def _no(field: str, reason: str) -> NotApproved:
    return NotApproved(f"{field}: {reason}", field=field)
