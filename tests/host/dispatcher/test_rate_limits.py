"""Rate limits as pure counters, with a clock that the test turns."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from host_dispatch.dispatcher.limits import Budget, Leaky, Window
from host_dispatch.outcome import Operation
from host_dispatch.venues.base import Bucket, Cost

WINDOW = 1_600


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 3)), max_size=60))
def test_a_window_never_lets_more_through_than_its_limit(steps: list[tuple[int, int]]) -> None:
    window, limit, now = Window(10, WINDOW), 10, 0
    taken: list[tuple[int, int]] = []
    for pause, weight in steps:
        now += pause
        if not window.wait_ns(weight, now):
            window.take(weight, now)
            taken.append((now, weight))
            assert sum(w for at, w in taken if at > now - WINDOW) <= limit


def test_a_window_says_how_long_to_wait_and_keeps_its_word() -> None:
    window = Window(2, WINDOW)
    window.take(2, 0)
    now = 0
    for _ in range(50):
        wait = window.wait_ns(1, now)
        if not wait:
            break
        now += wait
    assert WINDOW <= now <= WINDOW * 18 // 16


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 3)), max_size=60))
def test_a_leaky_level_never_passes_its_limit(steps: list[tuple[int, int]]) -> None:
    leaky, limit, now, level, at = Leaky(10, WINDOW), 10, 0, 0.0, 0
    for pause, weight in steps:
        now += pause
        level, at = max(level - (now - at) * limit / WINDOW, 0.0), now
        if not leaky.wait_ns(weight, now):
            leaky.take(weight, now)
            level += weight
            assert level <= limit + 1e-9


def test_a_leaky_level_has_room_again_after_exactly_the_wait() -> None:
    leaky = Leaky(10, WINDOW)
    leaky.take(10, 0)
    wait = leaky.wait_ns(1, 0)
    assert wait == WINDOW // 10
    assert leaky.wait_ns(1, wait) == 0


def test_a_request_heavier_than_a_limit_goes_when_nothing_else_is_counted() -> None:
    assert Window(1, WINDOW).wait_ns(5, 0) == 0
    assert Leaky(1, WINDOW).wait_ns(5, 0) == 0


class _Reader:
    name = "v"
    buckets = (
        Bucket("ip", 3, 1, "ip"),
        Bucket("orders", 2, 1, "account"),
        Bucket("pair", 1, 1, "instrument"),
    )

    def cost(self, operation: Operation) -> tuple[Cost, ...]:
        if operation is Operation.CREATE:
            return (Cost("ip", 1), Cost("orders", 1), Cost("pair", 1))
        return (Cost("ip", 1),)


def test_each_bucket_is_shared_by_its_scope() -> None:
    budget = Budget(_Reader(), {})  # type: ignore[arg-type]
    create, read = Operation.CREATE, Operation.QUERY
    assert budget.wait_ns(create, "a", "X", 0) == 0
    assert budget.wait_ns(create, "a", "X", 0) > 0, "one order an instrument"
    assert budget.wait_ns(create, "a", "Y", 0) == 0
    assert budget.wait_ns(create, "a", "Z", 0) > 0, "two orders an account"
    assert budget.wait_ns(create, "b", "X", 0) == 0
    assert budget.wait_ns(read, "c", "", 0) > 0, "three requests an address"


def test_what_has_to_wait_is_not_counted() -> None:
    budget = Budget(_Reader(), {})  # type: ignore[arg-type]
    budget.wait_ns(Operation.CREATE, "a", "X", 0)
    for _ in range(5):
        assert budget.wait_ns(Operation.CREATE, "a", "X", 0) > 0
    assert budget.wait_ns(Operation.CREATE, "a", "Y", 0) == 0


def test_a_configured_limit_takes_the_place_of_the_published_one() -> None:
    budget = Budget(_Reader(), {"pair": 2})  # type: ignore[arg-type]
    assert budget.wait_ns(Operation.CREATE, "a", "X", 0) == 0
    assert budget.wait_ns(Operation.CREATE, "a", "X", 0) == 0
