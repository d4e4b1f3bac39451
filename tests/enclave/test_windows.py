"""A rolling limit is never exceeded, whatever the clock does: against an oracle that remembers every event."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from enclave_signer.windows import Window

WINDOWS = st.sampled_from([1_000_000_000, 1_000_000_001, 60_000_000_000, 86_400_000_000_000])
# Steps as fractions of a window in 1/1000, forwards and backwards, small and huge.
STEPS = st.one_of(st.integers(-50, 50), st.integers(0, 1200), st.sampled_from([0, 1, -2000, 100_000]))


@settings(max_examples=300, deadline=None)
@given(
    window_ns=WINDOWS,
    start=st.integers(0, 2**61),
    most=st.integers(1, 20),
    events=st.lists(st.tuples(STEPS, st.integers(1, 10)), max_size=60),
)
def test_a_rolling_sum_is_never_exceeded_for_any_sequence_and_any_clock(
    window_ns: int, start: int, most: int, events: list[tuple[int, int]]
) -> None:
    window = Window(window_ns)
    now = seen = start
    happened: list[tuple[int, int]] = []
    for step, spent in events:
        now = max(0, now + step * window_ns // 1000)
        # As the service does: the latest time seen.
        seen = max(seen, now)
        window.advance(seen)
        if window.spent + spent <= most:
            window.add(spent, 1)
            happened.append((seen, spent))
        within = sum(each for at, each in happened if at >= seen - window_ns)
        assert within <= window.spent <= most
        # What has been outside for 1/256 of a window is released: early refusals are bounded too.
        slack = -(-window_ns // 256)
        assert window.spent <= sum(each for at, each in happened if at > seen - window_ns - 2 * slack)


@settings(max_examples=200, deadline=None)
@given(window_ns=WINDOWS, moves=st.lists(st.integers(-3000, 3000), max_size=40))
def test_time_that_goes_backwards_in_the_ring_itself_releases_nothing_early(window_ns: int, moves: list[int]) -> None:
    window = Window(window_ns)
    now = latest = 10 * window_ns
    happened: list[int] = []
    for move in moves:
        now = max(0, now + move * window_ns // 1000)
        latest = max(latest, now)
        window.advance(now)
        window.add(1, 1)
        happened.append(now)
        assert window.spent == window.count >= sum(1 for at in happened if at >= latest - window_ns)


@settings(max_examples=200, deadline=None)
@given(
    longer=st.sampled_from([2, 3, 60]),
    events=st.lists(st.integers(0, 3_000_000_000), min_size=1, max_size=40),
    wait=st.integers(0, 3_000_000_000),
    after=st.integers(0, 2_000_000_000),
)
def test_a_ring_that_takes_over_from_a_longer_one_misses_nothing(
    longer: int, events: list[int], wait: int, after: int
) -> None:
    old = Window(longer * 1_000_000_000)
    for at in sorted(events):
        old.advance(at)
        old.add(1, 1)
    now = max(events) + wait
    new = Window(1_000_000_000)
    new.include(old, now)
    later = now + after
    new.advance(later)
    kept = [at for at in events if at >= now - old.window_ns]
    assert new.spent >= sum(1 for at in kept if at >= later - new.window_ns)


def test_a_slot_is_released_only_when_it_lies_wholly_outside() -> None:
    window = Window(256)
    window.advance(10)
    window.add(5, 1)
    window.advance(10 + 256)
    assert (window.spent, window.count) == (5, 1)
    window.advance(11 + 256)
    assert (window.spent, window.count) == (0, 0)


def test_memory_is_bounded() -> None:
    window = Window(1_000_000_000)
    for now in range(0, 10_000_000_000, 1_000_000):
        window.advance(now)
        window.add(1, 1)
    assert len(window._spent) == len(window._counts) == 257
    assert 1000 <= window.count <= 1005


def test_a_ring_that_takes_over_from_another_one_takes_its_oldest_slot_and_nothing_that_it_let_go_of() -> None:
    old, new = Window(256), Window(256)
    old.advance(10)
    old.add(5, 1)
    new.include(old, 10 + 256)
    assert (new.spent, new.count) == (5, 1)
    # The other one was not asked since; a longer ring would still have room for what it forgot.
    longer = Window(2560)
    longer.include(old, 11 + 256)
    assert (longer.spent, longer.count) == (0, 0)


def test_a_ring_that_takes_over_from_a_longer_one_counts_a_slot_that_is_not_over_as_now() -> None:
    old, new = Window(2560), Window(256)
    old.advance(1000)
    old.add(5, 1)
    new.include(old, 1001)
    assert list(new.slots()) == [(1001, 5, 1)]


def test_what_is_older_than_every_slot_is_not_counted_and_what_lies_in_the_oldest_is() -> None:
    window = Window(256)
    window.advance(1000)
    window.insert(1000 - 257, 5, 1)
    assert (window.spent, window.count) == (0, 0)
    window.insert(1000 - 256, 7, 2)
    assert list(window.slots()) == [(1000 - 256, 7, 2)]
    window.advance(1001)
    assert (window.spent, window.count) == (0, 0)


def test_a_ring_tells_that_slots_before_the_newest_one_changed() -> None:
    window = Window(256)
    window.advance(1000)
    window.add(5, 1)
    assert window.rewritten == 0
    window.insert(990, 5, 1)
    assert window.rewritten == 1
    window.insert(990, 0, 0)
    window.insert(100, 5, 1)
    assert window.rewritten == 1
