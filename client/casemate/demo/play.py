"""Plays planned orders through the public gRPC API, keeps what came back, and cancels what rests."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from casemate import errors
from casemate.demo.plan import pace_of
from casemate.models import OrderState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from casemate.demo.plan import Planned
    from casemate.gateway import Gateway
    from casemate.intents import Intent
    from casemate.models import ExecutionReport, SubmitResult
    from casemate.stream import OrderStream

_IN_FLIGHT: Final = 32
_ORDER_S: Final = 45.0
_SETTLE_S: Final = 15.0
_POLL_S: Final = 0.2
_UNSETTLED: Final = frozenset({OrderState.PENDING, OrderState.SIGNED, OrderState.SENDING, OrderState.UNKNOWN})
_RESTING: Final = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})


@dataclass(slots=True)
class Played:
    """One order and everything that gateway and host said about it. ``total_ns`` is the client's own clock."""

    planned: Planned
    result: SubmitResult | None = None
    error: errors.CasemateError | None = None
    total_ns: int = 0
    journal: ExecutionReport | None = None
    cancel: SubmitResult | None = None
    closed: SubmitResult | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """Account and client order id."""
        return self.planned.order.account, self.planned.order.client_order_id

    @property
    def allowed(self) -> bool:
        """Whether the enclave signed it."""
        return self.result is not None and self.result.allowed

    @property
    def answered(self) -> bool:
        """Whether the enclave judged it and the answer arrived."""
        return self.result is not None


class Pacer:
    """Lets a burst through, then a steady rate, for one account."""

    def __init__(self, burst: int, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` in seconds."""
        self._gap = 1 / per_s
        self._slack = self._gap * burst
        self._clock = clock
        self._next = clock() - self._slack

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = self._clock()
        self._next = max(self._next + self._gap, now - self._slack)
        if self._next > now:
            await asyncio.sleep(self._next - now)


async def play(
    gateway: Gateway, reader: Gateway, planned: Sequence[Planned], on_progress: Callable[[int], None]
) -> list[Played]:
    """Send every order at its time; returns when each was answered or failed. ``on_progress`` gets the count done."""
    played = [Played(item) for item in planned]
    pacers = {item.order.account: Pacer(*pace_of(item.order.venue)[:2]) for item in planned}
    start = time.monotonic()
    done = 0
    async with gateway.stream() as stream, reader.stream() as reading:

        async def one(entry: Played) -> None:
            nonlocal done
            await asyncio.sleep(max(0.0, start + entry.planned.at_s - time.monotonic()))
            await pacers[entry.planned.order.account].turn()
            await _send(reading if entry.planned.by_reader else stream, entry)
            done += 1
            on_progress(done)

        async with asyncio.TaskGroup() as tasks:
            for entry in played:
                tasks.create_task(one(entry))
    return played


async def _send(stream: OrderStream[Intent, SubmitResult], entry: Played) -> None:
    began = time.perf_counter_ns()
    try:
        entry.result = await stream.submit(entry.planned.order, timeout_s=_ORDER_S)
    except errors.CasemateError as error:
        entry.error = error
    entry.total_ns = time.perf_counter_ns() - began


async def read_journal(gateway: Gateway, played: Iterable[Played]) -> None:
    """Ask the host's journal about every order, until none is unsettled or the patience ends."""
    until = time.monotonic() + _SETTLE_S
    waiting = list(played)
    while waiting:
        await _limited(_read_one(gateway, entry) for entry in waiting)
        waiting = [entry for entry in waiting if entry.journal is not None and entry.journal.state in _UNSETTLED]
        if time.monotonic() > until:
            return
        if waiting:
            await asyncio.sleep(_POLL_S)


async def _read_one(gateway: Gateway, entry: Played) -> None:
    try:
        entry.journal = await gateway.get(*entry.key)
    except errors.CasemateError as error:
        entry.journal = None
        if not isinstance(error, errors.NotFound):
            entry.problems.append(f"the journal could not be read: {error}")


async def cancel_resting(gateway: Gateway, played: Iterable[Played], resting: set[tuple[str, str]]) -> int:
    """Cancel every order that rests at its venue; returns how many."""
    entries = [entry for entry in played if entry.key in resting]
    pacers = {entry.key[0]: Pacer(*pace_of(entry.planned.order.venue)[:2]) for entry in entries}

    async def one(entry: Played) -> None:
        await pacers[entry.key[0]].turn()
        order = entry.planned.order
        try:
            # Both ids: coinbase cancels by its own alone.
            entry.cancel = await gateway.cancel(
                order.account,
                order.venue,
                order.symbol,
                order.client_order_id,
                venue_order_id=entry.journal.venue_order_id if entry.journal else "",
                timeout_s=_ORDER_S,
            )
        except errors.CasemateError as error:
            entry.problems.append(f"not cancelled: {error}")

    await _limited(one(entry) for entry in entries)
    return len(entries)


async def close_orders(gateway: Gateway, played: Iterable[Played], filled: dict[tuple[str, str], str]) -> None:
    """Tell the enclave how much each signed order filled, now that none can fill more."""

    async def one(entry: Played) -> None:
        try:
            entry.closed = await gateway.close_order(*entry.key, filled.get(entry.key, "0"))
        except errors.CasemateError as error:
            entry.problems.append(f"not closed: {error}")

    await _limited(one(entry) for entry in played if entry.allowed)


async def _limited(coroutines: Iterable[object]) -> None:
    gate = asyncio.Semaphore(_IN_FLIGHT)

    async def one(coroutine: object) -> None:
        async with gate:
            await coroutine  # type: ignore[misc]

    async with asyncio.TaskGroup() as tasks:
        for coroutine in coroutines:
            tasks.create_task(one(coroutine))
