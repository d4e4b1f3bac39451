"""Who gets duty: ``decide(state, observations, now)``. Pure; the caller writes the state, then sends.

1. A boot's head never goes back. An older checkpoint than the witnessed one is ignored, with an alarm; two checkpoints
   with one number and two hashes mean that the boot's key signed two histories: it gets nothing any more.
2. One boot holds duty. It is renewed at half time of its grant, and only while it is seen: attested now, with a recent
   checkpoint. What was written but not taken is sent again, the same bytes.
3. Another boot gets duty only from a moment on that lies a margin behind the end of every grant that any other boot
   ever got, unless that boot's own signature says that it retired. The margin bounds the difference of two clocks, so
   that no two boots ever hold duty at the same instant. Both moments stand in signed grants: the officer's own clock
   takes no part in this, it only decides when there is something to send.
4. A boot that another one followed never gets duty again: it does not know what that one counted.
5. The first grant of a boot goes on from the witnessed checkpoint of the boot before it. It is fresh only by an
   operator's word, and only while nobody ever held duty; with neither, the enclave starts with its limits full.
6. A number is used once, over all boots, and is in the state before it is in a grant.
7. A boot that shows a grant which this state never gave tells that the state is an old copy, or that somebody else
   grants too. That grant's number and end count as if they were ours, and its boot as the holder. The same holds for
   a number that the boot has used up, though its grant is over: the next number is above it.
8. On duty is who was seen with a grant in force, by its own signature; what was written and sent says nothing of that.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from casemate.duty.model import (
    Alarm,
    Boot,
    Continues,
    Decision,
    Grant,
    Lost,
    Raised,
    Retire,
    Seen,
    Send,
    Wishes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from casemate.duty.model import Checkpoint, Halt, Observation, State, Terms

# Old boots that are over are forgotten beyond this many.
KEPT_BOOTS: Final = 64
# What the enclave names when a grant says how to begin and is not the boot's first.
_FIRST: Final = frozenset({"continues", "fresh"})
_NS_IN_S: Final = 1_000_000_000
_NOTHING: Final = Wishes()


def decide(state: State, seen: Sequence[Observation], terms: Terms, now: int, wishes: Wishes = _NOTHING) -> Decision:
    """Return what to write, send and say. ``seen`` has the gateways in the operator's order of preference."""
    round_ = _Round(state, terms, now, wishes)
    healthy = [each for each in seen if round_.witness(each) and isinstance(each, Seen)]
    healthy = [each for each in healthy if each.boot in round_.state.boots]
    if wishes.look_only:
        return Decision(round_.state, (), tuple(round_.alarms))
    for each in healthy:
        round_.retire(each)
    round_.renew(healthy)
    round_.succeed(healthy)
    round_.judge(healthy)
    return Decision(round_.state, tuple(round_.sends), tuple(round_.alarms))


def free_from(state: State, boot: bytes, margin: int) -> int:
    """Return the first moment at which this boot can hold duty beside no other."""
    others = [each.until for key, each in state.boots.items() if key != boot and each.until and not each.retired]
    latest = max([*others, state.forgotten])
    return latest + margin if latest else 0


class _Round:
    """One call of ``decide``: the state as it becomes, what to send, what to say."""

    def __init__(self, state: State, terms: Terms, now: int, wishes: Wishes) -> None:
        self.state = state
        self.sends: list[Send] = []
        self.alarms: list[Raised] = []
        self._terms = terms
        self._now = now
        self._wishes = wishes
        self._issued = False

    def witness(self, each: Observation) -> bool:
        """Take up what was seen; whether this boot may get something in this round."""
        if isinstance(each, Lost):
            self._say(each.alarm, each.gateway, each.reason)
            return False
        known, shown = self.state.boots.get(each.boot), each.checkpoint
        if each.boot in self.state.ended:
            self._superseded(each)
            return False
        if known is None:
            boot = Boot(pcr0=each.pcr0, gateway=each.gateway, witnessed=shown, taken=shown.granted)
            self._put(each.boot, replace(boot, begun=bool(shown.used)))
        elif known.forked or _forks(known.witnessed, shown):
            self._put(each.boot, replace(known, forked=True))
            self._say(Alarm.FORKED, each.gateway, f"two receipts {known.witnessed.seq} of one boot: it gets no duty")
            return False
        elif _older(shown, known.witnessed):
            text = f"shows receipt {shown.seq} after {known.witnessed.seq} was witnessed: it gets nothing"
            self._say(Alarm.HEAD_WENT_BACK, each.gateway, text)
            return False
        else:
            # A host that lies about `begun` gets a boot whose limits start full.
            begun = known.begun or bool(shown.used) or (known.grant is not None and each.field in _FIRST)
            taken = max(known.taken, shown.granted)
            self._put(each.boot, replace(known, gateway=each.gateway, witnessed=shown, taken=taken, begun=begun))
        self._adopt(each)
        if not each.alive:
            self._say(Alarm.GATEWAY_LOST, each.gateway, "the enclave is away; its host shows the last checkpoint")
        return each.alive and self._recent(each)

    def _adopt(self, each: Seen) -> None:
        """Take up a grant that somebody else gave, or that this state has forgotten."""
        boot, shown = self.state.boots[each.boot], each.checkpoint
        number = max(shown.granted, shown.used)
        if number <= self.state.sequence and (boot.until or not shown.granted):
            return
        text = f"has taken number {number}, which this state never gave: an old copy of it, or another granter"
        self._say(Alarm.UNKNOWN_GRANT, each.gateway, text)
        # What is in force no more had ended by then.
        self._put(each.boot, replace(boot, until=max(boot.until, shown.until or shown.time)))
        if number > self.state.sequence:
            self.state = replace(self.state, sequence=number, holder=each.boot)

    def _recent(self, each: Seen) -> bool:
        behind = self._now - each.checkpoint.time
        if abs(behind) <= self._terms.stale + self._terms.margin:
            return True
        text = f"its checkpoint is {behind // 1_000_000} ms behind this clock: it gets nothing"
        self._say(Alarm.STALE_CHECKPOINT, each.gateway, text)
        return False

    def retire(self, each: Seen) -> None:
        """Ask a boot to retire where the operator wants it, until it says that it did."""
        boot = self.state.boots[each.boot]
        if boot.retired or (each.gateway not in self._wishes.retire and boot.retire is None):
            return
        if boot.retire is None or self._now >= boot.retire.not_after:
            made = Retire(
                sequence=self._number(),
                not_before=self._now - self._terms.margin,
                not_after=self._now + self._terms.length,
            )
            boot = replace(boot, retire=made)
            self._put(each.boot, boot)
        if boot.retire is not None:
            self.sends.append(Send(gateway=each.gateway, boot=each.boot, what=boot.retire))

    def renew(self, healthy: Sequence[Seen]) -> None:
        """Keep the holder on duty while it is seen."""
        each = next((one for one in healthy if one.boot == self.state.holder), None)
        boot = self.state.boots.get(self.state.holder)
        if each is None or boot is None or boot.retired or boot.retire is not None:
            return
        if each.refused:
            self._say(Alarm.GRANT_REFUSED, each.gateway, each.refused)
            if any(self._fit(one) for one in healthy if one.boot != each.boot):
                return
        # The enclave takes no grant that ends before an earlier one: after its clock went back the officer waits.
        longer = self._now + self._terms.length - self._terms.margin > boot.until
        if boot.grant is None:
            if longer:
                self._issue(each)
            return
        half = boot.grant.not_after - (boot.grant.not_after - boot.grant.not_before) // 2
        # What it had taken is in force no more, or not for all: the policy changed under it.
        ended = boot.taken == boot.grant.sequence and boot.witnessed.covered != boot.grant.accounts
        if (self._now >= half or ended) and longer:
            self._issue(each)
        elif boot.witnessed.granted < boot.grant.sequence:
            self.sends.append(Send(gateway=each.gateway, boot=each.boot, what=boot.grant))

    def succeed(self, healthy: Sequence[Seen]) -> None:
        """Put another boot in the place of a holder that is gone."""
        holder = self.state.boots.get(self.state.holder)
        ended = holder is None or holder.retired or holder.forked or self._now >= holder.until + self._terms.margin
        # A holder that can still be renewed keeps its duty.
        if not ended or any(send.boot == self.state.holder and isinstance(send.what, Grant) for send in self.sends):
            return
        for each in filter(self._fit, healthy):
            if self._now >= free_from(self.state, each.boot, self._terms.margin):
                self._issue(each)
                return

    def _fit(self, each: Seen) -> bool:
        boot = self.state.boots[each.boot]
        return not (boot.grant or boot.taken or boot.retired or boot.forked or boot.retire is not None)

    def judge(self, healthy: Sequence[Seen]) -> None:
        """Say so where nobody is on duty, and who cannot be."""
        for each in healthy:
            boot = self.state.boots[each.boot]
            if (boot.grant or boot.taken) and each.boot != self.state.holder and not boot.retired:
                self._superseded(each)
        holder = self.state.boots.get(self.state.holder)
        if holder is not None and holder.witnessed.full_until > max(holder.witnessed.time, self._now):
            at = datetime.fromtimestamp(holder.witnessed.full_until // _NS_IN_S + 1, UTC)
            text = f"limits that started full are full until {at:%Y-%m-%dT%H:%M:%SZ}"
            self._say(Alarm.STARTS_FULL, holder.gateway, text)
        if self._issued:
            # Whether it is taken shows at once, and is judged in the next round.
            return
        if holder is None or holder.retired or holder.forked or self._now >= holder.witnessed.until:
            self._say(Alarm.NO_DUTY, "", "no boot was seen with a grant in force: creates and amends are refused")

    def _superseded(self, each: Seen) -> None:
        text = "held duty before another boot did: restart this enclave, a new boot can take over"
        self._say(Alarm.SUPERSEDED, each.gateway, text)

    def _issue(self, each: Seen) -> None:
        boot, terms = self.state.boots[each.boot], self._terms
        free = free_from(self.state, each.boot, terms.margin)
        # Back by the margin, so that a slower clock takes it at once, but never into another's time.
        begin = max(self._now - terms.margin, free)
        later = bool(boot.taken) or boot.begun
        before = boot.before or (self.state.holder if self.state.holder != each.boot else b"")
        continues = None if later else self._continues(before, begin)
        fresh = not later and not before and self._wishes.fresh
        if not (later or continues or fresh):
            text = "no witnessed checkpoint to continue from, and no --fresh: every limit starts full"
            self._say(Alarm.STARTS_FULL, each.gateway, text)
        grant = Grant(
            sequence=self._number(),
            head=(boot.witnessed.seq, boot.witnessed.hash),
            accounts=terms.accounts,
            share=terms.share,
            policy_version=terms.policy_version,
            not_before=begin,
            not_after=max(self._now, begin) + terms.length - terms.margin,
            # A checkpoint that is continued from brings its HALTs along; without one they are told here.
            halts=terms.halts if later or continues else _together(terms.halts, self._halts(before)),
            continues=continues,
            fresh=fresh,
        )
        changed = replace(boot, grant=grant, until=max(boot.until, grant.not_after), before=before)
        self._put(each.boot, changed)
        self.state = replace(self.state, holder=each.boot)
        self._issued = True
        self.sends.append(Send(gateway=each.gateway, boot=each.boot, what=grant))

    def _halts(self, before: bytes) -> tuple[Halt, ...]:
        """Return what was in force in the boot before, as far as it was witnessed or told."""
        last = self.state.boots.get(before)
        if last is None:
            return ()
        # Who was not seen with a grant may not have taken what it was told, nor what it was to continue from.
        if last.taken or last.grant is None:
            return last.witnessed.halts
        carried = last.grant.continues.checkpoint.halts if last.grant.continues else ()
        return _together((*last.witnessed.halts, *last.grant.halts), carried)

    def _continues(self, before: bytes, begin: int) -> Continues | None:
        last = self.state.boots.get(before)
        # Of a boot that was not seen with a grant nobody knows whether it counted anything: it may have begun empty.
        if last is None or not last.taken or last.forked:
            return None
        until = min(last.until, begin) if last.retired else last.until
        return Continues(boot=before, checkpoint=last.witnessed, pcr0=last.pcr0, until=until)

    def _number(self) -> int:
        self.state = replace(self.state, sequence=self.state.sequence + 1)
        return self.state.sequence

    def _put(self, key: bytes, boot: Boot) -> None:
        if self.state.boots.get(key) == boot:
            return
        boots = {**self.state.boots, key: boot}
        over = self._over(boots, key)[: max(0, len(boots) - KEPT_BOOTS)]
        gone = {each: boots.pop(each) for each in over}
        forgotten = max([self.state.forgotten, *(each.until for each in gone.values())])
        ended = tuple(each for each, boot in gone.items() if boot.grant or boot.taken)
        self.state = replace(self.state, boots=boots, forgotten=forgotten, ended=(*self.state.ended, *ended))

    def _over(self, boots: dict[bytes, Boot], put: bytes) -> list[bytes]:
        """Return the boots that may be forgotten once there are many, the longest unseen first."""
        holder = boots.get(self.state.holder)
        named = {put, self.state.holder, holder.before if holder else b""}
        spare = [key for key, boot in boots.items() if key not in named and boot.until < self._now and not boot.forked]
        return sorted(spare, key=lambda key: boots[key].witnessed.time)

    def _say(self, alarm: Alarm, gateway: str, text: str) -> None:
        self.alarms.append(Raised(alarm, gateway, text))


def _forks(witnessed: Checkpoint, shown: Checkpoint) -> bool:
    return shown.seq == witnessed.seq and shown.hash != witnessed.hash


def _older(shown: Checkpoint, witnessed: Checkpoint) -> bool:
    # Of one receipt there are many checkpoints: the time tells which is the later one.
    return (shown.seq, shown.time) < (witnessed.seq, witnessed.time) or (witnessed.retired and not shown.retired)


def _together(wanted: Sequence[Halt], shown: Sequence[Halt]) -> tuple[Halt, ...]:
    return tuple(dict.fromkeys((*wanted, *shown)))
