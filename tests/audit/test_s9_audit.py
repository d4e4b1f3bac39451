"""S9: what was altered, dropped, reordered, inserted, cut off or forked is found, offline."""

from __future__ import annotations

import hashlib
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.audit import live, view
from casemate.audit.audit import Expected, audit
from casemate.audit.check import Problem
from casemate.audit.evidence import Claim, Evidence
from casemate.audit.forms import HEAD_TAG
from casemate.audit.witness import Seen
from casemate_mock.nitro import measure
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2
from tests.audit.audit_rig import Story, holds, tell
from tests.session.session_rig import HOUR, SECOND

STORY = tell()
OTHER = tell(start=HOUR)


def problems(story: Story, boot: Any = None, **changes: Any) -> set[Problem]:
    return {finding.problem for finding in story.audited(boot, **changes).findings}


def test_s9_a_whole_chain_with_its_witness_is_sound() -> None:
    outcome = STORY.audited()
    assert outcome.findings == []
    assert outcome.sound
    (report,) = outcome.reports
    assert report.receipts == len(STORY.receipts) == report.signed_to + 1  # type: ignore[operator]
    assert holds(STORY.receipts, STORY.witness)
    rows = report.tally.rows.values()
    assert (sum(row.allowed for row in rows), sum(row.refused for row in rows)) == (8, 4)


def test_s9_without_a_witness_the_audit_is_not_sound() -> None:
    outcome = STORY.audited(seen=None)
    assert outcome.findings == []
    assert not outcome.sound


def altered(data: st.DataObject, receipts: list[bytes]) -> list[bytes]:
    """Do one thing to a chain that must not be done."""
    at = data.draw(st.integers(0, len(receipts) - 1), "at")
    kind = data.draw(st.sampled_from(["bit", "drop", "swap", "insert", "cut", "foreign", "twice"]), "kind")
    made = list(receipts)
    if kind == "bit":
        octets = bytearray(made[at])
        octets[data.draw(st.integers(0, 120)) % len(octets)] ^= 1 << data.draw(st.integers(0, 7))
        made[at] = bytes(octets)
    elif kind == "drop":
        del made[at]
    elif kind == "swap":
        other = data.draw(st.integers(0, len(receipts) - 1), "other")
        made[at], made[other] = made[other], made[at]
    elif kind == "insert":
        said = cbor2.loads(made[at])
        made.insert(at, cbor2.dumps(said | {"time": said["time"] + 1}, canonical=True))
    elif kind == "cut":
        del made[at:]
    elif kind == "foreign":
        made[at] = OTHER.receipts[min(at, len(OTHER.receipts) - 1)]
    else:
        made.insert(at, made[at])
    return made


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_s9_whatever_is_done_to_a_receipt_is_found(data: st.DataObject) -> None:
    made = altered(data, STORY.receipts)
    outcome = STORY.audited(STORY.boot(made))
    # The second implementation is the judge of whether anything was done at all.
    assert outcome.sound == holds(made, STORY.witness)
    assert outcome.sound == (made == STORY.receipts)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_s9_a_host_that_makes_the_chain_anew_cannot_sign_it(data: st.DataObject) -> None:
    """Root on the host can hash: only the heads' signatures stop him."""
    at = data.draw(st.integers(1, len(STORY.receipts) - 1))
    made = list(STORY.receipts[:at])
    previous = hashlib.sha256(b"casemate.receipt.v1\0" + made[-1]).digest()
    for number, receipt in enumerate(STORY.receipts[at:], at):
        said = cbor2.loads(receipt) | {"prev": previous}
        if number == at:
            said["time"] -= 1
        made.append(cbor2.dumps(said, canonical=True))
        previous = hashlib.sha256(b"casemate.receipt.v1\0" + made[-1]).digest()
    assert problems(STORY, STORY.boot(made)) & {Problem.FORK, Problem.TIME}
    # Without the heads that do not fit, the witness still has them.
    assert Problem.FORK in problems(STORY, STORY.boot(made, []))
    assert not STORY.audited(STORY.boot(made, []), seen=None).sound


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_s9_a_head_that_was_altered_or_swapped_is_found(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(STORY.heads) - 1))
    heads = list(STORY.heads)
    kind = data.draw(st.sampled_from(["head", "signature", "foreign", "own_key"]))
    head, signature = heads[at]
    if kind == "foreign":
        heads[at] = OTHER.heads[at]
    elif kind == "own_key":
        heads[at] = (head, Ed25519PrivateKey.generate().sign(HEAD_TAG + head))
    else:
        part = bytearray(head if kind == "head" else signature)
        part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
        heads[at] = (bytes(part), signature) if kind == "head" else (head, bytes(part))
    assert problems(STORY, STORY.boot(heads=heads)) == {Problem.HEAD}


def test_s9_a_chain_cut_off_with_its_heads_is_found_by_the_witness_alone() -> None:
    last = cbor2.loads(STORY.heads[0][0])["seq"]
    boot = STORY.boot(STORY.receipts[: last + 1], STORY.heads[:1])
    assert problems(STORY, boot) == {Problem.TRUNCATED}
    outcome = STORY.audited(boot, seen=None)
    assert outcome.findings == []
    assert not outcome.sound


def test_s9_twins_are_found_because_the_witness_saw_both() -> None:
    """A host that runs two boots shows one of them: the other one's heads are with the witness."""
    assert problems(STORY, seen=[*STORY.witness, *OTHER.witness]) == {Problem.TRUNCATED}
    twin = tell()
    both = [STORY.boot(), twin.boot()]
    pins = Expected(pcrs={0: STORY.rig.measurements[0]}, root=STORY.rig.chain.root)
    found = audit(Evidence(both, None), pins, [*STORY.witness, *twin.witness]).findings
    assert [finding.problem for finding in found] == [Problem.TWINS]


def test_s9_one_key_that_signs_two_heads_for_one_receipt_is_a_fork() -> None:
    head, _ = STORY.heads[1]
    other = cbor2.dumps(cbor2.loads(head) | {"hash": bytes(32)}, canonical=True)
    signature = STORY.rig.sessions.keys.receipts.sign(HEAD_TAG + other)
    assert problems(STORY, seen=[*STORY.witness, Seen(0, other, signature)]) == {Problem.FORK}
    assert Problem.FORK in problems(STORY, STORY.boot(heads=[*STORY.heads, (other, signature)]))


def test_s9_the_unsigned_tail_is_named_and_not_in_the_table() -> None:
    story = tell(14)
    del story.heads[3:]
    (report,) = story.audited().reports
    assert report.tail.receipts == 2
    assert report.tail.charged == 100_000
    assert sum(row.allowed + row.refused for row in report.tally.rows.values()) == 12


def test_s9_the_key_that_signs_must_be_attested() -> None:
    assert problems(STORY, STORY.boot()._replace(document=b"")) == {Problem.NOT_ATTESTED}
    assert problems(STORY, STORY.boot()._replace(document=OTHER.document)) == {Problem.NOT_ATTESTED}
    strangers = {0: measure(b"another image")}
    for pcrs in ({}, strangers):
        outcome = audit(Evidence([STORY.boot()], None), Expected(pcrs=pcrs, root=STORY.rig.chain.root), STORY.witness)
        assert {finding.problem for finding in outcome.findings} == {Problem.NOT_ATTESTED}
    of_aws = audit(Evidence([STORY.boot()], None), Expected(pcrs={0: STORY.rig.measurements[0]}), STORY.witness)
    assert {finding.problem for finding in of_aws.findings} == {Problem.NOT_ATTESTED}


def test_s9_a_sent_order_without_a_receipt_is_found() -> None:
    intents = [cbor2.loads(receipt)["intent"] for receipt in STORY.receipts if b"hdecision" in receipt]
    allowed, refused = intents[0], intents[2]
    claim = Claim("main", "id-1", 1, 1)
    assert problems(STORY, sent={allowed: claim}) == set()
    assert problems(STORY, sent={refused: claim}) == {Problem.CLAIM}
    assert problems(STORY, sent={bytes(32): claim}) == {Problem.CLAIM}
    assert STORY.audited(sent={allowed: claim}).unsent == 7


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\xff", cbor2.dumps({"seq": 3}), b"\x9f" * 2000])
def test_bytes_that_are_no_receipt_are_malformed(data: bytes) -> None:
    made = [*STORY.receipts[:3], data, *STORY.receipts[4:]]
    assert Problem.MALFORMED in problems(STORY, STORY.boot(made))


def test_s9_what_happened_beside_orders_is_told_with_its_names_and_by_the_day() -> None:
    story = tell()
    outcome = story.audited()
    said = "\n".join(view.lines(outcome, None))
    changes = view.as_json(outcome, None)["boots"][0]["changes"]
    policy = next(each for each in changes if each["kind"] == "policy")
    assert policy["details"]["version"] == 1
    assert len(policy["details"]["digest"]) == 64
    assert f"policy (receipt {policy['sequence']}): version 1, digest {policy['details']['digest'][:16]}..." in said
    credential = next(each for each in changes if each["kind"] == "credential")
    assert credential["details"]["account"] == "main"
    day = 86_400 * SECOND
    other = (policy["time"] - policy["time"] % day + 5 * day, policy["time"] - policy["time"] % day + 6 * day)
    quiet = "\n".join(view.lines(outcome, other))
    assert "policy (receipt" not in quiet
    assert "nothing happened on" in quiet
    assert view.as_json(outcome, other)["boots"][0]["changes"] == []


def test_a_gateways_receipts_are_counted_by_its_head() -> None:
    story = tell()
    head = signer_pb2.SignedHead(head=story.heads[-1][0], signature=story.heads[-1][1])
    page = dispatch_pb2.StoredReceipts(boot=story.key, boots=[story.key], head=head)
    (boot,) = live.fetch(lambda *_: page).boots
    assert 0 < boot.stored <= len(story.receipts)
