"""S13, S9, S4: what duty leaves behind: receipts of grants and retirements, and approvals that are used up."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest

from casemate.quorum.statements import GRANT, Terms, approve, grant_fields
from casemate_mock.fake_nitro import EverybodyApproves
from enclave_signer.ports import Marks
from signer_api.v1 import signer_pb2
from tests.enclave.duty_rig import DUTY, MINUTE, RETIRE_TAG, Boot, boot, continues
from tests.enclave.enclave_rig import ACCOUNT, ENGINE, START
from tests.enclave.quorum_rig import KEYS, quorum


def last_receipt(enclave: Boot) -> dict[str, Any]:
    page = enclave.call(receipts=signer_pb2.ReceiptsRequest(limit=1000)).receipts.receipts
    said: dict[str, Any] = cbor2.loads(page[-1])
    return said


def by_quorum() -> EverybodyApproves:
    stand_in = EverybodyApproves()
    stand_in.approve_duty = quorum().approve_duty  # type: ignore[method-assign]
    return stand_in


def given(data: bytes, sequence: int) -> list[bytes]:
    terms = Terms(deployment="test", sequence=sequence, not_before=START, not_after=START + MINUTE)
    return [approve(key, GRANT, terms, grant_fields(data)) for key in KEYS[:2]]


def test_s9_each_grant_and_each_retirement_has_its_receipt() -> None:
    enclave = boot()
    data = cbor2.dumps(enclave.statement(), canonical=True)
    enclave.grant()
    said = last_receipt(enclave)
    assert (said["kind"], said["sequence"], said["accounts"]) == ("grant", 1, [ACCOUNT])
    assert said["digest"] == hashlib.sha256(data).digest()
    before = enclave.head()
    assert enclave.refused(sequence=1) == "sequence"
    assert enclave.head() == before
    enclave.retire()
    said = last_receipt(enclave)
    assert (said["kind"], said["sequence"], len(said["digest"])) == ("retired", 2, 32)


def test_s4_an_approval_of_a_grant_is_used_up_with_it_and_one_of_a_retirement_too() -> None:
    enclave = boot(authority=by_quorum())
    data = cbor2.dumps(enclave.statement(), canonical=True)
    assert enclave.call(grant=signer_pb2.DutyGrant(grant=data, approvals=given(data, 9))).HasField("granted")
    enclave.granted = 1
    data = cbor2.dumps(enclave.statement(), canonical=True)
    for sequence in (8, 9):
        late = enclave.call(grant=signer_pb2.DutyGrant(grant=data, approvals=given(data, sequence)))
        assert late.not_judged.field == "approvals[0].sequence", late
    said = {key: enclave.statement()[key] for key in ("deployment", "boot", "not_before", "not_after")}
    data = cbor2.dumps({**said, "format": "casemate.duty.retire.v1", "sequence": 2}, canonical=True)
    assert enclave.call(retire=signer_pb2.Retire(statement=data, approvals=given(data, 10))).HasField("checkpoint")


@pytest.mark.parametrize("call", ["grant", "retire", "checkpoint"])
def test_s13_nothing_of_duty_is_answered_before_there_is_a_policy(call: str) -> None:
    enclave = boot(loaded=False)
    data = cbor2.dumps(enclave.statement(), canonical=True)
    signature = DUTY.sign(RETIRE_TAG + data)
    messages = {
        "grant": signer_pb2.DutyGrant(grant=data, signature=signature),
        "retire": signer_pb2.Retire(statement=data, signature=signature),
        "checkpoint": signer_pb2.CheckpointRequest(),
    }
    assert enclave.call(**{call: messages[call]}).not_judged.reason == "WRONG_PHASE"


def marked(**bundles: int) -> tuple[EverybodyApproves, list[Marks]]:
    """An authority with these credentials' versions, and what it was told to go on from."""
    stand_in, carried = EverybodyApproves(), list[Marks]()
    stand_in.marks = lambda: Marks({"policy": 7}, bundles)  # type: ignore[method-assign]
    stand_in.carry = carried.append  # type: ignore[method-assign]
    return stand_in, carried


def test_s4_a_successor_goes_on_from_its_predecessors_marks_and_not_with_an_older_credential() -> None:
    first = boot(authority=marked(**{ACCOUNT: 4, "elsewhere": 2})[0])
    first.grant()
    stored = first.checkpoint()
    words = {"continues": continues(stored, START + MINUTE), "fresh": False}
    older, told = marked(**{ACCOUNT: 3})
    second = boot(now=START + MINUTE, authority=older)
    assert second.refused(stored, **words) == "continues.bundles"
    assert told == []
    same, told = marked(**{ACCOUNT: 4})
    third = boot(now=START + MINUTE, authority=same)
    third.grant(stored, **words)
    assert told == [Marks({"policy": 7}, {ACCOUNT: 4, "elsewhere": 2})]


def test_s13_a_replayed_retirement_adds_nothing_to_the_chain() -> None:
    enclave = boot()
    said = {"sequence": 5}
    assert enclave.retire(**said).checkpoint
    before = enclave.head()
    assert enclave.call(retire=signer_pb2.Retire()).not_judged.reason == "NOT_APPROVED"
    data = cbor2.dumps(
        {"format": "casemate.duty.retire.v1", "deployment": "test", "boot": enclave.id(), "sequence": 5,
         "not_before": START, "not_after": START + MINUTE}, canonical=True,
    )  # fmt: skip
    again = enclave.call(retire=signer_pb2.Retire(statement=data, signature=DUTY.sign(RETIRE_TAG + data)))
    assert again.not_judged.field == "sequence"
    assert enclave.head() == before


def test_s7_a_halt_that_stands_is_not_put_in_force_again_and_a_granter_who_saw_the_resume_may_halt_anew() -> None:
    halt = {"scope": "ALL", "account": "", "venue": "", "symbol": "", "by": ENGINE}
    enclave = boot()
    enclave.grant(halts=[halt])
    enclave.later(seconds=1)
    enclave.grant(halts=[halt])
    assert len(enclave.status().halts) == 1
    early = enclave.head()
    enclave.resume()
    seen = enclave.head()
    enclave.later(seconds=1)
    assert enclave.refused(halts=[halt], head=early) == "halts"
    enclave.grant(halts=[halt], head=seen)
    assert len(enclave.status().halts) == 1
    # It stands: that the granter did not see the resume changes nothing.
    enclave.grant(halts=[halt], head=early)
    assert len(enclave.status().halts) == 1
