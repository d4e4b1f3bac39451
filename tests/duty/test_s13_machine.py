"""S13: whatever hosts, networks, clocks and crashes do, no two boots hold duty at once, and nothing goes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from casemate.duty.decide import decide
from casemate.duty.model import Alarm, Grant, Lost, Retire, State, Wishes
from casemate.duty.texts import read_state, state_text
from tests.duty.worlds import MARGIN, SECOND, START, TERMS, Enclave, seen

if TYPE_CHECKING:
    from casemate.duty.model import Checkpoint, Observation, Send

_OFFSETS = st.sampled_from([-MARGIN // 2, 0, MARGIN // 2])
_HOSTS = st.sampled_from(["a", "b"])


class DutyMachine(RuleBasedStateMachine):
    """Boots that a host replaces live on unseen: they are the twins that the grants have to keep apart."""

    @initialize(offsets=st.tuples(_OFFSETS, _OFFSETS), fresh=st.booleans())
    def begin(self, offsets: tuple[int, int], fresh: bool) -> None:  # noqa: FBT001 - drawn, passed by name
        self.now = START
        self.officer_offset = 0
        self.fresh = fresh
        self.boots = [Enclave(0, offsets[0]), Enclave(1, offsets[1])]
        self.behind = {"a": self.boots[0], "b": self.boots[1]}
        self.written = state_text(State(deployment="rig"))
        self.network: list[Send] = []
        self.numbers: dict[int, object] = {}
        self.witnessed: dict[bytes, int] = {}
        self.kept: dict[bytes, list[Checkpoint]] = {}
        self.refused: dict[str, str] = {}

    @rule(seconds=st.sampled_from([1, 3, 28, 31, 57, 60, 64, 70]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * SECOND

    @rule(host=_HOSTS, offset=_OFFSETS)
    def reboot(self, host: str, offset: int) -> None:
        boot = Enclave(len(self.boots), offset)
        self.boots.append(boot)
        self.behind[host] = boot

    @rule(host=_HOSTS, which=st.integers(0, 20))
    def another_boot_answers(self, host: str, which: int) -> None:
        self.behind[host] = self.boots[which % len(self.boots)]

    @rule(seconds=st.sampled_from([-300, -30, -5, 0, 0, 5, 31, 62, 66, 300]))
    def the_officers_clock_jumps(self, seconds: int) -> None:
        self.officer_offset = seconds * SECOND

    @rule(host=_HOSTS)
    def orders_are_judged(self, host: str) -> None:
        self.behind[host].receipts += 1

    @rule(
        lost=st.sampled_from([set(), {"a"}, {"b"}]),
        replayed=st.sampled_from([set(), set(), set(), {"a"}, {"b"}]),
        retire=st.sampled_from([set(), set(), set(), {"a"}, {"b"}]),
        crash=st.sampled_from(["", "", "", "before the write", "after the write"]),
        delivered=st.booleans(),
    )
    def a_round(self, lost: set[str], replayed: set[str], retire: set[str], crash: str, delivered: bool) -> None:  # noqa: FBT001
        self._round(lost, replayed, retire, crash, delivered)

    def _round(self, lost: set[str], replayed: set[str], retire: set[str], crash: str, delivered: bool) -> None:  # noqa: FBT001
        state = read_state(self.written)
        shown: list[Observation] = [
            Lost(host, Alarm.GATEWAY_LOST, "lost") if host in lost else self._seen(host, replayed=host in replayed)
            for host in ("a", "b")
        ]
        wishes = Wishes(fresh=self.fresh, retire=frozenset(retire))
        decision = decide(state, shown, TERMS, self.now + self.officer_offset, wishes)
        if crash == "before the write":
            return
        self.written = state_text(decision.state)
        for send in decision.sends:
            known = self.numbers.setdefault(send.what.sequence, (send.boot, send.what))
            assert known == (send.boot, send.what), "a number was used twice"
            self._stands_apart(send)
            self.network.append(send)
        if delivered and crash != "after the write":
            for send in decision.sends:
                self.refused[send.gateway] = self.behind[send.gateway].take(send, self.now)

    def _stands_apart(self, send: Send) -> None:
        """No other boot's grant reaches into this one's time, by any two clocks a margin apart."""
        if isinstance(send.what, Retire):
            return
        retired = {boot.key for boot in self.boots if boot.retired}
        for other in self.network:
            if other.boot != send.boot and isinstance(other.what, Grant) and other.boot not in retired:
                assert other.what.not_after + MARGIN <= send.what.not_before, (other, send)

    def _seen(self, host: str, *, replayed: bool) -> Observation:
        boot = self.behind[host]
        fresh = seen(boot, self.now, host, self.refused.pop(host, ""))
        kept = self.kept.setdefault(boot.key, [])
        kept.append(fresh.checkpoint)
        return type(fresh)(
            gateway=host,
            boot=boot.key,
            pcr0=fresh.pcr0,
            checkpoint=kept[0] if replayed else fresh.checkpoint,
            refused=fresh.refused,
            field=fresh.field,
        )

    @rule(host=_HOSTS, seconds=st.sampled_from([0, 30, 60, 61, 64, 66]))
    def a_host_is_cut_off_and_the_other_polled(self, host: str, seconds: int) -> None:
        self.now += seconds * SECOND
        self._round({host}, set(), set(), "", True)  # noqa: FBT003

    @rule(which=st.integers(0, 3))
    def the_network_delivers_anything_at_any_time(self, which: int) -> None:
        if self.network:
            send = self.network[-1 - which % len(self.network)]
            for boot in self.boots:
                boot.take(send, self.now)

    @invariant()
    def no_two_boots_hold_duty_at_once(self) -> None:
        if hasattr(self, "boots"):
            holders = [boot.name for boot in self.boots if boot.holds(self.now)]
            assert len(holders) <= 1, holders

    @invariant()
    def a_witnessed_head_never_goes_back(self) -> None:
        if hasattr(self, "written"):
            for key, boot in read_state(self.written).boots.items():
                assert boot.witnessed.seq >= self.witnessed.get(key, 0)
                self.witnessed[key] = boot.witnessed.seq

    @invariant()
    def at_most_one_boot_begins_from_nothing(self) -> None:
        if hasattr(self, "boots"):
            begun = [way for boot in self.boots for way in boot.begun]
            assert begun.count("fresh") <= 1

    @invariant()
    def who_was_followed_gets_nothing_more(self) -> None:
        """A later grant of an earlier boot would count from counters that do not know what came between."""
        if hasattr(self, "network"):
            followed: list[bytes] = []
            for send in self.network:
                if isinstance(send.what, Grant):
                    assert send.boot not in followed[:-1]
                    followed = followed if followed[-1:] == [send.boot] else [*followed, send.boot]

    @invariant()
    def a_boot_begins_as_its_predecessor_ended_or_full(self) -> None:
        """Who was granted after somebody else never begins with less than that one's counters."""
        if hasattr(self, "boots"):
            state = read_state(self.written)
            for boot in state.boots.values():
                if boot.grant is not None and boot.grant.continues is not None:
                    before = state.boots.get(boot.grant.continues.boot)
                    assert before is None or before.taken


TestDuty = DutyMachine.TestCase
TestDuty.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
