"""Reading checked values out of decoded CBOR, with every mistake kept for one report.

A reader that finds a mistake notes it and goes on with a stand-in of the right type; nobody sees the stand-in,
because a document with a mistake never becomes a policy.
"""

from __future__ import annotations

import re
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar

from enclave_signer.decimals import Amount, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_EXPECTED_NAME: Final = "1 to 64 characters of A-Z a-z 0-9 _ -"
_SHOWN: Final = 60
_MOST: Final = 1000
# Known names that a mistake lists.
_NAMED: Final = 12
_DAY_MINUTES: Final = 1440
_NOTHING: Final = Amount(0, "0")

_Item = TypeVar("_Item")


class Mistakes:
    """The report: one line a mistake, with its dotted path, the value and what was expected."""

    __slots__ = ("_lines", "count")

    def __init__(self) -> None:
        """Start with none."""
        self._lines: list[str] = []
        self.count = 0

    def add(self, path: str, value: object, expected: str) -> None:
        """Note one mistake; a long value is cut."""
        self.count += 1
        if self.count > _MOST:
            return
        shown = ascii(value)
        cut = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
        self._lines.append(f"{path}: {cut}: expected {expected}")

    def report(self) -> str:
        """Return all mistakes as lines; a hopeless document is cut after a thousand."""
        more = self.count - len(self._lines)
        return "\n".join([*self._lines, f"and {more} more"] if more else self._lines)


class Fields:
    """One CBOR map that is being read. Keys that nobody read are mistakes, see :meth:`close`."""

    __slots__ = ("_left", "_mistakes", "path")

    def __init__(self, value: object, path: str, mistakes: Mistakes) -> None:
        """Take the map, or note that it is none."""
        self.path = path
        self._mistakes = mistakes
        self._left: dict[str, object] = {}
        if isinstance(value, dict):
            self._left.update(value)
        else:
            mistakes.add(path or "policy", value, "a map")

    def wrong(self, name: str, value: object, expected: str) -> None:
        """Note a mistake in one field."""
        self._mistakes.add(self._at(name), value, expected)

    def close(self) -> None:
        """Note every key that was not read."""
        for name, value in self._left.items():
            self.wrong(name, value, "no such key")

    def text(self, name: str, grammar: re.Pattern[str] = NAME, expected: str = _EXPECTED_NAME) -> str:
        """Read text of a grammar."""
        value = self._take(name)
        if isinstance(value, str) and grammar.fullmatch(value):
            return value
        self.wrong(name, value, expected)
        return ""

    def has(self, name: str) -> bool:
        """Whether the key is there at all."""
        return name in self._left

    def flag(self, name: str) -> bool:
        """Read true or false."""
        value = self._take(name)
        if isinstance(value, bool):
            return value
        self.wrong(name, value, "true or false")
        return False

    def whole(self, name: str, low: int, high: int) -> int:
        """Read a whole number within bounds."""
        value = self._take(name)
        if _is_whole(value, low, high):
            return value
        self.wrong(name, value, f"a whole number from {low} to {high}")
        return low

    def whole_or_none(self, name: str, low: int, high: int) -> int | None:
        """Read a whole number within bounds, or null."""
        value = self._take(name)
        if value is None:
            return None
        if _is_whole(value, low, high):
            return value
        self.wrong(name, value, f"a whole number from {low} to {high}, or null")
        return None

    def amount(self, name: str) -> Amount:
        """Read a positive decimal in its canonical form."""
        value = self._take(name)
        amount = _amount(value)
        if amount is None:
            self.wrong(name, value, "a canonical decimal above zero, as text")
            return _NOTHING
        return amount

    def amount_or_none(self, name: str) -> Amount | None:
        """Read a positive decimal in its canonical form, or null."""
        value = self._take(name)
        amount = _amount(value)
        if amount is None and value is not None:
            self.wrong(name, value, "a canonical decimal above zero, as text, or null")
        return amount

    def member(self, name: str, words: Mapping[str, _Item]) -> _Item:
        """Read one word of a closed list."""
        value = self._take(name)
        if isinstance(value, str) and value in words:
            return words[value]
        self.wrong(name, value, f"one of {', '.join(words)}")
        return next(iter(words.values()))

    def members(self, name: str, words: Mapping[str, _Item], *, least: int = 0) -> frozenset[_Item]:
        """Read a set of words of a closed list, written sorted and once each."""
        return frozenset(words[word] for word in self._set(name, least, words))

    def names(self, name: str, known: Collection[str], *, least: int = 0) -> frozenset[str]:
        """Read a set of known names; ``known`` is something that finds one at once."""
        return frozenset(self._set(name, least, known))

    def texts(self, name: str, grammar: re.Pattern[str], expected: str, *, most: int) -> list[str]:
        """Read a set of texts of a grammar, written sorted and once each."""
        value = self._take(name)
        fine = isinstance(value, list) and len(value) <= most and all(isinstance(each, str) for each in value)
        if not isinstance(value, list) or not fine or not _sorted_once(value):
            self.wrong(name, value, f"a sorted list without repeats, at most {most}: {expected}")
            return []
        for each in value:
            if not grammar.fullmatch(each):
                self.wrong(name, each, expected)
        return [each for each in value if grammar.fullmatch(each)]

    def map(self, name: str) -> Fields:
        """Read a map."""
        return Fields(self._take(name), self._at(name), self._mistakes)

    def maps(self, name: str, key: str, *, least: int = 0) -> Iterator[Fields]:
        """Read a list of maps, sorted by the text under ``key`` and once each."""
        value = self._take(name)
        if not isinstance(value, list) or len(value) < least:
            self.wrong(name, value, f"a list of at least {least} maps")
            return
        keys = [item.get(key) if isinstance(item, dict) else None for item in value]
        if not _sorted_once(keys):
            self.wrong(name, keys, f"maps sorted by {key}, each {key} once")
        for index, item in enumerate(value):
            yield Fields(item, f"{self._at(name)}[{index}]", self._mistakes)

    def spans(self, name: str) -> tuple[tuple[int, int], ...]:
        """Read [start, end) minutes of the day."""
        value = self._take(name)
        if isinstance(value, list) and all(map(_is_span, value)) and _sorted_once(value):
            return tuple((start, end) for start, end in value)
        self.wrong(name, value, "sorted [start, end] minutes of the day, 0 to 1440, that differ")
        return ()

    def days(self, name: str) -> frozenset[int]:
        """Read days of the week, Monday 0."""
        value = self._take(name)
        if isinstance(value, list) and all(_is_whole(day, 0, 6) for day in value) and _sorted_once(value):
            return frozenset(value)
        self.wrong(name, value, "sorted days of the week, 0 (Monday) to 6")
        return frozenset()

    def _set(self, name: str, least: int, known: Collection[str]) -> list[str]:
        value = self._take(name)
        texts = isinstance(value, list) and all(isinstance(word, str) for word in value)
        if not isinstance(value, list) or not texts or len(value) < least or not _sorted_once(value):
            self.wrong(name, value, f"a sorted list without repeats, of at least {least}, of {_some(known)}")
            return []
        for word in value:
            if word not in known:
                self.wrong(name, word, f"one of {_some(known)}")
        return [word for word in value if word in known]

    def _take(self, name: str) -> Any:  # noqa: ANN401 - a CBOR value; every caller checks it
        # An absent key is no null: every reader notes it as the mistake that it is.
        return self._left.pop(name, _ABSENT)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _some(known: Collection[str]) -> str:
    names = list(islice(known, _NAMED))
    return ", ".join([*names, "..."] if len(known) > _NAMED else names) or "none"


class _Absent:
    """Stands where a key is missing."""

    def __repr__(self) -> str:
        return "nothing"


_ABSENT: Final = _Absent()


def _is_whole(value: object, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_span(value: object) -> bool:
    return (
        isinstance(value, list)
        and [_is_whole(minute, 0, _DAY_MINUTES) for minute in value] == [True, True]
        and value[0] != value[1]
    )


def _sorted_once(values: list[Any]) -> bool:
    try:
        return all(left < right for left, right in pairwise(values))
    except TypeError:
        return False


def _amount(value: object) -> Amount | None:
    amount = parse(value) if isinstance(value, str) else None
    if amount is None or not amount.units or amount.text != value:
        return None
    return amount
