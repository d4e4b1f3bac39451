"""A snapshot as Prometheus metric families. Names are the contract of dashboards and alert rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from host_dispatch import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from host_dispatch.telemetry.snapshot import Pauses, Snapshot
    from signer_api.v1 import signer_pb2

_NS: Final = 1e-9


class Gauges(Collector):
    """Asked by the exporter's thread."""

    def __init__(self, latest: Callable[[], Snapshot | None]) -> None:
        """``latest`` returns the newest snapshot."""
        self._latest = latest

    def collect(self) -> Iterator[Metric]:
        """Yield every family; none before the first snapshot."""
        snapshot = self._latest()
        if snapshot is None:
            return
        yield from _host(snapshot)
        yield from _pauses("host", snapshot.host_pauses)
        yield _gauge("casemate_enclave_reachable", "Whether the enclave answers.", snapshot.enclave is not None)
        if snapshot.enclave is not None:
            yield from _enclave(snapshot.enclave, snapshot.at)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


def _host(snapshot: Snapshot) -> Iterator[Metric]:
    version = GaugeMetricFamily("casemate_host_info", "The host's version.", labels=("version",))
    version.add_metric((__version__,), 1.0)
    yield version
    yield _gauge("casemate_snapshot_seconds", "When these values were taken (seconds UTC).", snapshot.at * _NS)
    yield _gauge("casemate_unresolved", "Intents whose outcome is UNKNOWN at present.", snapshot.unresolved)
    yield _gauge("casemate_under_way", "Intents that have not ended.", snapshot.under_way)
    yield _gauge("casemate_paused", "Whether the host takes no new orders (PAUSE).", snapshot.paused)
    yield _gauge("casemate_journal_sequence", "The newest durable record.", snapshot.journal_sequence)
    yield _gauge("casemate_journal_trouble", "Whether the last write failed.", snapshot.journal_in_trouble)
    receipts = snapshot.receipts
    yield _gauge("casemate_receipts_seen", "Receipts that the running boot has made.", receipts.seen)
    yield _gauge("casemate_receipts_signed", "Those that a signed head covers.", receipts.signed)
    yield _gauge("casemate_receipts_missing", "Those that this host has not got.", receipts.missing)
    events = CounterMetricFamily("casemate_host_events", "What happened in the dispatcher.", labels=("event",))
    for name, count in sorted(snapshot.events.items()):
        events.add_metric((name,), count)
    yield events
    yield from _venues(snapshot)


def _venues(snapshot: Snapshot) -> Iterator[Metric]:
    health = GaugeMetricFamily("casemate_venue_health", "1 up, 2 degraded, 3 down.", labels=("venue",))
    for venue in snapshot.venues:
        health.add_metric((venue.venue,), venue.health)
    yield health
    queued = GaugeMetricFamily("casemate_lane_queued", "Signed requests that wait.", labels=("venue", "account"))
    out = GaugeMetricFamily("casemate_lane_out", "Requests at the venue.", labels=("venue", "account"))
    for lane in snapshot.lanes:
        queued.add_metric((lane.venue, lane.account), lane.queued)
        out.add_metric((lane.venue, lane.account), lane.out)
    yield queued
    yield out


def _pauses(side: str, pauses: Pauses | signer_pb2.GcPauses | None) -> Iterator[Metric]:
    if pauses is None:
        return
    count = CounterMetricFamily("casemate_gc_collections", "Garbage collections.", labels=("side",))
    count.add_metric((side,), pauses.collections)
    yield count
    total = CounterMetricFamily("casemate_gc_pause_seconds", "Time in the garbage collector.", labels=("side",))
    total.add_metric((side,), pauses.total * _NS)
    yield total
    longest = GaugeMetricFamily("casemate_gc_longest_pause_seconds", "The longest pause so far.", labels=("side",))
    longest.add_metric((side,), pauses.longest * _NS)
    yield longest


def _enclave(status: signer_pb2.EnclaveStatus, at: int) -> Iterator[Metric]:
    yield _gauge("casemate_enclave_phase", "1 awaits the policy, 2 awaits credentials, 3 ready.", status.phase)
    yield _gauge("casemate_enclave_policy_version", "The live policy's version.", status.policy_version)
    yield CounterMetricFamily("casemate_enclave_judged", "Intents judged by this boot.", value=status.judged)
    yield CounterMetricFamily("casemate_enclave_refused", "Intents refused by this boot.", value=status.refused)
    yield _gauge("casemate_enclave_halts", "HALTs in force.", len(status.halts))
    yield _gauge(
        "casemate_enclave_clock_ahead_seconds", "The enclave's clock less the host's.", (status.clock - at) * _NS
    )
    yield _gauge(
        "casemate_enclave_clock_drift_seconds",
        "The enclave's clock less the security module's, when last compared.",
        status.clock_drift * _NS,
    )
    yield _gauge("casemate_enclave_unauthenticated", "1: a development stand-in.", status.unauthenticated)
    yield _gauge("casemate_duty_required", "Whether the policy demands grants.", status.duty.required)
    yield _gauge("casemate_duty_until_seconds", "When the grant ends (seconds UTC).", status.duty.not_after * _NS)
    yield from _pauses("enclave", status.gc)
