"""What is wrong with a policy: one value a mistake."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from casemate.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where it is (dotted path), what stands there (as text; empty: nothing), and what was expected."""

    path: str
    value: str
    expected: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.path}: {self.value or 'missing'}: expected {self.expected}"


class NumberText(str):
    """A TOML number with a point or exponent: kept as written, because a float would already have changed it."""

    __slots__ = ()


class WrongValue(Exception):
    """A field's parser says no; ``items`` are (suffix of the path, value, expectation)."""

    def __init__(self, *items: tuple[str, object, str]) -> None:
        """Keep every complaint of one field."""
        super().__init__(items)
        self.items = items


def wrong(value: object, expected: str) -> WrongValue:
    """Complain about a whole field."""
    return WrongValue(("", value, expected))


def as_text(value: object) -> str:
    """Show a value the way TOML writes it, shortened."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case NumberText():
            return str.__str__(value)
        case dict():
            return "a table"
        case list():
            return shown("[" + ", ".join(as_text(item) for item in value) + "]").strip('"')
        case _:
            return shown(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ' (did you mean "X"?)' or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""
