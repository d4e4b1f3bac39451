"""Retry plans and evidence: values in, values out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_dispatch.dispatcher.evidence import Evidence, weigh
from host_dispatch.dispatcher.retry import RetryPlan, jittered
from host_dispatch.outcome import ErrorClass, OrderState, Reading


def test_a_plan_doubles_its_waits_up_to_the_longest_and_ends() -> None:
    plan = RetryPlan(attempts=5, first_ms=50, longest_ms=150)
    assert [plan.delay_ms(made) for made in range(1, 6)] == [50, 100, 150, 150, None]


def test_no_plan_tries_once() -> None:
    assert RetryPlan.none().delay_ms(1) is None


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, -1, 1), (1, 5, 4)])
def test_a_plan_that_cannot_be_followed_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="not a retry plan"):
        RetryPlan(*numbers)


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_a_quarter(delay: int, random: float) -> None:
    # A binary float may miss the bound by its last digit.
    assert 0.75 * delay - 1e-6 <= jittered(delay, random) * 1000 <= 1.25 * delay + 1e-6


HORIZON = 1_000


@pytest.mark.parametrize(
    ("reading", "asked_at", "proves"),
    [
        (Reading(state=OrderState.OPEN), 0, Evidence(OrderState.OPEN, found=True)),
        (Reading(state=OrderState.FILLED), 0, Evidence(OrderState.FILLED, found=True)),
        (Reading(), HORIZON, None),
        (Reading(state=OrderState.UNKNOWN), HORIZON, None),
        # Not found proves something only once the request can no longer be taken.
        (Reading(error=ErrorClass.UNKNOWN_ORDER), HORIZON - 1, None),
        (Reading(error=ErrorClass.UNKNOWN_ORDER), HORIZON, Evidence(OrderState.EXPIRED, found=False)),
        *[(Reading(error=error), HORIZON, None) for error in ErrorClass if error is not ErrorClass.UNKNOWN_ORDER],
    ],
)
def test_a_reply_proves_exactly_this(reading: Reading, asked_at: int, proves: Evidence | None) -> None:
    assert weigh(reading, asked_at=asked_at, horizon=HORIZON) == proves
