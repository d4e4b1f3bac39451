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


def test_progress_goes_to_stderr_and_says_that_this_enclave_is_a_stand_in(
    demo: tuple[int, dict[str, Any], str],
) -> None:
    _, outcome, stderr = demo
    assert f"orders: {ORDERS} of {ORDERS}" in stderr
    assert outcome["enclave"]["unauthenticated"] is True
