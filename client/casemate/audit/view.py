"""An audit's outcome for people and for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from casemate.audit.tally import Change, Key, Row, Tally
from casemate.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate.audit.audit import Audit
    from casemate.audit.check import Report

    # First nanosecond and the one after the last, or all.
    Span = tuple[int, int] | None

NO_WITNESS: Final = "truncation not checked"
_SHORT: Final = 16
_NS: Final = 1_000_000_000
_DERIVED: Final = "(host)"
_HEADER: Final = ("hour (UTC)", "engine", "account", "rule", "allowed", "refused", "charged")


def lines(outcome: Audit, span: Span) -> Iterator[str]:
    """Lay the outcome out as text. What is shown was written by others: no line of theirs passes for one of ours."""
    return map(_plain, _lines(outcome, span))


def _plain(line: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


def _lines(outcome: Audit, span: Span) -> Iterator[str]:
    for report in outcome.reports:
        yield from _boot(report, span)
    rows = list(_rows(outcome, span))
    if rows:
        yield ""
        yield from table(_HEADER, [_cells(key, row) for key, row in rows])
        total = Row()
        for _, row in rows:
            total.take(row)
        yield f"  in all: allowed {total.allowed}, refused {total.refused}, charged {total.charged:f}"
    if span is not None and not (rows or any(_changes(report, span) for report in outcome.reports)):
        yield f"nothing happened on {datetime.fromtimestamp(span[0] / _NS, UTC):%Y-%m-%d}: no receipt is of that day"
    yield ""
    yield from _claims(outcome)
    for finding in outcome.findings:
        at = f" [boot {finding.boot[:_SHORT]}]" if finding.boot else ""
        yield f"WRONG {finding.problem}: {finding.text}{at}"
    for report in outcome.reports:
        for problem, count in report.counts.items():
            told = sum(finding.problem is problem for finding in report.findings)
            if count > told:
                yield f"WRONG {problem}: {count - told} more [boot {report.boot[:_SHORT]}]"
    if not outcome.witnessed:
        yield f"NOT CHECKED: {NO_WITNESS}: give --witness FILE"
    for report in outcome.unwitnessed if outcome.witnessed else ():
        yield f"NOT CHECKED: {NO_WITNESS}: the witness saw nothing of boot {report.boot[:_SHORT]}"
    if outcome.sound:
        yield "The chain holds: nothing is missing, altered or unsigned but the tails named above."


def _boot(report: Report, whole: Span) -> Iterator[str]:
    span = f"{_time(report.begun)} to {_time(report.ended)}" if report.receipts else "no receipt"
    yield f"boot {report.boot[:_SHORT]}  {report.deployment or '-'}  {span}"
    yield f"  receipts {report.receipts} ({_range(report)}), heads {report.heads}, witnessed {report.witnessed}"
    if report.witnessed_to is not None and report.last is not None and report.witnessed_to < report.last:
        yield f"  the witness saw nothing after receipt {report.witnessed_to}: what follows may be cut off"
    yield f"  attested {report.attested or 'NOT'}"
    for change in _changes(report, whole):
        said = ", ".join(f"{name} {_brief(name, value)}" for name, value in change.details.items())
        yield f"  {_time(change.time)}  {change.kind} (receipt {change.sequence}){': ' if said else ''}{said}"
    if report.tail.receipts:
        yield (
            f"  unsigned tail: {report.tail.receipts} receipts after the last signed head; nobody vouches for them,"
            f" and what they charge counts as spent: {report.tail.charged:f}"
        )


def _changes(report: Report, span: Span) -> list[Change]:
    every = report.tally.changes + report.tail.changes
    return [each for each in every if span is None or span[0] <= each.time < span[1]]


def _brief(name: str, value: str | int) -> str:
    return f"{value[:_SHORT]}..." if name == "digest" and isinstance(value, str) else str(value)


def _range(report: Report) -> str:
    return "none" if report.first is None else f"{report.first} to {report.last}"


def _claims(outcome: Audit) -> Iterator[str]:
    if outcome.sent is None:
        yield "what the host says it sent: not in this file"
        return
    matched = outcome.sent - (outcome.unmatched or 0) - (outcome.in_tail or 0)
    yield f"the host says it sent {outcome.sent} requests; the chain allows {matched} of them"
    if outcome.in_tail:
        yield f"  and {outcome.in_tail} by receipts that nobody signed: the host can have made them"
    if outcome.unsent:
        yield f"signed, and by the host's word never sent: {outcome.unsent}; until its end each could be used"


def _rows(outcome: Audit, span: Span) -> Iterator[tuple[Key, Row]]:
    both = Tally()
    for report in outcome.reports:
        both.take(report.tally)
    for key in sorted(both.rows):
        if span is None or span[0] <= key.hour < span[1]:
            yield key, both.rows[key]


def _cells(key: Key, row: Row) -> tuple[str, ...]:
    hour = datetime.fromtimestamp(key.hour / _NS, UTC).strftime("%Y-%m-%d %H:00")
    numbers = (str(row.allowed), str(row.refused), f"{row.charged:f}")
    return (hour, key.engine or _DERIVED, key.account, key.rule, *numbers)


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_json(outcome: Audit, span: Span) -> dict[str, Any]:
    """Return the outcome as JSON values; times in nanoseconds UTC, amounts as text."""
    return {
        "sound": outcome.sound,
        "truncation": "not checked" if outcome.unwitnessed or not outcome.witnessed else "checked",
        "findings": [
            {"problem": str(each.problem), "text": each.text, "boot": each.boot, "sequence": each.sequence}
            for each in outcome.findings
        ],
        "boots": [_boot_json(report, span) for report in outcome.reports],
        "table": [
            key._asdict() | {"allowed": row.allowed, "refused": row.refused, "charged": f"{row.charged:f}"}
            for key, row in _rows(outcome, span)
        ],
        "host_claims": None
        if outcome.sent is None
        else {
            "sent": outcome.sent,
            "without_receipt": outcome.unmatched,
            "in_unsigned_tail": outcome.in_tail,
            "signed_not_sent": outcome.unsent,
        },
    }


def _boot_json(report: Report, span: Span) -> dict[str, Any]:
    return {
        "boot": report.boot,
        "deployment": report.deployment,
        "receipts": report.receipts,
        "first": report.first,
        "last": report.last,
        "begun": report.begun,
        "ended": report.ended,
        "signed_to": report.signed_to,
        "heads": report.heads,
        "witnessed": report.witnessed,
        "witnessed_to": report.witnessed_to,
        "attested": report.attested,
        "unsigned_tail": {"receipts": report.tail.receipts, "charged": f"{report.tail.charged:f}"},
        "changes": [
            {"time": each.time, "kind": each.kind, "sequence": each.sequence, "details": each.details}
            for each in _changes(report, span)
        ],
    }
