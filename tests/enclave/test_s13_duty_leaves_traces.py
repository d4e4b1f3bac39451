"""S13, S9, S4: what duty leaves behind: receipts of grants and retirements, and approvals that are used up."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest

from casemate.quorum.statements import GRANT, Terms, approve, grant_fields
from casemate_mock.fake_nitro import EverybodyApproves
from signer_api.v1 import signer_pb2
from tests.enclave.duty_rig import DUTY, MINUTE, RETIRE_TAG, Boot, boot
from tests.enclave.enclave_rig import ACCOUNT, START
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
    assert enclave.service._authority.marks().sequences[GRANT] == 10


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
