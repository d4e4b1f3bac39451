"""Wrong use and halts: what the commands say, and by which exit code."""

from __future__ import annotations

import grpc
import pytest

from casemate.cli.main import main
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2
from tests.client.fake_host import FakeHost, abort_with

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
