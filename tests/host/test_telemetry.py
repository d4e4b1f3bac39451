"""Metrics and traces: what happened to orders is what is counted, and nothing that was signed is in either."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.addresses import Address
from host_dispatch.config import ConfigError, parse
from host_dispatch.journal.records import EventKind
from host_dispatch.telemetry.exporter import CannotExport, Exporter
from host_dispatch.telemetry.metrics import MOST_NAMES, MOST_RULES, OTHER, STAGES, Metrics
from host_dispatch.telemetry.traces import Traces, provider_from_environment
from host_dispatch.venues.registry import READERS
from signer_api.v1 import signer_pb2
from tests.host.host_rig import ACCOUNT, SIGNATURE, VENUE, Rig, create, drop, eventually, other, running

if TYPE_CHECKING:
    from pathlib import Path

METRICS = {"metrics": Address("127.0.0.1:0")}
END = wire.WAIT_FOR_ACKNOWLEDGED


def scrape(port: int) -> tuple[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return text, {(each.name, tuple(sorted(each.labels.items()))): each.value for each in samples}


async def scraped(rig: Rig) -> tuple[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
    assert rig.host is not None
    return await asyncio.to_thread(scrape, rig.host.telemetry.port)


def ended(operation: str, outcome: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return "casemate_intents_ended_total", (("operation", operation), ("outcome", outcome))


@pytest.mark.asyncio
async def test_what_was_sent_refused_lost_and_not_judged_is_counted_as_such(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.changes = METRICS
        await rig.start_host()
        await rig.api.submit(create("a", wait=END))
        await rig.api.submit(create("b", wait=END))
        rig.enclave.rule = "limit:daily"
        await rig.api.submit(create("c", wait=END))
        rig.enclave.rule = ""
        rig.venue.script["/create"] = drop
        await rig.api.submit(create("d", wait=END))
        rig.enclave.not_judged = signer_pb2.NotJudged(reason="NOT_AUTHENTICATED", message="no")
        with pytest.raises(Exception, match="no"):
            await rig.api.submit(create("e", wait=END))
        _, found = await scraped(rig)
    assert found[ended("CREATE", "OUTCOME")] == 2
    assert found[ended("CREATE", "REFUSED")] == 1
    assert found["casemate_refusals_total", (("rule", "limit:daily"),)] == 1
    assert found[ended("CREATE", "UNKNOWN")] == 1
    assert found["casemate_not_judged_total", (("reason", "NOT_AUTHENTICATED"),)] == 1
    for stage, count in zip(STAGES, (5, 5, 3, 2), strict=True):
        # d was sent and nobody answered; c and e were never sent.
        assert found["casemate_stage_seconds_count", (("stage", stage), ("venue", VENUE))] == count, stage


@pytest.mark.asyncio
async def test_the_state_of_lanes_journal_and_enclave_is_that_of_the_host(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.changes = METRICS
        await rig.start_host()
        await rig.api.submit(create("a", wait=END))
        newest = int((await rig.api.status()).journal_sequence)

        async def seen() -> bool:
            _, found = await scraped(rig)
            return found.get(("casemate_journal_sequence", ())) == newest

        await eventually(seen)
        _, found = await scraped(rig)
        assert found["casemate_lane_out", (("account", ACCOUNT), ("venue", VENUE))] == 0
        assert found["casemate_venue_health", (("venue", VENUE),)] == wire.VENUE_HEALTH_UP
        assert found["casemate_enclave_reachable", ()] == 1
        assert found["casemate_receipts_missing", ()] == 0
        assert found["casemate_enclave_phase", ()] == signer_pb2.PHASE_READY
        await rig.enclave.stop()

        async def away() -> bool:
            _, found = await scraped(rig)
            return found.get(("casemate_enclave_reachable", ())) == 0

        await eventually(away, 20)
        await rig.enclave.start()


@pytest.mark.asyncio
async def test_s1_no_signature_and_no_client_order_id_is_in_the_metrics(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.changes = METRICS
        await rig.start_host()
        await rig.api.submit(create("my-own-id", wait=END))
        await rig.api.call("Cancel", other("cancel", "my-own-id", wait=END))
        text, _ = await scraped(rig)
    assert "my-own-id" not in text
    assert SIGNATURE not in text


@pytest.mark.asyncio
async def test_without_a_metrics_table_nothing_listens(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert rig.host.telemetry.port == 0


def test_a_policy_of_very_many_rules_does_not_grow_the_metrics_without_end() -> None:
    metrics = Metrics()
    for number in range(MOST_RULES + 50):
        metrics._rule(f"limit:{number}").inc()
    rules = {
        sample.labels["rule"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "casemate_refusals_total"
    }
    assert len(rules) == MOST_RULES + 1
    assert OTHER in rules


def test_venues_and_reasons_that_somebody_made_up_do_not_grow_the_metrics_without_end() -> None:
    """An engine names the venue of what it reports closed, and no venue of the host needs to have that name."""
    metrics = Metrics()
    for number in range(500):
        metrics._histograms(f'made-up-{number}"}}\n')[0].observe(1)
        metrics._reason(f"REASON_{number}").inc()
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    venues = {sample.labels["venue"] for sample in samples if "venue" in sample.labels}
    reasons = {sample.labels["reason"] for sample in samples if "reason" in sample.labels}
    assert len(venues) == len(reasons) == MOST_NAMES + 1
    assert OTHER in venues & reasons


def test_an_address_that_is_taken_is_said_and_not_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotExport, match="in use"):
        Exporter(Metrics().registry, "127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"listen": "unix:/run/x.sock"}, "metrics.listen: 'unix:/run/x.sock': expected HOST:PORT"),
        ({}, "metrics.listen: None: expected a text"),
        ({"listen": "127.0.0.1:1", "port": 3}, "metrics.port: is not a known setting; there are listen"),
    ],
)
def test_mistakes_in_the_metrics_table_are_named(table: dict[str, Any], why: str) -> None:
    document = {"listen": ["unix:/g"], "enclave": "unix:/e", "journal": {"path": "/j"}, "metrics": table}
    with pytest.raises(ConfigError) as caught:
        parse(document, {name: [] for name in READERS})
    assert why in caught.value.mistakes


@pytest.mark.asyncio
async def test_a_span_tells_an_orders_way_and_nothing_that_was_signed(tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with running(tmp_path) as rig:
        rig.host.runner.observe = Traces(provider).ended
        await rig.api.submit(create("a", wait=END))
        rig.enclave.rule = "halted"
        await rig.api.submit(create("b", wait=END))
    placed, refused = spans.get_finished_spans()
    assert [event.name for event in placed.events] == list(STAGES)
    # The INTENT's write and the signature overlap, so those two come in any order.
    journaled, *others = (event.timestamp for event in placed.events)
    begun, end = placed.start_time or 0, placed.end_time or 0
    assert 0 < begun < journaled
    assert [begun, *others, end] == sorted([begun, *others, end])
    assert dict(placed.attributes or {})["casemate.outcome"] == EventKind.OUTCOME.name
    assert dict(refused.attributes or {})["casemate.rule"] == "halted"
    assert SIGNATURE not in placed.to_json()


def test_an_exporter_that_is_not_installed_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "nowhere")
    with pytest.raises(CannotExport, match=r"nowhere: installed are .*console"):
        provider_from_environment()


def test_traces_leave_through_the_exporter_that_the_environment_names() -> None:
    code = (
        "from host_dispatch.telemetry.traces import provider_from_environment as make\n"
        "provider = make(); provider.get_tracer('t').start_span('an-order').end(); provider.shutdown()"
    )
    environment = {"OTEL_TRACES_EXPORTER": "console", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout)["name"] == "an-order"
