"""Crashes at every instant, journals that are none, and watchers and streams that are a burden."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.addresses import Address
from host_dispatch.api.server import ApiServer, BindError
from host_dispatch.config import Tls
from host_dispatch.journal.records import EventKind, JournalError
from host_dispatch.journal.sqlite import SqliteJournal
from host_dispatch.outcome import ErrorClass, Operation, Reading
from host_dispatch.venues.base import Bucket, Cost
from tests.host.api.test_mutual_tls import Authority
from tests.host.host_rig import (
    Rig,
    TinyReader,
    answering,
    create,
    drop,
    error_info,
    eventually,
    other,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from host_dispatch.executions import ExecutionHub

#: What an intent may have come to once nothing is under way any more.
ENDS = {
    EventKind.OUTCOME,
    EventKind.RESOLVED,
    EventKind.NOT_SENT,
    EventKind.REFUSED,
    EventKind.NOT_JUDGED,
    EventKind.REPEATED,
    EventKind.JUDGED,
    EventKind.UPDATE,
}


async def test_d5_whatever_was_the_last_commit_a_restart_accounts_for_every_intent_and_sends_none_again(
    tmp_path: Path,
) -> None:
    snapshots: list[Path] = []
    async with running(tmp_path) as rig:
        _snapshot_every_commit(rig, snapshots)
        rig.enclave.gate.clear()
        lost = asyncio.ensure_future(rig.api.submit(create("lost")))
        await eventually(lambda: len(snapshots) == 1)
        rig.enclave.gate.set()
        rig.venue.script["/create"] = drop
        rig.venue.script["/query"] = drop
        await lost
        rig.venue.script["/create"] = answering("OPEN")
        await rig.api.submit(create("a"))
        rig.venue.script["/amend"] = drop
        await rig.api.submit(other("amend", "a"))
        await rig.api.submit(other("cancel", "a"))
        await rig.api.submit(other("cancel_all"))
        rig.venue.script["/query"] = answering("FILLED")
        await eventually(lambda: rig.rows("SELECT count(*) FROM orders WHERE ended = 0") == [(0,)])
        await rig.stop_host()
        assert len(snapshots) >= 10
        for number, snapshot in enumerate(snapshots):
            rig.directory = snapshot.parent
            sent = [seen for seen in rig.venue.seen if not seen.target.startswith("/query")]
            await rig.start_host()
            await eventually(lambda: rig.rows("SELECT count(*) FROM orders WHERE ended = 0") == [(0,)])
            now = rig.rows("SELECT e.kind, o.operation FROM orders o JOIN events e USING (sequence)")
            assert {kind for kind, _ in now} <= ENDS | {EventKind.UNKNOWN}, f"snapshot {number}"
            # Only what cannot be asked about (a cancel-all) may stay unknown.
            left = [operation for kind, operation in now if kind == EventKind.UNKNOWN]
            assert left in ([], [Operation.CANCEL_ALL]), f"snapshot {number}"
            await rig.stop_host()
            assert [seen for seen in rig.venue.seen if not seen.target.startswith("/query")] == sent
        rig.directory = tmp_path


def _snapshot_every_commit(rig: Rig, snapshots: list[Path]) -> None:
    """Copy the journal's file after every commit, as a crash at that instant would leave it."""
    assert rig.host is not None
    journal, root = rig.host.journal, rig.directory
    publish = journal.committed

    def committed(group: Any) -> None:
        directory = root / f"crash{len(snapshots)}"
        directory.mkdir()
        snapshots.append(directory / "journal.db")
        source = sqlite3.connect(f"file:{root}/journal.db?mode=ro", uri=True)
        target = sqlite3.connect(snapshots[-1])
        source.backup(target)
        target.close()
        source.close()
        publish(group)

    journal.committed = committed


# --- files that are no journal of this host


_SCHEMA = "SELECT sql FROM sqlite_master"


def _sqlite(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements and return what the last one did."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found: list[tuple[Any, ...]] = []
        for statement in statements:
            found = connection.execute(statement).fetchall()
        connection.commit()
    return found


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(("CREATE TABLE customers (name TEXT)",), id="somebody-elses-database"),
        pytest.param(("PRAGMA user_version = 1",), id="right-version-no-tables"),
        pytest.param(
            ("CREATE TABLE events (a)", "CREATE TABLE orders (b)", "PRAGMA user_version = 1"), id="other-tables"
        ),
        pytest.param(("PRAGMA user_version = -1",), id="negative-version"),
        pytest.param(("PRAGMA user_version = 2000000000",), id="far-newer-version"),
    ],
)
async def test_a_database_that_is_no_journal_of_this_host_is_refused_in_words_and_left_alone(
    tmp_path: Path, statements: tuple[str, ...]
) -> None:
    path = tmp_path / "journal.db"
    _sqlite(path, *statements)
    before = _sqlite(path, _SCHEMA)
    with pytest.raises(JournalError, match="journal"):
        SqliteJournal(path, asyncio.get_running_loop(), durability="full")
    assert _sqlite(path, _SCHEMA) == before
    path.unlink()
    # The lock was given back.
    journal = SqliteJournal(path, asyncio.get_running_loop(), durability="full")
    await journal.close()


@pytest.mark.parametrize("where", ["missing/journal.db", "", "file/journal.db"])
async def test_a_place_where_no_journal_can_be_is_one_error_in_words(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="journal"):
        SqliteJournal(tmp_path / where, asyncio.get_running_loop(), durability="full")


class _Broken:
    """A journal whose reading fails."""

    async def reports(self, after: int, upto: int, limit: int) -> list[tuple[int, str, bytes]]:
        raise JournalError(f"the journal cannot be read ({after}, {upto}, {limit})")


async def test_a_watcher_whose_replay_the_journal_cannot_give_hears_that_it_may_try_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        assert rig.host is not None
        rig.host.journal.reports = _Broken().reports
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rig.api.watch().read()
        info = error_info(failed.value)
        assert (info.reason, info.metadata["retry_can_help"]) == ("JOURNAL_UNAVAILABLE", "true")


@pytest.mark.parametrize("start", [0, 1, 1 << 62, (1 << 64) - 1])
async def test_a_watcher_may_begin_anywhere(tmp_path: Path, start: int) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        watch = rig.api.watch(start)
        if start <= 1:
            assert (await asyncio.wait_for(watch.read(), 5)).client_order_id == "a"
        else:
            await asyncio.sleep(0.05)
        watch.cancel()
        assert (await rig.api.submit(create("b"))).report.state == wire.ORDER_STATE_OPEN


# --- watchers and streams


async def test_a_watcher_that_breaks_off_and_resumes_again_and_again_gets_each_report_once(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        got: list[int] = []

        async def watcher() -> None:
            while True:
                watch = rig.api.watch(got[-1] + 1 if got else 0)
                for _ in range(7):
                    report = await watch.read()
                    got.append(report.sequence)
                watch.cancel()

        watching = asyncio.ensure_future(watcher())
        for start in range(0, 120, 20):
            await asyncio.gather(*(rig.api.submit(create(f"o{number}")) for number in range(start, start + 20)))
        wanted = [
            sequence
            for sequence, kind in rig.rows("SELECT sequence, kind FROM events ORDER BY sequence")
            if kind in (EventKind.SENDING, EventKind.OUTCOME)
        ]
        await eventually(lambda: len(got) >= len(wanted))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert got == wanted


async def test_a_thousand_idle_streams_and_watchers_do_not_hinder_an_order_and_leave_nothing_behind(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        streams = [rig.api.stream() for _ in range(500)]
        watches = [rig.api.watch() for _ in range(500)]
        await asyncio.gather(*(stream.read() for stream in streams))
        hub: ExecutionHub = rig.host.hub
        await eventually(lambda: len(hub._watchers) == 500)
        assert (await rig.api.submit(create("a"))).report.state == wire.ORDER_STATE_OPEN
        assert [(await watch.read()).client_order_id for watch in watches] == ["a"] * 500
        for call in (*streams, *watches):
            call.cancel()
        await eventually(lambda: not hub._watchers)
        assert (await rig.api.submit(create("b"))).report.state == wire.ORDER_STATE_OPEN


# --- D6, D7: who waits for whom


class _TwoBuckets(TinyReader):
    """Reads are scarce, orders are not, as on kraken."""

    buckets = (Bucket("orders", 10_000, 1_000, "account"), Bucket("reads", 1, 60_000, "account"))

    def cost(self, operation: Operation) -> tuple[Cost, ...]:
        return (Cost("orders" if operation < Operation.QUERY else "reads", 1),)

    def read(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        if operation is Operation.OPEN_ORDERS:
            return Reading(error=ErrorClass.PERMISSION, state=None)
        return super().read(operation, status, headers, body)


async def test_reads_that_wait_for_their_own_rate_limit_hold_no_order_back(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.reader = _TwoBuckets()
        await rig.start_host()
        reads = [asyncio.ensure_future(rig.api.call("Read", other("open_orders"), wire.ReadReply)) for _ in range(5)]
        await eventually(lambda: len(rig.venue.seen) == 1)
        assert rig.host is not None
        await eventually(lambda: len(rig.host.runner.sites["tiny"].lane("desk")) == 4)
        report = (await rig.api.submit(create("a", valid_for=2))).report
        assert report.state == wire.ORDER_STATE_OPEN
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)


# --- certificates


@pytest.mark.parametrize("spoilt", ["certificate", "key", "client_ca"])
async def test_a_tls_file_that_is_no_certificate_is_refused_at_the_start(tmp_path: Path, spoilt: str) -> None:
    authority = Authority("ours")
    pair = authority.issue("gateway.test")
    files = {"certificate": pair.certificate, "key": pair.key, "client_ca": authority.pem, spoilt: b"no PEM at all\n"}
    paths = {name: tmp_path / f"{name}.pem" for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    server = ApiServer()
    with pytest.raises(BindError, match="client_ca"):
        await server.start([Address("127.0.0.1:0")], Tls(**paths), 0o600)
    await server.stop(0)
