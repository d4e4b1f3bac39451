"""DESIGN's promises about dispatch, each over real sockets: engine, host, enclave's wire, venue, journal file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.dispatcher.settings import VenueSettings
from host_dispatch.journal.records import EventKind
from host_dispatch.outcome import Operation
from tests.host.host_rig import (
    SIGNATURE,
    VENUE,
    Rig,
    Seen,
    answering,
    create,
    drop,
    error_info,
    eventually,
    other,
    reply,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

OPEN, FILLED, CANCELED = wire.ORDER_STATE_OPEN, wire.ORDER_STATE_FILLED, wire.ORDER_STATE_CANCELED
EXPIRED, REJECTED, UNKNOWN = wire.ORDER_STATE_EXPIRED, wire.ORDER_STATE_REJECTED, wire.ORDER_STATE_UNKNOWN


async def refused(call: Awaitable[Any]) -> Any:
    """Return the ErrorInfo of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return error_info(failed.value)


def kinds(rig: Rig, client_order_id: str) -> list[int]:
    """Return the kinds of an order's events, in order."""
    events = rig.rows("SELECT client_order_id, kind FROM events ORDER BY sequence")
    return [kind for name, kind in events if name == client_order_id]


async def test_an_order_goes_end_to_end(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.api.submit(create("a"))
        assert answer.report.state == OPEN
        assert answer.report.venue_order_id == "v-1"
        assert answer.verdict.rule == "grant:all"
        assert rig.venue.creates("a") == 1
        stages = answer.report.stages
        assert 0 < max(stages.journaled, stages.signed) <= stages.sending <= stages.acknowledged
        assert await rig.api.get("a") == answer.report
        assert kinds(rig, "a") == [EventKind.INTENT, EventKind.SENDING, EventKind.OUTCOME]


# --- D1


async def test_d1_intent_and_sending_are_in_the_journals_file_when_the_first_byte_arrives(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        seen: list[list[int]] = []
        rig.venue.on_first_byte = lambda: seen.append(
            [row[0] for row in rig.rows("SELECT kind FROM events ORDER BY sequence")]
        )
        await rig.api.submit(create("a"))
        assert seen == [[EventKind.INTENT, EventKind.SENDING]]
        seen.clear()
        await asyncio.gather(*(rig.api.submit(create(f"m{number}")) for number in range(30)))
        assert len(seen) == 30
        for number, found in enumerate(seen, start=1):
            assert found.count(EventKind.SENDING) >= number, "no byte before its own record"


async def test_d1_a_signature_whose_intent_did_not_commit_is_thrown_away_and_cancels_still_try(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("before"))
        with held(rig):
            info = await refused(rig.api.submit(create("a")))
            assert info.reason == "JOURNAL_UNAVAILABLE"
            assert info.metadata["retry_can_help"] == "true"
            # The second one is not even signed: the journal is known to be in trouble.
            signed = len(rig.enclave.intents)
            assert (await refused(rig.api.submit(create("b")))).reason == "JOURNAL_UNAVAILABLE"
            assert len(rig.enclave.intents) == signed
            rig.venue.script["/cancel"] = answering("CANCELED")
            assert (await rig.api.submit(other("cancel", "before"))).report.state == CANCELED
        assert rig.venue.creates("a") == rig.venue.creates("b") == 0
        assert (await rig.api.submit(create("after"))).report.state == OPEN
        assert kinds(rig, "a") == []


@contextmanager
def held(rig: Rig) -> Iterator[None]:
    """Hold the journal's write lock from outside, as a careless program would."""
    other_program = sqlite3.connect(rig.journal_path, isolation_level=None)
    other_program.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other_program.execute("ROLLBACK")
        other_program.close()


async def test_no_live_signature_header_or_body_is_in_the_journal(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/create"] = drop
        rig.venue.script["/query"] = answering("OPEN")
        await rig.api.submit(create("a"))
        await eventually(lambda: kinds(rig, "a")[-1] == EventKind.RESOLVED)
        for name in ("journal.db", "journal.db-wal"):
            assert SIGNATURE.encode() not in (tmp_path / name).read_bytes()
        intents = [row[0] for row in rig.rows("SELECT payload FROM events WHERE kind = 1")]
        request = wire.SubmitRequest.FromString(intents[0])
        assert request.sealed.intent == rig.enclave.intents[0], "the sealed intent is there for `policy replay`"


# --- D2


@pytest.mark.parametrize("answer", [drop, answering("", status="502 Bad Gateway"), answering("<html>")])
async def test_d2_after_a_lost_reply_there_is_one_create_and_the_venue_is_asked(tmp_path: Path, answer: Any) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/create"] = answer
        rig.venue.script["/query"] = answering("FILLED")
        first = (await rig.api.submit(create("a"))).report
        assert (first.state, first.error_class) == (UNKNOWN, wire.ERROR_CLASS_UNKNOWN)
        await eventually(lambda: kinds(rig, "a")[-1] == EventKind.RESOLVED)
        assert (await rig.api.get("a")).state == FILLED
        assert (await rig.api.get("a")).filled_quantity == "0.5"
        assert rig.venue.creates("a") == 1
        assert (await rig.api.status()).unresolved == 0


async def test_d2_not_found_is_no_proof_before_the_requests_validity_has_ended(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/create"] = drop
        rig.venue.script["/query"] = answering("!UNKNOWN_ORDER")
        request = create("a", valid_for=0.6)
        until = request.routing.valid_until
        assert (await rig.api.submit(request)).report.state == UNKNOWN
        await eventually(lambda: kinds(rig, "a")[-1] == EventKind.RESOLVED)
        report = await rig.api.get("a")
        assert report.state == EXPIRED
        margin = rig.settings.not_found_margin_ms * 1_000_000
        assert report.time >= until + margin
        asked = [seen for seen in rig.venue.seen if seen.target.startswith("/query")]
        assert len(asked) > 2, "it asked before, and was not satisfied"
        assert rig.venue.creates("a") == 1


async def test_d2_an_amend_whose_reply_was_lost_is_not_sent_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        rig.venue.script["/amend"] = drop
        rig.venue.script["/query"] = answering("PARTIALLY_FILLED")
        assert (await rig.api.submit(other("amend", "a"))).report.state == UNKNOWN
        await eventually(lambda: _is(rig, "a", wire.ORDER_STATE_PARTIALLY_FILLED))
        assert kinds(rig, "a")[-2:] == [EventKind.RESOLVED, EventKind.UPDATE]
        assert [seen.target.partition("?")[0] for seen in rig.venue.seen].count("/amend") == 1


async def test_d2_a_cancel_whose_reply_was_lost_goes_again_newly_signed(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        rig.venue.script["/cancel"] = _first(drop, answering("CANCELED"))
        answer = await rig.api.submit(other("cancel", "a"))
        assert answer.report.state == CANCELED
        assert rig.enclave.derived == [Operation.CANCEL]
        assert [seen.target.partition("?")[0] for seen in rig.venue.seen] == ["/create", "/cancel", "/cancel"]


async def test_d2_not_found_after_a_lost_cancel_means_asking(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        rig.venue.script["/cancel"] = _first(drop, answering("!UNKNOWN_ORDER"))
        rig.venue.script["/query"] = answering("CANCELED")
        assert (await rig.api.submit(other("cancel", "a"))).report.state == UNKNOWN
        await eventually(lambda: EventKind.RESOLVED in kinds(rig, "a"))
        await eventually(lambda: _is(rig, "a", CANCELED))


async def test_d2_a_refused_connection_is_tried_again_with_the_same_bytes_and_then_rejected(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        await rig.venue.stop()
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.error_class) == (REJECTED, wire.ERROR_CLASS_NOT_SENT)
        assert "cannot connect" in report.venue_message
        assert kinds(rig, "a") == [EventKind.INTENT, EventKind.SENDING, EventKind.NOT_SENT]
        await rig.venue.start(rig.venue.port)
        assert (await rig.api.submit(create("b"))).report.state == OPEN
        assert rig.venue.creates("a") == 0


async def test_d3_without_evidence_it_stays_unknown_with_an_alarm_after_the_bound(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.settings = _changed(rig, resolve_for_ms=300)
        await rig.start_host()
        rig.venue.script["/create"] = drop
        rig.venue.script["/query"] = answering("", status="503 Busy")
        await rig.api.submit(create("a"))
        assert rig.host is not None
        alarms = rig.host.runner.counters.values
        await eventually(lambda: alarms.get("alarms", 0) == 1)
        status = await rig.api.status()
        assert status.unresolved == 1
        assert status.venues[0].health != wire.VENUE_HEALTH_UP
        assert (await rig.api.get("a")).state == UNKNOWN
        # Evidence that comes later, from an engine's own query, still ends it.
        rig.venue.script["/query"] = answering("OPEN")
        read = await rig.api.call("Read", other("query", "a"), wire.ReadReply)
        assert read.error_class == 0
        await eventually(lambda: _is(rig, "a", OPEN))
        assert (await rig.api.status()).unresolved == 0


# --- D4


async def test_d4_a_stale_intent_is_refused_before_signing(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        info = await refused(rig.api.submit(create("a", valid_for=-0.001)))
        assert (info.reason, info.metadata["field"]) == ("STALE", "routing.valid_until")
        assert rig.enclave.intents == []


async def test_d4_what_waited_past_its_validity_is_never_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/create"] = answering("!RATE_LIMITED", status="429 Slow", headers="Retry-After: 30\r\n")
        first = (await rig.api.submit(create("a"))).report
        assert (first.state, first.error_class) == (REJECTED, wire.ERROR_CLASS_RATE_LIMITED)
        second = (await rig.api.submit(create("b", valid_for=0.4))).report
        assert (second.state, second.error_class) == (EXPIRED, wire.ERROR_CLASS_NOT_SENT)
        assert rig.venue.creates("b") == 0
        assert kinds(rig, "b") == [EventKind.INTENT, EventKind.NOT_SENT]


async def test_d4_the_enclaves_validity_counts_where_it_is_shorter(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = lambda request: setattr(request, "valid_until", 1)
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.venue_code) == (EXPIRED, "STALE")
        assert rig.venue.seen == []


# --- D5


async def test_d5_what_a_dead_process_left_is_accounted_for(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        # One that is only signed, and one whose reply never came; then the process is gone.
        rig.venue.script["/create"] = _hang
        waiting = [asyncio.ensure_future(rig.api.submit(create("sent")))]
        await eventually(lambda: rig.venue.creates("sent") == 1)
        rig.enclave.mute = True
        waiting.append(asyncio.ensure_future(rig.api.submit(create("intended"))))
        await eventually(lambda: kinds(rig, "intended") == [EventKind.INTENT])
        copy = _copy_journal(rig, tmp_path / "after")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await rig.stop_host()

        rig.directory = copy
        rig.enclave.mute = False
        held = asyncio.Event()
        rig.venue.script["/query"] = _after(held, "OPEN")
        await rig.start_host()
        intended = await rig.api.get("intended")
        assert (intended.state, intended.error_class) == (EXPIRED, wire.ERROR_CLASS_NOT_SENT)
        assert (await rig.api.get("sent")).state == UNKNOWN
        # The account takes no new orders before that one is resolved; cancels it does.
        assert (await refused(rig.api.submit(create("new")))).reason == "RECOVERING"
        rig.venue.script["/cancel"] = answering("DONE")
        await rig.api.submit(other("cancel", "elsewhere"))
        held.set()
        await eventually(lambda: _is(rig, "sent", OPEN))
        rig.venue.script["/create"] = answering("OPEN")
        assert (await rig.api.submit(create("new"))).report.state == OPEN
        assert rig.venue.creates("sent") == 1
        assert rig.venue.creates("intended") == 0
        assert rig.rows("SELECT count(*) FROM orders WHERE ended = 0") == [(0,)]


async def test_d5_recovery_is_bounded(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/create"] = _hang
        waiting = asyncio.ensure_future(rig.api.submit(create("sent")))
        await eventually(lambda: rig.venue.creates("sent") == 1)
        copy = _copy_journal(rig, tmp_path / "after")
        waiting.cancel()
        await rig.stop_host()
        rig.directory = copy
        rig.settings = _changed(rig, recovery_ms=300)
        rig.venue.script["/query"] = answering("", status="503 Busy")
        rig.venue.script["/create"] = answering("OPEN")
        await rig.start_host()
        assert (await refused(rig.api.submit(create("new")))).reason == "RECOVERING"

        async def taken() -> bool:
            try:
                return bool((await rig.api.submit(create("new"))).report.state == OPEN)
            except grpc.aio.AioRpcError:
                return False

        await eventually(taken)
        assert (await rig.api.status()).unresolved == 1


# --- D6, D7


async def test_d6_an_account_whose_venue_hangs_does_not_slow_another_ones_orders(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        release = asyncio.Event()

        async def by_name(seen: Seen, writer: asyncio.StreamWriter) -> None:
            if seen.client_order_id.startswith("slow"):
                await release.wait()
            await reply(writer, "OPEN")

        rig.venue.script["/create"] = by_name
        rig.enclave.twist = _as_account
        slow = [asyncio.ensure_future(rig.api.submit(create(f"slow{number}"))) for number in range(20)]
        await eventually(lambda: sum(seen.is_create for seen in rig.venue.seen) == rig.settings.slots(VENUE))
        quick = await rig.api.submit(create("quick", account="other"))
        assert quick.report.state == OPEN
        assert not any(task.done() for task in slow)
        release.set()
        assert {(await task).report.state for task in slow} == {OPEN}


async def test_d7_a_cancel_goes_out_while_orders_of_its_account_wait(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.settings = _changed(rig, venues={VENUE: VenueSettings(connections=1)})
        await rig.start_host()
        release = asyncio.Event()
        rig.venue.script["/create"] = _after(release, "OPEN")
        rig.venue.script["/cancel"] = answering("CANCELED")
        slow = [asyncio.ensure_future(rig.api.submit(create(f"slow{number}"))) for number in range(3)]
        await eventually(lambda: len(rig.venue.seen) == 1)
        assert (await rig.api.submit(other("cancel", "somebody"))).report.state == CANCELED
        assert not any(task.done() for task in slow)
        assert [seen.target.partition("?")[0] for seen in rig.venue.seen] == ["/create", "/cancel"]
        release.set()
        assert {(await task).report.state for task in slow} == {OPEN}


# --- S12


async def test_s12_a_repeat_returns_the_stored_report_and_sends_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        request = create("a")
        first = await rig.api.submit(request)
        again = await rig.api.submit(request)
        assert (first.repeated, again.repeated) == (False, True)
        assert again.report == first.report
        assert rig.venue.creates("a") == 1
        assert await rig.api.get("a") == first.report


async def test_s12_the_same_intent_twice_while_under_way_is_sent_once(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        release = asyncio.Event()
        rig.venue.script["/create"] = _after(release, "OPEN")
        request = create("a")
        both = [asyncio.ensure_future(rig.api.submit(request)) for _ in range(2)]
        await eventually(lambda: rig.venue.creates("a") == 1)
        both.append(asyncio.ensure_future(rig.api.submit(request)))
        info = await refused(rig.api.submit(create("a", valid_for=9)))
        assert info.reason == "DUPLICATE_IN_FLIGHT"
        release.set()
        answers = await asyncio.gather(*both)
        assert sorted(answer.repeated for answer in answers) == [False, True, True]
        assert {answer.report.state for answer in answers} == {OPEN}
        assert rig.venue.creates("a") == 1


async def test_s12_bytes_that_went_out_by_a_way_the_journal_does_not_know_are_asked_about(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        request = create("a")
        await rig.api.submit(request)
        await rig.stop_host()
        # Another journal: as after a lost disk.
        rig.directory = tmp_path / "new"
        rig.directory.mkdir()
        await rig.start_host()
        rig.venue.script["/query"] = answering("FILLED")
        answer = await rig.api.submit(request)
        assert answer.repeated
        assert answer.report.state == UNKNOWN
        await eventually(lambda: _is(rig, "a", FILLED))
        assert rig.venue.creates("a") == 1


# --- what the enclave signed against what the engine said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "x"),
        ("venue", "x"),
        ("symbol", "X/Y"),
        ("client_order_id", "x"),
        ("operation", 2),
        ("valid_until", 2**62),
    ],
)
async def test_a_signed_request_that_differs_from_the_routing_is_not_sent(
    tmp_path: Path, field: str, value: Any
) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = lambda request: setattr(request, field, value)
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.error_class) == (REJECTED, wire.ERROR_CLASS_NOT_SENT)
        assert report.venue_code == "ROUTING_MISMATCH"
        assert rig.venue.seen == []


# --- helpers


def _first(*answers: Any) -> Any:
    left = list(answers)

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(seen, writer)

    return answer


async def _hang(_: Seen, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def _after(event: asyncio.Event, text: str) -> Any:
    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        await event.wait()
        await reply(writer, text)

    return answer


def _as_account(request: Any) -> None:
    """Sign for whatever account the test's routing names: the scripted enclave knows only one."""
    if request.client_order_id == "quick":
        request.account = "other"


async def _is(rig: Rig, client_order_id: str, state: int) -> bool:
    return bool((await rig.api.get(client_order_id)).state == state)


def _changed(rig: Rig, **changes: Any) -> Any:
    return replace(rig.settings, **changes)


def _copy_journal(rig: Rig, target: Path) -> Path:
    """Copy the journal as it lies on the disk: what a process that dies right now would leave."""
    target.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        (target / name).write_bytes((rig.directory / name).read_bytes())
    return target
