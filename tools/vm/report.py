"""What a run prints: a line for each step, with what it proved and how long it took."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Disproved(Exception):
    """A step saw something else than it should have; the text says what."""


@dataclass(slots=True)
class Report:
    """Collects and prints. ``failed`` and ``left_out`` say why the run as a whole proves less than all."""

    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    proved: int = 0

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Run a step, which adds what it proved to the list; says FAIL, and ends the part, if it raises."""
        found: list[str] = []
        begun = time.monotonic()
        try:
            yield found
        except BaseException:
            self.failed.append(name)
            self._line("FAIL", name, begun, found)
            raise
        self.proved += 1
        self._line("ok", name, begun, found)

    def cannot(self, what: str, why: str) -> None:
        """Say plainly what was not done."""
        self.left_out.append(what)
        self._print(f"NOT DONE  {what}: {why}")

    def broke(self, what: str) -> None:
        """Count a part that ended early as failed, though no step of it may have."""
        if not self.failed:
            self.failed.append(what)

    def part(self, title: str) -> None:
        """Begin a part."""
        self._print(f"\n{title}")

    def end(self, begun: float) -> int:
        """Print the sum; 0 only if everything was proved."""
        verdict = "passed" if not self.failed and not self.left_out else "NOT PASSED"
        took = time.monotonic() - begun
        counts = f"{self.proved} steps proved, {len(self.failed)} failed, {len(self.left_out)} not done"
        self._print(f"\nvm-test {verdict}: {counts}, {took:.0f} s")
        return 0 if verdict == "passed" else 1

    def _line(self, word: str, name: str, begun: float, found: list[str]) -> None:
        self._print(f"{word:<4} {name} ({time.monotonic() - begun:.1f} s)")
        for each in found:
            self._print(f"       {each}")

    @staticmethod
    def _print(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def expect(found: object, expected: object, what: str) -> None:
    """Raise Disproved unless they are equal."""
    if found != expected:
        message = f"{what}: {found!r}, expected {expected!r}"
        raise Disproved(message)


def demand(*, holds: bool, what: str) -> None:
    """Raise Disproved unless it holds."""
    if not holds:
        raise Disproved(what)
