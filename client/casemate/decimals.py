r"""Decimal numbers as the wire has them: ``(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?``, canonical, never a float."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

GRAMMAR: Final = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,18}))?", re.ASCII)
EXPECTED: Final = "a decimal number as text: at most 18 digits on each side of the point, no sign, no exponent"


def canonical(text: str) -> str | None:
    """Return ``text`` without trailing zeros, or None if it is not of the grammar."""
    match = GRAMMAR.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups(default="")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def to_text(value: object) -> str | None:
    """Write a number canonically; None for a float, NaN, a negative or an over-precise one."""
    match value:
        case bool():
            return None
        case str():
            return canonical(value)
        case int():
            return canonical(str(value))
        case Decimal():
            return canonical(format(value, "f")) if value.is_finite() else None
        case _:
            return None
