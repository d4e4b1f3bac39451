"""S13: single decisions, each by its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from casemate.cli.duty import _fresh_or_usage, _lines
from casemate.cli.usage import UsageError
from casemate.duty.decide import KEPT_BOOTS, decide, free_from
from casemate.duty.errors import NotFresh
from casemate.duty.model import Alarm, Grant, Halt, Lost, Seen, State, Wishes
from tests.duty.worlds import MARGIN, SECOND, START, TERMS, Enclave, seen

_HALT = Halt("ALL", "", "", "", "mm-1")


def _granted(one: Enclave) -> State:
    """The state after a boot took its first grant and showed it."""
    decision = decide(State(deployment="rig"), [seen(one, START)], TERMS, START, Wishes(fresh=True))
    assert one.take(decision.sends[0], START) == ""
    return decide(decision.state, [seen(one, START)], TERMS, START).state


def _grants(decision: object) -> list[Grant]:
    return [send.what for send in decision.sends if isinstance(send.what, Grant)]  # type: ignore[attr-defined]


def test_s13_two_histories_of_one_boot_end_its_duty_for_ever() -> None:
    one = Enclave(0, 0)
    state = _granted(one)
    other = seen(one, START + SECOND)
    other = replace(other, checkpoint=replace(other.checkpoint, hash=bytes(32)))
    decision = decide(state, [other], TERMS, START + SECOND)
    assert [each.alarm for each in decision.alarms] == [Alarm.FORKED, Alarm.NO_DUTY]
    late = START + 40 * SECOND
    assert not decide(decision.state, [seen(one, late)], TERMS, late).sends


def test_s13_a_stale_checkpoint_is_not_renewed() -> None:
    one = Enclave(0, 0)
    state = _granted(one)
    late = START + 40 * SECOND
    kept = seen(one, late - TERMS.stale - MARGIN - SECOND)
    decision = decide(state, [kept], TERMS, late)
    assert not decision.sends
    assert decision.alarms[0].alarm is Alarm.STALE_CHECKPOINT


def test_s13_a_checkpoint_that_a_host_kept_of_a_dead_enclave_is_witnessed_and_grants_nothing() -> None:
    one = Enclave(0, 0)
    state = _granted(one)
    one.receipts += 5
    late = START + 40 * SECOND
    decision = decide(state, [replace(seen(one, late), alive=False)], TERMS, late)
    assert decision.state.boots[one.key].witnessed.seq == one.receipts
    assert not decision.sends
    assert decision.alarms[0].alarm is Alarm.GATEWAY_LOST


def test_s13_a_grant_that_a_policy_ended_for_some_accounts_is_renewed_at_once() -> None:
    one = Enclave(0, 0)
    state = _granted(one)
    assert not decide(state, [seen(one, START + SECOND)], TERMS, START + SECOND).sends
    fewer = seen(one, START + SECOND)
    fewer = replace(fewer, checkpoint=replace(fewer.checkpoint, covered=(), granted=0))
    assert len(_grants(decide(state, [fewer], TERMS, START + SECOND))) == 1


def test_s13_a_lost_grant_is_sent_again_as_it_was() -> None:
    one = Enclave(0, 0)
    first = decide(State(deployment="rig"), [seen(one, START)], TERMS, START, Wishes(fresh=True))
    again = decide(first.state, [seen(one, START + SECOND)], TERMS, START + SECOND, Wishes(fresh=True))
    assert again.sends == first.sends
    assert again.state.sequence == 1


def test_s13_halts_that_were_witnessed_are_told_where_no_checkpoint_carries_them() -> None:
    one, two = Enclave(0, 0), Enclave(1, 0)
    shown = seen(one, START)
    shown = replace(shown, checkpoint=replace(shown.checkpoint, halts=(_HALT,)))
    # Granted, and never seen with the grant: whether it began is not known.
    state = decide(State(deployment="rig"), [shown], TERMS, START, Wishes(fresh=True)).state
    late = START + TERMS.length + 2 * MARGIN
    decision = decide(state, [Lost("a", Alarm.GATEWAY_LOST, ""), seen(two, late, "b")], TERMS, late)
    (grant,) = _grants(decision)
    assert (grant.continues, grant.fresh, grant.halts) == (None, False, (_HALT,))
    assert Alarm.STARTS_FULL in [each.alarm for each in decision.alarms]


def test_s13_fresh_is_worth_nothing_once_somebody_was_granted() -> None:
    one, two = Enclave(0, 0), Enclave(1, 0)
    state = _granted(one)
    late = START + TERMS.length + 2 * MARGIN
    (grant,) = _grants(decide(state, [seen(two, late, "b")], TERMS, late, Wishes(fresh=True)))
    assert not grant.fresh
    assert grant.continues is not None
    assert grant.continues.until == state.boots[one.key].until


def test_s13_configured_halts_are_in_every_grant() -> None:
    one = Enclave(0, 0)
    terms = replace(TERMS, halts=(_HALT,))
    (grant,) = _grants(decide(State(deployment="rig"), [seen(one, START)], terms, START, Wishes(fresh=True)))
    assert grant.halts == (_HALT,)


def test_s13_a_boot_that_begun_without_being_seen_gets_a_later_grant() -> None:
    one = Enclave(0, 0)
    first = decide(State(deployment="rig"), [seen(one, START)], TERMS, START, Wishes(fresh=True))
    one.take(first.sends[0], START)
    late = START + 2 * TERMS.length
    refused = seen(one, late, refused="fresh")
    (grant,) = _grants(decide(first.state, [refused], TERMS, late, Wishes(fresh=True)))
    assert (grant.fresh, grant.continues) == (False, None)


def test_s13_a_forgotten_boot_still_keeps_its_time() -> None:
    state = _granted(Enclave(0, 0))
    until = state.boots[state.holder].until
    now = START
    for number in range(1, 3 * KEPT_BOOTS):
        now += 100 * SECOND
        state = decide(state, [seen(Enclave(number, 0), now)], TERMS, now).state
    assert len(state.boots) <= KEPT_BOOTS + 2
    assert free_from(state, b"somebody", 0) >= until


def test_a_holder_that_refuses_makes_room_for_another_only_after_its_grant() -> None:
    one, two = Enclave(0, 0), Enclave(1, 0)
    state = _granted(one)
    late = START + 35 * SECOND
    both: list[Seen] = [seen(one, late, refused="signature"), seen(two, late, "b")]
    assert not decide(state, both, TERMS, late).sends
    late = START + TERMS.length + MARGIN
    both = [seen(one, late, refused="signature"), seen(two, late, "b")]
    decision = decide(state, both, TERMS, late)
    assert [send.boot for send in decision.sends] == [two.key]


def test_s13_looking_alone_sends_nothing_and_uses_no_number() -> None:
    one = Enclave(0, 0)
    decision = decide(State(deployment="rig"), [seen(one, START)], TERMS, START, Wishes(fresh=True, look_only=True))
    assert (decision.sends, decision.state.sequence, decision.state.holder) == ((), 0, b"")
    assert one.key in decision.state.boots
    assert free_from(State(deployment="rig"), one.key, MARGIN) == 0


def test_s13_a_retirement_is_sent_as_it_was_until_its_time_is_over() -> None:
    one = Enclave(0, 0)
    wish = Wishes(retire=frozenset({"a"}))
    first = decide(_granted(one), [seen(one, START)], TERMS, START, wish)
    again = decide(first.state, [seen(one, START + SECOND)], TERMS, START + SECOND)
    assert again.sends == first.sends
    late = START + TERMS.length
    anew = decide(again.state, [seen(one, late)], TERMS, late)
    assert anew.sends[0].what.sequence > first.sends[0].what.sequence


def test_s13_a_lower_number_of_somebody_elses_grant_moves_neither_number_nor_holder() -> None:
    one, two = Enclave(0, 0), Enclave(1, 0)
    state = _granted(one)
    state = replace(state, sequence=50)
    given = Grant(
        sequence=3, head=(0, bytes(32)), accounts=("main",), share=(1, 4), policy_version=1,
        not_before=START, not_after=START + 500 * SECOND, halts=(),
    )  # fmt: skip
    two.grant, two.sequence = given, 3
    decision = decide(state, [seen(one, START), seen(two, START, "b")], TERMS, START)
    assert (decision.state.sequence, decision.state.holder) == (50, one.key)
    assert Alarm.UNKNOWN_GRANT in [each.alarm for each in decision.alarms]
    assert free_from(decision.state, one.key, 0) == given.not_after


def test_s13_the_status_tells_what_was_seen_in_force_and_not_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Enclave(0, 0)
    sent = decide(State(deployment="rig"), [seen(one, START)], TERMS, START, Wishes(fresh=True))
    monkeypatch.setattr("time.time_ns", lambda: START + SECOND)
    assert "no duty: its grant was not seen in force" in _lines(sent.state)[1]
    assert "s left" in _lines(_granted(one))[1]


def test_s13_fresh_on_a_history_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="history"), _fresh_or_usage():
        raise NotFresh("history")
