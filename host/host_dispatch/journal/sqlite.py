"""The journal on SQLite: one writer thread with group commit, one reader thread, one checkpointer.

* The event loop numbers records and hands them over; the writer takes whatever is queued, writes it as one
  transaction and reports back once a group. Commits therefore happen in the order of the sequences.
* A failed group is rolled back whole and every record of it is told why. The next group tries again: a disk that
  has room again works again. A damaged file stays failed until the host is started anew.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar

from host_dispatch.journal import sqlite_receipts as receipts
from host_dispatch.journal import sqlite_schema as schema
from host_dispatch.journal import sqlite_statements as statements
from host_dispatch.journal.records import Entry, JournalError, OrderRow, StoredOrder

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from host_dispatch.journal.records import Kept, StoredReceipts

_log = logging.getLogger("casemate.host.journal")

# Records a transaction: bounds how long the first of a group waits for the last.
_LARGEST_GROUP: Final = 1024
_CHECKPOINT_SECONDS: Final = 1.0
# Receipts without an order's record to go in with wait so long.
_FLUSH_SECONDS: Final = 0.1
T = TypeVar("T")
_ORDER_WIDTH: Final = len(OrderRow._fields)


class SqliteJournal:
    """See :class:`host_dispatch.journal.records.Journal`. ``committed`` gets each group after its commit."""

    def __init__(
        self,
        path: Path,
        loop: asyncio.AbstractEventLoop,
        *,
        durability: str,
        committed: Callable[[Sequence[Entry]], None] = lambda _: None,
    ) -> None:
        """Open, check and migrate the file; raises JournalError. ``durability`` is "full" or "normal"."""
        self._loop = loop
        self._path = path
        self.committed = committed
        self._lock = schema.take_lock(path)
        try:
            self._writer = schema.prepare(path, durability=durability)
        except JournalError:
            os.close(self._lock)
            raise
        self._reader = schema.connect_reader(path)
        self.head: int = self._writer.execute(statements.SELECT_HEAD).fetchone()[0]
        self._sequence: int = self.head
        self._trouble = ""
        self._damaged = False
        self._queued: list[Entry] = []
        self._kept = receipts.Waiting()
        self._flushing: asyncio.TimerHandle | None = None
        self._inbox: SimpleQueue[list[Entry] | None] = SimpleQueue()
        self._stop = threading.Event()
        self._dirty = threading.Event()
        self._readers = ThreadPoolExecutor(1, "journal-reader")
        self._threads = [
            threading.Thread(target=self._write_groups, name="journal-writer", daemon=True),
            threading.Thread(target=self._checkpoint, name="journal-checkpoint", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # --- writing, on the event loop

    @property
    def trouble(self) -> str:
        """Why the last write failed, "" if it did not."""
        return self._trouble

    def next_sequence(self) -> int:
        """Return the next sequence."""
        self._sequence += 1
        return self._sequence

    def append(self, entry: Entry) -> None:
        """Queue a record; everything appended in one turn of the loop goes over in one hand."""
        if not self._queued:
            self._loop.call_soon(self._hand_over)
        self._queued.append(entry)

    def keep(self, row: Kept) -> None:
        """Queue a row that has no commit of its own: it goes in with the next record, or after a while alone."""
        self._kept.add(row)
        if self._flushing is None:
            self._flushing = self._loop.call_later(_FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        if self._kept and not self._queued:
            self._hand_over()

    def _hand_over(self) -> None:
        queued, self._queued = self._queued, []
        self._inbox.put(queued)

    def _settle(self, group: list[Entry], error: JournalError | None) -> None:
        self._trouble = str(error) if error else ""
        if self._kept and self._flushing is None:
            self._flushing = self._loop.call_later(_FLUSH_SECONDS, self._flush)
        if error is None and group:
            self.head = group[-1].event.sequence
            self.committed(group)
        for entry in group:
            if entry.done is not None:
                try:
                    entry.done(error)
                except Exception:  # noqa: BLE001 - one record's fault is not the next one's
                    _log.exception("a fault after a journal record")

    # --- writing, on the writer's thread

    def _write_groups(self) -> None:
        while (group := self._inbox.get()) is not None:
            ended = self._fill(group)
            error = self._write(group)
            self._dirty.set()
            self._loop.call_soon_threadsafe(self._settle, group, error)
            if ended:
                return

    def _fill(self, group: list[Entry]) -> bool:
        """Take what else is queued; returns whether the end came with it."""
        while len(group) < _LARGEST_GROUP:
            try:
                more = self._inbox.get_nowait()
            except Empty:
                return False
            if more is None:
                return True
            group.extend(more)
        return False

    def _write(self, group: list[Entry]) -> JournalError | None:
        if self._damaged:
            return JournalError("the journal is damaged; restore it or move it away, then start again")
        kept = self._kept.take()
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            statements.execute_rows(self._writer, "events", [entry.event for entry in group])
            statements.execute_rows(self._writer, "orders", [entry.order for entry in group])
            receipts.write(self._writer, kept)
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            self._kept.put_back(kept)
            return self._explain(error)
        return None

    def _roll_back(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has rolled back by itself, or the file is beyond it: the next BEGIN tells.
            pass

    def _explain(self, error: sqlite3.Error) -> JournalError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return JournalError("the disk of the journal is full")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return JournalError("another program holds the journal's lock")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._damaged = True
            return JournalError("the journal is damaged; restore it or move it away, then start again")
        return JournalError(f"the journal cannot be written: {error}")

    # --- checkpoints, off the hot path

    def _checkpoint(self) -> None:
        connection = schema.connect(self._path, durability="normal")
        while not self._stop.wait(_CHECKPOINT_SECONDS):
            if self._dirty.is_set():
                self._dirty.clear()
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                except sqlite3.Error:
                    # Nothing is lost: the records are in the write-ahead log, and the next round tries again.
                    self._dirty.set()
        connection.close()

    # --- reading

    async def order(self, account: str, client_order_id: str, *, before: int = 0) -> StoredOrder | None:
        """See the interface."""
        rows = await self._read(statements.SELECT_ORDER, (account, client_order_id, before))
        return _stored(rows[0]) if rows else None

    async def orders(self, account: str, states: Sequence[int], limit: int) -> list[StoredOrder]:
        """See the interface."""
        sql = statements.select_orders(len(states), any_account=not account)
        parameters = (*((account,) if account else ()), *states, limit)
        return [_stored(row) for row in await self._read(sql, parameters)]

    async def reports(self, after: int, upto: int, limit: int) -> list[tuple[int, str, bytes]]:
        """See the interface."""
        return await self._read(statements.SELECT_REPORTS, (after, upto, limit))

    async def unfinished(self) -> list[StoredOrder]:
        """See the interface."""
        return [_stored(row) for row in await self._read(statements.SELECT_UNFINISHED, ())]

    async def stored_sequences(self, boot: bytes, start: int, end: int) -> list[int]:
        """See the interface of receipts."""
        return await self._within(receipts.sequences, boot, start, end)

    async def stored_receipts(self, boot: bytes, start: int, limit: int) -> StoredReceipts | None:
        """See the interface of receipts."""
        return await self._within(receipts.page, boot, start, limit)

    async def _within(
        self, read: Callable[[sqlite3.Connection, bytes, int, int], T], boot: bytes, start: int, limit: int
    ) -> T:
        try:
            return await self._loop.run_in_executor(self._readers, read, self._reader, boot, start, limit)
        except sqlite3.Error as error:
            message = f"the journal cannot be read: {error}"
            raise JournalError(message) from error

    async def _read(self, sql: str, parameters: Sequence[object]) -> list[tuple[int, str, bytes]]:
        try:
            return await self._loop.run_in_executor(self._readers, self._fetch, sql, parameters)
        except sqlite3.Error as error:
            message = f"the journal cannot be read: {error}"
            raise JournalError(message) from error

    def _fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[int, str, bytes]]:
        return self._reader.execute(sql, parameters).fetchall()

    # --- end

    async def close(self) -> None:
        """Write what is queued, call every ``done``, and give the file back."""
        if self._flushing is not None:
            self._flushing.cancel()
        if self._queued or self._kept:
            self._hand_over()
        self._inbox.put(None)
        self._stop.set()
        for thread in self._threads:
            await self._loop.run_in_executor(None, thread.join)
        self._readers.shutdown()
        self._reader.close()
        self._writer.close()
        os.close(self._lock)


def _stored(row: Sequence[object]) -> StoredOrder:
    return StoredOrder(OrderRow(*row[:_ORDER_WIDTH]), *row[_ORDER_WIDTH:])  # type: ignore[arg-type]
