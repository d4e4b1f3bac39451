"""Times as venues write them: pure conversions, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET: Final = len("+00:00")


def iso_milliseconds(milliseconds: int) -> str:
    """Write milliseconds since 1970 as ``2023-11-14T22:13:20.123Z``."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")[:-_OFFSET] + "Z"


def iso_seconds(seconds: int) -> str:
    """Write seconds since 1970 as ``2023-11-14T22:13:20Z``."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds")[:-_OFFSET] + "Z"
