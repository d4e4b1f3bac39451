"""Duty: who may make new orders, until when, and from which counters (S13)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cbor2
import pytest

from casemate.quorum.statements import GRANT, Terms, approve, grant_fields
from casemate_mock.fake_nitro import EverybodyApproves
from enclave_signer.budget import FULL, Budget
from enclave_signer.errors import NotApproved
from enclave_signer.policy import limits
from enclave_signer.policy.prepared import RollingLimit
from enclave_signer.ports import Marks, Resumed
from enclave_signer.windows import Window
from signer_api.v1 import signer_pb2
from tests.enclave.duty_rig import (
    DUTY,
    FOREIGN,
    GRANT_TAG,
    IMAGE,
    MINUTE,
    OLDER,
    OTHER,
    Boot,
    boot,
    continues,
    duty,
    duty_policy,
    public,
    said,
)
from tests.enclave.enclave_rig import (
    ACCOUNT,
    BTC,
    ENGINE,
    SECOND,
    START,
    account,
    exposure,
    instrument,
    limit,
    order,
    plain,
)
from tests.enclave.enclave_rig import (
    grant as rights,
)
from tests.enclave.quorum_rig import BOOT, KEYS, NOW, POLICY, approvals, quorum

ALLOWED = "grant:g"


def buy(at: Boot, name: str, **changes: Any) -> str:
    """Send an order, valid now; the deciding rule."""
    now = at.clock.now
    return at.rule(order(client_order_id=name, created_at=now, valid_until=now + 10 * SECOND, **changes))


def other(at: Boot, kind: str, **changes: Any) -> str:
    now = at.clock.now
    return at.rule(plain(kind, created_at=now, valid_until=now + 10 * SECOND, **changes))


def hourly(**changes: Any) -> dict[str, Any]:
    """A policy whose one limit is ten orders of 1 at 100 an hour."""
    return duty_policy(
        account(limits=[limit("hour", window_ms=3_600_000, max_notional="1000", max_orders=10)]), **changes
    )


# --- without a grant


def test_s13_without_a_grant_creates_and_amends_are_refused_and_cancels_and_reads_pass() -> None:
    enclave = boot()
    enclave.grant()
    assert buy(enclave, "o-1") == ALLOWED
    enclave.later(seconds=60)
    assert buy(enclave, "o-2") == "duty"
    assert other(enclave, "amend", client_order_id="o-1", quantity="2") == "duty"
    assert other(enclave, "cancel", client_order_id="o-1") == ALLOWED
    assert enclave.derived("o-1", signer_pb2.OPERATION_CANCEL).WhichOneof("answer") == "judged"
    assert other(enclave, "cancel_all") == ALLOWED
    assert other(enclave, "query", client_order_id="o-1") == ALLOWED
    assert other(enclave, "open_orders") == ALLOWED
    assert other(enclave, "balances") == ALLOWED
    assert other(enclave, "order_closed", client_order_id="o-1", filled_quantity="1") == "order_closed"


def test_s13_a_boot_without_any_grant_says_why_it_signs_nothing_new() -> None:
    verdict = boot().judged(order()).verdict
    assert verdict.rule == "duty"
    assert "no duty grant covers this account" in verdict.reason


def test_s13_a_grant_that_has_ended_says_when_and_asks_for_the_daemon() -> None:
    enclave = boot()
    end = enclave.grant().not_after
    enclave.later(seconds=60)
    verdict = enclave.judged(order(created_at=enclave.clock.now, valid_until=enclave.clock.now + SECOND)).verdict
    assert "daemon" in verdict.reason
    assert [(number.name, number.value) for number in verdict.numbers] == [("ended", str(end))]


def test_s13_a_grant_that_expires_in_the_middle_stops_at_its_very_end() -> None:
    enclave = boot()
    enclave.grant(not_after=START + 30 * SECOND)
    enclave.clock.now = START + 30 * SECOND - 1
    assert buy(enclave, "o-1") == ALLOWED
    enclave.clock.now += 1
    assert buy(enclave, "o-2") == "duty"
    # A clock that goes backwards opens nothing again.
    enclave.clock.now -= 10 * SECOND
    assert enclave.rule(order(client_order_id="o-3")) == "duty"


def test_s13_a_repeat_of_an_order_needs_duty_too() -> None:
    enclave = boot()
    enclave.grant(not_after=START + 5 * SECOND)
    assert enclave.rule(order()) == ALLOWED
    enclave.later(seconds=5)
    assert enclave.rule(order()) == "duty"


def test_s13_on_parent_needs_no_grant_and_takes_none() -> None:
    enclave = boot(duty_policy(duty={"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []}))
    assert buy(enclave, "o-1") == ALLOWED
    assert not enclave.status().duty.required
    assert enclave.refused() == "grant"


def test_s13_the_status_says_what_is_granted_and_until_when() -> None:
    enclave = boot()
    assert enclave.status().duty == signer_pb2.DutyStatus(required=True)
    enclave.grant()
    assert enclave.status().duty == signer_pb2.DutyStatus(
        required=True, sequence=1, not_after=START + MINUTE, accounts=[ACCOUNT]
    )
    enclave.later(seconds=60)
    assert enclave.status().duty == signer_pb2.DutyStatus(required=True)


def test_s13_only_the_accounts_that_a_grant_names_are_on_duty() -> None:
    enclave = boot(duty_policy(account("a"), account("b")))
    enclave.grant(accounts=["a"])
    assert buy(enclave, "o-1", account="a") == ALLOWED
    assert buy(enclave, "o-1", account="b") == "duty"
    # The next one replaces it.
    enclave.grant(accounts=["b"])
    assert buy(enclave, "o-2", account="a") == "duty"
    assert buy(enclave, "o-2", account="b") == ALLOWED


# --- which grants count


BAD: list[tuple[dict[str, Any], str]] = [
    ({"format": "casemate.duty.grant.v2"}, "format"),
    ({"deployment": "other"}, "deployment"),
    ({"boot": bytes(32)}, "boot"),
    ({"boot": "00" * 32}, "boot"),
    ({"sequence": 0}, "sequence"),
    ({"sequence": True}, "sequence"),
    ({"accounts": []}, "accounts"),
    ({"accounts": ["main", "main"]}, "accounts"),
    ({"accounts": ["elsewhere"]}, "accounts"),
    ({"accounts": ["main", 1]}, "accounts"),
    ({"share": [0, 1]}, "share"),
    ({"share": [2, 1]}, "share"),
    ({"share": [1, 1_000_001]}, "share"),
    ({"share": [1]}, "share"),
    ({"policy_version": 2}, "policy_version"),
    ({"policy_version": None}, "policy_version"),
    ({"head": {"seq": 0, "hash": bytes(32)}}, "head"),
    ({"head": {"seq": 99, "hash": bytes(32)}}, "head"),
    ({"head": {"seq": 0}}, "head"),
    ({"halts": None}, "halts"),
    ({"halts": [{"scope": "ALL"}]}, "halts"),
    ({"halts": [{"scope": "ACCOUNT", "account": "", "venue": "", "symbol": "", "by": "mm"}]}, "halts.account"),
    ({"not_before": START + 1}, "not_before"),
    ({"not_after": START}, "not_after"),
    ({"not_after": START + 300 * SECOND + 1}, "not_after"),
    ({"not_before": START - 300 * SECOND, "not_after": START + 1}, "not_after"),
    ({"not_before": START - 2, "not_after": START - 1}, "not_after"),
    ({"fresh": 1}, "fresh"),
    ({"continues": {"checkpoint": bytes(32), "pcr0": IMAGE.hex(), "until": 0}}, "fresh"),
    ({"fresh": False, "continues": {"checkpoint": bytes(32), "pcr0": IMAGE.hex()}}, "continues"),
    ({"fresh": False, "continues": {"checkpoint": bytes(32), "pcr0": "00", "until": 0}}, "continues.pcr0"),
    ({"fresh": False, "continues": {"checkpoint": b"", "pcr0": IMAGE.hex(), "until": 0}}, "continues.checkpoint"),
    ({"more": 1}, "statement"),
]


@pytest.mark.parametrize(("changes", "field"), BAD)
def test_s13_a_grant_with_anything_wrong_in_it_is_refused_and_changes_nothing(
    changes: dict[str, Any], field: str
) -> None:
    enclave = boot()
    before = said(enclave.checkpoint())
    assert enclave.refused(**changes) == field
    assert said(enclave.checkpoint()) == before
    assert buy(enclave, "o-1") == "duty"
    enclave.grant()
    assert buy(enclave, "o-1") == ALLOWED


def test_s13_a_grant_counts_only_under_the_policys_duty_key_and_its_own_tag() -> None:
    enclave = boot()
    data = cbor2.dumps(enclave.statement(), canonical=True)
    for signature in (
        OTHER.sign(GRANT_TAG + data),
        DUTY.sign(data),
        DUTY.sign(b"casemate.duty.retire.v1\0" + data),
        b"x",
    ):
        reply = enclave.call(grant=signer_pb2.DutyGrant(grant=data, signature=signature))
        assert (reply.not_judged.reason, reply.not_judged.field) == ("NOT_APPROVED", "signature")
    assert enclave.call(grant=signer_pb2.DutyGrant(grant=data)).not_judged.reason == "NOT_APPROVED"


def test_s13_bytes_that_are_not_canonical_are_no_grant() -> None:
    enclave = boot()
    data = cbor2.dumps(enclave.statement(), canonical=True) + b"\0"
    message = signer_pb2.DutyGrant(grant=data, signature=DUTY.sign(GRANT_TAG + data))
    assert enclave.call(grant=message).not_judged.field == "statement"


def test_s13_a_grant_beyond_its_size_is_not_looked_at() -> None:
    enclave = boot()
    reply = enclave.call(grant=signer_pb2.DutyGrant(grant=bytes(65_537), signature=bytes(64)))
    assert reply.not_judged.reason == "TOO_LARGE"


def test_s13_a_replayed_grant_is_refused() -> None:
    enclave = boot()
    first = enclave.statement()
    enclave.grant()
    assert enclave.hand_in(first).not_judged.field == "sequence"
    enclave.grant(sequence=7)
    assert enclave.refused(sequence=7) == "sequence"
    assert enclave.refused(sequence=6) == "sequence"


def test_s13_a_grant_ends_after_every_grant_before_it() -> None:
    enclave = boot()
    end = enclave.grant().not_after
    assert enclave.refused(not_after=end) == "not_after"
    assert enclave.refused(not_after=end - SECOND) == "not_after"
    enclave.grant(not_after=end + 1)


def test_s13_twin_enclaves_a_grant_is_for_one_of_them() -> None:
    first, second = boot(), boot()
    granted = first.statement()
    assert first.hand_in(granted).WhichOneof("answer") == "granted"
    assert second.hand_in(granted).not_judged.field == "boot"
    assert (buy(first, "o-1"), buy(second, "o-1")) == (ALLOWED, "duty")


def test_s13_a_rolled_back_host_has_no_grant_for_the_boot_that_it_starts_again() -> None:
    """The host restores all that it stored; the new boot has another key, and every old statement names the old."""
    first = boot()
    granted = first.statement()
    first.hand_in(granted)
    stored = first.checkpoint()
    again = boot()
    assert again.hand_in(granted).not_judged.field == "boot"
    assert again.hand_in(granted, checkpoint=stored).not_judged.field == "boot"
    assert buy(again, "o-1") == "duty"


def test_s13_a_grant_of_a_foreign_deployment_is_refused() -> None:
    assert boot().refused(deployment="other") == "deployment"


def test_s13_a_forked_head_is_refused() -> None:
    first, second = boot(), boot()
    first.grant()
    assert second.refused(head=first.head()) == "head"


def test_s13_only_the_first_grant_of_a_boot_says_how_it_begins() -> None:
    predecessor = boot()
    stored = predecessor.checkpoint()
    enclave = boot(now=START + MINUTE)
    enclave.grant()
    assert enclave.refused(fresh=True) == "fresh"
    assert enclave.refused(stored, continues=continues(stored, START)) == "continues"
    enclave.grant()


def test_s13_the_quorum_can_grant_where_no_daemon_is() -> None:
    enclave = boot(authority=quorum_of_duty())
    data = cbor2.dumps(enclave.statement(), canonical=True)
    terms = Terms(deployment="test", sequence=9, not_before=START, not_after=START + MINUTE)
    given = [approve(key, GRANT, terms, grant_fields(data)) for key in KEYS[:2]]
    few = enclave.call(grant=signer_pb2.DutyGrant(grant=data, approvals=given[:1]))
    assert few.not_judged.reason == "NOT_APPROVED"
    taken = enclave.call(grant=signer_pb2.DutyGrant(grant=data, approvals=given))
    assert taken.granted.duty.sequence == 1
    assert enclave.call(grant=signer_pb2.DutyGrant(grant=data, approvals=given)).not_judged.field.endswith("sequence")


def quorum_of_duty() -> EverybodyApproves:
    """Everybody approves policies and credentials; of duty the real quorum decides."""
    stand_in = EverybodyApproves()
    stand_in.approve_duty = quorum().approve_duty  # type: ignore[method-assign]
    return stand_in


# --- the share


def test_s13_a_share_bounds_what_one_grant_may_spend() -> None:
    enclave = boot(hourly())
    enclave.grant(share=[1, 4])
    assert buy(enclave, "o-1", quantity="2") == ALLOWED
    verdict = enclave.judged(order(client_order_id="o-2")).verdict
    assert verdict.rule == "duty"
    assert "hour" in verdict.reason
    assert buy(enclave, "o-3", quantity="0.5") == ALLOWED
    assert buy(enclave, "o-4", quantity="0.001") == "duty"


def test_s13_a_share_bounds_the_number_of_orders_too() -> None:
    enclave = boot(hourly())
    enclave.grant(share=[1, 4])
    rules = [buy(enclave, f"o-{number}", quantity="0.001") for number in range(3)]
    assert rules == [ALLOWED, ALLOWED, "duty"]


def test_s13_the_next_grant_has_a_share_of_its_own_and_the_limit_stays_the_limit() -> None:
    enclave = boot(hourly())
    rules = []
    for number in range(5):
        enclave.grant(share=[1, 4])
        rules.append(buy(enclave, f"o-{number}", quantity="2.5"))
    assert rules == [ALLOWED, ALLOWED, ALLOWED, ALLOWED, "limit:hour"]


def test_s13_amends_spend_the_share() -> None:
    enclave = boot(hourly())
    enclave.grant(share=[1, 2])
    assert buy(enclave, "o-1", quantity="2") == ALLOWED
    assert other(enclave, "amend", client_order_id="o-1", quantity="3") == ALLOWED
    assert buy(enclave, "o-2", quantity="0.001") == "duty"


# --- policies


def test_s13_a_reload_keeps_a_grant_and_what_is_left_of_its_share() -> None:
    enclave = boot(hourly())
    enclave.grant(share=[1, 2])
    assert buy(enclave, "o-1", quantity="4") == ALLOWED
    enclave.load(hourly(version=2, max_age_ms=50_000))
    assert enclave.status().duty.accounts == [ACCOUNT]
    assert buy(enclave, "o-2", quantity="2") == "duty"
    assert buy(enclave, "o-3", quantity="1") == ALLOWED


@pytest.mark.parametrize("changes", [{"key": public(OTHER).hex()}])
def test_s13_a_policy_with_another_duty_key_ends_the_grant(changes: dict[str, object]) -> None:
    enclave = boot()
    enclave.grant()
    enclave.load(duty_policy(version=2, duty=duty(**changes)))
    assert buy(enclave, "o-1") == "duty"
    assert enclave.refused() == "signature"


def test_s13_a_reload_ends_duty_for_accounts_whose_limits_change() -> None:
    def both(version: int, most: str) -> dict[str, Any]:
        return duty_policy(account("a", limits=[limit(max_notional=most)]), account("b"), version=version)

    enclave = boot(both(1, "1000"))
    enclave.grant(accounts=["a", "b"])
    enclave.load(both(2, "2000"))
    assert enclave.status().duty.accounts == ["b"]
    assert (buy(enclave, "o-1", account="a"), buy(enclave, "o-1", account="b")) == ("duty", ALLOWED)


def test_s13_a_policy_that_asks_for_grants_no_more_lifts_their_share() -> None:
    enclave = boot(hourly())
    enclave.grant(share=[1, 10])
    enclave.load(hourly(version=2, duty={"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []}))
    assert buy(enclave, "o-1", quantity="5") == ALLOWED


def test_s13_a_policy_that_asks_for_grants_from_now_on_stops_new_orders() -> None:
    enclave = boot(duty_policy(duty={"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []}))
    assert buy(enclave, "o-1") == ALLOWED
    enclave.load(duty_policy(version=2))
    assert buy(enclave, "o-2") == "duty"


# --- HALT


HALT_ALL = {"scope": "ALL", "account": "", "venue": "", "symbol": "", "by": ENGINE}


def test_s7_a_halt_survives_a_reboot_by_the_grant_that_names_it() -> None:
    enclave = boot()
    enclave.grant(halts=[HALT_ALL])
    assert [halt.by for halt in enclave.status().halts] == [ENGINE]
    assert buy(enclave, "o-1") == "halted"
    enclave.grant(halts=[HALT_ALL])
    assert len(enclave.status().halts) == 1


def test_s7_a_forgotten_halt_survives_by_the_checkpoint() -> None:
    first = boot()
    first.grant()
    assert other(first, "halt", scope=1) == "halt"
    stored = first.checkpoint()
    second = boot(now=START + MINUTE)
    second.go_on(stored, START + MINUTE)
    assert buy(second, "o-1") == "halted"


def test_s7_a_grant_never_lifts_a_halt() -> None:
    enclave = boot()
    enclave.grant()
    other(enclave, "halt", scope=1)
    enclave.grant(halts=[])
    assert buy(enclave, "o-1") == "halted"


def test_s7_a_halt_needs_no_grant() -> None:
    enclave = boot()
    assert other(enclave, "halt", scope=1) == "halt"
    assert len(enclave.status().halts) == 1


def test_s7_a_grant_from_before_a_resume_does_not_bring_the_halt_back() -> None:
    enclave = boot()
    enclave.grant()
    head = enclave.head()
    other(enclave, "halt", scope=1)
    enclave.resume()
    assert enclave.refused(halts=[HALT_ALL], head=head) == "halts"
    assert buy(enclave, "o-1") == ALLOWED


def test_s7_a_replayed_resume_of_an_earlier_boot_names_that_boot() -> None:
    again = quorum(bytes(reversed(BOOT)))
    with pytest.raises(NotApproved):
        again.approve_resume(Resumed("ACCOUNT", "main", "", "", 1), approvals(0, 1, kind="resume"), NOW)


# --- RETIRED


def test_s13_a_retired_boot_signs_nothing_new_and_cannot_be_granted_anything() -> None:
    enclave = boot()
    enclave.grant()
    assert buy(enclave, "o-1") == ALLOWED
    last = enclave.retire()
    assert said(last.checkpoint)["retired"] is True
    assert said(last.checkpoint)["grant"] is None
    verdict = enclave.judged(order(client_order_id="o-2")).verdict
    assert (verdict.rule, "retired" in verdict.reason) == ("duty", True)
    assert other(enclave, "cancel", client_order_id="o-1") == ALLOWED
    assert enclave.status().duty.retired
    enclave.granted += 1
    assert enclave.refused() == "grant"
    enclave.load(duty_policy(version=2, duty={"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []}))
    assert buy(enclave, "o-3") == "duty"
    assert other(enclave, "halt", scope=1) == "halt"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"boot": bytes(32)}, "boot"),
        ({"deployment": "other"}, "deployment"),
        ({"sequence": 1}, "sequence"),
        ({"not_after": START - 1, "not_before": START - 2}, "not_after"),
        ({"more": 1}, "statement"),
    ],
)
def test_s13_a_retirement_that_is_not_right_retires_nobody(changes: dict[str, Any], field: str) -> None:
    enclave = boot()
    enclave.grant()
    assert enclave.retire(**changes).not_judged.field == field
    assert enclave.retire(OTHER).not_judged.field == "signature"
    assert buy(enclave, "o-1") == ALLOWED


# --- going on from a checkpoint


def test_s13_a_successor_goes_on_from_what_a_retired_boot_spent() -> None:
    first = boot(hourly())
    first.grant()
    assert buy(first, "o-1", quantity="7") == ALLOWED
    stored = first.retire().checkpoint
    second = boot(hourly(), now=START + MINUTE)
    second.go_on(stored, START + MINUTE)
    assert buy(second, "o-2", quantity="4") == "limit:hour"
    assert buy(second, "o-3", quantity="3") == ALLOWED
    # An hour after the first one's order its part is free again, the second one's own is not.
    second.clock.now = START + 3_600 * SECOND + 16 * SECOND
    second.grant()
    assert buy(second, "o-4", quantity="8") == "limit:hour"


def test_s13_what_a_lost_boots_grant_had_left_counts_as_spent_when_it_ended() -> None:
    first = boot(hourly())
    first.grant(share=[1, 2])
    assert buy(first, "o-1", quantity="2") == ALLOWED
    stored = first.checkpoint()
    # Not in the checkpoint: the rest of its share.
    assert buy(first, "o-2", quantity="3") == ALLOWED
    second = boot(hourly(), now=START + MINUTE)
    second.go_on(stored, START + MINUTE)
    assert buy(second, "o-3", quantity="6") == "limit:hour"
    assert buy(second, "o-4", quantity="5") == ALLOWED


def test_s13_a_lost_boots_debt_is_released_when_the_window_has_passed_since_its_grants_end() -> None:
    first = boot(hourly())
    end = first.grant(share=[1, 2]).not_after
    second = boot(hourly(), now=end)
    second.go_on(first.checkpoint(), end)
    second.clock.now = end + 3_600 * SECOND - 1
    second.grant()
    assert buy(second, "o-1", quantity="6") == "limit:hour"
    second.clock.now = end + 3_600 * SECOND + 15 * SECOND
    assert buy(second, "o-2", quantity="6") == ALLOWED


def test_s13_a_grant_that_came_after_the_checkpoint_may_have_spent_everything() -> None:
    first = boot(hourly())
    first.grant(share=[1, 2])
    stored = first.checkpoint()
    first.grant(share=[1, 2])
    until = first.clock.now + MINUTE + 1
    second = boot(hourly(), now=until)
    second.go_on(stored, until)
    assert buy(second, "o-1", quantity="0.001") == "limit:hour"
    # It opens when the window has passed since that grant's end, and not a slot earlier.
    second.clock.now = until + 3_600 * SECOND - 1
    second.grant()
    assert buy(second, "o-2", quantity="0.001") == "limit:hour"
    second.clock.now = until + 3_600 * SECOND + 30 * SECOND
    assert buy(second, "o-3", quantity="10") == ALLOWED


def test_s13_without_a_checkpoint_every_limit_starts_full() -> None:
    enclave = boot(hourly())
    enclave.grant(fresh=False)
    assert buy(enclave, "o-1", quantity="0.001") == "limit:hour"
    enclave.clock.now += 3_600 * SECOND + 30 * SECOND
    enclave.grant()
    assert buy(enclave, "o-2", quantity="10") == ALLOWED


def test_s13_a_refusal_by_a_limit_that_started_full_says_so_and_until_when() -> None:
    window = Window(3_600 * SECOND)
    window.advance(START)
    window.insert(START, FULL, FULL)
    window.add(480, 4)
    limit_ = RollingLimit("hour", window, Budget(), 10**60, 10)
    said = limits._exceeded(limit_, 1, 1)
    opens = window.opens(FULL)
    assert START + 3_600 * SECOND <= opens <= START + 3_630 * SECOND
    assert said.reason.startswith("the limit started full")
    assert datetime.fromtimestamp(opens // SECOND + 1, UTC).strftime("%H:%M:%SZ") in said.reason
    numbers = dict(said.numbers)
    assert (numbers["spent"], numbers["orders"]) == ("full", "full")
    window.advance(opens - 1)
    assert window.count
    window.advance(opens)
    assert not window.count


def test_s13_without_a_checkpoint_an_exposure_stays_full_until_a_fresh_start() -> None:
    document = duty_policy(account(exposures=[exposure()], limits=[limit(window_ms=1000)]))
    enclave = boot(document)
    enclave.grant(fresh=False)
    enclave.later(seconds=30)
    assert buy(enclave, "o-1", quantity="0.001") == "exposure:x"
    fresh = boot(document)
    fresh.grant()
    assert buy(fresh, "o-1", quantity="10") == ALLOWED


def test_s13_open_reserves_stay_reserved_in_the_successor() -> None:
    document = duty_policy(account(exposures=[exposure()]))
    first = boot(document)
    first.grant()
    assert buy(first, "o-1", quantity="7") == ALLOWED
    stored = first.retire().checkpoint
    second = boot(document)
    second.go_on(stored, START)
    assert buy(second, "o-2", quantity="4") == "exposure:x"
    assert buy(second, "o-3", quantity="3") == ALLOWED


def test_s13_a_successor_waits_for_the_end_of_its_predecessors_grant() -> None:
    first = boot()
    end = first.grant().not_after
    stored = first.checkpoint()
    second = boot(now=end - 1)
    # Whatever the daemon says of the end: the checkpoint knows its grant.
    for until in (START, end):
        assert second.refused(stored, continues=continues(stored, until), fresh=False) == "continues.until"
    second.clock.now = end
    second.go_on(stored, end)


def test_s13_overlapping_a_retired_boot_does_not_overlap() -> None:
    first = boot()
    end = first.grant().not_after
    stored = first.retire().checkpoint
    second = boot(now=START + SECOND)
    assert end > second.clock.now
    second.go_on(stored, end)
    assert (buy(first, "o-1"), buy(second, "o-1")) == ("duty", ALLOWED)


def tampered(stored: signer_pb2.Checkpoint, **changes: Any) -> signer_pb2.Checkpoint:
    data = cbor2.dumps({**said(stored), **changes}, canonical=True)
    return signer_pb2.Checkpoint(checkpoint=data, signature=stored.signature)


def test_s13_a_checkpoint_counts_only_as_the_boot_signed_it_and_the_grant_named_it() -> None:
    first = boot()
    first.grant()
    stored = first.retire().checkpoint
    second = boot()
    changed = tampered(stored, accounts={})
    assert second.refused(changed, continues=continues(stored, START), fresh=False) == "continues.checkpoint"
    assert second.refused(changed, continues=continues(changed, START), fresh=False) == "continues.signature"
    assert second.refused(None, continues=continues(stored, START), fresh=False) == "continues.checkpoint"
    assert second.refused(stored, fresh=False) == "continues"
    assert buy(second, "o-1") == "duty"
    second.go_on(stored, START)


@pytest.mark.parametrize(("pcr0", "taken"), [(IMAGE, True), (OLDER, True), (FOREIGN, False), (bytes(48), False)])
def test_s13_a_predecessor_is_of_this_image_or_named_by_the_policy(pcr0: bytes, taken: bool) -> None:  # noqa: FBT001
    first = boot(pcr0=pcr0)
    first.grant()
    stored = first.retire().checkpoint
    second = boot()
    reply = second.hand_in(second.statement(continues=continues(stored, START, pcr0), fresh=False), checkpoint=stored)
    assert (reply.WhichOneof("answer") == "granted") is taken
    if not taken:
        assert reply.not_judged.field == "continues.pcr0"


def test_s13_without_a_security_module_there_is_no_going_on() -> None:
    first = boot()
    first.grant()
    stored = first.retire().checkpoint
    second = boot(pcr0=None)
    assert second.refused(stored, continues=continues(stored, START), fresh=False) == "continues"
    second.grant()


def test_s13_a_checkpoint_of_a_foreign_deployment_is_refused() -> None:
    first = boot(duty_policy(deployment="other"))
    stored = first.checkpoint()
    second = boot()
    assert second.refused(stored, continues=continues(stored, START), fresh=False) == "continues.deployment"


def test_s13_a_boot_does_not_go_on_from_itself() -> None:
    enclave = boot()
    stored = enclave.checkpoint()
    assert enclave.refused(stored, continues=continues(stored, START), fresh=False) == "continues.boot"


def test_s13_a_successor_with_an_older_policy_is_refused() -> None:
    first = boot(duty_policy(version=5))
    first.grant()
    stored = first.retire().checkpoint
    second = boot(duty_policy(version=4))
    refused = second.refused(stored, continues=continues(stored, START), fresh=False)
    assert refused == "continues.policy_version"


def test_s13_nonces_go_on_above_the_predecessors() -> None:
    venue = boot().venue
    first = boot(venue=venue)
    first.grant()
    for number in range(50):
        assert buy(first, f"o-{number}") == ALLOWED
    stored = first.retire().checkpoint
    for number in range(5):
        assert other(first, "cancel", client_order_id=f"o-{number}") == ALLOWED
    last = venue.sites[-1].stamps[-1].nonce
    second = boot(venue=venue, now=START + SECOND)
    second.go_on(stored, START)
    assert buy(second, "o-1") == ALLOWED
    assert venue.sites[-1].stamps[-1].nonce > last


def test_s13_a_chain_of_successors_forgets_nothing() -> None:
    now, stored = START, None
    rules = []
    for number in range(4):
        enclave = boot(hourly(), now=now)
        if stored is None:
            enclave.grant()
        else:
            enclave.go_on(stored, now)
        rules.append(buy(enclave, f"o-{number}", quantity="3"))
        stored = enclave.retire().checkpoint
        now += MINUTE
    assert rules == [ALLOWED, ALLOWED, ALLOWED, "limit:hour"]


def test_s13_a_limit_that_the_successors_policy_brings_is_no_looser() -> None:
    first = boot(hourly())
    first.grant()
    assert buy(first, "o-1", quantity="7") == ALLOWED
    stored = first.retire().checkpoint
    shorter = limit("other", window_ms=1_800_000, max_notional="1000", symbols=[BTC])
    second = boot(duty_policy(account(limits=[shorter, limit("rest")]), version=2), now=START + SECOND)
    second.go_on(stored, START)
    assert buy(second, "o-2", quantity="4") == "limit:other"


def test_s13_an_account_that_the_successors_policy_drops_is_carried_on() -> None:
    def both(version: int) -> dict[str, Any]:
        tight = [limit("hour", window_ms=3_600_000, max_notional="1000")]
        return duty_policy(account("a", limits=tight), account("b", limits=tight), version=version)

    first = boot(both(1))
    first.grant(accounts=["a", "b"])
    assert buy(first, "o-1", account="a", quantity="7") == ALLOWED
    second = boot(duty_policy(account("b"), version=2))
    second.go_on(first.retire().checkpoint, START, accounts=["b"])
    third = boot(both(3), now=START + SECOND)
    third.go_on(second.retire().checkpoint, START, accounts=["a", "b"])
    assert buy(third, "o-2", account="a", quantity="4") == "limit:hour"
    assert buy(third, "o-3", account="a", quantity="3") == ALLOWED


def test_s4_sequences_and_versions_survive_a_reboot_by_the_checkpoint() -> None:
    first = quorum()
    first.approve_policy(POLICY, approvals(0, 1, kind="policy", sequence=5), NOW)()
    assert first.marks().sequences["policy"] == 5
    second = quorum()
    second.carry(Marks(first.marks().sequences, {"main": 4}))
    with pytest.raises(NotApproved):
        second.approve_policy(POLICY, approvals(0, 1, kind="policy", sequence=5), NOW)
    second.approve_policy(POLICY, approvals(0, 1, kind="policy", sequence=6), NOW)
    assert second.marks().bundles == {"main": 4}


def test_s13_what_a_lost_boot_may_have_opened_is_reserved() -> None:
    """Half of 1000 at the band's lowest price, 50, is 10 at most; the checkpoint shows none of it."""
    accounts = account(
        instruments=[instrument(BTC, price_min="50")],
        grants=[rights(symbols=[BTC])],
        limits=[limit("hour", window_ms=3_600_000, max_notional="1000", symbols=[BTC])],
        exposures=[exposure(max_quantity="12")],
    )
    first = boot(duty_policy(accounts))
    first.grant(share=[1, 2])
    stored = first.checkpoint()
    assert buy(first, "o-1", quantity="5") == ALLOWED
    second = boot(duty_policy(accounts), now=START + MINUTE)
    second.go_on(stored, START + MINUTE)
    assert buy(second, "o-2", quantity="3") == "exposure:x"
    assert buy(second, "o-3", quantity="1") == ALLOWED


def test_s13_a_slot_that_filled_after_the_last_checkpoint_is_in_the_next_one() -> None:
    enclave = boot(hourly())
    enclave.grant(not_after=START + 300 * SECOND)
    spent = []
    for number in range(4):
        assert buy(enclave, f"o-{number}", quantity="1") == ALLOWED
        hour = said(enclave.checkpoint())["accounts"][ACCOUNT]["limits"]["hour"]
        spent.append(sum(int(each[1]) for each in hour["slots"]))
        assert hour["left"] == [str(1000 - spent[-1]), 9 - number]
        enclave.later(seconds=10 * (number % 2))
    assert spent == [100, 200, 300, 400]


def test_s13_an_account_that_did_nothing_is_in_a_checkpoint_as_it_was_and_a_close_is_seen() -> None:
    enclave = boot(duty_policy(account(exposures=[exposure()])))
    enclave.grant()
    assert buy(enclave, "o-1", quantity="3") == ALLOWED
    first = said(enclave.checkpoint())
    enclave.later(seconds=1)
    second = said(enclave.checkpoint())
    assert first["accounts"] == second["accounts"]
    assert second["accounts"][ACCOUNT]["books"][BTC] == {"": ["0", "3", "0"]}
    assert other(enclave, "order_closed", client_order_id="o-1", filled_quantity="2") == "order_closed"
    assert said(enclave.checkpoint())["accounts"][ACCOUNT]["books"][BTC] == {"": ["2", "0", "0"]}
    enclave.later(seconds=1)
    enclave.grant(share=[1, 2])
    assert said(enclave.checkpoint())["accounts"][ACCOUNT]["limits"]["day"]["left"] == ["500000000", None]


def test_s13_a_slot_counts_until_all_of_it_is_outside_the_successors_window() -> None:
    """A slot of an hour is 14.0625 s; what was spent at its end counts until an hour after that."""
    first = boot(hourly())
    first.grant()
    first.clock.now = START + 14 * SECOND
    assert buy(first, "o-1", quantity="7") == ALLOWED
    stored = first.retire().checkpoint
    second = boot(hourly(), now=START + MINUTE)
    second.go_on(stored, 0)
    second.clock.now = START + 3_600 * SECOND + 14 * SECOND - 1
    second.grant()
    assert buy(second, "o-2", quantity="4") == "limit:hour"
    second.clock.now = START + 3_600 * SECOND + 30 * SECOND
    assert buy(second, "o-3", quantity="10") == ALLOWED


def test_s13_a_checkpoint_lets_go_of_slots_that_have_passed() -> None:
    document = duty_policy(account(limits=[limit("second", window_ms=1000)]))
    enclave = boot(document)
    enclave.grant()
    sizes = set()
    for number in range(40):
        buy(enclave, f"o-{number}")
        enclave.later(ms=300)
        sizes.add(len(said(enclave.checkpoint())["accounts"][ACCOUNT]["limits"]["second"]["slots"]))
    assert max(sizes) <= 4
