"""What ``casemate status`` says, and by which exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from casemate.cli.main import main
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from tests.client.fake_host import FakeHost

SECOND = 1_000_000_000
ALL = signer_pb2.Halt(scope=intent_pb2.HALT_SCOPE_ALL, by="risk", number=3, since=1_700_000_000 * SECOND)
GRANTED = signer_pb2.DutyStatus(required=True, sequence=9, not_after=1_700_000_060 * SECOND, accounts=["a"])


def status_of(host: FakeHost, *more: str, **enclave: Any) -> int:
    """Answer with a READY enclave but for what is given; returns the exit code."""
    said = signer_pb2.EnclaveStatus(**{"phase": signer_pb2.PHASE_READY, **enclave})
    host.answers["Status"] = dispatch_pb2.StatusReply(enclave=said, enclave_reachable=True, version="1")
    return main(["status", "--gateway", host.target, *more])


@pytest.mark.parametrize(
    ("enclave", "said"),
    [
        ({"halts": [ALL]}, "HALT ALL by risk (number 3, since 2023-11-14T22:13:20.000Z)"),
        ({"duty": signer_pb2.DutyStatus(required=True)}, "no grant of duty is in force"),
        ({"duty": signer_pb2.DutyStatus(required=True, retired=True)}, "the boot is retired"),
        ({"clock_drift": -3 * SECOND}, "-3000 ms"),
        ({"phase": signer_pb2.PHASE_AWAITING_CREDENTIALS}, "AWAITING_CREDENTIALS"),
    ],
)
def test_status_exits_1_and_says_why_while_no_order_can_be_signed(
    host: FakeHost, capsys: pytest.CaptureFixture[str], enclave: dict[str, Any], said: str
) -> None:
    assert status_of(host, **enclave) == 1
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if line.startswith("NO NEW ORDERS") and said in line]
    assert status_of(host, "--json", **enclave) == 1
    assert said in json.loads(capsys.readouterr().out)["stopped"][0]


def test_what_stops_some_orders_alone_does_not_change_the_code(host: FakeHost) -> None:
    one = signer_pb2.Halt(scope=intent_pb2.HALT_SCOPE_VENUE, venue="okx", by="risk")
    assert status_of(host, halts=[one], duty=GRANTED, clock_drift=SECOND) == 0
    assert status_of(host, duty=signer_pb2.DutyStatus()) == 0


def test_status_says_which_accounts_have_a_key_and_until_when_the_grant_is(
    host: FakeHost, capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(host, accounts=["a", "b"], provisioned=["a"], duty=GRANTED)
    shown = capsys.readouterr().out
    assert "accounts with a key: a, without: b" in shown
    assert "grant 9 until 2023-11-14T22:14:20.000Z for a" in shown
