"""Alert rules and dashboard ask for metrics that the host exports, and the rules fire when they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from host_dispatch.telemetry.gauges import Gauges
from host_dispatch.telemetry.metrics import Metrics
from host_dispatch.telemetry.snapshot import LaneState, Pauses, Receipts, Snapshot, VenueState
from signer_api.v1 import signer_pb2
from tools import dashboard

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
NAME = re.compile(r"casemate_[a-z_]+")


def exported() -> set[str]:
    """Return the name of every sample that a host can export."""
    metrics = Metrics()
    snapshot = Snapshot(
        at=1,
        venues=(VenueState("okx", 1),),
        lanes=(LaneState("okx", "main", 0, 0),),
        events={"alarms": 1},
        journal_sequence=1,
        journal_in_trouble=False,
        unresolved=0,
        under_way=0,
        paused=False,
        host_pauses=Pauses(1, 1, 1),
        receipts=Receipts(1, 1, 0),
        enclave=signer_pb2.EnclaveStatus(),
    )
    metrics.registry.register(Gauges(lambda: snapshot))
    families = {family.name: family for family in metrics.registry.collect()}
    names = {sample.name for family in families.values() for sample in family.samples}
    # Of what was not counted yet there is no sample: what it will be called is prometheus-client's rule.
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return names | {name + end for name, family in families.items() for end in suffixes.get(family.type, ())}


def test_every_metric_that_a_rule_or_a_panel_asks_for_is_exported() -> None:
    known = exported()
    rules = set(NAME.findall("\n".join(re.findall(r"expr:(.*?)\n      +(?:for|labels)", RULES.read_text(), re.DOTALL))))
    panels = [panel for panel in json.loads(dashboard.FILE.read_text())["panels"] if panel["type"] != "row"]
    shown = {name for panel in panels for target in panel["targets"] for name in NAME.findall(target["expr"])}
    assert len(rules) > 10
    assert len(shown) > 10
    assert (rules | shown) - known == set()


def test_what_is_exported_is_looked_at_somewhere() -> None:
    looked_at = set(NAME.findall(RULES.read_text() + dashboard.FILE.read_text()))
    # Read with a rule or a panel at hand.
    beside = {
        "casemate_paused",
        "casemate_under_way",
        "casemate_journal_sequence",
        "casemate_enclave_policy_version",
        "casemate_enclave_judged_total",
        "casemate_enclave_refused_total",
        "casemate_gc_collections_total",
        "casemate_stage_seconds_count",
        "casemate_stage_seconds_sum",
    }
    assert exported() - looked_at == beside


def test_the_dashboard_is_what_its_tool_writes() -> None:
    assert dashboard.FILE.read_text() == dashboard.dashboard()


def test_every_alert_has_its_test() -> None:
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (DEPLOY / "prometheus" / "alerts_test.yml").read_text()))
    assert alerts == tested


def test_every_alert_has_its_line_in_the_runbook() -> None:
    headings = {
        line.removeprefix("### ").lower() for line in (DEPLOY.parent / "docs" / "operate.md").read_text().splitlines()
    }
    runbooks = re.findall(r"alert: (\w+).*?runbook: docs/operate.md#(\w+)", RULES.read_text(), re.DOTALL)
    assert len(runbooks) == RULES.read_text().count("alert:")
    assert {alert.lower() for alert, _ in runbooks} == {anchor for _, anchor in runbooks}
    assert {anchor for _, anchor in runbooks} <= headings


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (Debian package prometheus)")
@pytest.mark.parametrize("command", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]])
def test_promtool_finds_the_rules_right(command: list[str]) -> None:
    done = subprocess.run(["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
