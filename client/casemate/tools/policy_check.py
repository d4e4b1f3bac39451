"""A compiled policy against what the venues declare: what it permits, and what would still be refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from casemate.errors import PolicyError
from casemate.policy import compile_policy
from casemate.policy.mistakes import Mistake, as_text, did_you_mean
from casemate.tools.policy_reach import unreachable
from casemate.tools.policy_summary import duty_line, summary
from enclave_signer.decimals import parse
from enclave_signer.errors import BadPolicy
from enclave_signer.model import Instrument, Kind, Operation
from enclave_signer.policy.load import load
from enclave_signer.venues.registry import VENUES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from casemate.policy import Compiled
    from enclave_signer.decimals import Amount
    from enclave_signer.venues.base import Venue

_REPLAYABLE: Final = "replayable"
_READ: Final = ("symbol", "venue_symbol", "tick_size", "lot_size", "contract_size")


@dataclass(frozen=True, slots=True)
class Report:
    """What a policy permits (one summary an account) and what a reader should know (warnings)."""

    accounts: Sequence[Mapping[str, Any]]
    warnings: Sequence[str]
    engines: Sequence[Mapping[str, Any]] = field(default=())
    # What the policy gives away knowingly.
    notes: Sequence[str] = field(default=())
    duty: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "duty": dict(self.duty),
            "engines": list(self.engines),
            "accounts": list(self.accounts),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def lines(self, compiled: Compiled) -> Iterator[str]:
        """Text for people."""
        document = compiled.document
        age = document["max_age_ms"]
        yield f"{document['deployment']} version {document['version']}: intents live at most {age} ms"
        yield f"{len(compiled.canonical)} bytes compiled, sha256 {compiled.digest}"
        yield duty_line(document["duty"])
        for engine in self.engines:
            key = engine.get("public_key", "none")
            yield f"engine {engine['name']}: public key {key}, {', '.join(engine['accounts'])}"
        for account in self.accounts:
            yield ""
            yield f"{account['name']} ({account['venue']}, {account['environment']}, {account['margin_mode']})"
            yield from (f"  {line}" for line in account["permits"])
        yield ""
        yield from (f"note: {text}" for text in self.notes)
        yield from (f"warning: {warning}" for warning in self.warnings)


def declared_uses() -> dict[str, int]:
    """By venue: how many orders one signed create can make at worst."""
    return {name: venue.declaration.uses for name, venue in VENUES.items()}


def compile_checked(text: str) -> Compiled:
    """Compile with the venues' declarations at hand. Raises PolicyError with all mistakes, theirs among them."""
    return compile_policy(text, declared_uses=declared_uses(), examine=examine)


def check(compiled: Compiled) -> Report:
    """Compare with the venues' declarations. Raises PolicyError for what the enclave would not accept."""
    accounts = compiled.document["accounts"]
    mistakes = [
        Mistake(f"account({account['name']}).{path}", as_text(value), expected)
        for account in accounts
        for path, value, expected in examine(account)
    ]
    if mistakes:
        raise PolicyError(mistakes)
    _ask_enclave(compiled)
    warnings = [f"{account['name']}: {text}" for account in accounts for text in _warnings(account)]
    used = {name for engine in compiled.document["engines"] for name in engine["accounts"]}
    warnings += [f"{account['name']}: no engine has it" for account in accounts if account["name"] not in used]
    warnings += [
        f"{engine['name']}: no public_key: it can never open a session, and no enclave but the development stand-in"
        " takes an order of it"
        for engine in compiled.document["engines"]
        if "public_key" not in engine
    ]
    notes = [f"{account['name']}: {text}" for account in accounts for text in _notes(account)]
    return Report(
        [summary(account) for account in accounts],
        warnings,
        compiled.document["engines"],
        notes,
        compiled.document["duty"],
    )


def _ask_enclave(compiled: Compiled) -> None:
    """Have the enclave's own reader look at the bytes: what it would not take is a mistake too."""
    try:
        load(compiled.canonical, VENUES)
    except BadPolicy as error:
        lines = (line.split(": expected ", 1) for line in error.message.splitlines())
        raise PolicyError([Mistake(parts[0], "as the enclave reads it", parts[-1]) for parts in lines]) from None


def examine(account: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Yield (path below the account, value, expectation) of what its venue's declaration does not allow.

    The account may be half read: what is None or empty after another mistake is passed over.
    """
    if account["venue"] is None:
        return
    venue = VENUES.get(account["venue"])
    if venue is None:
        hint = did_you_mean(account["venue"], VENUES)
        yield "venue", account["venue"], f"one of {', '.join(VENUES)}{hint}"
        return
    uses, counted = venue.declaration.uses, account["count_uses"]
    if counted is not None and counted > uses:
        yield "count_uses", counted, f"at most {uses}, what {venue.name} declares"
    if counted is not None and counted < uses and _REPLAYABLE not in account["accept"]:
        yield "count_uses", counted, f'{uses}, or "{_REPLAYABLE}" among accept'
    for item in account["instruments"]:
        wrong = _instrument_mistake(venue, item) if all(item[name] for name in _READ) else ""
        if wrong:
            yield f"instrument({item['symbol']}).venue_symbol", item["venue_symbol"], wrong


def _instrument_mistake(venue: Venue, item: Mapping[str, Any]) -> str:
    instrument = Instrument(
        symbol=item["symbol"],
        venue_symbol=item["venue_symbol"],
        base=item["base"],
        quote=item["quote"],
        settle=item["settle"],
        kind=Kind(item["kind"]),
        tick_size=_amount(item["tick_size"]),
        lot_size=_amount(item["lot_size"]),
        contract_size=_amount(item["contract_size"]),
    )
    try:
        venue.check_instrument(instrument)
    except BadPolicy as error:
        return f"what {venue.name} can trade: {error.message}"
    return ""


def _amount(text: str) -> Amount:
    amount = parse(text)
    if amount is None:
        message = f"a compiled policy holds {text!r}"
        raise AssertionError(message)
    return amount


def _warnings(account: Mapping[str, Any]) -> Iterator[str]:
    declaration = VENUES[account["venue"]].declaration
    accepted = set(account["accept"])
    granted = sorted({name for grant in account["grants"] for name in grant["operations"]})
    if not account["grants"]:
        yield "nothing is granted: every intent is refused"
    for name in granted:
        operation = Operation[name]
        if operation is Operation.LOGON:
            yield "LOGON lets the host read whatever the key may read, and trade if the venue lets the key trade"
            continue
        if operation not in declaration.operations:
            yield f"{name} is granted, but {account['venue']} has no such operation"
            continue
        open_gaps = sorted(gap.value for gap in declaration.gaps.get(operation, ()) if gap.value not in accepted)
        if open_gaps:
            yield f"every {name} will be refused: the account does not accept {', '.join(open_gaps)}"
        yield from _missing_rights(account, declaration.also.get(operation, ()), name)
    yield from _grant_warnings(account)
    yield from unreachable(account)
    every_gap = {gap.value for gaps in declaration.gaps.values() for gap in gaps}
    needless = sorted(accepted - every_gap)
    if needless:
        yield f"accepts {', '.join(needless)}, which {account['venue']} does not leave open"


def _notes(account: Mapping[str, Any]) -> Iterator[str]:
    """What the policy decided in so many words (by accepting ``replayable``): to be known, not to be mended."""
    uses = VENUES[account["venue"]].declaration.uses
    if account["count_uses"] < uses:
        yield (
            f"limits count each create {account['count_uses']} times; a hostile host could make up to"
            f" {uses} orders of one signature while it is valid"
        )


def _missing_rights(account: Mapping[str, Any], also: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - a frozenset or ()
    for engine in sorted({engine for grant in account["grants"] for engine in grant["engines"]}):
        rights = {op for grant in account["grants"] if engine in grant["engines"] for op in grant["operations"]}
        missing = sorted(other.name for other in also if other.name not in rights)
        if name in rights and missing:
            yield (
                f"{name} by {engine} will be refused: its signature would also be good for {', '.join(missing)},"
                " which is not granted"
            )


def _grant_warnings(account: Mapping[str, Any]) -> Iterator[str]:
    declaration = VENUES[account["venue"]].declaration
    kinds = {Kind(item["kind"]) for item in account["instruments"]}
    types = {kind.name for of in kinds for kind in declaration.order_types.get(of, ())}
    times = {tif.name for of in kinds for tif in declaration.times_in_force.get(of, ())}
    for grant in account["grants"]:
        if not {"CREATE", "AMEND"} & set(grant["operations"]):
            continue
        missing = sorted(set(grant["types"]) - types)
        if missing:
            yield f"grant {grant['name']} names {', '.join(missing)}, which {account['venue']} does not take"
        if not times & set(grant["times_in_force"]):
            takes = ", ".join(sorted(times))
            yield f"grant {grant['name']} names no time in force that {account['venue']} takes ({takes})"
        if "MARKET" in grant["types"] and grant["max_deviation_bps"] is None:
            yield f"grant {grant['name']} permits MARKET: no price bounds what such an order pays"
