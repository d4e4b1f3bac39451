"""Asking the venue what became of an order, until there is evidence or the bound is reached (D2, D3).

The question is the derived right's: the enclave signs a query of a client order id that it signed a create for.
Some venues keep finished orders apart (kraken, backpack), so every other question is about those.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from host_dispatch.dispatcher import machine as m
from host_dispatch.dispatcher.courier import Errand
from host_dispatch.dispatcher.derived import derive
from host_dispatch.dispatcher.dispatch import absorb
from host_dispatch.dispatcher.evidence import weigh
from host_dispatch.dispatcher.retry import jittered
from host_dispatch.errors import NotTakenError
from host_dispatch.outcome import Operation, OrderState
from host_dispatch.transport.base import NotSentError, ReplyLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from host_dispatch.dispatcher.dispatch import Dispatch
    from host_dispatch.dispatcher.evidence import Evidence
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.outcome import Reading

# How long a cancel that the venue only took note of is followed.
_FOLLOW_NS: Final = 30_000_000_000
_ASKABLE: Final = frozenset({Operation.CREATE, Operation.AMEND, Operation.CANCEL})


class Resolver:
    """See the module's text."""

    def __init__(self, runner: Runner, random: Callable[[], float]) -> None:
        """``random`` spreads the questions."""
        self._runner = runner
        self._random = random
        self._followed: set[tuple[str, str]] = set()

    def can_ask(self, dispatch: Dispatch) -> bool:
        """Whether a derived query exists for it."""
        return bool(dispatch.client_order_id) and dispatch.operation in _ASKABLE and dispatch.site is not None

    async def ask(self, dispatch: Dispatch) -> None:
        """Ask until the machine is content."""
        settings, clock = self._runner.settings, self._runner.clock
        end = clock.monotonic_ns() + settings.resolve_for_ms * 1_000_000
        made = 0
        while True:
            made += 1
            await asyncio.sleep(jittered(settings.resolve.backoff_ms(made), self._random()))
            if not dispatch.machine.is_unknown:
                return
            if clock.monotonic_ns() >= end or not await self._ask_once(dispatch, closed=made % 2 == 0):
                self._runner.drive(dispatch, m.GaveUp())
                return

    async def _ask_once(self, dispatch: Dispatch, *, closed: bool) -> bool:
        """Return False if asking again is of no use: the enclave gives no right to ask."""
        # Before the question goes, and as early as it can be: "not found" must be no earlier than the horizon.
        asked_at = dispatch.received.earliest(self._runner.clock)
        try:
            reading = await self._question(dispatch, closed=closed)
        except (NotTakenError, NotSentError, ReplyLostError):
            return True
        if reading is None:
            return False
        horizon = dispatch.machine.valid_until + self._runner.settings.margin_ns(dispatch.venue)
        evidence = weigh(reading, asked_at=asked_at, horizon=horizon)
        if evidence is not None:
            self._conclude(dispatch, reading, evidence)
        return True

    async def _question(self, dispatch: Dispatch, *, closed: bool) -> Reading | None:
        """Return what the venue says of an order, None without the right to ask; raises as derive and Errand do."""
        name = dispatch.client_order_id
        signed = await derive(self._runner.link, dispatch.account, name, Operation.QUERY, closed=closed)
        if signed is None or dispatch.site is None or signed.venue != dispatch.venue:
            return None
        return await Errand(self._runner.courier, dispatch.site, signed, Operation.QUERY, self._runner.clock).run()

    # --- cancels that the venue carries out later

    def follow(self, cancel: Dispatch) -> Coroutine[object, object, None] | None:
        """Return the asking about the order of a cancel that the venue took and said no more of, None if it runs."""
        order = (cancel.account, cancel.client_order_id)
        if not self.can_ask(cancel) or order in self._followed:
            return None
        self._followed.add(order)
        return self._follow(cancel, order)

    async def _follow(self, cancel: Dispatch, order: tuple[str, str]) -> None:
        settings, clock = self._runner.settings, self._runner.clock
        end = clock.monotonic_ns() + min(_FOLLOW_NS, settings.resolve_for_ms * 1_000_000)
        made = 0
        try:
            while clock.monotonic_ns() < end:
                made += 1
                await asyncio.sleep(jittered(settings.resolve.backoff_ms(made), self._random()))
                try:
                    reading = await self._question(cancel, closed=made % 2 == 0)
                except (NotTakenError, NotSentError, ReplyLostError):
                    continue
                if reading is None:
                    return
                self._runner.observer.observe(*order, reading)
                if reading.state in m.TERMINAL:
                    return
        finally:
            self._followed.discard(order)

    # --- what it comes to

    def _conclude(self, dispatch: Dispatch, reading: Reading, evidence: Evidence) -> None:
        if dispatch.operation is Operation.CREATE:
            self.apply(dispatch, reading, evidence.state)
            return
        # A cancel or amend of an order that the venue does not have did nothing; else the order is as it was found,
        # and that is news about the order too.
        self.apply(dispatch, reading, evidence.state if evidence.found else OrderState.REJECTED)
        self._runner.observer.observe(dispatch.account, dispatch.client_order_id, reading)

    def apply(self, dispatch: Dispatch, reading: Reading, state: OrderState) -> None:
        """Give evidence to an intent under way."""
        view = dispatch.said(reading.code, reading.message)
        absorb(view, reading)
        dispatch.view = view
        self._runner.drive(dispatch, m.Observed(state))
