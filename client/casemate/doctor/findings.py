"""What a check says: one line, how bad it is, and what to do about it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How bad it is. ``UNKNOWN`` says that the check could not look, which is no clean bill."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    SERIOUS = "serious"


class Finding(NamedTuple):
    """One line of the report. ``check`` is stable: scripts and ``--accept`` name it."""

    check: str
    level: Level
    text: str
    # What to do; empty where nothing is to be done.
    remedy: str = ""


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Level.OK, text)


def note(check: str, text: str, remedy: str) -> Finding:
    """It would be better otherwise."""
    return Finding(check, Level.NOTE, text, remedy)


def unknown(check: str, text: str, remedy: str = "") -> Finding:
    """It cannot be told here."""
    return Finding(check, Level.UNKNOWN, text, remedy)


def serious(check: str, text: str, remedy: str) -> Finding:
    """Do not trade on this machine before it is mended."""
    return Finding(check, Level.SERIOUS, text, remedy)
