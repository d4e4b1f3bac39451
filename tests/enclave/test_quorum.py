"""S4, S7: only enough right approvals pass, and each way of being wrong is refused with its reason."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave_signer.admins import BadQuorum, read_admins
from enclave_signer.boot import make_boot_key
from enclave_signer.errors import NotApproved
from enclave_signer.halts import ADMINISTRATOR, Halts, Standing
from enclave_signer.model import HaltScope
from enclave_signer.points import is_sound
from enclave_signer.ports import Resumed
from enclave_signer.quorum import LONGEST_NS
from enclave_signer.system import SystemRandomness
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import ACCOUNT, START, empty, order, plain, policy, ready
from tests.enclave.quorum_rig import (
    CREDENTIAL,
    HOUR,
    KEYS,
    NOW,
    POLICY,
    PUBLIC,
    approval,
    approvals,
    quorum,
    quorum_file,
    signed,
    statement,
)

HALTED = Resumed("ACCOUNT", "main", "", "", 1)
ORDER = 2**252 + 27742317777372353535851937790883648493


def refused(given_approvals: list[bytes], policy_bytes: bytes = POLICY, now: int = NOW) -> NotApproved:
    with pytest.raises(NotApproved) as caught:
        quorum().approve_policy(policy_bytes, given_approvals, now)
    return caught.value


@pytest.mark.parametrize("signers", [(0, 1), (1, 0), (2, 0), (0, 1, 2)])
def test_s4_enough_administrators_approve(signers: tuple[int, ...]) -> None:
    quorum().approve_policy(POLICY, approvals(*signers), NOW)
    quorum().approve_credential("main", 1, CREDENTIAL, approvals(*signers, kind="credential"), NOW)
    quorum().approve_resume(HALTED, approvals(*signers, kind="resume"), NOW)


@pytest.mark.parametrize("signers", [(), (0,), (1,), (2,)])
def test_s4_too_few_are_refused(signers: tuple[int, ...]) -> None:
    assert f"{len(signers)} of 2" in refused(approvals(*signers)).message


def test_s4_one_key_counts_once() -> None:
    assert "counts once" in refused(approvals(0, 0)).message
    # Nor with another statement, hence another signature, of the same key.
    assert "counts once" in refused([approval(0), approval(0, not_after=NOW + 1)]).message


def test_s4_a_stranger_does_not_count_and_spoils_the_rest() -> None:
    assert "not an administrator" in refused(approvals(0, 3)).message
    assert refused(approvals(0, 1, 3)).field == "approvals[2].signer"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"deployment": "other"}, "deployment"),
        ({"kind": "credential"}, "kind"),
        ({"format": "casemate.statement.v2"}, "format"),
        ({"subject": hashlib.sha256(b"another policy").hexdigest()}, "subject"),
        ({"version": 8}, "version"),
        ({"version": "7"}, "version"),
        ({"sequence": 0}, "sequence"),
        ({"sequence": "3"}, "sequence"),
        ({"sequence": True}, "sequence"),
        ({"sequence": 1 << 63}, "sequence"),
        ({"not_before": NOW + 1}, "not_before"),
        ({"not_after": NOW}, "not_after"),
        ({"not_before": NOW + 2, "not_after": NOW + 1}, "not_after"),
        ({"not_before": 0}, "not_after"),
        ({"not_before": NOW - 1, "not_after": NOW + LONGEST_NS}, "not_after"),
        ({"signer": PUBLIC[2]}, ""),
        ({"signer": PUBLIC[0].upper()}, "signer"),
        ({"signer": 1}, "signer"),
        ({"signer": None}, ""),
        ({"version": None}, ""),
        ({"account": "main"}, ""),
    ],
)
def test_s4_a_statement_that_says_something_else_is_refused(changes: dict[str, Any], field: str) -> None:
    error = refused([approval(0, **changes), approval(1)])
    assert error.field == ("approvals[0]" + (f".{field}" if field else "")), error.message


def test_s4_an_approval_ends_to_the_nanosecond() -> None:
    given_approvals = approvals(0, 1, not_before=NOW, not_after=NOW + HOUR)
    quorum().approve_policy(POLICY, given_approvals, NOW)
    quorum().approve_policy(POLICY, given_approvals, NOW + HOUR - 1)
    assert "not valid any more" in refused(given_approvals, now=NOW + HOUR).message
    assert "not valid yet" in refused(given_approvals, now=NOW - 1).message


def test_s4_a_signature_of_one_kind_is_none_of_another() -> None:
    data = cbor2.dumps(statement("policy", 0), canonical=True)
    assert "signature" in refused([signed(0, "credential", data), approval(1)]).message
    assert "signature" in refused([KEYS[0].sign(data) + data, approval(1)]).message


def test_s4_bytes_that_are_not_canonical_are_refused() -> None:
    said = statement("policy", 0)
    backwards = cbor2.dumps(dict(sorted(said.items(), reverse=True)))
    assert cbor2.loads(backwards) == said
    assert "canonical" in refused([signed(0, "policy", backwards), approval(1)]).message
    longer = cbor2.dumps(said, canonical=True) + b"\0"
    assert "after the end" in refused([signed(0, "policy", longer), approval(1)]).message
    assert refused([signed(0, "policy", b"\x80"), approval(1)]).field == "approvals[0]"
    assert refused([b"", approval(1)]).field == "approvals[0]"


def test_s4_a_malleable_signature_is_refused() -> None:
    right = approval(0)
    s = int.from_bytes(right[32:64], "little") + ORDER
    assert s < 1 << 256
    assert "signature" in refused([right[:32] + s.to_bytes(32, "little") + right[64:], approval(1)]).message


def test_s4_administrators_must_approve_the_same() -> None:
    error = refused([approval(0, sequence=3), approval(1, sequence=4)])
    assert error.field == "approvals[1]"
    given_approvals = [approval(0, "credential", version=1), approval(1, "credential", version=2)]
    with pytest.raises(NotApproved, match="version"):
        quorum().approve_credential("main", 1, CREDENTIAL, given_approvals, NOW)


def test_s4_sequences_rise_within_a_kind_and_are_used_up_only_when_taken() -> None:
    one = quorum()
    first = one.approve_policy(POLICY, approvals(0, 1), NOW)
    one.approve_policy(POLICY, approvals(0, 1), NOW)
    first()
    for sequence in (1, 3):
        with pytest.raises(NotApproved, match="more than 3"):
            one.approve_policy(POLICY, approvals(1, 2, sequence=sequence), NOW)
    one.approve_policy(POLICY, approvals(1, 2, sequence=4), NOW)
    one.approve_resume(HALTED, approvals(0, 1, kind="resume", sequence=1), NOW)


def test_s4_an_older_credential_is_refused_account_by_account() -> None:
    one = quorum()
    one.approve_credential("main", 5, CREDENTIAL, approvals(0, 1, kind="credential", version=5), NOW)()
    for version in (4, 5):
        with pytest.raises(NotApproved, match="more than 5"):
            one.approve_credential(
                "main", version, CREDENTIAL, approvals(0, 1, kind="credential", sequence=9, version=version), NOW
            )
    other = approvals(0, 1, kind="credential", sequence=9, account="other", version=1)
    one.approve_credential("other", 1, CREDENTIAL, other, NOW)
    with pytest.raises(NotApproved, match="account"):
        one.approve_credential("main", 1, CREDENTIAL, other, NOW)


def test_s4_a_policy_of_another_deployment_is_refused_whoever_signs() -> None:
    data = cbor2.dumps({"format": "casemate.policy.v1", "deployment": "other", "version": 7}, canonical=True)
    subject = hashlib.sha256(data).hexdigest()
    assert refused(approvals(0, 1, subject=subject), data).field == "policy"


def test_s7_a_resume_of_another_boot_scope_or_place_is_refused() -> None:
    with pytest.raises(NotApproved, match="boot"):
        quorum(bytes(32)).approve_resume(HALTED, approvals(0, 1, kind="resume"), NOW)
    for changed in (
        HALTED._replace(scope="ALL"),
        HALTED._replace(account="b"),
        HALTED._replace(venue="okx"),
        HALTED._replace(symbol="BTC/USDT"),
        HALTED._replace(last=2),
    ):
        with pytest.raises(NotApproved):
            quorum().approve_resume(changed, approvals(0, 1, kind="resume"), NOW)


def test_s7_a_resume_works_once() -> None:
    one, given_approvals = quorum(), approvals(0, 1, kind="resume")
    one.approve_resume(HALTED, given_approvals, NOW)()
    with pytest.raises(NotApproved, match="sequence"):
        one.approve_resume(HALTED, given_approvals, NOW)


def test_s4_no_single_changed_byte_passes() -> None:
    first, second = approvals(0, 1)
    for position in range(len(first)):
        changed = bytearray(first)
        changed[position] ^= 1 + position % 255
        refused([bytes(changed), second])
        # Nor if the other two would be enough without it.
        refused([second, approval(2), bytes(changed)])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_s4_no_mutation_of_approvals_is_accepted(data: st.DataObject) -> None:
    """Cut, joined, repeated, spliced: what passes is made of whole approvals of two different administrators."""
    real = approvals(0, 1, 2) + approvals(0, 1, kind="credential") + approvals(0, 1, kind="resume") + approvals(3)
    good = set(approvals(0, 1, 2))
    piece = st.sampled_from(real).flatmap(
        lambda one: st.one_of(
            st.just(one),
            st.integers(0, len(one)).map(lambda at: one[:at]),
            st.tuples(st.integers(0, len(one) - 1), st.integers(1, 255)).map(
                lambda change: one[: change[0]] + bytes([one[change[0]] ^ change[1]]) + one[change[0] + 1 :]
            ),
            st.sampled_from(real).map(lambda other: one[:64] + other[64:]),
        )
    )
    tried = data.draw(st.lists(piece, max_size=4))
    passed = False
    with contextlib.suppress(NotApproved):
        quorum().approve_policy(POLICY, tried, NOW)
        passed = True
    assert passed == (len(tried) >= 2 and set(tried) <= good and len(set(tried)) == len(tried))


# --- the quorum file


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "canonical"),
        (quorum_file() + b"\0", "after the end"),
        (bytes(8193), "larger"),
        (quorum_file(more=1), "expected a map"),
        (quorum_file(format="casemate.quorum.v2"), "format"),
        (quorum_file(deployment=""), "deployment"),
        (quorum_file(threshold=0), "threshold"),
        (quorum_file(threshold=4), "threshold"),
        (quorum_file(threshold=True), "threshold"),
        (quorum_file(admins=[]), "admins"),
        (quorum_file(admins=sorted(PUBLIC, reverse=True)), "sorted"),
        (quorum_file(admins=[PUBLIC[0], PUBLIC[0]]), "once"),
        (quorum_file(admins=[PUBLIC[0].upper()]), r"admins\[0\]"),
        (quorum_file(admins=["00" * 32], threshold=1), "prime order"),
    ],
)
def test_a_quorum_file_that_is_none_is_told(data: bytes, said: str) -> None:
    with pytest.raises(BadQuorum, match=said):
        read_admins(data)


# Every point of small order, in canonical and other encodings (RFC 8032's curve; a list that many libraries ban).
SMALL = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("key", SMALL)
def test_s4_a_small_order_key_is_no_administrator(key: str) -> None:
    assert not is_sound(bytes.fromhex(key))


def test_s4_a_key_with_a_small_order_part_is_no_second_administrator() -> None:
    """-A + (0, -1), the point of order two, has the y coordinate -y: a twin that verifies half of A's signatures."""
    prime = 2**255 - 19
    twins = 0
    for public in PUBLIC:
        number = int.from_bytes(bytes.fromhex(public), "little")
        y = prime - (number & ((1 << 255) - 1))
        for sign in (0, 1):
            assert not is_sound((y | sign << 255).to_bytes(32, "little"))
            twins += 1
        assert is_sound(bytes.fromhex(public))
    assert twins == 8


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_every_real_key_is_sound(seed: bytes) -> None:
    class Seeded:
        def bytes(self, count: int) -> bytes:
            return seed[:count]

    assert is_sound(make_boot_key(Seeded()).public_bytes())


def test_a_boot_makes_a_key_of_its_own() -> None:
    keys = {make_boot_key(SystemRandomness()).public_bytes() for _ in range(3)}
    assert len(keys) == 3


# --- in the whole enclave


def test_s4_the_enclave_takes_what_the_quorum_approved_and_uses_it_up() -> None:
    enclave = empty(authority=quorum())
    data = cbor2.dumps(policy(), canonical=True)
    window: dict[str, Any] = {"not_before": START - 1, "not_after": START + HOUR}
    subject = hashlib.sha256(data).hexdigest()
    right = approvals(0, 2, subject=subject, version=policy()["version"], **window)
    for wrong in ([], right[:1], right[:1] * 2):
        reply = enclave.call(load_policy=signer_pb2.LoadPolicy(policy=data, approvals=wrong))
        assert reply.not_judged.reason == "NOT_APPROVED"
    loaded = enclave.call(load_policy=signer_pb2.LoadPolicy(policy=data, approvals=right))
    assert loaded.loaded.policy_version == policy()["version"], loaded.not_judged.message
    again = enclave.call(load_policy=signer_pb2.LoadPolicy(policy=data, approvals=right))
    assert again.not_judged.field == "approvals[0].sequence"


def test_s7_a_halt_ends_only_by_the_quorum_and_the_old_resume_ends_no_later_one() -> None:
    enclave = ready()
    enclave.service._authority = quorum()
    halt = plain("halt", scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT)
    enclave.judged(halt)
    right = approvals(0, 1, kind="resume", account=ACCOUNT, not_before=START - 1, not_after=START + HOUR)
    alone = signer_pb2.Resume(scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT, last=1, approvals=right[:1])
    both = signer_pb2.Resume(scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT, last=1, approvals=right)
    assert enclave.call(resume=alone).not_judged.reason == "NOT_APPROVED"
    assert len(enclave.status().halts) == 1
    assert not enclave.call(resume=both).status.halts
    enclave.judged(halt)
    assert enclave.call(resume=both).not_judged.field == "approvals[0].sequence"
    assert len(enclave.status().halts) == 1


def _asked(approval: bytes, **target: Any) -> dict[str, signer_pb2.AdminHalt]:
    scope = {"scope": intent_pb2.HALT_SCOPE_ACCOUNT, "account": ACCOUNT, **target}
    return {"halt": signer_pb2.AdminHalt(**scope, approval=approval)}


def test_s7_one_administrator_halts_every_engine_and_only_the_quorum_ends_it() -> None:
    enclave = ready()
    enclave.service._authority = quorum()
    window: dict[str, Any] = {"not_before": START - 1, "not_after": START + HOUR}
    (one,) = approvals(2, kind="halt", account=ACCOUNT, **window)
    (halt,) = enclave.call(**_asked(one)).status.halts
    assert halt.by == f"administrator {PUBLIC[2][:16]}"
    assert enclave.judged(order()).verdict.rule == "halted"
    again = enclave.call(**_asked(one)).not_judged
    assert (again.reason, again.field) == ("NOT_APPROVED", "approvals[0].sequence")
    right = approvals(0, 1, kind="resume", account=ACCOUNT, last=1, **window)
    resume = signer_pb2.Resume(scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT, last=1, approvals=right)
    assert not enclave.call(resume=resume).status.halts


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"account": "other"}, {}),
        ({"scope": "ALL", "account": ""}, {}),
        ({"deployment": "another"}, {}),
        ({"account": ACCOUNT, "not_after": START}, {}),
        ({"account": "nobody"}, {"account": "nobody"}),
    ],
)
def test_s7_a_halt_by_nobody_of_elsewhere_or_of_nothing_stops_nothing(
    changes: dict[str, Any], target: dict[str, str]
) -> None:
    enclave = ready()
    enclave.service._authority = quorum()
    window: dict[str, Any] = {"not_before": START - 1, "not_after": START + HOUR}
    (wrong,) = approvals(0, kind="halt", **(window | {"account": ACCOUNT} | changes))
    assert enclave.call(**_asked(wrong, **target)).HasField("not_judged")
    stranger = signed(3, "halt", cbor2.dumps(statement("halt", 3, account=ACCOUNT, **window), canonical=True))
    resume = approvals(0, kind="resume", account=ACCOUNT, **window)[0]
    for wrong_one in (stranger, resume, b"", bytes(200)):
        assert enclave.call(**_asked(wrong_one)).not_judged.reason == "NOT_APPROVED"
    assert not enclave.status().halts


def test_s7_an_administrators_halt_covers_accounts_that_a_reload_brings() -> None:
    halts = Halts()
    everybody = f"{ADMINISTRATOR}aa"
    halts.add(Standing(HaltScope.ALL, "", "", "", everybody, 1, frozenset({"main"})), anew=True)
    halts.add(Standing(HaltScope.ALL, "", "", "", "mm", 1, frozenset({"main"})), anew=True)
    halts.widen_administrators(frozenset({"main", "new"}))
    found = halts.covering(("new", "okx"), "BTC/USDT")
    assert found is not None
    assert found.by == everybody


def test_s7_a_resume_that_was_held_back_ends_no_later_halt_of_the_same_scope() -> None:
    enclave = ready()
    enclave.service._authority = quorum()
    halt = plain("halt", scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT)
    window: dict[str, Any] = {"not_before": START - 1, "not_after": START + HOUR}
    enclave.judged(halt)
    held = approvals(0, 1, kind="resume", account=ACCOUNT, last=1, **window)
    # The host delivers nothing; the engine sees that something is wrong and asks again, at the very same moment.
    enclave.judged(halt)
    assert [each.number for each in enclave.status().halts] == [2]
    scope = intent_pb2.HALT_SCOPE_ACCOUNT
    assert len(enclave.call(resume=_resume(scope, 1, held)).status.halts) == 1
    # Nor may the host say another number than was signed.
    fresh = approvals(0, 1, kind="resume", account=ACCOUNT, last=1, sequence=4, **window)
    assert enclave.call(resume=_resume(scope, 2, fresh)).not_judged.field == "approvals[0].last"
    right = approvals(0, 1, kind="resume", account=ACCOUNT, last=2, sequence=5, **window)
    assert not enclave.call(resume=_resume(scope, 2, right)).status.halts


def _resume(scope: Any, last: int, given_approvals: list[bytes]) -> signer_pb2.Resume:
    return signer_pb2.Resume(scope=scope, account=ACCOUNT, last=last, approvals=given_approvals)


def test_s7_a_resume_of_everything_ends_no_halt_after_the_last_it_names() -> None:
    enclave = ready()
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_ACCOUNT, account=ACCOUNT))
    enclave.judged(plain("halt", scope=intent_pb2.HALT_SCOPE_ALL))
    left = enclave.resume(last=1).status.halts
    assert [(each.scope, each.number) for each in left] == [(intent_pb2.HALT_SCOPE_ALL, 2)]
