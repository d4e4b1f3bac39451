"""The journal on SQLite: durability, group commit, failures, schema."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from host_dispatch.journal.records import Entry, EventKind, EventRow, JournalError, OrderRow
from host_dispatch.journal.sqlite import SqliteJournal
from host_dispatch.journal.sqlite_statements import chunks
from host_dispatch.outcome import OrderState

WRITER = Path(__file__).with_name("journal_writer.py")


def entry(
    journal: SqliteJournal,
    client_order_id: str,
    kind: EventKind = EventKind.INTENT,
    *,
    intent: int = 0,
    state: OrderState = OrderState.PENDING,
    placed: int = 0,
    ended: int = 0,
    payload: bytes = b"p",
) -> tuple[Entry, asyncio.Future[JournalError | None]]:
    """Return an entry and a future of its end."""
    sequence = journal.next_sequence()
    future: asyncio.Future[JournalError | None] = asyncio.get_running_loop().create_future()
    event = EventRow(sequence, 1, "desk", client_order_id, 1, kind, intent or sequence, payload)
    order = OrderRow(intent or sequence, sequence, "desk", client_order_id, 1, "v", "X/Y", state, placed, ended, 99)
    return Entry(event, order, future.set_result), future


async def write(journal: SqliteJournal, client_order_id: str, kind: EventKind = EventKind.INTENT, **more: int) -> int:
    """Write one record and wait for it."""
    made, future = entry(journal, client_order_id, kind, **more)  # type: ignore[arg-type]
    journal.append(made)
    assert await future is None
    return made.event.sequence


def opened(path: Path, durability: str = "full") -> SqliteJournal:
    return SqliteJournal(path / "j.db", asyncio.get_running_loop(), durability=durability)


def on_disk(path: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path / "j.db")) as connection, connection:
        return connection.execute(sql).fetchall()


async def test_a_record_is_in_the_file_when_its_end_is_told(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    seen: list[object] = []
    made, future = entry(journal, "a")

    def look(_: JournalError | None) -> None:
        seen.extend(on_disk(tmp_path, "SELECT sequence FROM events"))
        future.set_result(None)

    made.done = look
    journal.append(made)
    await future
    assert seen == [(1,)]
    await journal.close()


async def test_a_group_is_committed_as_one_in_the_order_of_its_sequences(tmp_path: Path) -> None:
    groups: list[list[int]] = []
    journal = SqliteJournal(
        tmp_path / "j.db",
        asyncio.get_running_loop(),
        durability="normal",
        committed=lambda group: groups.append([item.event.sequence for item in group]),
    )
    ends = []
    for number in range(500):
        made, future = entry(journal, f"o{number}")
        journal.append(made)
        ends.append(future)
    assert await asyncio.gather(*ends) == [None] * 500
    assert [sequence for group in groups for sequence in group] == list(range(1, 501))
    assert len(groups) < 50, "a group is more than a few records"
    assert on_disk(tmp_path, "SELECT count(*), max(sequence) FROM events") == [(500, 500)]
    assert journal.head == 500
    await journal.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 127, 128, 129, 1024, 1337])
def test_chunks_cover_every_row_once(count: int) -> None:
    covered = [index for start, size in chunks(count) for index in range(start, start + size)]
    assert covered == list(range(count))


async def test_the_latest_event_is_the_orders_state_and_placed_stays(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    intent = await write(journal, "a")
    await write(journal, "a", EventKind.SENDING, intent=intent, state=OrderState.SENDING, placed=1)
    await write(journal, "a", EventKind.OUTCOME, intent=intent, state=OrderState.OPEN, ended=1)
    stored = await journal.order("desk", "a")
    assert stored is not None
    assert (stored.row.state, stored.row.placed, stored.row.ended, stored.kind) == (
        OrderState.OPEN,
        1,
        1,
        EventKind.OUTCOME,
    )
    await journal.close()


async def test_an_order_that_was_placed_counts_before_a_later_one_that_was_not(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    first = await write(journal, "a")
    await write(journal, "a", EventKind.SENDING, intent=first, state=OrderState.SENDING, placed=1)
    again = await write(journal, "a")
    await write(journal, "a", EventKind.REFUSED, intent=again, state=OrderState.REFUSED, ended=1)
    stored = await journal.order("desk", "a")
    assert stored is not None
    assert stored.row.intent == first
    assert await journal.order("desk", "a", before=first) is None
    await journal.close()


async def test_unfinished_ones_are_found_after_a_restart_and_sequences_go_on(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await write(journal, "a")
    ended = await write(journal, "b")
    await write(journal, "b", EventKind.REFUSED, intent=ended, state=OrderState.REFUSED, ended=1)
    await journal.close()
    journal = opened(tmp_path)
    assert [stored.row.client_order_id for stored in await journal.unfinished()] == ["a"]
    assert journal.next_sequence() == 4
    await journal.close()


async def test_reports_are_paged_without_intents(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    intent = await write(journal, "a")
    for _ in range(4):
        await write(journal, "a", EventKind.OUTCOME, intent=intent, state=OrderState.OPEN)
    assert [row[0] for row in await journal.reports(0, 5, 3)] == [2, 3, 4]
    assert [row[0] for row in await journal.reports(4, 5, 3)] == [5]
    assert [row[0] for row in await journal.reports(0, 3, 9)] == [2, 3]
    await journal.close()


async def test_a_lock_of_another_program_fails_the_record_and_the_next_one_works(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await write(journal, "a")
    other = sqlite3.connect(tmp_path / "j.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    made, future = entry(journal, "b")
    journal.append(made)
    error = await future
    assert "lock" in str(error)
    assert "lock" in journal.trouble
    other.execute("ROLLBACK")
    other.close()
    await write(journal, "c")
    assert journal.trouble == ""
    assert on_disk(tmp_path, "SELECT client_order_id FROM events ORDER BY sequence") == [("a",), ("c",)]
    await journal.close()


async def test_a_full_disk_fails_the_whole_group_in_words_and_room_makes_it_work_again(
    tmp_path: Path,
) -> None:
    journal = opened(tmp_path)
    await write(journal, "a")
    # SQLite's own page quota: the same SQLITE_FULL as a full disk, without needing one.
    pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.execute(f"PRAGMA max_page_count = {pages}")
    made, future = entry(journal, "big", payload=b"x" * 100_000)
    small, also = entry(journal, "small")
    journal.append(made)
    journal.append(small)
    assert str(await future) == "the disk of the journal is full"
    assert str(await also) == "the disk of the journal is full"
    journal._writer.execute("PRAGMA max_page_count = 100000")
    await write(journal, "after")
    assert on_disk(tmp_path, "SELECT client_order_id FROM events ORDER BY sequence") == [("a",), ("after",)]
    await journal.close()


async def test_a_second_host_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(JournalError, match="another host process"):
        opened(tmp_path)
    await journal.close()
    await opened(tmp_path).close()


async def test_a_damaged_file_is_refused_at_the_start(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(300):
        await write(journal, f"order-{number}")
    await journal.close()
    path = tmp_path / "j.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(JournalError, match=r"damaged|cannot be opened"):
        opened(tmp_path)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j.db").write_bytes(b"not a database at all" * 400)
    with pytest.raises(JournalError, match="cannot be opened"):
        opened(tmp_path)


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    await opened(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "j.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="schema version 99"):
        opened(tmp_path)


async def test_a_torn_tail_of_the_log_is_cut_off(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await write(journal, "a")
    await write(journal, "b")
    # As a crash in the middle of an append would leave it; the files are copied while the journal is open.
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("j.db", "j.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    with (copy / "j.db-wal").open("ab") as tail:
        tail.write(os.urandom(500))
    await journal.close()
    again = opened(copy)
    assert on_disk(copy, "SELECT client_order_id FROM events ORDER BY sequence") == [("a",), ("b",)]
    await again.close()


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path, durability: str) -> None:
    acknowledged = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, str(WRITER), str(tmp_path / "j.db"), durability], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for _ in range(40):
                line = writer.stdout.readline()
                assert line, "the writer died by itself"
                acknowledged = int(line)
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().splitlines()
            whole = [line for line in rest if line.isdigit()]
        if whole:
            # The last line may be cut; the one before it is whole.
            acknowledged = max(acknowledged, int(whole[-2]) if len(whole) > 1 else acknowledged)
        rows = on_disk(tmp_path, "SELECT count(*), max(sequence) FROM events")
        assert rows[0][0] == rows[0][1], "no hole"
        assert int(str(rows[0][1])) >= acknowledged
        assert on_disk(tmp_path, "PRAGMA integrity_check") == [("ok",)]
