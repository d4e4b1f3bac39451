"""Carries out what :mod:`casemate.duty.decide` decides: look, decide, write, then send. Time is passed in.

The order matters: what is sent stands in the state first, so that a crash at any moment leaves a number used and a
grant counted that may never have arrived, never the other way round.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from casemate.audit import witness
from casemate.duty.decide import decide
from casemate.duty.errors import NotFresh, StateLost
from casemate.duty.model import Alarm, Grant, Raised, Seen, Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from casemate.duty.config import Config
    from casemate.duty.gateway import Gateway
    from casemate.duty.model import Decision, Observation, State
    from casemate.duty.reports import Reporter
    from casemate.duty.store import Store

# How long a host may take to show a head of what its boot's checkpoint said: it asks for one each second.
HEAD_EVERY_NS: Final = 10_000_000_000


class Officer:
    """One round after the other, for who holds the state."""

    def __init__(
        self,
        config: Config,
        store: Store,
        gateways: Sequence[Gateway],
        clock: Callable[[], int],
        reporter: Reporter,
        *,
        fresh: bool = False,
    ) -> None:
        """``store`` is held by ``begin``. ``clock`` returns nanoseconds UTC."""
        self._config = config
        self._store = store
        self._gateways = gateways
        self._clock = clock
        self._reporter = reporter
        self._fresh = fresh
        self.state: State | None = None
        self._heads: dict[str, bytes] = {}
        # By gateway: the boot and receipt of which a head is due, and since when.
        self._due: dict[str, tuple[bytes, int, int]] = {}

    async def begin(self) -> None:
        """Take the state; raises Held, StateLost, NotFresh."""
        self.state = await asyncio.to_thread(self._store.hold)
        if self._fresh and any(boot.taken for boot in self.state.boots.values()):
            message = "--fresh: this state knows of boots that held duty; without --fresh the next one continues"
            raise NotFresh(message)

    async def close(self) -> None:
        """Let go of everything."""
        await asyncio.gather(*(each.close() for each in self._gateways))
        await asyncio.to_thread(self._store.close)

    async def round(self) -> Decision:
        """Look at every gateway, decide, write, send; raises StateLost, after which nothing may be sent."""
        asked = await asyncio.to_thread(self._store.asked)
        now = self._clock()
        seen = await asyncio.gather(*(each.look(now) for each in self._gateways))
        decision = await self._decided(seen, asked)
        after = await asyncio.gather(*(self._carry_out(decision, each) for each in self._gateways))
        if shown := [each for each in after if each is not None]:
            # What the boot signs right after a grant is what a successor goes on from: it is not left for later.
            after_grant = await self._decided(shown, frozenset(), sending=False)
            decision = replace(decision, alarms=decision.alarms + after_grant.alarms)
        await self._forget_wishes(asked)
        raised = await asyncio.gather(*(self._witness(each) for each in seen if isinstance(each, Seen)))
        self._reporter.say(replace(decision, alarms=(*decision.alarms, *(each for each in raised if each))))
        return decision

    async def _decided(self, seen: Sequence[Observation], asked: frozenset[str], *, sending: bool = True) -> Decision:
        before = self.state
        if before is None:
            message = "the state is not held"
            raise StateLost(message)
        wishes = Wishes(fresh=self._fresh, retire=asked, look_only=not sending)
        decision = decide(before, seen, self._config.terms, self._clock(), wishes)
        if decision.state != before:
            self.state = await asyncio.to_thread(self._store.write, decision.state)
        return decision

    async def _carry_out(self, decision: Decision, gateway: Gateway) -> Observation | None:
        found = None
        for send in decision.sends:
            if send.gateway == gateway.name:
                self._reporter.sending(send)
                found = await gateway.send(send, self._config.key.sign)
                self._reporter.sent(send, found)
        return found

    async def _forget_wishes(self, asked: frozenset[str]) -> None:
        boots = self.state.boots.values() if self.state else ()
        for gateway in asked:
            behind = [boot for boot in boots if boot.gateway == gateway]
            # The latest one: that an earlier one retired says nothing.
            if behind and max(behind, key=lambda boot: boot.witnessed.time).retired:
                await asyncio.to_thread(self._store.done, gateway)

    async def _witness(self, seen: Seen) -> Raised | None:
        """Write the latest head down; an alarm where the host keeps heads back."""
        gateway = next(each for each in self._gateways if each.name == seen.gateway)
        found = await gateway.head(self._clock())
        if found is not None:
            await self._write(gateway.name, found[1])
        return self._kept_back(seen, -1 if found is None else found[0])

    def _kept_back(self, seen: Seen, number: int) -> Raised | None:
        now, checkpoint = self._clock(), seen.checkpoint
        boot, wanted, since = self._due.get(seen.gateway, (b"", 0, 0))
        if boot != seen.boot or number >= wanted:
            self._due[seen.gateway] = (seen.boot, checkpoint.seq, now)
            return None
        if now - since <= HEAD_EVERY_NS or not seen.alive:
            return None
        text = f"no signed head of receipt {wanted}, which its boot has long made: the witness's file lacks it"
        return Raised(Alarm.NO_HEAD, seen.gateway, text)

    async def _write(self, name: str, head: witness.Seen) -> None:
        if self._heads.get(name) == head.head:
            return
        self._heads[name] = head.head
        try:
            await asyncio.to_thread(witness.append, self._config.witness, head)
        except OSError as error:
            message = f"{self._config.witness}: {error.strerror}"
            raise StateLost(message) from None


def granted(decision: Decision) -> bool:
    """Whether the holder's signature shows its latest grant in force."""
    boot = decision.state.boots.get(decision.state.holder)
    return boot is not None and isinstance(boot.grant, Grant) and boot.taken == boot.grant.sequence
