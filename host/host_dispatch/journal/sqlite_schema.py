"""Opening the journal's file: schema versions, integrity, and one owner at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from typing import TYPE_CHECKING, Final

from host_dispatch.journal import sqlite_receipts
from host_dispatch.journal import sqlite_statements as statements
from host_dispatch.journal.records import JournalError
from host_dispatch.journal.sqlite_migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# Writers wait this long for a lock that some other program holds, then fail closed.
BUSY_MS: Final = 250


def connect(path: Path, *, durability: str) -> sqlite3.Connection:
    """Open the writer's connection. ``durability``: "full" survives power loss, "normal" the process's death."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=64, timeout=BUSY_MS / 1000
    )
    with _closed_on_error(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
        # The checkpointer has a thread and a connection of its own.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA temp_store = MEMORY")
    return connection


@contextlib.contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Close a connection that turns out to be of no use."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    with _closed_on_error(connection):
        connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(path: Path, *, durability: str) -> sqlite3.Connection:
    """Open, check and migrate. Raises JournalError in words for the operator."""
    try:
        path.touch(mode=0o600, exist_ok=True)
        connection = connect(path, durability=durability)
        with _closed_on_error(connection):
            _check(connection, path)
            _migrate(connection)
            _check_tables(connection, (*statements.COLUMNS, *sqlite_receipts.COLUMNS))
    except (sqlite3.Error, OSError) as error:
        message = f"the journal {path} cannot be opened: {error}"
        raise JournalError(message) from error
    return connection


def take_lock(path: Path) -> int:
    """Be the only host on this journal; returns the descriptor that holds the lock until it is closed."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"the journal's lock {path}.lock cannot be opened: {error.strerror}"
        raise JournalError(message) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        message = f"another host process holds the journal {path}"
        raise JournalError(message) from error
    return descriptor


def _check(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        message = f"the journal {path} is damaged ({found}); restore it or move it away, then start again"
        raise JournalError(message)


def _check_tables(connection: sqlite3.Connection, tables: Iterable[tuple[str, str]]) -> None:
    for columns, table in tables:
        connection.execute(f"SELECT {columns} FROM {table} LIMIT 0")  # noqa: S608 - constants


def _migrate(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    is_used = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    if version < 0 or (version == 0 and is_used):
        raise JournalError("this database is no journal but somebody else's; name another file")
    if version > len(MIGRATIONS):
        message = f"the journal has schema version {version}; this host knows {len(MIGRATIONS)}: use a newer host"
        raise JournalError(message)
    if version:
        # Not ours, whatever version it says: then it is left as it is.
        _check_tables(connection, statements.COLUMNS)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
