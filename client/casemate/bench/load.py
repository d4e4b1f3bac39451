"""Closed-loop load: a number of orders kept in flight, each timed from hand-over to answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from casemate.demo.summary import percentile
from casemate.errors import CasemateError
from casemate.intents import OrderIntent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from casemate.demo.stack import Market
    from casemate.models import SubmitResult

PERCENTILES: Final = ("p50", "p90", "p99", "p99.9", "max")


@dataclass(frozen=True, slots=True)
class Measured:
    """One load's outcome; times in nanoseconds, sorted."""

    times: Sequence[int]
    elapsed: int
    allowed: int
    failed: int

    def as_json(self) -> dict[str, Any]:
        """Percentiles in microseconds, throughput in orders a second."""
        return {
            "orders": len(self.times),
            "allowed": self.allowed,
            "failed": self.failed,
            "per_second": round(len(self.times) * 1_000_000_000 / max(self.elapsed, 1)),
            "us": {name: round(percentile(self.times, name) / 1_000, 1) for name in PERCENTILES} if self.times else {},
        }


def orders(markets: Sequence[Market]) -> Iterator[OrderIntent]:
    """Make limit orders far from the market, in turn for each of these markets, never ending."""
    while True:
        for market in markets:
            low = market.band[0]
            yield OrderIntent.limit(
                market.account,
                market.venue,
                market.symbol,
                "BUY",
                quantity=market.lot * 10,
                price=low - low % market.tick + market.tick,
                time_in_force="GTC",
            )


async def keep_in_flight(
    submit: Callable[[OrderIntent], Awaitable[SubmitResult]], make: Iterator[OrderIntent], count: int, in_flight: int
) -> Measured:
    """Hand over ``count`` orders, ``in_flight`` at a time."""
    ready = iter([next(make) for _ in range(count)])
    tally = _Tally()
    start = time.perf_counter_ns()
    await asyncio.gather(*(_one_by_one(submit, ready, tally) for _ in range(in_flight)))
    return tally.measured(time.perf_counter_ns() - start)


async def _one_by_one(
    submit: Callable[[OrderIntent], Awaitable[SubmitResult]], ready: Iterator[OrderIntent], tally: _Tally
) -> None:
    for order in ready:
        start = time.perf_counter_ns()
        try:
            answer = await submit(order)
        except CasemateError:
            tally.failed += 1
        else:
            tally.allowed += answer.allowed
        tally.times.append(time.perf_counter_ns() - start)


async def batches(
    submit: Callable[[Sequence[OrderIntent]], Awaitable[Sequence[object]]],
    make: Iterator[OrderIntent],
    count: int,
    *,
    size: int,
    in_flight: int,
) -> Measured:
    """Hand over ``count`` orders in batches; a batch's time counts for each of its orders."""
    ready = iter([[next(make) for _ in range(size)] for _ in range(count // size)])
    tally = _Tally()

    async def work() -> None:
        for batch in ready:
            start = time.perf_counter_ns()
            answers = await submit(batch)
            taken = time.perf_counter_ns() - start
            tally.times.extend([taken] * len(batch))
            good = sum(1 for answer in answers if getattr(answer, "allowed", False))
            tally.allowed += good
            tally.failed += sum(1 for answer in answers if not hasattr(answer, "allowed"))

    start = time.perf_counter_ns()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return tally.measured(time.perf_counter_ns() - start)


class _Tally:
    """What the workers of one load saw."""

    __slots__ = ("allowed", "failed", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.allowed = 0
        self.failed = 0

    def measured(self, elapsed: int) -> Measured:
        return Measured(sorted(self.times), elapsed, self.allowed, self.failed)
