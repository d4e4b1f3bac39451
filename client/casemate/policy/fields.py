"""Parsers of single fields: a TOML value in, the canonical value out, or WrongValue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from casemate import decimals
from casemate.policy.mistakes import NumberText, WrongValue, did_you_mean, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

T = TypeVar("T")

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)", re.ASCII)
_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))", re.ASCII)
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PUBLIC_KEY: Final = "an Ed25519 public key, 64 hexadecimal digits in lower case"
NAME: Final = "a name of 1 to 64 characters of A-Z a-z 0-9 _ -"


def name(value: object) -> str:
    """A name: [A-Za-z0-9_-]{1,64}."""
    return matching(r"[A-Za-z0-9_-]{1,64}", NAME)(value)


def matching(pattern: str, expected: str) -> Callable[[object], str]:
    """Text that matches a pattern as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(value: object) -> str:
        if isinstance(value, NumberText) or not isinstance(value, str) or not compiled.fullmatch(value):
            raise wrong(value, expected)
        return value

    return parse


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(value, "true or false")
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    """A whole number within bounds."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(value, f"a whole number from {low} to {high}")
        return value

    return parse


def decimal(value: object) -> str:
    """A positive decimal, written as text so that no float ever holds money."""
    if isinstance(value, NumberText | int) and not isinstance(value, bool):
        raise wrong(value, f'a decimal in quotes: "{value}"')
    text = decimals.canonical(value) if isinstance(value, str) else None
    if text is None or text == "0":
        raise wrong(value, f"{decimals.EXPECTED}, greater than zero")
    return text


def band(value: object) -> tuple[str, str]:
    """[lowest, highest] price."""
    pair = 2
    if not isinstance(value, list) or len(value) != pair:
        raise wrong(value, '["LOWEST", "HIGHEST"], two decimals in quotes')
    low, high = items_of(value, decimal)
    if order_key(low) >= order_key(high):
        raise wrong(value, "the lowest price below the highest")
    return low, high


def order_key(text: str) -> tuple[int, str, str]:
    """Compare canonical decimals without leaving text."""
    integer, _, fraction = text.partition(".")
    return len(integer), integer, fraction


def duration(low_ms: int, high_ms: int, expected: str) -> Callable[[object], int]:
    """A duration such as "500ms", "1s", "5m", "24h", in milliseconds."""

    def parse(value: object) -> int:
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        length = int(match[1]) * _UNITS[match[2]] if match else 0
        if not low_ms <= length <= high_ms:
            raise wrong(value, f'a duration from {expected}, such as "500ms", "10s", "5m" or "24h"')
        return length

    return parse


def word(known: Collection[str]) -> Callable[[object], str]:
    """One word of a closed list."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            hint = did_you_mean(value, known) if isinstance(value, str) else ""
            raise wrong(value, f"one of {', '.join(known)}{hint}")
        return str(value)

    return parse


def items_of(value: object, parse: Callable[[object], T]) -> list[T]:
    """A list whose every item passes; complains about each that does not."""
    if not isinstance(value, list):
        raise wrong(value, "a list")
    parsed: list[T] = []
    complaints: list[tuple[str, object, str]] = []
    for index, item in enumerate(value):
        try:
            parsed.append(parse(item))
        except WrongValue as error:
            complaints += [(f"[{index}]{suffix}", at, expected) for suffix, at, expected in error.items]
    if complaints:
        raise WrongValue(*complaints)
    return parsed


def words(known: Collection[str]) -> Callable[[object], list[str]]:
    """A list of words of a closed list, or "*" for all; sorted, without repeats, not empty."""
    return some(word(known), known)


def some(parse: Callable[[object], str], everything: Collection[str]) -> Callable[[object], list[str]]:
    """A list of what ``parse`` takes, or "*" for everything; sorted, without repeats, not empty."""

    def parse_all(value: object) -> list[str]:
        if value == "*":
            return sorted(everything)
        if not isinstance(value, list) or not value:
            raise wrong(value, 'a list with at least one item, or "*" for all')
        return sorted(set(items_of(value, parse)))

    return parse_all


def listed(parse: Callable[[object], str]) -> Callable[[object], list[str]]:
    """A list with at least one item, each written out: no "*"; sorted, without repeats."""

    def parse_listed(value: object) -> list[str]:
        if not isinstance(value, list) or not value:
            raise wrong(value, "a list that names at least one")
        return sorted(set(items_of(value, parse)))

    return parse_listed


def any_of(parse: Callable[[object], str]) -> Callable[[object], list[str]]:
    """A list that may be empty; sorted, without repeats."""
    return lambda value: sorted(set(items_of(value, parse)))


def _hours(value: object) -> tuple[int, int]:
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(value, '"HH:MM-HH:MM" in UTC, the end exclusive, such as "08:00-17:00" or "22:00-06:00"')
    start = int(match[1]) * 60 + int(match[2])
    end = int(match[3] or match[5]) * 60 + int(match[4] or match[6])
    if start == end:
        raise wrong(value, "an end that differs from the start; leave hours out for always")
    return start, end


def hours(value: object) -> list[list[int]]:
    """Spans of the day as [start, end) minutes of UTC; a start after the end wraps midnight."""
    return [list(span) for span in sorted(set(items_of(value, _hours)))]


def days(value: object) -> list[int]:
    """Days of the week, Monday 0."""
    return sorted({DAYS.index(day) for day in items_of(value, word(DAYS))})
