"""A demonstration's outcome for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemate.cli.output import table
from casemate.demo import summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate.demo.run import Outcome

_SHOWN_PROBLEMS = 20


def lines(outcome: Outcome) -> Iterator[str]:
    """The report, line by line."""
    counts = summary.by_venue(outcome.played, outcome.book)
    rows = [[account, *map(str, row.values())] for account, row in counts.items()]
    rows.append(["all", *map(str, summary.total(counts).values())])
    source = outcome.options.tape or f"generated bursts, seed {outcome.options.seed}"
    yield ""
    yield f"Played {len(outcome.played)} orders in {outcome.seconds:.1f} s ({source})"
    yield ""
    yield from table(["account", *summary.COUNTS], rows)
    yield ""
    rules = summary.by_rule(outcome.played)
    yield "Refused inside the enclave, by rule (the demonstration breaks the policy on purpose):"
    yield from table(["rule", "orders"], [[rule, str(count)] for rule, count in rules.items()])
    yield ""
    yield "Latency in microseconds; the host's stages count from its receipt of the order and include waiting for"
    yield "the venue's rate limit:"
    yield from table(["stage", "orders", *summary.PERCENTILES], list(_latency_rows(outcome)))
    yield ""
    yield "Order to acknowledgement, at the client:"
    yield from summary.histogram([entry.total_ns for entry in outcome.played if entry.allowed])
    yield ""
    yield from _verdict(outcome)


def _latency_rows(outcome: Outcome) -> Iterator[list[str]]:
    for stage, numbers in summary.by_stage(outcome.played).items():
        if numbers:
            yield [stage, str(numbers["count"]), *(f"{numbers[name]:,.0f}" for name in summary.PERCENTILES)]


def _proven(outcome: Outcome) -> str:
    proven = sum(1 for entry in outcome.played if entry.result and entry.result.authenticated)
    return f"{proven} of {len(outcome.played)}"


def _verdict(outcome: Outcome) -> Iterator[str]:
    enclave = outcome.status.enclave
    yield f"The enclave judged {enclave.judged} intents and refused {enclave.refused}."
    yield f"{_proven(outcome)} answers carry the enclave's own word; what the venues did is the host's."
    yield "This enclave is a stand-in: everything is checked as in production, but nothing measured it."
    if not outcome.problems:
        yield f"Every one of the {len(outcome.played)} orders is accounted for: gateway, journal and venue agree."
        return
    yield f"NOT ACCOUNTED FOR, {len(outcome.problems)} findings:"
    for problem in outcome.problems[:_SHOWN_PROBLEMS]:
        yield f"  {problem}"
    if len(outcome.problems) > _SHOWN_PROBLEMS:
        yield f"  and {len(outcome.problems) - _SHOWN_PROBLEMS} more (--json has them all)"
