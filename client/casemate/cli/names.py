"""Types of arguments that several commands take."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MOST: Final = (1 << 63) - 1


def name_of(text: str) -> str:
    """Read a name as policies have it; ValueError for another."""
    if not _NAME.fullmatch(text):
        raise ValueError
    return text


def whole(text: str) -> int:
    """Read a whole number above zero; ValueError for another."""
    value = int(text)
    if not 1 <= value <= _MOST:
        raise ValueError
    return value


# What argparse calls them in its messages.
name_of.__name__, whole.__name__ = "name", "whole number"
