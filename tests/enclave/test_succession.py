"""S4: the quorum of the image gives way only to a successor that it signed, and only before the first policy."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest

from enclave_signer.admins import BadQuorum, read_admins
from enclave_signer.errors import NotApproved
from signer_api.v1 import signer_pb2
from tests.enclave.enclave_rig import START, empty, policy
from tests.enclave.quorum_rig import HOUR, NOW, POLICY, PUBLIC, approvals, quorum, quorum_file

FIRST = quorum_file()
# The fourth, an outsider before, with the third.
SECOND = quorum_file(admins=sorted(PUBLIC[2:]), generation=1)
THIRD = quorum_file(admins=sorted(PUBLIC[:2]), generation=2)


def succession(*signers: int, new: bytes = SECOND, old: bytes = FIRST, **changes: Any) -> list[bytes]:
    said = {
        "subject": hashlib.sha256(new).hexdigest(),
        "generation": cbor2.loads(new).get("generation", 0),
        "predecessor": hashlib.sha256(old).hexdigest(),
        "sequence": 1,
    }
    return approvals(*signers, kind="quorum", **(said | changes))


def refused(new: bytes, given: list[bytes]) -> NotApproved:
    one = quorum()
    with pytest.raises(NotApproved) as caught:
        one.succeed(new, given, NOW)
    assert (one.digest, one.generation) == (hashlib.sha256(FIRST).digest(), 0)
    return caught.value


def test_s4_a_successor_rules_and_its_predecessor_does_not_any_more() -> None:
    one = quorum()
    one.succeed(SECOND, succession(0, 1), NOW)
    assert (one.digest, one.generation) == (hashlib.sha256(SECOND).digest(), 1)
    one.approve_policy(POLICY, approvals(2, 3), NOW)
    with pytest.raises(NotApproved, match="not an administrator"):
        one.approve_policy(POLICY, approvals(0, 1), NOW)
    one.succeed(THIRD, succession(2, 3, new=THIRD, old=SECOND, sequence=2), NOW)
    one.approve_policy(POLICY, approvals(0, 1), NOW)


def test_s4_too_few_or_the_successors_own_approve_no_succession() -> None:
    assert "1 of 2" in refused(SECOND, succession(0)).message
    assert "not an administrator" in refused(SECOND, succession(2, 3)).message
    assert "0 of 2" in refused(SECOND, []).message


def test_s4_a_generation_is_not_skipped_repeated_or_replayed() -> None:
    assert "expected 1" in refused(THIRD, succession(0, 1, new=THIRD)).message
    assert "expected 1" in refused(quorum_file(threshold=1), succession(0, 1, new=quorum_file(threshold=1))).message
    one = quorum()
    one.succeed(SECOND, succession(0, 1), NOW)
    with pytest.raises(NotApproved, match="expected 2"):
        one.succeed(SECOND, succession(0, 1), NOW)
    # A statement of the first quorum is none of the second's, even of somebody who is in both.
    with pytest.raises(NotApproved, match="not an administrator"):
        one.succeed(THIRD, succession(0, 1, new=THIRD, old=SECOND, sequence=2), NOW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"predecessor": "00" * 32}, "predecessor"),
        ({"subject": "00" * 32}, "subject"),
        ({"generation": 2}, "generation"),
        ({"generation": True}, "generation"),
        ({"deployment": "other"}, "deployment"),
        ({"format": "casemate.statement.v2"}, "format"),
        ({"not_after": NOW}, "not_after"),
        ({"predecessor": None}, ""),
    ],
)
def test_s4_a_succession_that_says_something_else_is_refused(changes: dict[str, Any], field: str) -> None:
    assert refused(SECOND, succession(0, 1, **changes)).field == "approvals[0]" + (f".{field}" if field else "")


def test_s4_a_successor_of_another_deployment_or_that_is_no_quorum_is_refused() -> None:
    foreign = quorum_file(generation=1, deployment="other")
    assert "deployment test" in refused(foreign, succession(0, 1, new=foreign)).message
    broken = quorum_file(generation=1, threshold=9)
    assert "threshold" in refused(broken, succession(0, 1, new=broken)).message


@pytest.mark.parametrize("generation", [0, -1, True, "1", 1 << 63, None])
def test_a_generation_is_written_in_one_way(generation: object) -> None:
    with pytest.raises(BadQuorum):
        read_admins(quorum_file(generation=generation))


def test_s4_the_enclave_takes_a_successor_before_its_first_policy_and_never_after() -> None:
    enclave = empty(authority=quorum())
    window: dict[str, Any] = {"not_before": START - 1, "not_after": START + HOUR}
    message = signer_pb2.SucceedQuorum(quorum=SECOND, approvals=succession(0, 1, **window))
    assert enclave.status().quorum == hashlib.sha256(FIRST).digest()
    status = enclave.call(succeed=message).status
    assert (status.quorum, status.quorum_generation) == (hashlib.sha256(SECOND).digest(), 1)
    # A change of who approves is in the chain as every other change is (S9).
    taken = cbor2.loads(enclave.call(receipts=signer_pb2.ReceiptsRequest(limit=9)).receipts.receipts[-1])
    assert (taken["kind"], taken["digest"], taken["generation"]) == ("quorum", status.quorum, 1)
    data = cbor2.dumps(policy(), canonical=True)
    said = {"subject": hashlib.sha256(data).hexdigest(), "version": policy()["version"], **window}
    old = signer_pb2.LoadPolicy(policy=data, approvals=approvals(0, 1, **said))
    assert enclave.call(load_policy=old).not_judged.reason == "NOT_APPROVED"
    new = signer_pb2.LoadPolicy(policy=data, approvals=approvals(2, 3, **said))
    assert enclave.call(load_policy=new).WhichOneof("answer") == "loaded"
    third = succession(2, 3, new=THIRD, old=SECOND, sequence=2, **window)
    after = enclave.call(succeed=signer_pb2.SucceedQuorum(quorum=THIRD, approvals=third))
    assert (after.not_judged.reason, after.not_judged.retry_can_help) == ("WRONG_PHASE", False)
    assert enclave.status().quorum == hashlib.sha256(SECOND).digest()
