"""Plain counters; exposition is a later piece."""

from __future__ import annotations


class Counters:
    """Names to counts. Only ever used on the event loop."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        """Begin at nothing."""
        self.values: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Count."""
        self.values[name] = self.values.get(name, 0) + count
