"""S11: what is signed carries the enclave's time, so nothing is signed while that is not known to be right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from casemate_mock.fake_nitro import ClearKeys, EverybodyApproves, EverybodyAuthenticates
from casemate_mock.nitro import FakeChain, FakeNsm
from enclave_signer.drift import BOUND_NS, MOST_MISSED, Drift
from enclave_signer.errors import EnclaveError, NoDocument
from enclave_signer.service import Service
from enclave_signer.session.facts import read_facts
from enclave_signer.system import SystemRandomness
from enclave_signer.timekeeping import Timekeeper
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import ACCOUNT, MS, SECOND, START, Clock, Enclave, order, plain, ready
from tests.session.test_boot import without_certificates

CHAIN = FakeChain()
CANCEL = signer_pb2.OPERATION_CANCEL


class Kept(Clock):
    """The rig's clock, with corrections."""

    def correct(self, by: int) -> None:
        self.now += by


def stopped(drift: Drift) -> bool:
    """Ask anew: a type checker remembers what an attribute was."""
    return drift.stops


def compared(*, ahead: int, took: int = 0) -> Drift:
    drift = Drift()
    drift.compare(START + ahead - took // 2, START // MS, START + ahead + took // 2)
    return drift


def test_s11_nothing_is_signed_before_the_first_comparison() -> None:
    assert Drift().stops
    assert not compared(ahead=0).stops


@pytest.mark.parametrize("sign", [1, -1])
def test_s11_the_bound_holds_both_ways_and_allows_for_what_the_answer_took(sign: int) -> None:
    assert not compared(ahead=sign * BOUND_NS).stops
    assert compared(ahead=sign * (BOUND_NS + 2 * MS)).stops
    assert not compared(ahead=sign * (BOUND_NS + 2 * MS), took=10 * MS).stops
    assert compared(ahead=sign * 3600 * SECOND, took=10 * MS).stops


def test_s11_an_answer_too_slow_to_tell_anything_counts_as_none() -> None:
    drift = compared(ahead=0)
    for _ in range(MOST_MISSED - 1):
        assert not drift.compare(START, START // MS, START + 2 * BOUND_NS)
        assert not drift.stops
    drift.missed()
    assert stopped(drift)
    assert "cannot be read" in drift.refusal().reason
    drift.compare(START, START // MS, START)
    assert not drift.stops
    # Nor does a miss let go what stopped already.
    drift.compare(START + 9 * SECOND, START // MS, START + 9 * SECOND)
    drift.missed()
    assert drift.stops


def drifting() -> tuple[Enclave, Drift]:
    enclave, drift = ready(), compared(ahead=0)
    enclave.service._drift = enclave.service._signing._drift = drift
    return enclave, drift


def test_s11_past_the_bound_everything_that_is_signed_stops_and_a_halt_works() -> None:
    enclave, drift = drifting()
    enclave.judged(order())
    drift.compare(START - 5 * SECOND, START // MS, START - 5 * SECOND)
    for kind, fields in (
        ("cancel", {"client_order_id": "o-1"}),
        ("cancel_all", {}),
        ("query", {"client_order_id": "o-1"}),
        ("open_orders", {}),
        ("balances", {}),
        ("amend", {"client_order_id": "o-1", "quantity": "2"}),
    ):
        judged = enclave.judged(plain(kind, **fields))
        assert judged.verdict.rule == "clock_drift"
        assert not judged.HasField("request")
    refused = enclave.judged(order(client_order_id="o-2"))
    assert (refused.verdict.rule, refused.HasField("request")) == ("clock_drift", False)
    assert "5000 ms behind" in refused.verdict.reason
    # Not the same bytes again either.
    assert enclave.rule(order()) == "clock_drift"
    assert enclave.derived("o-1", CANCEL).judged.verdict.rule == "clock_drift"
    assert enclave.status().clock_drift == -5 * SECOND
    assert enclave.rule(plain("order_closed", client_order_id="o-1", filled_quantity="0")) == "order_closed"
    assert enclave.rule(plain("halt", scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT)) == "halt"
    # Back within it.
    drift.compare(START, START // MS, START)
    assert enclave.rule(plain("cancel", client_order_id="o-1")) != "clock_drift"


@pytest.mark.parametrize("call", ["load_policy", "provision", "resume"])
def test_s11_statements_begin_and_end_by_a_right_clock(call: str) -> None:
    enclave, drift = drifting()
    drift.compare(START + 9 * SECOND, START // MS, START + 9 * SECOND)
    kinds: dict[str, Any] = {
        "load_policy": signer_pb2.LoadPolicy(),
        "provision": signer_pb2.Provision(),
        "resume": signer_pb2.Resume(),
    }
    refused = enclave.call(**{call: kinds[call]}).not_judged
    assert (refused.reason, refused.field, refused.retry_can_help) == ("CLOCK_DRIFT", "clock", True)


def timed() -> tuple[Kept, FakeNsm, Drift, Timekeeper]:
    clock, drift = Kept(), Drift()
    # The module has a clock of its own.
    nsm = FakeNsm(chain=CHAIN, now_ms=lambda: START // MS, random_bytes=bytes, measurements={})
    return clock, nsm, drift, Timekeeper(clock, nsm, drift)


def test_s11_a_small_drift_is_corrected_and_a_jump_is_not() -> None:
    clock, nsm, drift, keeper = timed()
    clock.now += SECOND
    keeper.compare()
    assert (drift.stops, drift.nanoseconds, clock.now) == (False, SECOND, START)
    clock.now -= 50 * MS
    keeper.compare()
    assert clock.now == START - 50 * MS
    nsm.skew_ms = 60_000
    keeper.compare()
    assert (drift.stops, clock.now) == (True, START - 50 * MS)
    nsm.skew_ms = 0
    keeper.compare()
    assert not drift.stops


def test_s11_a_module_that_does_not_answer_stops_the_signing_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    _, nsm, drift, keeper = timed()
    keeper.compare()

    def fails(**_: object) -> bytes:
        message = "InternalError"
        raise EnclaveError(message)

    monkeypatch.setattr(nsm, "attestation", fails)
    for _ in range(MOST_MISSED):
        assert not drift.stops
        keeper.compare()
    assert drift.stops


def test_s11_the_clocks_are_compared_again_and_again() -> None:
    _, nsm, drift, keeper = timed()
    keeper.compare()

    async def watch() -> None:
        keeping = asyncio.create_task(keeper.keep(0.001))
        nsm.skew_ms = 60_000
        # Neither clock nor event tells a test when another thread has answered.
        while not drift.stops:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        keeping.cancel()

    asyncio.run(asyncio.wait_for(watch(), 30))


def test_a_service_without_a_module_to_compare_with_is_not_stopped() -> None:
    service = Service(
        Clock(), SystemRandomness(), EverybodyAuthenticates(), EverybodyApproves(), ClearKeys(EverybodyApproves())
    )
    assert not service._drift.stops


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x84\x40\xa0\x40\x40", b"\xff", b"\x84\x40\xa0\x41\xa0\x40", b"\xf6"])
def test_an_answer_that_is_no_document_is_told(data: bytes) -> None:
    with pytest.raises(NoDocument, match="not a document"):
        read_facts(data)


def test_the_facts_of_a_document_are_its_time_and_the_end_of_its_first_certificate_to_end() -> None:
    _, nsm, _, _ = timed()
    facts = read_facts(nsm.attestation())
    ends = [int(each.certificate.not_valid_after_utc.timestamp()) * 1000 for each in CHAIN.path(START // MS)]
    assert facts == (START // MS, min(ends))


def test_s11_the_clocks_are_compared_by_a_document_whose_certificates_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, nsm, drift, keeper = timed()
    issue = nsm.attestation
    monkeypatch.setattr(nsm, "attestation", lambda: without_certificates(issue()))
    keeper.compare()
    assert not stopped(drift)
    nsm.skew_ms = 3_000
    keeper.compare()
    assert stopped(drift)
    assert drift.nanoseconds == -3 * SECOND
