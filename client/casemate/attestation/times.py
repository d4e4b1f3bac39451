"""Milliseconds since 1970, UTC: in from a datetime, out as text. Pure: no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down; ValueError for a time without a zone."""
    if moment.tzinfo is None:
        message = f"a time needs a zone, got {moment.isoformat()}"
        raise ValueError(message)
    return (moment - _EPOCH) // _MILLISECOND


def readable(milliseconds: int) -> str:
    """Return an ISO 8601 time with milliseconds, or the bare number where the calendar ends."""
    try:
        moment = _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        return f"{milliseconds} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
