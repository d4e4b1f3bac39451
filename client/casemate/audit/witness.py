"""A witness's file: the signed heads that somebody off the host was shown, in the order of sight.

JSON Lines, one object a line: ``{"seen": nanoseconds UTC, "head": hex, "signature": hex}``. ``casemate duty`` writes
one; ``casemate audit verify --witness`` reads it. Other keys are left alone, so a writer may add its own.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from casemate.audit.errors import BadFile

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE_BYTES: Final = 64


class Seen(NamedTuple):
    """A signed head, and when the witness saw it (nanoseconds UTC of its own clock)."""

    seen: int
    head: bytes
    signature: bytes


def read(path: Path) -> list[Seen]:
    """Return what the file holds; raises BadFile with the line. A last line that was cut off by a crash is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise BadFile(message) from None
    except UnicodeDecodeError:
        message = f"{path}: not a witness's file: not UTF-8"
        raise BadFile(message) from None
    lines, _, _ = text.rpartition("\n")
    return [_line(path, number, line) for number, line in enumerate(lines.split("\n"), 1) if line]


def append(path: Path, seen: Seen) -> None:
    """Add one line, durably; raises OSError. What a crash left of an earlier line is cut off first. One writer only."""
    line = json.dumps({"seen": seen.seen, "head": seen.head.hex(), "signature": seen.signature.hex()}) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.lseek(descriptor, _whole(descriptor), os.SEEK_SET)
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _whole(descriptor: int) -> int:
    """Return where the last whole line ends, and cut off what follows."""
    size = os.fstat(descriptor).st_size
    tail_at = max(0, size - 65_536)
    tail = os.pread(descriptor, size - tail_at, tail_at)
    end = tail_at + tail.rfind(b"\n") + 1
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def _line(path: Path, number: int, line: str) -> Seen:
    try:
        said: Any = json.loads(line)
        seen = Seen(said["seen"], bytes.fromhex(said["head"]), bytes.fromhex(said["signature"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        seen = None
    if seen is None or type(seen.seen) is not int or len(seen.signature) != SIGNATURE_BYTES:
        message = f"{path}: line {number}: not a witness's line"
        raise BadFile(message)
    return seen
