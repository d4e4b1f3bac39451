"""`casemate demo` end to end: real processes, real sockets, simulated venues that check every signature."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

ORDERS = 60


@pytest.fixture(scope="module")
def demo() -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON document and stderr of one demonstration on generated bursts."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CASEMATE_")}
    done = subprocess.run(
        [sys.executable, "-m", "casemate", "demo", "--tape", "-", "--orders", str(ORDERS), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=clean,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_every_order_of_the_demonstration_is_accounted_for(demo: tuple[int, dict[str, Any], str]) -> None:
    code, outcome, stderr = demo
    assert outcome["missing"] == []
    assert outcome["accounted_for"] is True
    assert code == 0, stderr
    assert outcome["orders"]["sent"] == ORDERS
    assert outcome["orders"]["unknown"] == outcome["orders"]["unanswered"] == outcome["orders"]["open"] == 0


def test_all_six_venues_took_orders_and_the_policy_refused_some(demo: tuple[int, dict[str, Any], str]) -> None:
    _, outcome, _ = demo
    assert all(counts["sent"] > 0 for counts in outcome["by_account"].values())
    venues = {name.split("-")[0] for name in outcome["by_account"]}
    assert venues == {"binance", "bybit", "okx", "kraken", "coinbase", "backpack"}
    assert outcome["orders"]["filled"] > 0
    assert sum(outcome["refused_by_rule"].values()) == outcome["orders"]["refused"] > 0


def test_each_stage_of_the_way_has_its_latencies(demo: tuple[int, dict[str, Any], str]) -> None:
    _, outcome, _ = demo
    for stage in ("journaled", "signed", "sending", "acknowledged", "total at the client"):
        numbers = outcome["latency_us"][stage]
        assert 0 < numbers["p50"] <= numbers["p99"] <= numbers["max"]


def test_progress_goes_to_stderr_with_each_step_on_a_line(demo: tuple[int, dict[str, Any], str]) -> None:
    _, outcome, stderr = demo
    assert f"orders: {ORDERS} of {ORDERS}" in stderr
    for step in outcome["steps"]:
        assert f"✓ {step['step']}" in stderr
    assert outcome["enclave"]["unauthenticated"] is False


def test_the_demonstration_attests_approves_provisions_and_opens_sessions_before_the_first_order(
    demo: tuple[int, dict[str, Any], str],
) -> None:
    _, outcome, _ = demo
    steps: dict[str, list[dict[str, Any]]] = {}
    for step in outcome["steps"]:
        steps.setdefault(step["step"], []).append(step)
    assert len(steps["enclave measured"][0]["pcr0"]) == 96
    assert steps["document verified"][0]["root"] == "mock.nitro-enclaves"
    assert (steps["policy live"][0]["threshold"], steps["policy live"][0]["admins"]) == (2, 3)
    assert steps["policy live"][0]["digest"] == outcome["enclave"]["policy_digest"]
    assert set(steps["keys provisioned"][0]["accounts"]) == set(outcome["by_account"])
    assert steps["duty granted"][0]["sequence"] > 0
    assert set(steps["duty granted"][0]["accounts"]) == set(outcome["by_account"])
    assert [step["engine"] for step in steps["session opened"]] == ["demo-engine", "demo-reader"]
    assert len({step["session"] for step in steps["session opened"]}) == 2


def test_s9_the_demonstration_ends_with_an_audit_of_its_receipts_against_the_witness(
    demo: tuple[int, dict[str, Any], str],
) -> None:
    _, outcome, _ = demo
    last = outcome["steps"][-1]
    assert last["step"] == "receipts verified"
    assert last["receipts"] > outcome["enclave"]["judged"] >= ORDERS
    assert last["witnessed"] > 0
    # Orders that were signed, their cancels and whatever the host asked the venues about.
    assert last["sent"] >= outcome["orders"]["signed"]
