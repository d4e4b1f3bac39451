"""What is counted for every intent, for Prometheus: outcomes, refusals by rule, and the time of each stage.

Children are looked up once and kept: an observation costs about a microsecond. The rest is read when it is asked
for (:mod:`host_dispatch.telemetry.gauges`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from host_dispatch.journal.records import EventKind

if TYPE_CHECKING:
    from host_dispatch.dispatcher.dispatch import Dispatch

# Nanoseconds since the intent came, in the order of Dispatch.stages.
STAGES: Final = ("journaled", "signed", "sending", "acknowledged")
# Seconds. The first three stages take tens of microseconds to milliseconds, a venue up to its timeout.
_BUCKETS: Final = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
_NS: Final = 1e-9
# Rules are the policy's names: a policy with more of them than this is counted as "other" from there on.
MOST_RULES: Final = 200
# The same of venues and reasons: an engine and the enclave's process may name what they like.
MOST_NAMES: Final = 64
OTHER: Final = "other"


class Metrics:
    """Lives on the event loop; the registry is read by the exporter's thread."""

    def __init__(self) -> None:
        """Begin at nothing, with a registry of its own."""
        self.registry = CollectorRegistry()
        self._ended = Counter(
            "casemate_intents_ended", "Intents by how they ended.", ("operation", "outcome"), registry=self.registry
        )
        self._refused = Counter(
            "casemate_refusals",
            "Intents that the enclave refused, by the policy's rule.",
            ("rule",),
            registry=self.registry,
        )
        self._not_judged = Counter(
            "casemate_not_judged", "Intents that were not judged, by reason.", ("reason",), registry=self.registry
        )
        self._stage = Histogram(
            "casemate_stage_seconds",
            "From an intent's arrival to each stage of its way.",
            ("stage", "venue"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._outcomes: dict[tuple[str, EventKind], Counter] = {}
        self._rules: dict[str, Counter] = {}
        self._reasons: dict[str, Counter] = {}
        self._times: dict[str, tuple[Histogram, ...]] = {}

    def ended(self, dispatch: Dispatch, kind: EventKind) -> None:
        """Count an intent that has come to its end, or to UNKNOWN."""
        self._outcome(dispatch.operation.name, kind).inc()
        if kind is EventKind.REFUSED and dispatch.verdict is not None:
            self._rule(dispatch.verdict.rule).inc()
        elif kind is EventKind.NOT_JUDGED:
            reason = dispatch.failure.reason if dispatch.failure is not None else "INTERNAL"
            self._reason(reason).inc()
        if kind is EventKind.RESOLVED:
            # It was UNKNOWN before, and its times were taken then.
            return
        for time, histogram in zip(dispatch.stages, self._histograms(dispatch.venue), strict=True):
            if time:
                histogram.observe(time * _NS)

    def _outcome(self, operation: str, kind: EventKind) -> Counter:
        found = self._outcomes.get((operation, kind))
        if found is None:
            found = self._outcomes[operation, kind] = self._ended.labels(operation, kind.name)
        return found

    def _rule(self, rule: str) -> Counter:
        found = self._rules.get(rule)
        if found is None:
            name = rule if len(self._rules) < MOST_RULES else OTHER
            found = self._rules.setdefault(name, self._refused.labels(name))
        return found

    def _reason(self, reason: str) -> Counter:
        found = self._reasons.get(reason)
        if found is None:
            name = reason if len(self._reasons) < MOST_NAMES else OTHER
            found = self._reasons.setdefault(name, self._not_judged.labels(name))
        return found

    def _histograms(self, venue: str) -> tuple[Histogram, ...]:
        found = self._times.get(venue)
        if found is None:
            name = venue if len(self._times) < MOST_NAMES else OTHER
            found = self._times.setdefault(name, tuple(self._stage.labels(stage, name) for stage in STAGES))
        return found
