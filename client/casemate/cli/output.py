"""What the commands print: one JSON document or plain text on stdout; notes and progress on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

DONE: Final = 0
NO: Final = 1
WRONG_USE: Final = 2
_STEP: Final = 10


def print_json(document: Any) -> None:  # noqa: ANN401 - any JSON value
    """Print the one document of a ``--json`` command."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Print text."""
    for line in lines:
        sys.stdout.write(f"{line}\n")


def note(text: str) -> None:
    """Tell a person what happens now, on stderr."""
    sys.stderr.write(f"casemate: {text}\n")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out a plain table; columns that hold numbers alone are right-aligned."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    numeric = [all(_is_number(row[column]) for row in rows) and bool(rows) for column in range(len(header))]
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        yield ("  " + "  ".join(cells)).rstrip()


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "", 1).removeprefix("-").isdigit()


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr: a bar on a terminal, else a line each tenth."""
    if sys.stderr.isatty():
        try:
            from rich.console import Console  # noqa: PLC0415 - a convenience, not a dependency
            from rich.progress import Progress  # noqa: PLC0415
        except ImportError:
            pass
        else:
            with Progress(console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task(what, total=None)
                yield lambda done, of: bar.update(task, completed=done, total=of)
            return
    yield _plain_progress(what)


def _plain_progress(what: str) -> Callable[[int, int], None]:
    said = 0

    def show(done: int, of: int) -> None:
        nonlocal said
        # Where nobody said how many, the end says it.
        tenth = done * _STEP // max(of, 1) if of else 0
        if tenth > said:
            said = tenth
            note(f"{what}: {done} of {max(done, of)}")

    return show
