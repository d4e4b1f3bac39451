"""Wrong use and halts: what the commands say, and by which exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cbor2
import grpc
import pytest

from casemate.cli.main import main
from casemate.errors import NotJudged
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2
from tests.client.fake_host import FakeHost, abort_with, allowed

WHERE = ("--account", "main", "--venue", "okx", "--symbol", "BTC/USDT")


def wrong_use(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run what must be wrong use and return what it says."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "1001", "5000", "x", "-1"])
def test_a_limit_out_of_bounds_never_reaches_the_host(capsys: pytest.CaptureFixture[str], limit: str) -> None:
    said = wrong_use(capsys, "orders", "--account", "main", f"--limit={limit}")
    assert "expected a number from 1 to 1000" in said


def test_all_and_an_id_are_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not both" in wrong_use(capsys, "cancel", *WHERE, "--all", "--client-order-id", "x")
    assert "which order?" in wrong_use(capsys, "cancel", *WHERE)


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_that_must_be_positive_is_said_so(capsys: pytest.CaptureFixture[str], number: str) -> None:
    said = wrong_use(capsys, "demo", f"--orders={number}")
    assert "expected a positive number" in said
    assert "_positive" not in said


def test_what_the_host_calls_malformed_is_wrong_use(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.answers["List"] = abort_with(grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED", "account")
    said = wrong_use(capsys, "orders", "--gateway", host.target, "--engine", "mm-1", "--account", "x y")
    assert "MALFORMED" in said


def test_a_resume_of_no_halt_is_a_no_and_is_not_sent(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    okx = signer_pb2.Halt(scope=intent_pb2.HALT_SCOPE_VENUE, venue="okx", by="mm-1")
    every = signer_pb2.Halt(scope=intent_pb2.HALT_SCOPE_ALL, by="risk")
    enclave = signer_pb2.EnclaveStatus(phase=signer_pb2.PHASE_READY, halts=[okx, every])
    host.answers["Status"] = dispatch_pb2.StatusReply(enclave=enclave, enclave_reachable=True)
    host.answers["Resume"] = signer_pb2.EnclaveStatus(phase=signer_pb2.PHASE_READY, halts=[every])
    asked = ("resume", "--gateway", host.target, "--scope", "VENUE", "--venue")
    assert main([*asked, "kraken"]) == 1
    assert "no such HALT stands; standing: VENUE okx by mm-1, ALL by risk" in capsys.readouterr().err
    assert "Resume" not in [name for name, _ in host.asked]
    assert main([*asked, "okx"]) == 0
    assert "RESUMED (VENUE); halts left: ALL by risk" in capsys.readouterr().out


def test_the_help_says_the_default_type(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["submit", "--help"])
    assert "default LIMIT" in capsys.readouterr().out


def test_the_command_alone_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    said = wrong_use(capsys)
    assert "policy" in said
    assert "send one order" in said


def test_a_key_too_long_is_shown_whole_and_a_wrong_time_says_what_is_expected(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = "ab" * 33
    made = ("quorum", "make", "--deployment", "d", "--threshold", "1", "-o", str(tmp_path / "q"), "--key", key)
    assert f'"{key}" (66 characters): expected an Ed25519 public key' in wrong_use(capsys, *made)
    resume = ("quorum", "sign-resume", "--deployment", "d", "--last", "1", "--key", "k", "--boot")
    assert f'"{key}" (66 characters): expected a public key' in wrong_use(capsys, *resume, key)
    assert "such as 30m, 24h or 90d, at most 366d" in wrong_use(capsys, *resume, "ab" * 32, "--valid", "2y")


def test_the_field_is_named_once() -> None:
    assert str(NotJudged("NOT_APPROVED", "approvals: 1 of 2", "approvals")) == "NOT_APPROVED: approvals: 1 of 2"
    assert str(NotJudged("MALFORMED", "too long", "tag")) == "MALFORMED (tag): too long"


def test_orders_of_an_account_that_nobody_knows_is_a_no(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    enclave = signer_pb2.EnclaveStatus(phase=signer_pb2.PHASE_READY, accounts=["main"])
    host.answers["Status"] = dispatch_pb2.StatusReply(enclave=enclave, enclave_reachable=True)
    host.answers["List"] = dispatch_pb2.ListReply()
    assert main(["orders", "--gateway", host.target, "--account", "nope"]) == 1
    assert "the policy has no such account; there are main" in capsys.readouterr().err
    assert main(["orders", "--gateway", host.target, "--account", "main"]) == 0


def test_submit_in_words_shows_the_receipt_s_number(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.answers["Submit"] = allowed()
    host.answers["Submit"].receipt = cbor2.dumps({"seq": 41})
    order = ("--side", "BUY", "--quantity", "1", "--price", "5", "--unauthenticated", "--engine", "mm")
    main(["submit", *WHERE, *order, "--gateway", host.target])
    assert "receipt 41 (as the host tells it)" in capsys.readouterr().out


def test_the_example_engine_without_arguments_says_its_use() -> None:
    example = Path(__file__).parents[2] / "examples" / "engine.py"
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "usage: python examples/engine.py PROFILE.toml" in done.stderr) == (1, True)
