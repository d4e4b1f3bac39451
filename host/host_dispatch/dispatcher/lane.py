"""One queue for each venue account: cancels overtake (D7), and an account in trouble waits alone (D6).

Order: cancels, then reads (they resolve what is UNKNOWN), then orders of high priority, then the others; within
each, first come first served. Whoever waits for a rate limit holds up only those who need the same. Cancels and
reads have slots of their own, so that they leave even while every slot for orders waits for a venue that does not
answer.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio

    from host_dispatch.clock import Clock
    from host_dispatch.dispatcher.limits import Budget
    from host_dispatch.outcome import Operation

# While a lane is held up, what has expired in it is answered this often.
_SWEEP_NS: Final = 50_000_000
_FOR_GOOD: Final = 1 << 63


class Rank(IntEnum):
    """Who goes first."""

    CANCEL = 0
    READ = 1
    HIGH = 2
    NORMAL = 3


class Passenger(Protocol):
    """What waits in a lane. After ``go`` it calls the lane's ``leave`` once it is done with its slot."""

    operation: Operation
    symbol: str
    rank: Rank

    def is_stale(self, now: int) -> bool:
        """Whether it need not wait any longer (wall clock, ns)."""

    def go(self, now: int) -> None:
        """It is its turn, or it is stale; wall clock, ns."""


class Gate:
    """A whole venue's pause: after 429 or 418 nothing goes before the venue said (monotonic ns)."""

    __slots__ = ("budget", "until")

    def __init__(self, budget: Budget) -> None:
        """``budget`` counts the venue's published limits."""
        self.budget = budget
        self.until = 0

    def close(self) -> None:
        """Hold everything back for good: the host is stopping."""
        self.until = _FOR_GOOD

    def close_for(self, milliseconds: int, now: int) -> None:
        """Hold everything back; a longer pause that runs already stays."""
        self.until = max(self.until, now + milliseconds * 1_000_000)


class Lane:
    """See the module's text. Lives on the event loop."""

    def __init__(
        self,
        account: str,
        gate: Gate,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        *,
        slots: int,
        reserved: int,
    ) -> None:
        """``slots`` requests at a time, and ``reserved`` more for cancels and reads."""
        self.account = account
        self._gate = gate
        self._loop = loop
        self._clock = clock
        self._slots = slots
        self._reserved = reserved
        self._queues: tuple[deque[Passenger], ...] = tuple(deque() for _ in Rank)
        self._out = 0
        self._timer: asyncio.TimerHandle | None = None
        self._next_sweep = 0
        self._wait = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._queues))

    @property
    def out(self) -> int:
        """Return how many hold a slot."""
        return self._out

    def join(self, passenger: Passenger) -> None:
        """Queue, and leave at once if there is room."""
        self._queues[passenger.rank].append(passenger)
        self.pump()

    def leave(self) -> None:
        """Give a slot back."""
        self._out -= 1
        self.pump()

    def pump(self) -> None:
        """Let go whoever may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while (queue := self._next_queue()) is not None:
            self._start(queue.popleft(), self._clock.now_ns())
        if len(self):
            self._sweep(self._clock.now_ns())
            self._wake_in(min(self._wait, _SWEEP_NS))

    def _next_queue(self) -> deque[Passenger] | None:
        """Return the queue whose first may go now, or is stale; None with ``_wait`` set if there is none."""
        self._wait = _SWEEP_NS
        now, limit = self._clock.now_ns(), self._slots + self._reserved
        # What those of higher rank wait for; whoever needs none of it does not wait for them.
        scarce: frozenset[tuple[str, str]] = frozenset()
        for rank, queue in enumerate(self._queues):
            if rank == Rank.HIGH:
                limit = self._slots
            if not queue or self._out >= limit:
                continue
            first = queue[0]
            if first.is_stale(now):
                return queue
            if scarce and not scarce.isdisjoint(self._needs(first)):
                continue
            wait = self._wait_ns(first)
            if not wait:
                return queue
            self._wait = min(self._wait, wait)
            scarce |= self._needs(first)
        return None

    def _needs(self, passenger: Passenger) -> frozenset[tuple[str, str]]:
        return self._gate.budget.needs(passenger.operation, self.account, passenger.symbol)

    def _wait_ns(self, passenger: Passenger) -> int:
        now = self._clock.monotonic_ns()
        if now < self._gate.until:
            return self._gate.until - now
        return self._gate.budget.wait_ns(passenger.operation, self.account, passenger.symbol, now)

    def _start(self, passenger: Passenger, now: int) -> None:
        self._out += 1
        passenger.go(now)

    def _sweep(self, now: int) -> None:
        """Answer everybody whose time has run out while waiting."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_NS
        for queue in self._queues:
            stale = [passenger for passenger in queue if passenger.is_stale(now)]
            if stale:
                waiting = [passenger for passenger in queue if not passenger.is_stale(now)]
                queue.clear()
                queue.extend(waiting)
                for passenger in stale:
                    self._start(passenger, now)

    def _wake_in(self, wait_ns: int) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(wait_ns / 1e9, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump()
