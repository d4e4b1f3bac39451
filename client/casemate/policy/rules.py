"""[[account.grant]], [[account.deny]], [[account.limit]], [[account.exposure]]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from casemate.policy import fields, words
from casemate.policy.instruments import settle_of
from casemate.policy.mistakes import did_you_mean, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from casemate.policy.table import Table

_SECOND: Final = 1_000
_DAY: Final = 86_400_000
_COUNT: Final = 1_000_000_000
_BPS: Final = 10_000


class Scope(NamedTuple):
    """What an account's rules may name: the engines that may use it, and its symbols."""

    engines: Collection[str]
    symbols: Collection[str]
    read_only: bool


def _engines(scope: Scope) -> Callable[[object], list[str]]:
    return fields.some(_member(scope.engines, "an engine that has this account"), scope.engines)


def _symbols(scope: Scope) -> Callable[[object], list[str]]:
    return fields.some(_member(scope.symbols, "a symbol among the account's instruments"), scope.symbols)


def _member(known: Collection[str], what: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value in known:
            return str(value)
        hint = did_you_mean(value, known) if isinstance(value, str) else ""
        raise wrong(value, f"{what}: {', '.join(sorted(known)) or 'there is none'}{hint}")

    return parse


def read_grant(table: Table, scope: Scope) -> dict[str, object]:
    """Read one grant: what it leaves out is not permitted, save sides and times in force, where all are meant."""
    operations = table.required("operations", fields.words(words.OPERATIONS), 'a list such as ["CREATE", "CANCEL"]')
    required = table.default("require", fields.any_of(fields.word(words.REQUIREMENTS)), list[str]())
    grant: dict[str, object] = {
        "name": table.required("name", fields.name, fields.NAME),
        "engines": table.required("engines", _engines(scope), 'a list of engines, or "*"'),
        "symbols": table.required("symbols", _symbols(scope), 'a list of symbols, or "*"'),
        "operations": operations,
        "sides": table.default("sides", fields.words(words.SIDES), sorted(words.SIDES)),
        # MARKET has no price that the band could hold: it is permitted only where it is named.
        "types": table.default("types", fields.listed(fields.word(words.TYPES)), ["LIMIT"]),
        "times_in_force": table.default(
            "time_in_force", fields.words(words.TIMES_IN_FORCE), sorted(words.TIMES_IN_FORCE)
        ),
        "require_post_only": "post_only" in required,
        "require_reduce_only": "reduce_only" in required,
        "max_quantity": table.optional("max_quantity", fields.decimal),
        "max_notional": table.optional("max_notional", fields.decimal),
        "max_deviation_bps": table.optional("max_deviation_bps", fields.whole(1, _BPS)),
        "reference_max_age_ms": table.optional("reference_max_age", fields.duration(1, 60_000, "1ms to 60s")),
        **_times(table),
    }
    _check_grant(table, grant)
    if not scope.read_only and "LOGON" in (operations or ()):
        table.complain("operations", "LOGON", "no LOGON: only a read_only account logs a connection on")
    table.close()
    return grant


def _times(table: Table) -> dict[str, object]:
    return {
        "hours": table.default("hours", fields.hours, list[list[int]]()),
        "days": table.default("days", fields.days, list[int]()),
    }


def _check_grant(table: Table, grant: dict[str, object]) -> None:
    if words.SIZED & set(grant["operations"] or ()) and not table.has("max_notional"):  # type: ignore[call-overload]
        table.complain("max_notional", None, "a decimal in quotes: CREATE and AMEND need a bound on notional")
    if table.has("max_deviation_bps") and not table.has("reference_max_age"):
        table.complain("reference_max_age", None, 'how old a reference price may be, such as "2s"')
    if table.has("reference_max_age") and not table.has("max_deviation_bps"):
        table.complain("max_deviation_bps", None, "how far from the reference a price may be, in basis points")


def read_denial(table: Table, scope: Scope) -> dict[str, object]:
    """Read one denial: what it leaves out matches everything (an empty list)."""
    denial: dict[str, object] = {
        "name": table.required("name", fields.name, fields.NAME),
        "engines": _narrowed(table, "engines", _engines(scope)),
        "symbols": _narrowed(table, "symbols", _symbols(scope)),
        "operations": _narrowed(table, "operations", fields.words(words.OPERATIONS)),
        "sides": _narrowed(table, "sides", fields.words(words.SIDES)),
        "types": _narrowed(table, "types", fields.words(words.TYPES)),
        "times_in_force": _narrowed(table, "time_in_force", fields.words(words.TIMES_IN_FORCE)),
        **_times(table),
    }
    table.close()
    return denial


def _narrowed(table: Table, name: str, parse: Callable[[object], list[str]]) -> list[str]:
    # "*" stays "everything" (an empty list), so that a denial also holds for what is added later.
    return table.default(name, lambda value: [] if value == "*" else parse(value), list[str]())


def read_limit(table: Table, scope: Scope) -> dict[str, object]:
    """Read one rolling limit over a window."""
    symbols = table.required("symbols", _symbols(scope), 'a list of symbols, or "*"')
    limit: dict[str, object] = {
        "name": table.required("name", fields.name, fields.NAME),
        "symbols": symbols,
        "window_ms": table.required("window", fields.duration(_SECOND, _DAY, "1s to 24h"), 'a duration such as "1h"'),
        "max_notional": table.optional("max_notional", fields.decimal),
        "max_orders": table.optional("max_orders", fields.whole(1, _COUNT)),
    }
    _check_bounded(table, "max_notional", "max_orders")
    settles = sorted({settle_of(symbol) for symbol in symbols or ()})
    if table.has("max_notional") and len(settles) > 1:
        table.complain("symbols", symbols, f"symbols of one settle currency, not of {', '.join(settles)}")
    table.close()
    return limit


def read_exposure(table: Table, scope: Scope) -> dict[str, object]:
    """Read one bound on the worst case of a symbol."""
    expected = "a symbol among the account's instruments"
    exposure: dict[str, object] = {
        "name": table.required("name", fields.name, fields.NAME),
        "symbol": table.required("symbol", _member(scope.symbols, expected), expected),
        "max_notional": table.optional("max_notional", fields.decimal),
        "max_quantity": table.optional("max_quantity", fields.decimal),
    }
    _check_bounded(table, "max_notional", "max_quantity")
    table.close()
    return exposure


def _check_bounded(table: Table, first: str, second: str) -> None:
    if not table.has(first) and not table.has(second):
        table.complain(first, None, f"{first} or {second}: without either it bounds nothing")
