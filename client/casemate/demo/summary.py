"""Numbers of a demonstration: counts by venue, refusals by rule, latency by stage. Pure."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from casemate.models import OrderState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from casemate.demo.account import Book
    from casemate.demo.play import Played

PERCENTILES: Final = ("p50", "p90", "p99", "p99.9", "max")
STAGES: Final = ("journaled", "signed", "sending", "acknowledged")
COUNTS: Final = (
    "sent",
    "refused",
    "signed",
    "acknowledged",
    "filled",
    "canceled",
    "expired",
    "open",
    "rejected",
    "unknown",
    "unanswered",
)
_AT_VENUE: Final = {
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "new": "open",
    "partially_filled": "open",
    "untriggered": "open",
}
_ACKNOWLEDGED: Final = frozenset(
    {
        OrderState.OPEN,
        OrderState.PARTIALLY_FILLED,
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
    }
)
_BUCKETS_PER_DECADE: Final = 4
_BAR: Final = 48


def percentile(ordered: Sequence[int], name: str) -> int:
    """Nearest-rank percentile of a sorted, non-empty sequence; ``name`` is one of PERCENTILES."""
    if name == "max":
        return ordered[-1]
    rank = math.ceil(Decimal(name[1:]) * len(ordered) / 100)
    return ordered[max(rank, 1) - 1]


def latencies(values: Sequence[int]) -> dict[str, Any] | None:
    """Count and percentiles in microseconds of values in nanoseconds; None where there is no value."""
    if not values:
        return None
    ordered = sorted(values)
    return {"count": len(ordered)} | {name: round(percentile(ordered, name) / 1000, 1) for name in PERCENTILES}


def by_stage(played: Sequence[Played]) -> dict[str, Any]:
    """Latency of each stage: the host's stages since it received the order, and the whole way at the client."""
    reports = [entry.result.report for entry in played if entry.result and entry.result.report and entry.allowed]
    stages = {
        stage: latencies([value for report in reports if (value := getattr(report.stages, stage)) is not None])
        for stage in STAGES
    }
    return {
        **stages,
        "total at the client": latencies([entry.total_ns for entry in played if entry.allowed]),
        "refused, at the client": latencies(
            [entry.total_ns for entry in played if entry.answered and not entry.allowed]
        ),
    }


def by_venue(played: Sequence[Played], book: Book) -> dict[str, dict[str, int]]:
    """Counts by account; what became of an order is the venue's own word where it has the order."""
    table: dict[str, Counter[str]] = {}
    for entry in played:
        table.setdefault(entry.key[0], Counter())
        table[entry.key[0]].update(_marks(entry, book))
    return {account: {name: counts[name] for name in COUNTS} for account, counts in sorted(table.items())}


def _marks(entry: Played, book: Book) -> list[str]:
    if entry.result is None:
        return ["sent", "unanswered"]
    if not entry.allowed:
        return ["sent", "refused"]
    state = entry.journal.state if entry.journal else entry.result.state
    marks = ["sent", "signed", *(["acknowledged"] if state in _ACKNOWLEDGED else [])]
    at_venue = book.get(entry.key, ())
    if at_venue:
        return [*marks, _AT_VENUE.get(at_venue[0]["status"], "unknown")]
    return [*marks, "rejected" if state is OrderState.REJECTED else "unknown"]


def by_rule(played: Sequence[Played]) -> dict[str, int]:
    """Refusals by the rule that refused."""
    rules = Counter(entry.result.verdict.rule for entry in played if entry.result and not entry.allowed)
    return dict(sorted(rules.items(), key=lambda item: (-item[1], item[0])))


def total(table: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Sum over accounts."""
    return {name: sum(counts[name] for counts in table.values()) for name in COUNTS}


def histogram(values: Sequence[int]) -> list[str]:
    """Draw a text histogram of nanoseconds on a logarithmic scale, one line a bucket."""
    if not values:
        return []
    counts = Counter(math.floor(math.log10(max(value, 1)) * _BUCKETS_PER_DECADE) for value in values)
    highest = max(counts.values())
    lines = []
    for bucket in range(min(counts), max(counts) + 1):
        low = 10 ** (bucket / _BUCKETS_PER_DECADE) / 1e6
        bar = "█" * math.ceil(counts[bucket] / highest * _BAR)
        lines.append(f"  from {low:9.3f} ms {counts[bucket]:6d} {bar}".rstrip())
    return lines
