"""Receipts in the journal's file: rows that wait, and go in with whatever commits next. No commit of their own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from host_dispatch.journal.records import BootRow, HeadRow, ReceiptRow, StoredReceipts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from host_dispatch.journal.records import Kept

# While the journal cannot be written, so many rows wait; what comes then is asked for again later, or a gap.
_MOST_WAITING: Final = 65_536
# Rows that go in with one commit.
_MOST_AT_ONCE: Final = 4096

_INSERT_RECEIPTS: Final = "INSERT OR IGNORE INTO receipts (boot, sequence, receipt) VALUES (?, ?, ?)"
_INSERT_HEADS: Final = "INSERT OR IGNORE INTO heads (boot, sequence, head, signature) VALUES (?, ?, ?, ?)"
_INSERT_BOOTS: Final = (
    "INSERT INTO boots (boot, since, document) VALUES (?, ?, ?) ON CONFLICT (boot) DO UPDATE SET "
    "document = excluded.document WHERE document = x''"
)
_SELECT_SEQUENCES: Final = "SELECT sequence FROM receipts WHERE boot = ? AND sequence >= ? AND sequence < ?"
_SELECT_BOOTS: Final = "SELECT boot, document FROM boots ORDER BY number"
_SELECT_PAGE: Final = "SELECT receipt FROM receipts WHERE boot = ? AND sequence >= ? ORDER BY sequence LIMIT ?"
_SELECT_HEAD: Final = "SELECT head, signature FROM heads WHERE boot = ? ORDER BY sequence DESC LIMIT 1"

COLUMNS: Final = (
    ("number, boot, since, document", "boots"),
    ("boot, sequence, receipt", "receipts"),
    ("boot, sequence, head, signature", "heads"),
)


class Waiting:
    """Rows that wait for a commit. Filled on the event loop, emptied on the writer's thread."""

    def __init__(self) -> None:
        """Begin empty."""
        self._rows: deque[Kept] = deque()

    def __bool__(self) -> bool:
        """Whether any row waits."""
        return bool(self._rows)

    def add(self, row: Kept) -> None:
        """Take a row, unless too many wait."""
        if len(self._rows) < _MOST_WAITING:
            self._rows.append(row)

    def take(self) -> list[Kept]:
        """Take rows out, the oldest first."""
        taken: list[Kept] = []
        while self._rows and len(taken) < _MOST_AT_ONCE:
            taken.append(self._rows.popleft())
        return taken

    def put_back(self, rows: Sequence[Kept]) -> None:
        """Have rows wait again whose commit failed."""
        self._rows.extendleft(reversed(rows))


def write(connection: sqlite3.Connection, rows: Sequence[Kept]) -> None:
    """Put rows into the open transaction."""
    for statement, kind in ((_INSERT_BOOTS, BootRow), (_INSERT_RECEIPTS, ReceiptRow), (_INSERT_HEADS, HeadRow)):
        own = [row for row in rows if isinstance(row, kind)]
        if own:
            connection.executemany(statement, own)


def sequences(connection: sqlite3.Connection, boot: bytes, start: int, end: int) -> list[int]:
    """Return which receipts of ``start <= sequence < end`` are there."""
    return [row[0] for row in connection.execute(_SELECT_SEQUENCES, (boot, start, end))]


def page(connection: sqlite3.Connection, boot: bytes, start: int, limit: int) -> StoredReceipts | None:
    """Return a page of a boot's receipts, of the newest boot if ``boot`` is empty; None if there is none."""
    boots: dict[bytes, bytes] = dict(connection.execute(_SELECT_BOOTS))
    wanted = boot or next(reversed(boots), b"")
    if wanted not in boots:
        return None
    receipts = [row[0] for row in connection.execute(_SELECT_PAGE, (wanted, start, limit))]
    head = connection.execute(_SELECT_HEAD, (wanted,)).fetchone() or (b"", b"")
    return StoredReceipts(wanted, receipts, head, boots[wanted], list(boots))
