"""One TOML table under examination: hands out fields through parsers and notes every mistake with its path."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

from casemate.policy.mistakes import Mistake, WrongValue, as_text, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
_LABEL: Final = re.compile(r"[A-Za-z0-9_:/-]{1,64}", re.ASCII)


class Table:
    """A table and the path to it. ``mistakes`` is shared by all tables of one policy."""

    def __init__(self, raw: Mapping[str, object], path: str, mistakes: list[Mistake]) -> None:
        """``path`` is empty for the document itself."""
        self._raw = raw
        self._path = path
        self._mistakes = mistakes
        self._known: list[str] = []

    def path(self, name: str) -> str:
        """Dotted path of a field."""
        return f"{self._path}.{name}" if self._path else name

    def complain(self, name: str, value: object, expected: str) -> None:
        """Note a mistake; ``value`` None means that nothing is there."""
        self._mistakes.append(Mistake(self.path(name), as_text(value), expected))

    def has(self, name: str) -> bool:
        """Whether the field is written at all."""
        return name in self._raw

    def peek(self, name: str) -> object:
        """The raw value, unexamined."""
        return self._raw.get(name)

    def required(self, name: str, parse: Callable[[object], T], expected: str) -> T | None:
        """Read a field that must be there; None after a mistake."""
        if name not in self._raw:
            self._known.append(name)
            self.complain(name, None, expected)
            return None
        return self.optional(name, parse)

    def optional(self, name: str, parse: Callable[[object], T]) -> T | None:
        """Read a field; None if it is absent or after a mistake."""
        self._known.append(name)
        if name not in self._raw:
            return None
        try:
            return parse(self._raw[name])
        except WrongValue as error:
            for suffix, value, expected in error.items:
                self.complain(f"{name}{suffix}", value, expected)
            return None

    def default(self, name: str, parse: Callable[[object], T], value: T) -> T:
        """Read a field with a default; the default also stands in after a mistake."""
        got = self.optional(name, parse)
        return value if got is None else got

    def table(self, name: str) -> Table:
        """Read one table."""
        self._known.append(name)
        raw = self._raw.get(name)
        return Table(raw if isinstance(raw, dict) else {}, self.path(name), self._mistakes)

    def tables(self, name: str, written: str) -> list[Table]:
        """Read an array of tables; ``written`` is how TOML writes it, for the error."""
        self._known.append(name)
        raw = self._raw.get(name, [])
        if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
            self.complain(name, raw, f"tables, each headed [[{written}]]")
            return []
        labels = _labels(raw)
        return [Table(item, self.path(name) + label, self._mistakes) for item, label in zip(raw, labels, strict=True)]

    def close(self) -> None:
        """Complain about every field that nobody asked for."""
        for name, value in self._raw.items():
            if name not in self._known:
                hint = did_you_mean(name, self._known)
                self.complain(name, value, f"a known key, one of {', '.join(self._known)}{hint}")


def _labels(items: Sequence[Mapping[str, object]]) -> list[str]:
    """``(NAME)`` for what has a name (an instrument: a symbol) of its own, else ``[INDEX]``."""
    names = [item.get("name", item.get("symbol")) for item in items]
    often = Counter(name for name in names if isinstance(name, str))
    return [
        f"({name})" if isinstance(name, str) and often[name] == 1 and _LABEL.fullmatch(name) else f"[{index}]"
        for index, name in enumerate(names)
    ]
