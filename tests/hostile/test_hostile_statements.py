"""A host that feeds old statements, its own, or those of other deployments and boots; keys; receipts (S4, S7, S9)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import cbor2
import pytest

from casemate.audit.audit import Audit, Expected, audit
from casemate.audit.check import Problem
from casemate.audit.evidence import Boot as Stored
from casemate.audit.evidence import Evidence
from casemate.audit.witness import Seen
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave import quorum_rig
from tests.hostile.stage import (
    ACCOUNT,
    ALT,
    CHAIN,
    HOSTS,
    HOUR,
    MEASUREMENTS,
    Boot,
    Sealed,
    Stage,
    allowed,
    canonical,
    document,
    named,
    public,
)
from tests.sealed import sealed_rig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HALT_ALL = intent_pb2.HALT_SCOPE_ALL


@pytest.fixture
def stage() -> Stage:
    """A deployment whose one boot is on duty."""
    return Stage()


def loaded(reply: signer_pb2.EnclaveReply) -> bool:
    return bool(reply.WhichOneof("answer") == "loaded")


# --- policies


def test_s4_a_host_that_feeds_an_old_policy_gets_it_refused(stage: Stage) -> None:
    assert loaded(stage.boot.load(*stage.policy(2)))
    assert named(stage.boot.load(*stage.policy(1))) == ("NOT_APPROVED", "approvals[0].sequence")
    # Nor by approvals that were made after the newer one's.
    late = stage.signed("policy", subject=hashlib.sha256(canonical(document(1))).hexdigest(), version=1)
    assert named(stage.boot.load(document(1), late)) == ("BAD_POLICY", "version")
    assert stage.boot.status().policy_version == 2


def test_s4_a_host_that_edits_a_policy_or_signs_one_itself_gets_it_refused(stage: Stage) -> None:
    said, approvals = stage.policy(2)
    edited = {**said, "max_age_ms": 1}
    assert named(stage.boot.load(edited, approvals)) == ("NOT_APPROVED", "approvals[0].subject")
    statement = approvals[0][64:]
    own = HOSTS.sign(b"casemate.approval.policy.v1\0" + statement) + statement
    for given in ([own], [own, approvals[1]], [approvals[0]], [approvals[0], approvals[0]], []):
        assert named(stage.boot.load(said, given))[0] == "NOT_APPROVED"
    assert loaded(stage.boot.load(said, approvals))


def test_s4_approvals_that_were_withheld_until_they_ended_are_worth_nothing(stage: Stage) -> None:
    said, approvals = stage.policy(2)
    stage.clock.now += HOUR
    assert named(stage.boot.load(said, approvals)) == ("NOT_APPROVED", "approvals[0].not_after")


def test_s4_a_policy_is_live_in_full_or_not_at_all(stage: Stage) -> None:
    engine = stage.engine()
    broken = document(2)
    broken["accounts"][0]["instruments"][0]["venue_symbol"] = "BAD"
    approvals = stage.signed("policy", subject=hashlib.sha256(canonical(broken)).hexdigest(), version=2)
    before = stage.boot.receipts()
    assert named(stage.boot.load(broken, approvals))[0] == "BAD_POLICY"
    assert (stage.boot.status().policy_version, stage.boot.receipts()) == (1, before)
    assert allowed(stage.boot.sign(engine.order()))


# --- statements of another deployment, and of another kind


def test_s4_s7_s13_no_statement_of_another_deployment_counts(stage: Stage) -> None:
    boot = stage.boot
    stage.boot.sign(stage.engine().other("halt", scope=HALT_ALL))
    foreign = document(2, deployment="staging")
    subject = hashlib.sha256(canonical(foreign)).hexdigest()
    approvals = stage.signed("policy", subject=subject, version=2, deployment="staging")
    assert named(boot.load(foreign, approvals)) == ("NOT_APPROVED", "policy")
    assert named(boot.load(document(2), approvals))[0] == "NOT_APPROVED"

    bundle = sealed_rig.kms_sealed(version=2, deployment="staging")
    subject = hashlib.sha256(bundle.bundle).hexdigest()
    said: dict[str, Any] = {"subject": subject, "account": ACCOUNT, "version": 2}
    sealed = Sealed(ACCOUNT, bundle.bundle, bundle.key, stage.signed("credential", **said, deployment="staging"))
    assert named(boot.provision(sealed)) == ("NOT_APPROVED", "approvals[0].deployment")
    ours = stage.signed("credential", **said)
    assert named(boot.provision(sealed, ours)) == ("BAD_CREDENTIAL", "bundle.deployment")

    assert named(boot.resume(1, stage.resume(boot, 1, deployment="staging")))[0] == "NOT_APPROVED"
    assert named(boot.hand_grant(*stage.grant(boot, deployment="staging"))) == ("NOT_APPROVED", "deployment")
    assert named(boot.hand_retirement(*stage.retirement(boot, deployment="staging"))) == ("NOT_APPROVED", "deployment")
    other = quorum_rig.quorum_file(deployment="staging", generation=1)
    fresh = Boot(stage.clock)
    asked = signer_pb2.SucceedQuorum(quorum=other, approvals=stage.signed("quorum", deployment="staging"))
    assert named(fresh.call(succeed=asked)) == ("NOT_APPROVED", "quorum")
    assert len(boot.status().halts) == 1


def test_s4_a_statement_of_one_kind_is_none_of_another(stage: Stage) -> None:
    data, signature = stage.grant(stage.boot)
    retirement, other = stage.retirement(stage.boot)
    # The quorum's word on a grant is none on a retirement of the same boot, nor the officer's.
    subject = hashlib.sha256(data).hexdigest()
    approvals = stage.signed("grant", subject=subject)
    asked = signer_pb2.Retire(statement=retirement, approvals=approvals)
    assert named(stage.boot.call(retire=asked))[0] == "NOT_APPROVED"
    assert named(stage.boot.hand_retirement(retirement, signature)) == ("NOT_APPROVED", "signature")
    assert named(stage.boot.hand_grant(retirement, other)) == ("NOT_APPROVED", "signature")
    # Approved as a retirement, a grant is none either way.
    assert named(stage.boot.call(retire=signer_pb2.Retire(statement=data, approvals=approvals)))[0] == "NOT_APPROVED"
    assert not stage.boot.status().duty.retired


# --- keys


def test_s4_a_host_that_feeds_an_old_bundle_gets_it_refused(stage: Stage) -> None:
    assert loaded(stage.boot.provision(stage.bundle(version=2)))
    assert named(stage.boot.provision(stage.bundle(version=1)))[0] == "NOT_APPROVED"
    said: dict[str, Any] = {
        "subject": hashlib.sha256(stage.bundle().data).hexdigest(),
        "account": ACCOUNT,
        "version": 1,
    }
    assert named(stage.boot.provision(stage.bundle(), stage.signed("credential", **said))) == (
        "NOT_APPROVED",
        "version",
    )


def test_s4_an_old_bundle_after_a_reboot_keeps_the_boot_from_going_on(stage: Stage) -> None:
    assert loaded(stage.boot.provision(stage.bundle(version=2)))
    data, signature = stage.retirement(stage.boot)
    last = stage.boot.hand_retirement(data, signature).checkpoint
    # The approvals of version 1 are still valid: the boot takes it, and the officer's grant does not go on from it.
    second = stage.started()
    said = {"checkpoint": hashlib.sha256(last.checkpoint).digest(), "pcr0": MEASUREMENTS[0].hex(), "until": 0}
    assert named(second.hand_grant(*stage.grant(second, continues=said), last)) == ("NOT_APPROVED", "continues.bundles")
    assert stage.boot.sign(stage.engine().order()).verdict.rule == "duty"


def own_bundle(stage: Stage) -> Sealed:
    """What the host would like the enclave to sign with."""
    made = sealed_rig.kms_sealed(canonical({"apiKey": "hosts", "secret": "hosts-own-secret"}), version=2)
    return Sealed(ACCOUNT, made.bundle, made.key, stage.bundle(version=2).approvals)


def test_s4_a_host_that_feeds_keys_of_its_own_gets_nothing_signed_with_them(stage: Stage) -> None:
    assert named(stage.boot.provision(own_bundle(stage)))[0] == "NOT_APPROVED"
    clear = canonical({"apiKey": "hosts", "secret": "hosts-own-secret"})
    asked = signer_pb2.Provision(account=ACCOUNT, credential=clear, approvals=stage.bundle(version=2).approvals)
    assert named(stage.boot.call(provision=asked)) == ("MALFORMED", "credential")
    assert allowed(stage.boot.sign(stage.engine().order()))
    # An approved bundle under a data key of the host's own: nothing comes of it, and this boot is over.
    assert named(stage.boot.provision(stage.bundle(version=2), key=bytes(32))) == ("NOT_OPENED", "bundle")
    assert stage.boot.status().ended == "NOT_OPENED"


def test_s4_a_bundle_of_one_account_is_not_anothers(stage: Stage) -> None:
    assert named(stage.boot.provision(stage.bundle(ALT, 2), account=ACCOUNT)) == ("BAD_CREDENTIAL", "bundle.account")


def test_s1_an_ended_boot_answers_its_status_and_nothing_else_ever(stage: Stage) -> None:
    engine = stage.engine()
    order, grant = engine.order(), stage.grant(stage.boot)
    assert named(stage.boot.provision(stage.bundle(version=2), key=bytes(32)))[0] == "NOT_OPENED"
    boot = stage.boot
    answers = [
        boot.call(sign=order),
        boot.call(derived=signer_pb2.DerivedRequest(account=ACCOUNT, client_order_id="x")),
        boot.load(*stage.policy(2)),
        boot.hand_grant(*grant),
        boot.call(checkpoint=signer_pb2.CheckpointRequest()),
        boot.call(attest=signer_pb2.Attest()),
        boot.call(open_session=signer_pb2.OpenSession(message=bytes(48))),
        boot.resume(1, stage.resume(boot, 1)),
    ]
    assert {named(each)[0] for each in answers} == {"WRONG_PHASE"}


# --- HALT


def test_s7_a_halt_ends_by_a_resume_of_this_boot_alone_and_by_each_once(stage: Stage) -> None:
    engine = stage.engine()

    def halt() -> None:
        stage.boot.sign(engine.other("halt", scope=HALT_ALL))

    halt()
    held_back = stage.resume(stage.boot, 1)
    twin = stage.started()
    assert named(stage.boot.resume(1, stage.resume(twin, 1)))[0] == "NOT_APPROVED"
    halt()
    stage.boot.resume(1, held_back)
    assert stage.boot.sign(engine.order()).verdict.rule == "halted"
    assert stage.boot.resume(2, stage.resume(stage.boot, 2)).status.halts == []
    assert allowed(stage.boot.sign(engine.order()))
    halt()
    assert named(stage.boot.resume(1, held_back))[0] == "NOT_APPROVED"
    # A policy lifts none either.
    assert loaded(stage.boot.load(*stage.policy(2)))
    assert stage.boot.sign(stage.engine().order()).verdict.rule == "halted"


# --- receipts


def audited(boots: Sequence[Stored], seen: list[Seen] | None) -> Audit:
    return audit(Evidence(list(boots), None), Expected(pcrs={0: MEASUREMENTS[0]}, root=CHAIN.root), seen)


def stored(boot: Boot, receipts: list[bytes] | None = None, document: bytes = b"") -> Stored:
    """What a host would show of a boot."""
    kept = boot.receipts() if receipts is None else receipts
    head = boot.status().head
    shown = document or boot.ask(attest=signer_pb2.Attest()).attested.document
    heads = [(head.head, head.signature)] if receipts is None else []
    return Stored(boot.key, 0, shown, len(kept), lambda: enumerate(kept), heads)


def witnessed(stage: Stage, boot: Boot) -> Seen:
    """What the duty officer wrote down."""
    head = boot.status().head
    return Seen(stage.clock.now, head.head, head.signature)


def busy(stage: Stage, boot: Boot, orders: int = 8) -> None:
    engine = stage.engine(boot)
    for _ in range(orders):
        boot.sign(engine.order())


def problems(outcome: Audit) -> set[Problem]:
    return {finding.problem for finding in outcome.findings}


CUT: dict[str, tuple[Callable[[list[bytes]], list[bytes]], Problem]] = {
    "its end": (lambda chain: chain[:-3], Problem.TRUNCATED),
    "its beginning": (lambda chain: chain[3:], Problem.GAP),
    "its middle": (lambda chain: chain[:5] + chain[8:], Problem.GAP),
    "all of it": (lambda _: [], Problem.TRUNCATED),
}


@pytest.mark.parametrize("what", CUT)
def test_s9_a_truncated_chain_is_found_by_the_witness(stage: Stage, what: str) -> None:
    busy(stage, stage.boot)
    seen = witnessed(stage, stage.boot)
    assert audited([stored(stage.boot)], [seen]).sound
    cut, problem = CUT[what]
    outcome = audited([stored(stage.boot, cut(stage.boot.receipts()))], [seen])
    assert not outcome.sound
    assert problem in problems(outcome), outcome.findings
    # Without a witness the end is not known, and the audit is not sound.
    assert not audited([stored(stage.boot, cut(stage.boot.receipts()))], None).sound


def test_s9_a_twins_chain_is_not_shown_in_place_of_the_one_that_the_witness_saw(stage: Stage) -> None:
    busy(stage, stage.boot)
    twin = stage.started()
    busy(stage, twin)
    seen = witnessed(stage, stage.boot)
    assert not audited([stored(twin)], [seen]).sound


def test_s9_nothing_signed_leaves_without_its_receipt_whatever_fails_in_the_middle(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = stage.engine()
    for at in ("_append", "head"):
        chain = stage.boot.service._chain
        before = chain.sequence

        def fails(*_: Any) -> bytes:
            raise MemoryError

        if at == "head":
            # A decision that is due for a signature.
            chain._signed_at = chain.sequence - 256
        with monkeypatch.context() as patch:
            patch.setattr(type(chain), at, fails)
            reply = stage.boot.call(sign=engine.order())
        assert named(reply)[0] == "INTERNAL"
        assert b"create-" not in stage.boot.heard[-1]
        assert chain.sequence <= before + 1
    busy(stage, stage.boot, 2)
    receipts = [cbor2.loads(each) for each in stage.boot.receipts()]
    assert [each["seq"] for each in receipts] == list(range(len(receipts)))
    assert audited([stored(stage.boot)], [witnessed(stage, stage.boot)]).findings == []


def test_s9_a_head_is_signed_by_the_attested_key_alone(stage: Stage) -> None:
    busy(stage, stage.boot)
    head = cbor2.loads(stage.boot.status().head.head)
    forged = canonical({**head, "seq": head["seq"] - 3, "hash": bytes(32)})
    own = Seen(stage.clock.now, forged, HOSTS.sign(b"casemate.head.v1\0" + forged))
    assert not audited([stored(stage.boot)], [own]).sound
    renamed = canonical({**head, "boot": public(HOSTS)})
    own = Seen(stage.clock.now, renamed, HOSTS.sign(b"casemate.head.v1\0" + renamed))
    assert not audited([stored(stage.boot)], [own]).sound
