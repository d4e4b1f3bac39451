"""Exact decimal arithmetic for money: products of long quantities and prices must not be rounded.

Python's default context keeps 28 digits; 1e9 coins with 8 decimals at a price with 8 decimals already need
more, and a rounded product would break the conservation of balances. Entry points of the engine therefore
run under 100 digits.
"""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

ZERO = Decimal(0)
DIGITS = 100
_QUOTIENT_PLACES = Decimal("1e-18")


def exact(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run `function` in a decimal context of 100 digits."""

    @wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with localcontext() as context:
            context.prec = DIGITS
            return function(*args, **kwargs)

    return wrapped


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Quotient rounded down to 18 decimals: the only operation that may lose digits, always at one place."""
    return (numerator / denominator).quantize(_QUOTIENT_PLACES, rounding=ROUND_DOWN)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Largest multiple of `step` that is not above `value`."""
    return (value // step) * step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` lies on the grid of `step`."""
    return value % step == 0


def plain(value: Decimal) -> str:
    """Write without exponent and without trailing zeros: `0.5`, `50000`, `0`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def fixed(value: Decimal, places: int) -> str:
    """Write with exactly `places` decimals, cutting what is beyond them."""
    with localcontext() as context:
        context.prec = DIGITS
        return format(value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN), "f")
