r"""Decimal numbers as integers of 10**-18, exactly.

The grammar on every wire is ``(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?``: no sign, no exponent, no NaN, no
leading zero. A product of two such integers has the scale 10**-36 and stays exact.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

PLACES: Final = 18
ONE: Final = 10**PLACES

_GRAMMAR: Final = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,18}))?", re.ASCII)


class Amount(NamedTuple):
    """A non-negative decimal: ``units`` of 10**-18 and its canonical ``text`` (no trailing zeros)."""

    units: int
    text: str


def parse(text: str) -> Amount | None:
    """Return the amount that ``text`` denotes, or None if it is not of the grammar."""
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups()
    if fraction is None:
        return Amount(int(whole) * ONE, whole)
    fraction = fraction.rstrip("0")
    if not fraction:
        return Amount(int(whole) * ONE, whole)
    units = int(whole + fraction) * 10 ** (PLACES - len(fraction))
    return Amount(units, f"{whole}.{fraction}")


def text(units: int, places: int = PLACES) -> str:
    """Write ``units`` of 10**-places canonically: no exponent, no trailing zeros. Negative values keep their sign."""
    sign, magnitude = ("-", -units) if units < 0 else ("", units)
    whole, rest = divmod(magnitude, 10**places)
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:0{places}d}".rstrip("0")
