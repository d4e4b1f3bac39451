"""[[account]]: where and how it trades, what it accepts of its venue's signatures, and its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from casemate.policy import fields, words
from casemate.policy.instruments import read_instrument
from casemate.policy.rules import Scope, read_denial, read_exposure, read_grant, read_limit

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from casemate.policy.table import Table

_VENUE: Final = 'a venue\'s name as `casemate venues` lists it, such as "binance"'
_ORDERS: Final = 1_000_000
_DEFAULT_ORDERS: Final = 10_000
_USES: Final = 1_000_000_000
# An account as far as it could be read (None after a mistake) -> (path below the account, value, expectation) of
# each mistake that only its venue's declaration shows.
Examine = Callable[[Mapping[str, Any]], Iterable[tuple[str, object, str]]]


def read_account(
    table: Table, engines: Collection[str], declared_uses: Mapping[str, int], examine: Examine | None = None
) -> dict[str, object]:
    """Read one account. ``engines`` are those that have it; ``declared_uses`` is by venue, for the default."""
    venue = table.required("venue", fields.matching("[a-z0-9]{1,32}", _VENUE), _VENUE)
    margin_mode = table.default("margin_mode", fields.word(words.MARGIN_MODES), "cash")
    listings = table.tables("instrument", "account.instrument")
    instruments = [read_instrument(item, margin_mode) for item in listings]
    read_only = table.default("read_only", fields.boolean, False)  # noqa: FBT003 - a field's default
    scope = Scope(engines, [str(item["symbol"]) for item in instruments if item["symbol"]], bool(read_only))
    account: dict[str, object] = {
        "name": table.required("name", fields.name, fields.NAME),
        "venue": venue,
        "environment": table.default("environment", fields.word(words.ENVIRONMENTS), "production"),
        "margin_mode": margin_mode,
        "hedged": table.default("hedged", fields.boolean, False),  # noqa: FBT003 - a field's default
        "read_only": read_only,
        "accept": table.default("accept", fields.any_of(fields.word(words.GAPS)), list[str]()),
        "count_uses": _count_uses(table, venue, declared_uses, examined=examine is not None),
        "max_open_orders": table.default("max_open_orders", fields.whole(1, _ORDERS), _DEFAULT_ORDERS),
        "instruments": sorted(instruments, key=lambda item: str(item["symbol"])),
        "grants": _rules(table, "grant", scope, read_grant),
        "denials": _rules(table, "deny", scope, read_denial),
        "limits": _rules(table, "limit", scope, read_limit),
        "exposures": _rules(table, "exposure", scope, read_exposure),
    }
    _check_unique(listings, instruments)
    _check_covered(table, account)
    for path, value, expected in examine(account) if examine else ():
        table.complain(path, value, expected)
    table.close()
    return account


def _count_uses(table: Table, venue: str | None, declared: Mapping[str, int], *, examined: bool) -> int | None:
    parse = fields.whole(1, _USES)
    # Where the venues are known, an unknown one is the mistake, not the number that is missing because of it.
    if table.has("count_uses") or (examined and venue not in declared):
        return table.optional("count_uses", parse)
    if venue is not None and venue in declared:
        table.optional("count_uses", parse)
        return declared[venue]
    return table.required(
        "count_uses", parse, "how often limits count one create (the venue's own number is not known here)"
    )


def _rules(
    table: Table, name: str, scope: Scope, read: Callable[[Table, Scope], dict[str, object]]
) -> list[dict[str, object]]:
    rules = [read(item, scope) for item in table.tables(name, f"account.{name}")]
    seen: set[object] = set()
    for index, rule in enumerate(rules):
        if rule["name"] in seen and rule["name"]:
            table.complain(f"{name}[{index}].name", rule["name"], f"a name that no other {name} of this account has")
        seen.add(rule["name"])
    return sorted(rules, key=lambda rule: str(rule["name"]))


def _check_unique(tables: Sequence[Table], instruments: Sequence[Mapping[str, object]]) -> None:
    for field in ("symbol", "venue_symbol"):
        seen: set[object] = set()
        for table, item in zip(tables, instruments, strict=True):
            if item[field] and item[field] in seen:
                table.complain(field, item[field], "each instrument only once in an account")
            seen.add(item[field])


def _check_covered(table: Table, account: dict[str, object]) -> None:
    covered: set[str] = set()
    for limit in account["limits"]:  # type: ignore[attr-defined]
        covered.update(limit["symbols"] or () if limit["max_notional"] else ())
    for item in account["instruments"]:  # type: ignore[attr-defined]
        if item["symbol"] and item["symbol"] not in covered:
            table.complain("limit", None, f"a rolling limit with max_notional that covers {item['symbol']}")
