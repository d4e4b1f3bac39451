"""Times of day and days of the week, in UTC. Not a rule of its own: grants and denials ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from enclave_signer.policy.model import Hours

_MINUTE_NS: Final = 60_000_000_000
_DAY_MINUTES: Final = 1440
# 1970-01-01 was a Thursday; Monday is 0.
_FIRST_DAY: Final = 3


def holds(hours: Hours, now: int) -> bool:
    """Whether ``now`` (nanoseconds) is within the hours; a day is the day on which the minute lies."""
    day, minute = divmod(now // _MINUTE_NS, _DAY_MINUTES)
    if hours.days and (day + _FIRST_DAY) % 7 not in hours.days:
        return False
    return not hours.spans or any(_within(start, end, minute) for start, end in hours.spans)


def _within(start: int, end: int, minute: int) -> bool:
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end


def clock(now: int) -> str:
    """Write the weekday (Monday 0) and the time of day, for a refusal."""
    day, minute = divmod(now // _MINUTE_NS, _DAY_MINUTES)
    return f"day {(day + _FIRST_DAY) % 7} {minute // 60:02}:{minute % 60:02} UTC"
