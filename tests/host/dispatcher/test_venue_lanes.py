"""Lanes, with clock and loop stood in for: who goes when."""

from __future__ import annotations

from typing import Any

from host_dispatch.dispatcher.lane import Gate, Lane, Rank
from host_dispatch.outcome import Operation


class _Clock:
    wall = 0

    def now_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.wall


class _Timer:
    def __init__(self, call: Any) -> None:
        self.call: Any = call

    def cancel(self) -> None:
        self.call = None


class _Loop:
    def __init__(self) -> None:
        self.timers: list[_Timer] = []

    def call_later(self, _: float, call: Any) -> _Timer:
        self.timers.append(_Timer(call))
        return self.timers[-1]

    def fire(self) -> None:
        timers, self.timers = self.timers, []
        for timer in timers:
            if timer.call is not None:
                timer.call()


class _Budget:
    wait = 0

    def wait_ns(self, *_: object) -> int:
        return self.wait

    def needs(self, *_: object) -> frozenset[tuple[str, str]]:
        return frozenset({("orders", "")})


class _Passenger:
    operation = Operation.CREATE
    symbol = "X"

    def __init__(self, name: str, rank: Rank, gone: list[str], until: int = 10**18) -> None:
        self.name, self.rank, self._gone, self._until = name, rank, gone, until

    def is_stale(self, now: int) -> bool:
        return now >= self._until

    def go(self, now: int) -> None:
        self._gone.append(self.name if not self.is_stale(now) else f"stale {self.name}")


def _lane(slots: int = 1, reserved: int = 1) -> tuple[Lane, _Clock, _Loop, _Budget, Gate]:
    clock, loop, budget = _Clock(), _Loop(), _Budget()
    gate = Gate(budget)  # type: ignore[arg-type]
    return Lane("a", gate, loop, clock, slots=slots, reserved=reserved), clock, loop, budget, gate  # type: ignore[arg-type]


def test_d7_cancels_overtake_reads_reads_overtake_orders_and_high_overtakes_normal() -> None:
    lane, _, loop, budget, _ = _lane(slots=10)
    gone: list[str] = []
    budget.wait = 1
    for name, rank in (
        ("n1", Rank.NORMAL),
        ("h", Rank.HIGH),
        ("r", Rank.READ),
        ("n2", Rank.NORMAL),
        ("c", Rank.CANCEL),
    ):
        lane.join(_Passenger(name, rank, gone))
    assert gone == []
    budget.wait = 0
    loop.fire()
    assert gone == ["c", "r", "h", "n1", "n2"]


def test_d7_a_cancel_leaves_while_every_slot_for_orders_is_taken() -> None:
    lane, *_ = _lane(slots=1, reserved=1)
    gone: list[str] = []
    for name, rank in (("n1", Rank.NORMAL), ("n2", Rank.NORMAL), ("c1", Rank.CANCEL), ("c2", Rank.CANCEL)):
        lane.join(_Passenger(name, rank, gone))
    assert gone == ["n1", "c1"]
    lane.leave()
    assert gone == ["n1", "c1", "c2"]
    lane.leave()
    lane.leave()
    assert gone == ["n1", "c1", "c2", "n2"]


def test_nothing_goes_while_the_venue_asked_to_be_left_alone() -> None:
    lane, clock, loop, _, gate = _lane()
    gone: list[str] = []
    gate.close_for(1, 0)
    lane.join(_Passenger("c", Rank.CANCEL, gone))
    loop.fire()
    assert gone == []
    clock.wall = 1_000_000
    loop.fire()
    assert gone == ["c"]


def test_a_longer_pause_is_not_cut_short_by_a_shorter_one() -> None:
    _, _, _, _, gate = _lane()
    gate.close_for(10, 0)
    gate.close_for(1, 0)
    assert gate.until == 10_000_000


def test_d4_what_expires_while_waiting_is_answered_as_stale_without_its_turn() -> None:
    lane, clock, loop, budget, _ = _lane()
    gone: list[str] = []
    budget.wait = 10**12
    lane.join(_Passenger("first", Rank.NORMAL, gone, until=10**17))
    lane.join(_Passenger("second", Rank.NORMAL, gone, until=10**9))
    clock.wall = 10**9
    loop.fire()
    assert gone == ["stale second"]
    assert len(lane) == 1


def test_d4_it_expires_too_while_every_slot_is_taken() -> None:
    lane, clock, loop, _, _ = _lane(slots=1, reserved=0)
    gone: list[str] = []
    lane.join(_Passenger("first", Rank.NORMAL, gone))
    lane.join(_Passenger("second", Rank.NORMAL, gone, until=10**9))
    clock.wall = 10**9
    loop.fire()
    assert gone == ["first", "stale second"]
