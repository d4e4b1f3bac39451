"""The command line as other people's scripts see it: a process, its exit code, its two streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from casemate.cli.reference import reference
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2
from tests.client.fake_host import FakeHost, allowed

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "policy.toml"
ORDER = ("--account", "main", "--venue", "okx", "--symbol", "BTC/USDT", "--side", "buy", "--quantity", "0.5")


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `casemate` as a process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CASEMATE_")}
    return subprocess.run(
        [sys.executable, "-m", "casemate", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=clean | environment,
    )


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON document on stdout; fails if there is anything else."""
    return json.loads(done.stdout)


def submit(host: FakeHost, *extra: str) -> subprocess.CompletedProcess[str]:
    """`casemate submit` against a scripted host."""
    where = ("--gateway", host.target, "--engine", "mm-1", "--unauthenticated")
    return run("submit", *where, *ORDER, "--price", "60000", *extra)


def test_the_reference_page_is_what_the_parser_says() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference(), (
        "run: python -m casemate.cli.reference > docs/cli.md"
    )


def test_help_names_every_command_of_the_contract() -> None:
    done = run("--help")
    assert done.returncode == 0
    words = done.stdout.split()
    for command in ("demo", "dry-run", "venues", "policy", "submit", "cancel", "orders", "status", "halt", "resume"):
        assert command in words


@pytest.mark.parametrize(
    "arguments",
    [(), ("nonsense",), ("policy",), ("submit", "--side", "up"), ("demo", "--orders", "0"), ("demo", "--orders", "x")],
)
def test_wrong_use_exits_2_and_says_why_on_stderr(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage: casemate" in done.stderr


def test_a_missing_gateway_or_file_is_wrong_use() -> None:
    assert run("status").returncode == 2
    assert "CASEMATE_GATEWAY" in run("status").stderr
    plaintext = run("status", "--gateway", "127.0.0.1:9")
    assert plaintext.returncode == 2
    assert "--tls-ca, --tls-certificate and --tls-key" in plaintext.stderr
    assert run("policy", "check", "no-such-file.toml").returncode == 2
    assert run("demo", "--tape", "no-such-tape.csv").returncode == 2


def test_policy_check_of_the_example_says_yes() -> None:
    done = run("policy", "check", "--json", str(EXAMPLE))
    assert done.returncode == 0, done.stderr
    answer = document(done)
    assert answer["ok"] is True
    assert [account["name"] for account in answer["accounts"]] == ["binance-main", "okx-hedge"]
    assert any("count each create 2 times" in note for note in answer["notes"])
    assert answer["warnings"] == []


def test_policy_check_lists_all_mistakes_and_exits_1(tmp_path: Path) -> None:
    broken = tmp_path / "policy.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace('"hourly"', '"x y"').replace("version = 1", "version = -1")
    broken.write_text(text, encoding="utf-8")
    done = run("policy", "check", "--json", str(broken))
    assert done.returncode == 1
    assert {mistake["path"] for mistake in document(done)["mistakes"]} == {
        "version",
        "account(binance-main).limit[0].name",
    }
    plain = run("policy", "check", str(broken))
    assert plain.returncode == 1
    assert "2 mistakes" in plain.stdout


def test_policy_check_warns_of_gaps_that_the_account_does_not_accept(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace('"method-unsigned", ', "").replace('"CANCEL_ALL", ', "")
    policy.write_text(text, encoding="utf-8")
    warnings = document(run("policy", "check", "--json", str(policy)))["warnings"]
    assert any("every CREATE will be refused" in text and "method-unsigned" in text for text in warnings)
    assert any("OPEN_ORDERS" in text and "CANCEL_ALL" in text for text in warnings)


def test_policy_check_names_a_venue_that_does_not_exist(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(EXAMPLE.read_text(encoding="utf-8").replace('venue = "okx"', 'venue = "okex"'), encoding="utf-8")
    done = run("policy", "check", str(policy))
    assert done.returncode == 1
    assert '(did you mean "okx"?)' in done.stdout


def test_policy_compile_writes_the_same_bytes_every_time(tmp_path: Path) -> None:
    outputs = [tmp_path / "a.cbor", tmp_path / "b.cbor"]
    answers = [document(run("policy", "compile", str(EXAMPLE), "-o", str(out), "--json")) for out in outputs]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert answers[0]["digest"] == answers[1]["digest"]


def test_submit_exits_0_for_an_open_order(host: FakeHost) -> None:
    done = submit(host, "--client-order-id", "id-1", "--json")
    assert done.returncode == 0, done.stderr
    answer = document(done)
    assert (answer["state"], answer["verdict"]["decision"]) == ("OPEN", "ALLOW")
    assert "intents prove nothing" in done.stderr
    sent = host.intents()[0].order
    assert (sent.client_order_id, sent.quantity, sent.side, sent.time_in_force) == ("id-1", "0.5", 1, 1)


@pytest.mark.parametrize("state", ["REJECTED", "UNKNOWN"])
def test_submit_exits_1_when_the_order_did_not_or_may_not_stand(host: FakeHost, state: str) -> None:
    host.answers["Submit"] = allowed()
    host.answers["Submit"].report.state = dispatch_pb2.OrderState.Value(f"ORDER_STATE_{state}")
    done = submit(host, "--json")
    assert done.returncode == 1
    assert document(done)["state"] == state


def test_submit_exits_1_for_a_refusal_and_shows_rule_and_numbers(host: FakeHost) -> None:
    numbers = [signer_pb2.Number(name="limit", value="40000")]
    verdict = signer_pb2.Verdict(
        decision=signer_pb2.DECISION_REFUSE, rule="max_notional", reason="too large", numbers=numbers
    )
    host.answers["Submit"] = dispatch_pb2.SubmitReply(verdict=verdict)
    done = submit(host)
    assert done.returncode == 1
    assert "REFUSE by max_notional: too large" in done.stdout
    assert "limit = 40000" in done.stdout


def test_submit_takes_the_messages_json_form(host: FakeHost, tmp_path: Path) -> None:
    intent = tmp_path / "intent.json"
    fields = {"account": "main", "venue": "okx", "symbol": "BTC/USDT", "side": "SELL", "type": "LIMIT"}
    fields |= {"time_in_force": "IOC", "quantity": "0.1", "price": "5", "client_order_id": "id-9"}
    intent.write_text(json.dumps(fields), encoding="utf-8")
    where = {"CASEMATE_GATEWAY": host.target, "CASEMATE_ENGINE": "mm-1"}
    done = run("submit", str(intent), "--price", "6", "--unauthenticated", **where)
    assert done.returncode == 0, done.stderr
    sent = host.intents()[0].order
    assert (sent.side, sent.time_in_force, sent.price) == (2, 2, "6")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"side": "UP"}', "side"),
        ('{"prise": "5"}', "prise"),
        ('{"side": "BUY", "quantity": 1e400, "price": "5"}', "quantity"),
        ('{"side": "BUY", "quantity": "1", "price": "5", "post_only": 1}', "post_only"),
        ('{"side": "BUY", "quantity": "1", "price": "5", "valid_until": 99999999999999999999}', "valid_until"),
        ('{"side": "BUY", "quantity": "1", "price": ["5"]}', "price"),
        ("[]", "JSON object"),
    ],
)
def test_a_bad_intent_is_wrong_use_and_names_the_field(host: FakeHost, text: str, named: str) -> None:
    where = ("--gateway", host.target, "--engine", "mm-1", "--unauthenticated")
    done = run("submit", "-", *ORDER[:6], *where, stdin=text)
    assert done.returncode == 2
    assert named in done.stderr
    assert host.asked == []


def test_an_unreachable_gateway_is_a_no_and_still_one_json_document(tmp_path: Path) -> None:
    done = run("status", "--json", "--gateway", f"unix:{tmp_path / 'nobody.sock'}")
    assert done.returncode == 1
    error = document(done)["error"]
    assert (error["reason"], error["retry_can_help"]) == ("NOT_CONNECTED", True)


def test_an_order_for_an_unreachable_gateway_was_not_sent(tmp_path: Path) -> None:
    done = run(
        *("submit", *ORDER, "--price", "60000"),
        *("--gateway", f"unix:{tmp_path / 'nobody.sock'}", "--engine", "mm-1", "--unauthenticated"),
    )
    assert done.returncode == 1
    assert "could not connect" in done.stderr
    assert "sent nothing" in done.stderr
    assert "became of it" not in done.stderr


def test_status_exits_1_while_the_enclave_is_not_ready(host: FakeHost) -> None:
    enclave = signer_pb2.EnclaveStatus(phase=signer_pb2.PHASE_AWAITING_POLICY, unauthenticated=True)
    host.answers["Status"] = dispatch_pb2.StatusReply(enclave=enclave, enclave_reachable=True, version="1")
    waiting = run("status", "--gateway", host.target)
    assert waiting.returncode == 1
    assert "believes every sender's name" in waiting.stdout
    host.answers["Status"].enclave.phase = signer_pb2.PHASE_READY
    assert run("status", "--gateway", host.target).returncode == 0


def test_cancel_halt_and_orders_reach_their_methods(host: FakeHost) -> None:
    where = ("--gateway", host.target, "--engine", "mm-1", "--unauthenticated")
    target = ("--account", "main", "--venue", "okx", "--symbol", "BTC/USDT")
    host.answers["List"] = dispatch_pb2.ListReply(reports=[allowed("id-1").report])
    assert run("cancel", *where, *target, "--client-order-id", "id-1").returncode == 0
    assert run("cancel", *where, *target, "--all").returncode == 0
    assert run("halt", *where, "--scope", "account", "--account", "main").returncode == 0
    assert run("halt", *where, "--scope", "account").returncode == 2
    listed = run("orders", *where, "--account", "main", "--json")
    assert document(listed)["reports"][0]["state"] == "OPEN"
    assert [name for name, _ in host.asked] == ["Cancel", "CancelAll", "Halt", "List"]


def test_dry_run_answers_each_line_and_a_bad_one_is_an_answer_and_no_failure() -> None:
    done = run("dry-run", stdin='{"op": "nonsense"}\n\n[]\n')
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 2
    assert all("reason" in answer["error"] for answer in answers)


def test_venues_lists_all_of_them_as_json() -> None:
    names = {venue["venue"] for venue in document(run("venues", "--json"))}
    assert {"binance", "binanceusdm", "bybit", "okx", "kraken", "coinbase", "backpack"} <= names
