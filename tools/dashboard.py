"""Writes `deploy/grafana/casemate.json`: one row of panels a question that an operator asks.

`python -m tools.dashboard` writes it, `python -m tools.dashboard --check` says whether it is current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

FILE: Final = Path(__file__).parents[1] / "deploy" / "grafana" / "casemate.json"
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_ROW_WIDTH: Final = 24
_HEIGHT: Final = 8


class Panel(NamedTuple):
    """A title, queries with their legends, and a unit of Grafana's."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"


def _quantile(quantile: str, stage: str, by: str = "") -> str:
    labels = f"le{by}"
    selected = f'casemate_stage_seconds_bucket{{instance=~"$instance",stage="{stage}"}}'
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({selected}[$__rate_interval])))"


def _of(metric: str, labels: str = "") -> str:
    inside = ",".join(filter(None, ('instance=~"$instance"', labels)))
    return f"{metric}{{{inside}}}"


def _rate(metric: str, by: str, labels: str = "") -> str:
    return f"sum by ({by}) (rate({_of(metric, labels)}[$__rate_interval]))"


ROWS: Final = (
    (
        "Can it trade now?",
        Panel("Enclave answers", ((_of("casemate_enclave_reachable"), "{{instance}}"),), kind="stat"),
        Panel("Phase (3: ready)", ((_of("casemate_enclave_phase"), "{{instance}}"),), kind="stat"),
        Panel("HALTs", ((_of("casemate_enclave_halts"), "{{instance}}"),), kind="stat"),
        Panel("UNKNOWN", ((_of("casemate_unresolved"), "{{instance}}"),), kind="stat"),
        Panel("Journal trouble", ((_of("casemate_journal_trouble"), "{{instance}}"),), kind="stat"),
        Panel(
            "Duty left",
            ((f"{_of('casemate_duty_until_seconds')} - {_of('casemate_snapshot_seconds')}", "{{instance}}"),),
            "s",
            "stat",
        ),
    ),
    (
        "What becomes of orders?",
        Panel("Intents by end", ((_rate("casemate_intents_ended_total", "outcome"), "{{outcome}}"),), "ops"),
        Panel("Refusals by rule", ((_rate("casemate_refusals_total", "rule"), "{{rule}}"),), "ops"),
        Panel("Not judged", ((_rate("casemate_not_judged_total", "reason"), "{{reason}}"),), "ops"),
    ),
    (
        "How long does it take?",
        Panel(
            "To the signature",
            ((_quantile("0.5", "signed"), "p50"), (_quantile("0.99", "signed"), "p99")),
            "s",
        ),
        Panel(
            "To the journal",
            ((_quantile("0.5", "journaled"), "p50"), (_quantile("0.99", "journaled"), "p99")),
            "s",
        ),
        Panel("To the venue's answer (p99)", ((_quantile("0.99", "acknowledged", ", venue"), "{{venue}}"),), "s"),
    ),
    (
        "Where does it wait?",
        Panel("Queued", ((_of("casemate_lane_queued"), "{{venue}} {{account}}"),)),
        Panel("At the venue", ((_of("casemate_lane_out"), "{{venue}} {{account}}"),)),
        Panel("Venue health (3: down)", ((_of("casemate_venue_health"), "{{venue}}"),)),
    ),
    (
        "Is the machine in order?",
        Panel(
            "Time in the garbage collector",
            ((f"rate({_of('casemate_gc_pause_seconds_total')}[$__rate_interval])", "{{side}}"),),
            "percentunit",
        ),
        Panel(
            "Receipts not covered by a head",
            ((f"{_of('casemate_receipts_seen')} - {_of('casemate_receipts_signed')}", "{{instance}}"),),
        ),
        Panel("Receipts missing", ((_of("casemate_receipts_missing"), "{{instance}}"),)),
        Panel("Longest pause", ((_of("casemate_gc_longest_pause_seconds"), "{{side}}"),), "s"),
        Panel(
            "The enclave's clock",
            (
                (_of("casemate_enclave_clock_ahead_seconds"), "against the host"),
                (_of("casemate_enclave_clock_drift_seconds"), "against the security module"),
            ),
            "s",
        ),
    ),
)


def _panel(number: int, panel: Panel, x: int, y: int, width: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    y = 0
    for title, *panels in ROWS:
        made.append(
            {"id": len(made) + 1, "type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": _ROW_WIDTH, "h": 1}}
        )
        width = _ROW_WIDTH // len(panels)
        made += [
            _panel(len(made) + 1 + index, panel, index * width, y + 1, width) for index, panel in enumerate(panels)
        ]
        y += 1 + _HEIGHT
    return made


def _variable(name: str, kind: str, query: str) -> dict[str, Any]:
    variable: dict[str, Any] = {"name": name, "type": kind, "query": query}
    if kind == "query":
        variable |= {"datasource": _SOURCE, "includeAll": True, "multi": True, "refresh": 2}
    return variable


def dashboard() -> str:
    """Return the file's text."""
    document = {
        "uid": "casemate",
        "title": "Casemate",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                _variable("source", "datasource", "prometheus"),
                _variable("instance", "query", "label_values(casemate_host_info, instance)"),
            ]
        },
        "panels": _panels(),
    }
    return json.dumps(document, indent=1) + "\n"


def main() -> int:
    """Write the file, or compare it."""
    if "--check" in sys.argv[1:]:
        return 0 if FILE.read_text("utf-8") == dashboard() else 1
    FILE.write_text(dashboard(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
