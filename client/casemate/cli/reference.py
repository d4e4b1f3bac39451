"""``docs/cli.md`` from the parser itself: ``python -m casemate.cli.reference > docs/cli.md``.

Laid out here rather than by argparse, whose layout changes between versions of Python.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from casemate.cli.main import parser

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = (
    "# Command line",
    "",
    "Made by `python -m casemate.cli.reference`; a test compares. Exit codes: 0 done, 1 the answer is no, 2 wrong use.",
    "`--json` prints one JSON document on stdout and nothing else there; progress and logs go to stderr.",
    "",
)


def reference() -> str:
    """Return the whole page."""
    return "\n".join([*_HEAD, *_commands(parser())]) + "\n"


def _commands(root: argparse.ArgumentParser) -> Iterator[str]:
    for action in root._actions:  # noqa: SLF001 - argparse shows its actions nowhere else
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        for command in action.choices.values():
            nested = [item for item in command._actions if isinstance(item, argparse._SubParsersAction)]  # noqa: SLF001
            if nested:
                yield from _commands(command)
            else:
                yield from _command(command)


def _command(command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {command.prog}"
    yield ""
    yield " ".join((command.description or "").split())
    yield ""
    for action in command._actions:  # noqa: SLF001
        if not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            yield f"- `{_signature(action)}`{_text(action)}"
    yield ""


def _signature(action: argparse.Action) -> str:
    value = action.metavar or (action.dest if not action.option_strings else action.dest.upper())
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else str(value)
    flags = ", ".join(action.option_strings)
    return flags if action.nargs == 0 else f"{flags} {value}"


def _text(action: argparse.Action) -> str:
    words = [" ".join((action.help or "").split()).replace("%%", "%")]
    if action.required and action.option_strings:
        words.append("(required)")
    text = " ".join(word for word in words if word)
    return f": {text}" if text else ""


if __name__ == "__main__":
    sys.stdout.write(reference())
