"""The bytes of a grant and of a retirement: canonical CBOR, every key there and no other. Pure.

What is read here is well-formed, not yet believed: :mod:`enclave_signer.duty.officer` compares it with this boot.
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from typing import Any, Final, NamedTuple, NoReturn

from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.decode import halt_scope
from enclave_signer.errors import Malformed, NotApproved
from enclave_signer.model import HaltScope

GRANT: Final = "casemate.duty.grant.v1"
RETIRE: Final = "casemate.duty.retire.v1"
CHECKPOINT: Final = "casemate.checkpoint.v1"
GRANT_TAG: Final = GRANT.encode() + b"\0"
RETIRE_TAG: Final = RETIRE.encode() + b"\0"
CHECKPOINT_TAG: Final = CHECKPOINT.encode() + b"\0"
MAX_GRANT: Final = 65_536
_MOST: Final = (1 << 63) - 1
_DIGEST: Final = 32
_MAX_SHARE: Final = 1_000_000
_MAX_HALTS: Final = 256
_PAIR: Final = 2
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_BY: Final = re.compile(r"[A-Za-z0-9_:-]{1,128}", re.ASCII)
_PCR0: Final = re.compile(r"[0-9a-f]{96}", re.ASCII)


class NamedHalt(NamedTuple):
    """A HALT that the granter knows of."""

    scope: HaltScope
    account: str
    venue: str
    symbol: str
    by: str


class Continues(NamedTuple):
    """From whose checkpoint the counters go on: its digest, its boot's PCR0, when that boot's last grant ended."""

    checkpoint: bytes
    pcr0: bytes
    until: int


class Grant(NamedTuple):
    """What a grant says; times are nanoseconds UTC."""

    digest: bytes
    deployment: str
    boot: bytes
    sequence: int
    accounts: tuple[str, ...]
    share: tuple[int, int]
    policy_version: int
    head: tuple[int, bytes]
    halts: tuple[NamedHalt, ...]
    not_before: int
    not_after: int
    continues: Continues | None
    fresh: bool


class Retirement(NamedTuple):
    """What a retirement says."""

    digest: bytes
    deployment: str
    boot: bytes
    sequence: int
    not_before: int
    not_after: int


def without_end(deployment: str, boot: bytes, accounts: tuple[str, ...]) -> Grant:
    """Return the whole of every limit of these accounts for ever; nobody can sign such a grant."""
    nothing = (0, bytes(_DIGEST))
    return Grant(b"", deployment, boot, 0, accounts, (1, 1), 0, nothing, (), 0, _MOST, None, fresh=False)


def read_grant(data: bytes) -> Grant:
    """Read a grant; raises NotApproved with the field at fault."""
    said = _map_of(data, GRANT, Grant)
    head = _keys(said["head"], ("hash", "seq"), "head")
    accounts = _list(said["accounts"], "accounts")
    if not accounts or not all(map(_is_name, accounts)) or not _rising(accounts):
        no("accounts", "expected sorted names, each once, at least one")
    continues = None if said["continues"] is None else _continues(said["continues"])
    if type(said["fresh"]) is not bool or (said["fresh"] and continues is not None):
        no("fresh", "expected false, or true without a checkpoint to continue from")
    return Grant(
        hashlib.sha256(data).digest(),
        *_common(said),
        tuple(accounts),
        _share(said["share"]),
        whole(said["policy_version"], "policy_version"),
        (whole(head["seq"], "head.seq"), octets(head["hash"], _DIGEST, "head.hash")),
        tuple(_halts(said["halts"])),
        *_times(said),
        continues,
        said["fresh"],
    )


def read_retirement(data: bytes) -> Retirement:
    """Read a retirement; raises NotApproved with the field at fault."""
    said = _map_of(data, RETIRE, Retirement)
    return Retirement(hashlib.sha256(data).digest(), *_common(said), *_times(said))


def no(field: str, reason: str) -> NoReturn:
    """Refuse what was handed in."""
    message = f"{field}: {reason}"
    raise NotApproved(message, field=field)


def whole(value: object, field: str) -> int:
    """Return a whole number that fits 63 bits."""
    if type(value) is not int or not 0 <= value <= _MOST:
        no(field, "expected a whole number below 2**63")
    return value


def octets(value: object, count: int, field: str) -> bytes:
    """Return so many bytes."""
    if not isinstance(value, bytes) or len(value) != count:
        no(field, f"expected {count} bytes")
    return value


def _map_of(data: bytes, form: str, shape: type[Grant | Retirement]) -> dict[str, Any]:
    try:
        said = decode(data)
    except NotCanonical as error:
        no("statement", str(error))
    said = _keys(said, ("format", *shape._fields[1:]), "statement")
    if said["format"] != form:
        no("format", f"expected {form}")
    return said


def _keys(value: object, names: tuple[str, ...], field: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != set(names):
        no(field, f"expected a map of {', '.join(sorted(names))}")
    return value


def _list(value: object, field: str) -> list[Any]:
    if not isinstance(value, list):
        no(field, "expected a list")
    return value


def _common(said: dict[str, Any]) -> tuple[str, bytes, int]:
    if not _is_name(said["deployment"]):
        no("deployment", "expected a name")
    sequence = whole(said["sequence"], "sequence")
    if not sequence:
        no("sequence", "expected more than 0")
    return said["deployment"], octets(said["boot"], _DIGEST, "boot"), sequence


def _times(said: dict[str, Any]) -> tuple[int, int]:
    before, after = whole(said["not_before"], "not_before"), whole(said["not_after"], "not_after")
    if before >= after:
        no("not_after", "expected a time after not_before")
    return before, after


def _share(value: object) -> tuple[int, int]:
    parts = _list(value, "share")
    fine = len(parts) == _PAIR and all(type(part) is int for part in parts)
    if not fine or not 1 <= parts[0] <= parts[1] <= _MAX_SHARE:
        no("share", f"expected [numerator, denominator], from 1 to {_MAX_SHARE} and at most the whole")
    return parts[0], parts[1]


def _continues(value: object) -> Continues:
    said = _keys(value, Continues._fields, "continues")
    pcr0 = said["pcr0"]
    if not isinstance(pcr0, str) or not _PCR0.fullmatch(pcr0):
        no("continues.pcr0", "expected 96 hexadecimal digits in lower case")
    checkpoint = octets(said["checkpoint"], _DIGEST, "continues.checkpoint")
    return Continues(checkpoint, bytes.fromhex(pcr0), whole(said["until"], "continues.until"))


def _halts(value: object) -> list[NamedHalt]:
    halts = _list(value, "halts")
    if len(halts) > _MAX_HALTS:
        no("halts", f"at most {_MAX_HALTS}")
    return [read_halt(_keys(each, NamedHalt._fields, "halts"), "halts") for each in halts]


def read_halt(said: dict[str, Any], field: str) -> NamedHalt:
    """Read a HALT; the scope by its name, as a RESUME names it."""
    if any(not isinstance(said[name], str) for name in NamedHalt._fields):
        no(field, "expected texts")
    if said["scope"] not in HaltScope.__members__:
        no(f"{field}.scope", f"expected one of {', '.join(HaltScope.__members__)}")
    if not _BY.fullmatch(said["by"]):
        no(f"{field}.by", "expected a name")
    try:
        scope = halt_scope(HaltScope[said["scope"]].value, said["account"], said["venue"], said["symbol"])
    except Malformed as error:
        no(f"{field}.{error.field}", error.message)
    return NamedHalt(scope, said["account"], said["venue"], said["symbol"], said["by"])


def _is_name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _rising(names: list[str]) -> bool:
    return all(left < right for left, right in pairwise(names))
