"""The window of counters, against a set that forgets nothing."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from enclave_signer.session.window import MAX_COUNTER, WINDOW, Window

_NEAR = st.integers(-2 * WINDOW, 2 * WINDOW)


@given(st.lists(_NEAR, max_size=200))
def test_s3_a_counter_is_taken_once_and_only_within_the_window(steps: list[int]) -> None:
    window, used, top, at = Window(), {0}, 0, 0
    for step in steps:
        at = max(at + step, -3)
        expected = at > 0 and at not in used and at > top - WINDOW
        assert window.take(at) is expected
        if expected:
            used.add(at)
            top = max(top, at)


def test_the_largest_counter_is_the_last_one() -> None:
    window = Window()
    assert not window.take(MAX_COUNTER + 1)
    assert window.take(MAX_COUNTER)
    assert not window.take(MAX_COUNTER)
    assert window.take(MAX_COUNTER - WINDOW + 1)
    assert not window.take(MAX_COUNTER - WINDOW)


def test_zero_and_what_is_below_it_are_no_counters() -> None:
    assert not Window().take(0)
    assert not Window().take(-1)


def test_s10_a_counter_far_behind_costs_no_memory() -> None:
    window = Window()
    assert window.take(1 << 32)
    tracemalloc.start()
    try:
        assert not window.take(1)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
