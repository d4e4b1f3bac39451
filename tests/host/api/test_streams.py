"""Batches, the bidirectional stream, and watchers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.api.stream import _Session
from host_dispatch.errors import NotTakenError
from host_dispatch.executions import ExecutionHub, Watcher
from host_dispatch.journal.records import Entry, EventKind, EventRow, OrderRow
from tests.host.host_rig import VENUE, answering, create, error_info, eventually, other, running

if TYPE_CHECKING:
    from pathlib import Path

OPEN = wire.ORDER_STATE_OPEN


async def test_a_batch_answers_each_item_in_its_order_and_is_signed_in_one_round_trip(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        bad = create("bad", venue="nowhere")
        requests = (
            [create(f"o{number}") for number in range(31)] + [bad] + [create(f"p{number}") for number in range(32)]
        )
        reply = await rig.api.call(
            "SubmitBatch", wire.SubmitBatchRequest(batch_id=9, requests=requests), wire.SubmitBatchReply
        )
        assert reply.batch_id == 9
        assert len(reply.items) == 64
        assert reply.items[31].not_taken.reason == "UNKNOWN_VENUE"
        for request, item in zip(requests, reply.items, strict=True):
            if request is not bad:
                assert item.reply.report.client_order_id == request.routing.client_order_id
                assert item.reply.report.state == OPEN
        assert rig.enclave.batches == [63]


async def read_items(call: Any, count: int) -> list[wire.StreamItem]:
    found: list[wire.StreamItem] = []
    while len(found) < count:
        reply = await call.read()
        kind = reply.WhichOneof("kind")
        found.extend(reply.items.items if kind == "items" else [reply.item])
    return found


async def test_the_stream_states_its_limit_first_and_answers_every_item_once(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        call = rig.api.stream()
        first = await call.read()
        assert first.limit.max_unanswered == 1024
        for batch in range(10):
            requests = [create(f"b{batch}-{number}") for number in range(20)]
            await call.write(wire.SubmitBatchRequest(batch_id=batch, requests=requests))
        items = await read_items(call, 200)
        assert {(item.batch_id, item.index) for item in items} == {(b, i) for b in range(10) for i in range(20)}
        for item in items:
            assert item.answer.reply.report.client_order_id == f"b{item.batch_id}-{item.index}"
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_a_stream_ends_with_a_reason_when_the_engine_sends_nonsense(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        call = rig.api.stream()
        await call.read()
        await call.write(wire.SubmitBatchRequest(batch_id=1, requests=[create("a")]))
        assert len(await read_items(call, 1)) == 1
        await call.write(b"\xff\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
        assert error_info(failed.value).reason == "MALFORMED"


async def test_a_closed_stream_still_gets_the_answers_that_are_under_way(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        release = asyncio.Event()

        async def slow(_: Any, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nOPEN")

        rig.venue.script["/create"] = slow
        call = rig.api.stream()
        await call.read()
        await call.write(wire.SubmitBatchRequest(batch_id=1, requests=[create("a"), create("b")]))
        await call.done_writing()
        await eventually(lambda: len(rig.venue.seen) == 2)
        release.set()
        assert len(await read_items(call, 2)) == 2
        assert await call.read() is grpc.aio.EOF


class _Unanswering:
    def __init__(self) -> None:
        self.taken: list[Any] = []

    def take_item(self, _: Any, answer: Any) -> None:
        self.taken.append(answer)


async def test_at_its_limit_a_stream_reads_no_further_until_answers_have_gone_out() -> None:
    service = _Unanswering()
    session = _Session(service, 64)  # type: ignore[arg-type]

    async def batches() -> Any:
        for number in range(3):
            yield wire.SubmitBatchRequest(batch_id=number, requests=[create("a")] * 40).SerializeToString()

    reader = asyncio.create_task(session.read(batches()))
    await asyncio.sleep(0.05)
    assert len(service.taken) == 40
    for answer in service.taken[:20]:
        answer(wire.ItemReply())
    await asyncio.sleep(0.05)
    # Answered, but not sent yet: still no room.
    assert len(service.taken) == 40
    await session.next_reply()
    await eventually(lambda: len(service.taken) == 80)
    reader.cancel()


# --- watching


async def test_a_watcher_gets_history_and_then_what_happens_without_gap_or_repeat(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for number in range(5):
            await rig.api.submit(create(f"h{number}"))
        call = rig.api.watch(0)
        seen: list[wire.ExecutionReport] = []

        async def watch() -> None:
            async for report in call:
                seen.append(report)  # noqa: PERF401 - others look at it meanwhile

        watcher = asyncio.ensure_future(watch())
        await asyncio.gather(*(rig.api.submit(create(f"l{number}")) for number in range(50)))
        await eventually(lambda: len(seen) == 110)
        sequences = [report.sequence for report in seen]
        assert sequences == sorted(set(sequences))
        assert sequences == [
            row[0] for row in rig.rows("SELECT sequence FROM events WHERE kind <> 1 ORDER BY sequence")
        ]
        assert [report.state for report in seen].count(OPEN) == 55
        watcher.cancel()
        # Resuming in the middle repeats exactly the rest.
        middle = sequences[60]
        again = rig.api.watch(middle)
        rest = [(await again.read()).sequence for _ in range(50)]
        assert rest == sequences[60:]
        again.cancel()


async def test_a_watcher_can_choose_accounts(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        call = rig.api.channel.unary_stream(
            "/casemate.dispatch.v1.OrderDispatch/WatchExecutions",
            request_serializer=wire.WatchExecutionsRequest.SerializeToString,
            response_deserializer=wire.ExecutionReport.FromString,
        )(wire.WatchExecutionsRequest(accounts=["nobody"]))
        rig.enclave.twist = lambda request: setattr(request, "account", "nobody")
        await rig.api.submit(create("b", account="nobody"))
        assert (await call.read()).client_order_id == "b"
        call.cancel()


async def test_a_slow_watcher_is_cut_off_with_its_last_sequence_and_stalls_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.changes["watch_buffer"] = 64
        await rig.start_host()
        # A watcher that does not read: gRPC's own windows fill up first, then the host's buffer.
        call = rig.api.watch(0)
        sent = 0
        hub = rig.host.hub
        await eventually(lambda: bool(hub._watchers))
        while hub._watchers:
            requests = [create(f"s{sent + number}", wait=wire.WAIT_FOR_SIGNED) for number in range(64)]
            reply = await rig.api.call("SubmitBatch", wire.SubmitBatchRequest(requests=requests), wire.SubmitBatchReply)
            assert all(item.WhichOneof("answer") == "reply" for item in reply.items)
            sent += 64
            assert sent < 20_000
            if any(watcher.overrun for watcher in hub._watchers):
                break
        seen = [0]

        async def read_on() -> None:
            async for report in call:
                seen.append(report.sequence)  # noqa: PERF401 - kept when the call fails

        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await read_on()
        assert seen == sorted(set(seen))
        last = seen[-1]
        info = error_info(failed.value)
        assert info.reason == "SLOW_CONSUMER"
        assert int(info.metadata["last_sequence"]) == last
        again = rig.api.watch(last + 1)
        following = await again.read()
        reports = rig.rows("SELECT sequence FROM events WHERE kind <> 1 ORDER BY sequence")
        assert following.sequence == next(row[0] for row in reports if row[0] > last)
        again.cancel()


async def test_an_overrun_watcher_still_gets_what_was_queued_and_then_the_end() -> None:
    watcher = Watcher(frozenset(), 2)
    for sequence in (1, 2, 3, 4):
        watcher.offer(sequence, "a", b"r%d" % sequence)
    assert [await watcher.next() for _ in range(3)] == [(1, b"r1"), (2, b"r2"), None]


class _SlowJournal:
    """Commits one more record while each page is being read: the gap that a careless subscription would lose."""

    def __init__(self, hub: ExecutionHub, total: int) -> None:
        self.hub, self.total = hub, total

    def commit(self) -> None:
        sequence = self.hub.head + 1
        event = EventRow(sequence, 0, "a", "c", 1, EventKind.OUTCOME, 1, b"%d" % sequence)
        self.hub.publish([Entry(event, OrderRow(1, sequence, "a", "c", 1, "v", "s", 5, 1, 1, 9))])

    async def reports(self, after: int, upto: int, limit: int) -> list[tuple[int, str, bytes]]:
        if self.hub.head < self.total:
            self.commit()
        await asyncio.sleep(0)
        return [(sequence, "a", b"%d" % sequence) for sequence in range(after + 1, upto + 1)][:limit]


async def test_what_is_committed_during_the_replay_is_neither_lost_nor_repeated() -> None:
    hub = ExecutionHub(buffer=10)
    journal = _SlowJournal(hub, total=30)
    for _ in range(3):
        journal.commit()
    seen = []
    follow = hub.follow(journal, 1, ())  # type: ignore[arg-type]
    async for payload in follow:
        seen.append(int(payload))
        if len(seen) == 30:
            journal.commit()
        if len(seen) == 31:
            break
    await follow.aclose()  # type: ignore[attr-defined]
    assert seen == list(range(1, 32))


async def test_a_slow_follower_hears_its_last_sequence() -> None:
    hub = ExecutionHub(buffer=2)
    journal = _SlowJournal(hub, total=0)
    follow = hub.follow(journal, 0, ())  # type: ignore[arg-type]
    first = asyncio.ensure_future(anext(follow))
    await asyncio.sleep(0)
    for _ in range(4):
        journal.commit()
    assert await first == b"1"
    assert await anext(follow) == b"2"
    with pytest.raises(NotTakenError) as ended:
        await anext(follow)
    assert dict(ended.value.extra) == {"last_sequence": "2"}


async def test_venue_watchers_see_every_venue_and_its_changes(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        call = rig.api.channel.unary_stream(
            "/casemate.dispatch.v1.OrderDispatch/WatchVenues",
            request_serializer=wire.WatchVenuesRequest.SerializeToString,
            response_deserializer=wire.VenueStatus.FromString,
        )(wire.WatchVenuesRequest())
        first = await call.read()
        assert (first.venue, first.health) == (VENUE, wire.VENUE_HEALTH_UP)
        await rig.venue.stop()
        await rig.api.submit(create("a"))
        assert (await call.read()).health == wire.VENUE_HEALTH_DEGRADED
        await rig.venue.start(rig.venue.port)
        await rig.api.submit(create("b"))
        assert (await call.read()).health == wire.VENUE_HEALTH_UP
        call.cancel()


async def test_a_cancels_answer_is_news_about_the_order_too(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        rig.venue.script["/cancel"] = answering("CANCELED")
        await rig.api.submit(other("cancel", "a"))

        async def canceled() -> bool:
            return bool((await rig.api.get("a")).state == wire.ORDER_STATE_CANCELED)

        await eventually(canceled)
        # A later, older view of the order does not bring it back.
        await rig.api.call("Read", other("query", "a"), wire.ReadReply)
        await asyncio.sleep(0.05)
        assert await canceled()
