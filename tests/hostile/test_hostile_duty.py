"""A host with more than one enclave, or one that it starts again: twins, reboots, replayed grants (S7, S13)."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave import enclave_rig
from tests.hostile.stage import (
    ACCOUNT,
    ALT,
    ENGINE,
    FOREIGN,
    HOSTS,
    MEASUREMENTS,
    MINUTE,
    OTHER,
    SECOND,
    Boot,
    Stage,
    allowed,
    canonical,
    document,
    named,
    public,
)
from tests.session.session_rig import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

HALT_ALL = intent_pb2.HALT_SCOPE_ALL
CHECKPOINT_TAG = b"casemate.checkpoint.v1\0"
FEW = 4


def few_orders() -> list[dict[str, Any]]:
    """Accounts that may make four orders a minute."""
    limits = [enclave_rig.limit("few", window_ms=60_000, max_orders=FEW, max_notional="1000000")]
    return [each | {"limits": limits} for each in document()["accounts"]]


@pytest.fixture
def stage() -> Stage:
    """A deployment of which an account may make four orders a minute; its one boot is on duty."""
    return Stage(first={"accounts": few_orders()})


def orders(stage: Stage, boot: Boot, count: int = 10) -> int:
    """Have as many signed as can be."""
    engine = stage.engine(boot)
    return sum(allowed(boot.sign(engine.order())) for _ in range(count))


def rule(stage: Stage, boot: Boot) -> str:
    return stage.boot.sign(stage.engine().order()).verdict.rule if boot is stage.boot else _rule(stage, boot)


def _rule(stage: Stage, boot: Boot) -> str:
    return boot.sign(stage.engine(boot).order()).verdict.rule


def continues(checkpoint: signer_pb2.Checkpoint, until: int) -> dict[str, Any]:
    digest = hashlib.sha256(checkpoint.checkpoint).digest()
    return {"checkpoint": digest, "pcr0": MEASUREMENTS[0].hex(), "until": until}


def retired(stage: Stage, boot: Boot) -> signer_pb2.Checkpoint:
    reply = boot.hand_retirement(*stage.retirement(boot))
    assert reply.WhichOneof("answer") == "checkpoint", reply
    return reply.checkpoint


# --- twins


def test_s13_of_twin_enclaves_one_signs_and_the_other_cancels(stage: Stage) -> None:
    twin = stage.started()
    assert orders(stage, stage.boot) == FEW
    assert rule(stage, twin) == "duty"
    cancel = stage.engine(twin).other("cancel", client_order_id="o-1")
    assert allowed(twin.sign(cancel))


def test_s13_a_host_cannot_give_a_grant_to_any_boot_but_its_own(stage: Stage) -> None:
    twin = stage.started()
    data, signature = stage.grant(stage.boot)
    assert named(twin.hand_grant(data, signature)) == ("NOT_APPROVED", "boot")
    readdressed = canonical({**cbor2.loads(data), "boot": twin.key})
    assert named(twin.hand_grant(readdressed, signature)) == ("NOT_APPROVED", "signature")
    # A grant that names this boot and the twin's head was made for a history that is not this one's.
    head = {"seq": twin.head()["seq"], "hash": twin.head()["hash"]}
    assert named(stage.boot.hand_grant(*stage.grant(stage.boot, head=head))) == ("NOT_APPROVED", "head")


# --- replayed, delayed, altered and homemade grants


def test_s13_a_replayed_grant_is_refused_now_later_and_after_a_reboot(stage: Stage) -> None:
    grant = stage.grant(stage.boot)
    assert stage.boot.hand_grant(*grant).WhichOneof("answer") == "granted"
    assert named(stage.boot.hand_grant(*grant)) == ("NOT_APPROVED", "sequence")
    stage.clock.now += 2 * MINUTE
    assert named(stage.boot.hand_grant(*grant)) == ("NOT_APPROVED", "sequence")
    assert named(stage.started().hand_grant(*grant)) == ("NOT_APPROVED", "boot")
    assert rule(stage, stage.boot) == "duty"


def test_s13_grants_that_come_in_another_order_leave_the_latest_in_force(stage: Stage) -> None:
    first, second = stage.grant(stage.boot, accounts=[ACCOUNT]), stage.grant(stage.boot, accounts=[ALT])
    assert stage.boot.hand_grant(*second).WhichOneof("answer") == "granted"
    assert named(stage.boot.hand_grant(*first)) == ("NOT_APPROVED", "sequence")
    assert list(stage.boot.status().duty.accounts) == [ALT]


def test_s13_a_grant_that_is_held_back_until_it_ended_is_worth_nothing(stage: Stage) -> None:
    grant = stage.grant(stage.boot)
    stage.clock.now += 2 * MINUTE
    assert named(stage.boot.hand_grant(*grant)) == ("NOT_APPROVED", "not_after")


@pytest.mark.parametrize("key", [HOSTS, key_of(ENGINE), Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)])
def test_s13_nobody_but_the_duty_key_grants_or_retires(stage: Stage, key: Ed25519PrivateKey) -> None:
    assert named(stage.boot.hand_grant(*stage.grant(stage.boot, key))) == ("NOT_APPROVED", "signature")
    assert named(stage.boot.hand_retirement(*stage.retirement(stage.boot, key))) == ("NOT_APPROVED", "signature")


def test_s13_no_single_changed_byte_of_a_grant_passes(stage: Stage) -> None:
    data, signature = stage.grant(stage.boot)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        assert named(stage.boot.hand_grant(bytes(changed), signature)) == ("NOT_APPROVED", "signature")
    assert stage.boot.hand_grant(data, signature).WhichOneof("answer") == "granted"


# --- reboots


def test_s13_a_reboot_empties_no_counter(stage: Stage) -> None:
    until = stage.granted(stage.boot)
    assert orders(stage, stage.boot, 3) == 3
    stored = stage.boot.checkpoint()
    second = stage.started()
    assert rule(stage, second) == "duty"
    # The first one lives on, and signs the last one that its grant leaves it.
    assert orders(stage, stage.boot) == 1
    stage.clock.now = until + SECOND
    assert rule(stage, stage.boot) == "duty"
    stage.granted(second, stored, continues=continues(stored, until))
    # It is over a minute since the first three, and not since what nobody saw.
    assert orders(stage, second) == FEW - 1


def test_s13_a_reboot_that_is_not_told_of_a_checkpoint_starts_with_full_limits(stage: Stage) -> None:
    assert orders(stage, stage.boot) == FEW
    second = stage.started()
    stage.granted(second)
    assert orders(stage, second) == 0


FORGED: dict[str, tuple[Callable[[Stage, signer_pb2.Checkpoint], signer_pb2.Checkpoint], str]] = {
    "another, older one": (lambda stage, _: stage.boot.checkpoint(), "continues.checkpoint"),
    "none": (lambda *_: signer_pb2.Checkpoint(), "continues.checkpoint"),
    "its bytes with the host's signature": (
        lambda _, right: signer_pb2.Checkpoint(
            checkpoint=right.checkpoint, signature=HOSTS.sign(CHECKPOINT_TAG + right.checkpoint)
        ),
        "continues.signature",
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_s13_a_boot_goes_on_from_the_checkpoint_that_the_grant_names(stage: Stage, what: str) -> None:
    made, field = FORGED[what]
    right = retired(stage, stage.boot)
    stage.clock.now += SECOND
    shown = made(stage, right)
    second = stage.started()
    said = continues(right, stage.clock.now)
    assert named(second.hand_grant(*stage.grant(second, continues=said), shown)) == ("NOT_APPROVED", field)
    # Somebody who has the host's checkpoint granted: it is not by the boot that it names.
    own = canonical({**cbor2.loads(right.checkpoint), "accounts": {}})
    forged = signer_pb2.Checkpoint(checkpoint=own, signature=HOSTS.sign(CHECKPOINT_TAG + own))
    said = continues(forged, stage.clock.now)
    assert named(second.hand_grant(*stage.grant(second, continues=said), forged)) == (
        "NOT_APPROVED",
        "continues.signature",
    )


def test_s13_a_debug_or_foreign_image_does_not_go_on_from_this_ones_counters(stage: Stage) -> None:
    stored = retired(stage, stage.boot)
    for options in ({"debug": True}, {"measurements": FOREIGN}):
        other = stage.started(**options)
        grant = stage.grant(other, continues=continues(stored, stage.clock.now))
        assert named(other.hand_grant(*grant, stored)) == ("NOT_APPROVED", "continues.pcr0")


def test_s13_an_older_policy_after_a_reboot_goes_on_from_nothing(stage: Stage) -> None:
    stage.policy(2, accounts=few_orders())
    assert stage.boot.load(*stage.policy(2)).WhichOneof("answer") == "loaded"
    stored = retired(stage, stage.boot)
    second = stage.started(1)
    grant = stage.grant(second, continues=continues(stored, stage.clock.now))
    assert named(second.hand_grant(*grant, stored)) == ("NOT_APPROVED", "continues.policy_version")
    assert named(second.hand_grant(*stage.grant(second, policy_version=2))) == ("NOT_APPROVED", "policy_version")


# --- HALT over reboots


@pytest.mark.parametrize("how", ["checkpoint", "grant"])
def test_s7_s13_a_reboot_after_a_halt_is_halted(stage: Stage, how: str) -> None:
    stage.boot.sign(stage.engine().other("halt", scope=HALT_ALL))
    stored = retired(stage, stage.boot)
    second = stage.started()
    if how == "checkpoint":
        stage.granted(second, stored, continues=continues(stored, stage.clock.now))
    else:
        stage.granted(second, halts=[{"scope": "ALL", "account": "", "venue": "", "symbol": "", "by": ENGINE}])
    assert rule(stage, second) == "halted"
    # A RESUME of the boot before is none of this one; this one's own is.
    assert named(second.resume(1, stage.resume(stage.boot, 1)))[0] == "NOT_APPROVED"
    assert not second.resume(1, stage.resume(second, 1)).status.halts


def test_s7_s13_a_halt_that_is_carried_on_covers_the_accounts_that_a_policy_gave_its_engine_since(
    stage: Stage,
) -> None:
    assert allowed(stage.boot.sign(stage.engine(name=OTHER).other("halt", scope=HALT_ALL)))
    stored = retired(stage, stage.boot)
    wider = document(2, accounts=few_orders())
    for engine in wider["engines"]:
        engine["accounts"] = [ALT, ACCOUNT]
    subject = hashlib.sha256(canonical(wider)).hexdigest()
    stage.policies[2] = wider, stage.signed("policy", subject=subject, version=2)
    second = stage.started(2)
    stage.granted(second, stored, continues=continues(stored, stage.clock.now))
    # As a reload in one boot does it (S7).
    assert second.sign(stage.engine(second).order(account=ALT)).verdict.rule == "halted"


# --- retired, and what comes after


def test_s13_a_retired_boot_stays_retired_whatever_comes(stage: Stage) -> None:
    grants = [stage.grant(stage.boot) for _ in range(2)]
    retired(stage, stage.boot)
    stage.policy(2, accounts=few_orders(), duty={"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []})
    stage.policy(3, accounts=few_orders())
    for version in (None, 2, 3):
        if version is not None:
            assert stage.boot.load(*stage.policy(version)).WhichOneof("answer") == "loaded"
        for grant in (*grants, stage.grant(stage.boot)):
            assert named(stage.boot.hand_grant(*grant)) == ("NOT_APPROVED", "grant")
        assert rule(stage, stage.boot) == "duty"
    assert cbor2.loads(stage.boot.checkpoint().checkpoint)["retired"]


def test_s13_a_boot_that_needs_no_grants_is_gone_on_from_only_once_it_is_retired(stage: Stage) -> None:
    on_parent = {"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []}
    stage.policy(2, accounts=few_orders(), duty=on_parent)
    stage.policy(3, accounts=few_orders())
    first = stage.started(2)
    stored = first.checkpoint()
    second = stage.started(3)
    # It signs on, by nobody's grant: what it has counted by now bounds nothing.
    assert orders(stage, first) == FEW
    reply = second.hand_grant(*stage.grant(second, continues=continues(stored, 0)), stored)
    assert named(reply) == ("NOT_APPROVED", "continues.until")
    last = first.call(
        retire=signer_pb2.Retire(
            statement=(data := stage.retirement(first)[0]),
            approvals=stage.signed("grant", subject=hashlib.sha256(data).hexdigest()),
        )
    ).checkpoint
    stage.granted(second, last, continues=continues(last, 0))
    assert orders(stage, second) == 0


def test_s13_a_checkpoint_says_what_was_carried_on_even_while_the_clock_stands(stage: Stage) -> None:
    assert orders(stage, stage.boot, 3) == 3
    stage.clock.now += SECOND
    stored = retired(stage, stage.boot)
    second = stage.started()
    # The clock was set back a little: until it has caught up, the enclave's time stands still.
    cancel = stage.engine(second).other("cancel", account=ACCOUNT, client_order_id="o-1")
    assert allowed(second.sign(cancel))
    second.checkpoint()
    stage.granted(second, stored, continues=continues(stored, stage.clock.now), accounts=[ALT])
    shown = cbor2.loads(second.checkpoint().checkpoint)["accounts"][ACCOUNT]["limits"]["few"]["slots"]
    assert sum(count for _, _, count in shown) == 3


def test_s13_a_fault_between_policy_and_duty_signs_nothing_new(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.policy(2, accounts=few_orders(), duty={**document()["duty"], "key": public(HOSTS).hex()})

    def fails(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.boot.service._officer), "policy_changed", fails)
        assert named(stage.boot.load(*stage.policy(2)))[0] == "INTERNAL"
    stage.clock.now += 10 * MINUTE
    assert rule(stage, stage.boot) == "duty"


# --- split shares


def test_s13_shares_of_many_small_grants_add_up_to_no_more_than_the_limit(stage: Stage) -> None:
    signed = 0
    for _ in range(3 * FEW):
        stage.granted(stage.boot, share=[1, 2])
        signed += orders(stage, stage.boot, FEW)
        stage.clock.now += SECOND
    assert signed == FEW


def test_s13_a_grant_for_one_account_is_none_for_another(stage: Stage) -> None:
    for mine, others in itertools.permutations([ACCOUNT, ALT]):
        stage.granted(stage.boot, accounts=[mine])
        engine = stage.engine()
        assert stage.boot.sign(engine.order(account=others)).verdict.rule == "duty"
        assert allowed(stage.boot.sign(engine.order(account=mine)))
