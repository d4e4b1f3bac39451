"""Evidence from a host's journal: the SQLite file, opened read-only. ``docs/journal.md`` describes it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from casemate.audit.errors import BadFile
from casemate.audit.evidence import Boot, Claim, Evidence
from dispatch_api.v1 import dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC: Final = b"SQLite format 3\0"
# The schema version that brought receipts, and the latest.
_WITH_RECEIPTS: Final = 2
_SENT: Final = (
    "SELECT o.account, o.client_order_id, o.operation, e.time, e.payload FROM orders AS o"
    " JOIN events AS e ON e.sequence = o.intent WHERE o.placed = 1"
)

# Per table the types of the columns that are read of it.
_TABLES: Final[dict[str, tuple[type, ...]]] = {
    "boots": (bytes, int, bytes),
    "receipts": (int, bytes),
    "heads": (bytes, bytes),
    "orders": (str, str, int, int, bytes),
    "events": (),
}


def is_journal(path: Path) -> bool:
    """Whether the file is an SQLite database; raises BadFile if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise BadFile(message) from None


class _NotOursError(Exception):
    """Something in the file that no host writes."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Evidence]:
    """Read a journal, also one that a host is writing; raises BadFile."""
    try:
        with contextlib.closing(_connect(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _WITH_RECEIPTS:
                message = f"{path}: a journal of schema version {version}: this reads {_WITH_RECEIPTS}"
                raise BadFile(message)
            connection.execute("PRAGMA trusted_schema = OFF")
            _check_tables(connection)
            # One moment of the file for everything that is read.
            connection.execute("BEGIN")
            yield Evidence(_boots(connection), _sent(connection))
    except (sqlite3.Error, _NotOursError) as error:
        message = f"{path}: cannot be read as a journal: {error}"
        raise BadFile(message) from None


def _connect(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    alone = not Path(f"{path}-wal").exists() and not os.access(path.parent, os.W_OK)
    # A copy on a read-only medium: SQLite could not make its -shm file there.
    return sqlite3.connect(f"{uri}?{'immutable=1' if alone else 'mode=ro'}", uri=True, isolation_level=None)


def _check_tables(connection: sqlite3.Connection) -> None:
    """Refuse views and triggers: whoever made the file would have his own program run by who reads it."""
    kinds = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE type != 'index'"))
    if not _TABLES.keys() <= kinds.keys() or set(kinds.values()) != {"table"}:
        message = f"expected tables, {', '.join(_TABLES)} among them"
        raise _NotOursError(message)


def _rows(connection: sqlite3.Connection, table: str, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
    """Yield rows whose columns have the types that a host gives them."""
    types = _TABLES[table]
    for row in connection.execute(sql, values):
        if tuple(map(type, row)) != types:
            message = f"{table}: a value of another type than a host writes"
            raise _NotOursError(message)
        yield row


def _boots(connection: sqlite3.Connection) -> list[Boot]:
    return [
        Boot(key, since, document, _count(connection, key), _Receipts(connection, key), _heads(connection, key))
        for key, since, document in _rows(
            connection, "boots", "SELECT boot, since, document FROM boots ORDER BY number"
        )
    ]


class _Receipts:
    def __init__(self, connection: sqlite3.Connection, key: bytes) -> None:
        self._connection, self._key = connection, key

    def __call__(self) -> Iterator[tuple[int, bytes]]:
        sql = "SELECT sequence, receipt FROM receipts WHERE boot = ? ORDER BY sequence"
        return ((row[0], row[1]) for row in _rows(self._connection, "receipts", sql, self._key))


def _count(connection: sqlite3.Connection, key: bytes) -> int:
    return int(connection.execute("SELECT count(*) FROM receipts WHERE boot = ?", (key,)).fetchone()[0])


def _heads(connection: sqlite3.Connection, key: bytes) -> list[tuple[bytes, bytes]]:
    sql = "SELECT head, signature FROM heads WHERE boot = ? ORDER BY sequence"
    return [(head, signature) for head, signature in _rows(connection, "heads", sql, key)]


def _sent(connection: sqlite3.Connection) -> dict[bytes, Claim]:
    sent = {}
    for account, name, operation, time, payload in _rows(connection, "orders", _SENT):
        try:
            intent = dispatch_pb2.SubmitRequest.FromString(payload).sealed.intent
        except DecodeError:
            message = "orders: an intent that cannot be read"
            raise _NotOursError(message) from None
        sent[hashlib.sha256(intent).digest()] = Claim(account, name, operation, time)
    return sent
