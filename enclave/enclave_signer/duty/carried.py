"""Another boot's checkpoint, read strictly. Pure.

The officer has checked its digest and its signature before: what is wrong here is a fault of a predecessor's code, and
the grant that names it is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.decimals import PLACES
from enclave_signer.duty.checkpoint import DUTY, Boot
from enclave_signer.duty.forms import CHECKPOINT, NAME, NamedHalt, no, octets, read_halt, whole
from enclave_signer.halts import Standing
from enclave_signer.model import PositionSide
from enclave_signer.policy.prepared import NOTIONAL_PLACES
from enclave_signer.ports import Marks

_AT: Final = "continues"
_KEYS: Final = {*Boot._fields, "format", "grant", "accounts", "unsure", "halts", "sequences", "bundles"}
_ACCOUNT: Final = {"nonce", "unsure", "unsure_books", "traded", "limits", "books"}
_LIMIT: Final = {"window_ms", "symbols", "slots", "left"}
_GRANT: Final = {"sequence", "not_after", "share", "accounts"}
_DECIMAL: Final = re.compile(r"(-?)(0|[1-9][0-9]{0,199})(?:\.([0-9]{1,54}))?", re.ASCII)
_LEGS: Final = {"": None, **{each.name: each for each in PositionSide}}
_LONGEST_MS: Final = 86_400_000
_NS_IN_MS: Final = 1_000_000


class CarriedGrant(NamedTuple):
    """The grant that was in force when the checkpoint was written."""

    not_after: int
    accounts: frozenset[str]


class CarriedLimit(NamedTuple):
    """A rolling limit: slots as (begin, spent, count), and what its grant left of it; None where nothing bounds."""

    window_ns: int
    symbols: frozenset[str]
    slots: tuple[tuple[int, int, int], ...]
    left: tuple[int | None, int | None] | None


class CarriedAccount(NamedTuple):
    """One account's counters. A book: by leg (position, open buys, open sells)."""

    nonce: int
    unsure: bool
    unsure_books: bool
    traded: frozenset[str]
    limits: dict[str, CarriedLimit]
    books: dict[str, dict[PositionSide | None, tuple[int, int, int]]]


class Carried(NamedTuple):
    """All of it."""

    boot: Boot
    grant: CarriedGrant | None
    accounts: dict[str, CarriedAccount]
    unsure: bool
    halts: tuple[Standing, ...]
    marks: Marks


def read_checkpoint(data: bytes) -> Carried:
    """Read a checkpoint; raises NotApproved with the field at fault."""
    try:
        said = decode(data)
    except NotCanonical as error:
        no(_AT, str(error))
    said = _map(said, _KEYS, _AT)
    if said["format"] != CHECKPOINT:
        no(f"{_AT}.format", f"expected {CHECKPOINT}")
    return Carried(
        _boot(said),
        None if said["grant"] is None else _grant(said["grant"]),
        {_name(name): _account(each, f"{_AT}.{name}") for name, each in _any_map(said["accounts"], "accounts").items()},
        _flag(said["unsure"], "unsure"),
        tuple(_halt(each) for each in _list(said["halts"], "halts")),
        Marks(_sequences(said["sequences"]), _marks(said["bundles"], "bundles")),
    )


def _boot(said: dict[str, Any]) -> Boot:
    return Boot(
        _name(said["deployment"]),
        octets(said["boot"], 32, f"{_AT}.boot"),
        whole(said["seq"], f"{_AT}.seq"),
        octets(said["hash"], 32, f"{_AT}.hash"),
        whole(said["time"], f"{_AT}.time"),
        whole(said["policy_version"], f"{_AT}.policy_version"),
        octets(said["policy_digest"], 32, f"{_AT}.policy_digest"),
        _flag(said["retired"], "retired"),
    )


def _grant(value: object) -> CarriedGrant:
    said = _map(value, _GRANT, f"{_AT}.grant")
    return CarriedGrant(whole(said["not_after"], f"{_AT}.grant.not_after"), _names(said["accounts"], "grant.accounts"))


def _account(value: object, at: str) -> CarriedAccount:
    said = _map(value, _ACCOUNT, at)
    return CarriedAccount(
        whole(said["nonce"], f"{at}.nonce"),
        _flag(said["unsure"], at),
        _flag(said["unsure_books"], at),
        _names(said["traded"], at),
        {name: _limit(each, f"{at}.{name}") for name, each in _any_map(said["limits"], at).items()},
        {symbol: _book(each, f"{at}.{symbol}") for symbol, each in _any_map(said["books"], at).items()},
    )


def _limit(value: object, at: str) -> CarriedLimit:
    said = _map(value, _LIMIT, at)
    window_ms = whole(said["window_ms"], f"{at}.window_ms")
    if not 0 < window_ms <= _LONGEST_MS:
        no(f"{at}.window_ms", "expected at most a day")
    left = None if said["left"] is None else _left(said["left"], at)
    slots = tuple(_slot(each, at) for each in _list(said["slots"], at))
    return CarriedLimit(window_ms * _NS_IN_MS, _names(said["symbols"], at), slots, left)


def _slot(value: object, at: str) -> tuple[int, int, int]:
    begin, spent, count = _row(value, 3, at)
    return whole(begin, at), _units(spent, NOTIONAL_PLACES, at, least=0), whole(count, at)


def _left(value: object, at: str) -> tuple[int | None, int | None]:
    spent, count = _row(value, 2, at)
    return (
        None if spent is None else _units(spent, NOTIONAL_PLACES, at, least=0),
        None if count is None else whole(count, at),
    )


def _book(value: object, at: str) -> dict[PositionSide | None, tuple[int, int, int]]:
    made = {}
    for leg, numbers in _any_map(value, at).items():
        if leg not in _LEGS:
            no(at, f"expected legs named {', '.join(_LEGS)}")
        position, buys, sells = (_units(each, PLACES, at) for each in _row(numbers, 3, at))
        made[_LEGS[leg]] = (position, buys, sells)
    return made


def _halt(value: object) -> Standing:
    said = _map(value, {*NamedHalt._fields, "since", "accounts"}, f"{_AT}.halts")
    named = read_halt(said, f"{_AT}.halts")
    return Standing(*named, whole(said["since"], f"{_AT}.halts.since"), _names(said["accounts"], "halts"))


def _sequences(value: object) -> dict[str, int]:
    """Return the quorum's; the number of the other boot's own last grant stands for nothing here."""
    return {kind: number for kind, number in _marks(value, "sequences").items() if kind != DUTY}


def _marks(value: object, at: str) -> dict[str, int]:
    return {_name(name): whole(number, f"{_AT}.{at}") for name, number in _any_map(value, at).items()}


def _units(value: object, places: int, at: str, least: int | None = None) -> int:
    match = _DECIMAL.fullmatch(value) if isinstance(value, str) else None
    if match is None or len(match[3] or "") > places:
        no(at, "expected a decimal, as text")
    sign, integer, fraction = match[1], match[2], match[3] or ""
    units = int(integer + fraction.ljust(places, "0")) * (-1 if sign else 1)
    if least is not None and units < least:
        no(at, "expected no negative number")
    return units


def _map(value: object, names: set[str], at: str) -> dict[str, Any]:
    said = _any_map(value, at)
    if said.keys() != names:
        no(at, f"expected a map of {', '.join(sorted(names))}")
    return said


def _any_map(value: object, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        no(at, "expected a map")
    return value


def _list(value: object, at: str) -> list[Any]:
    if not isinstance(value, list):
        no(at, "expected a list")
    return value


def _row(value: object, length: int, at: str) -> list[Any]:
    row = _list(value, at)
    if len(row) != length:
        no(at, f"expected {length} values")
    return row


def _names(value: object, at: str) -> frozenset[str]:
    names = _list(value, at)
    if not all(isinstance(name, str) for name in names):
        no(at, "expected names")
    return frozenset(names)


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        no(_AT, "expected a name")
    return value


def _flag(value: object, at: str) -> bool:
    if type(value) is not bool:
        no(at, "expected true or false")
    return value
