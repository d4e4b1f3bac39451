"""The whole document: TOML text in, canonical bytes out."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cbor2

from casemate.errors import PolicyError
from casemate.policy import fields
from casemate.policy.accounts import read_account
from casemate.policy.duty import read_duty
from casemate.policy.mistakes import Mistake, NumberText, did_you_mean
from casemate.policy.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from casemate.policy.accounts import Examine

FORMAT: Final = "casemate.policy.v1"
_MAX_VERSION: Final = 2**63 - 1
# What the enclave takes at most (signer.proto).
MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Compiled:
    """A policy in its canonical form."""

    document: Mapping[str, Any]
    canonical: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, in hex: what the enclave's status shows."""
        return hashlib.sha256(self.canonical).hexdigest()


def compile_policy(
    text: str, *, declared_uses: Mapping[str, int] | None = None, examine: Examine | None = None
) -> Compiled:
    """Compile a policy written as TOML.

    ``declared_uses`` gives by venue how many orders one signed create can make at worst; it is the default of
    ``count_uses``, which must be written where it is not known. ``examine`` says what is wrong with an account
    by what its venue declares (:mod:`casemate.tools.policy_check`), so that such mistakes stand in the same report.
    Raises PolicyError with every mistake.
    """
    mistakes: list[Mistake] = []
    try:
        raw = tomllib.loads(text, parse_float=NumberText)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError([Mistake("(file)", str(error), "a TOML document")]) from None
    document = _read_document(Table(raw, "", mistakes), declared_uses or {}, examine)
    if mistakes:
        raise PolicyError(mistakes)
    canonical = cbor2.dumps(document, canonical=True)
    if len(canonical) > MAX_BYTES:
        raise PolicyError([Mistake("(file)", f"{len(canonical)} bytes compiled", f"at most {MAX_BYTES} bytes")])
    return Compiled(document, canonical)


def _read_document(table: Table, declared_uses: Mapping[str, int], examine: Examine | None) -> dict[str, Any]:
    account_tables = table.tables("account", "account")
    engine_tables = table.tables("engine", "engine")
    engines = [_read_engine(item) for item in engine_tables]
    accounts = [read_account(item, _engines_of(engines, item), declared_uses, examine) for item in account_tables]
    document = {
        "format": table.required("format", fields.word([FORMAT]), f'"{FORMAT}"'),
        "deployment": table.required("deployment", fields.name, fields.NAME),
        "version": table.required(
            "version", fields.whole(1, _MAX_VERSION), "a whole number that rises with each change"
        ),
        "max_age_ms": table.required(
            "max_age",
            fields.duration(1, 60_000, "1ms to 60s"),
            'how long an intent may be valid, such as "10s"',
        ),
        "duty": read_duty(table, [engine.get("public_key") for engine in engines]),
        "engines": sorted(engines, key=lambda engine: str(engine["name"])),
        "accounts": sorted(accounts, key=lambda account: str(account["name"])),
    }
    _check_names(table, "engine", engines)
    _check_names(table, "account", accounts)
    _check_accounts_exist(engine_tables, engines, accounts)
    table.close()
    return document


def _read_engine(table: Table) -> dict[str, Any]:
    engine = {
        "name": table.required("name", fields.name, fields.NAME),
        "accounts": table.required("accounts", fields.any_of(fields.name), "a list of accounts"),
    }
    # Absent rather than null: policies without keys keep their bytes.
    key = table.optional("public_key", fields.matching("[0-9a-f]{64}", fields.PUBLIC_KEY))
    if key is not None:
        engine["public_key"] = key
    table.close()
    return engine


def _engines_of(engines: Sequence[Mapping[str, Any]], account: Table) -> list[str]:
    name = account.peek("name")
    return [engine["name"] for engine in engines if engine["name"] and name in (engine["accounts"] or ())]


def _check_names(table: Table, kind: str, items: Sequence[Mapping[str, Any]]) -> None:
    if not items:
        table.complain(kind, None, f"at least one [[{kind}]]")
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item["name"] and item["name"] in seen:
            table.complain(f"{kind}[{index}].name", item["name"], f"a name that no other {kind} has")
        seen.add(item["name"])


def _check_accounts_exist(
    tables: Sequence[Table], engines: Sequence[Mapping[str, Any]], accounts: Sequence[Mapping[str, Any]]
) -> None:
    known = {account["name"] for account in accounts if account["name"]}
    for table, engine in zip(tables, engines, strict=True):
        for name in engine["accounts"] or ():
            if name not in known:
                hint = did_you_mean(name, known)
                table.complain("accounts", name, f"the name of an [[account]]{hint}")
