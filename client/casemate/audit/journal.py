"""Evidence from a host's journal: the SQLite file, opened read-only. ``docs/journal.md`` describes it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from casemate.audit.errors import BadFile
from casemate.audit.evidence import Boot, Claim, Evidence
from dispatch_api.v1 import dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC: Final = b"SQLite format 3\0"
# The schema version that brought receipts.
_WITH_RECEIPTS: Final = 2
_SENT: Final = (
    "SELECT o.account, o.client_order_id, o.operation, e.time, e.payload FROM orders AS o"
    " JOIN events AS e ON e.sequence = o.intent WHERE o.placed = 1"
)


def is_journal(path: Path) -> bool:
    """Whether the file is an SQLite database; raises BadFile if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise BadFile(message) from None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Evidence]:
    """Read a journal, also one that a host is writing; raises BadFile."""
    try:
        with contextlib.closing(_connect(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version < _WITH_RECEIPTS:
                message = f"{path}: a journal of schema version {version}: receipts came with {_WITH_RECEIPTS}"
                raise BadFile(message)
            # One moment of the file for everything that is read.
            connection.execute("BEGIN")
            yield Evidence(_boots(connection), _sent(connection))
    except sqlite3.Error as error:
        message = f"{path}: cannot be read as a journal: {error}"
        raise BadFile(message) from None


def _connect(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    alone = not Path(f"{path}-wal").exists() and not os.access(path.parent, os.W_OK)
    # A copy on a read-only medium: SQLite could not make its -shm file there.
    return sqlite3.connect(f"{uri}?{'immutable=1' if alone else 'mode=ro'}", uri=True, isolation_level=None)


def _boots(connection: sqlite3.Connection) -> list[Boot]:
    return [
        Boot(key, since, document, _count(connection, key), _Receipts(connection, key), _heads(connection, key))
        for key, since, document in connection.execute("SELECT boot, since, document FROM boots ORDER BY number")
    ]


class _Receipts:
    def __init__(self, connection: sqlite3.Connection, key: bytes) -> None:
        self._connection, self._key = connection, key

    def __call__(self) -> Iterator[tuple[int, bytes]]:
        sql = "SELECT sequence, receipt FROM receipts WHERE boot = ? ORDER BY sequence"
        return iter(self._connection.execute(sql, (self._key,)))


def _count(connection: sqlite3.Connection, key: bytes) -> int:
    return int(connection.execute("SELECT count(*) FROM receipts WHERE boot = ?", (key,)).fetchone()[0])


def _heads(connection: sqlite3.Connection, key: bytes) -> list[tuple[bytes, bytes]]:
    return list(connection.execute("SELECT head, signature FROM heads WHERE boot = ? ORDER BY sequence", (key,)))


def _sent(connection: sqlite3.Connection) -> dict[bytes, Claim]:
    sent = {}
    for account, name, operation, time, payload in connection.execute(_SENT):
        intent = dispatch_pb2.SubmitRequest.FromString(payload).sealed.intent
        sent[hashlib.sha256(intent).digest()] = Claim(account, name, operation, time)
    return sent
