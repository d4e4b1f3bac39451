"""A venue (or whatever sits between) that misbehaves on purpose: what DESIGN promises about dispatch still holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.dispatcher.settings import VenueSettings
from host_dispatch.journal.records import EventKind
from tests.host.host_rig import (
    VENUE,
    Rig,
    Seen,
    TinyReader,
    answering,
    create,
    drop,
    eventually,
    other,
    reply,
    running,
)

if TYPE_CHECKING:
    from pathlib import Path

    from host_dispatch.outcome import Operation, Reading

OPEN, FILLED, CANCELED = wire.ORDER_STATE_OPEN, wire.ORDER_STATE_FILLED, wire.ORDER_STATE_CANCELED
EXPIRED, UNKNOWN = wire.ORDER_STATE_EXPIRED, wire.ORDER_STATE_UNKNOWN


def kinds(rig: Rig, client_order_id: str) -> list[int]:
    """Return the kinds of an order's events, in order."""
    events = rig.rows("SELECT client_order_id, kind FROM events ORDER BY sequence")
    return [kind for name, kind in events if name == client_order_id]


async def state(rig: Rig, client_order_id: str) -> int:
    """Return what `Get` says of an order."""
    return int((await rig.api.get(client_order_id)).state)


def raw(data: bytes, *, then_hang: bool = False) -> Any:
    """Return an answer of exactly these bytes, after which the connection is closed or hangs."""

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then_hang:
            await asyncio.sleep(60)
        writer.transport.abort() if not data else writer.close()

    return answer


_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nFILLED"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(raw(b""), id="reset-without-a-byte"),
        pytest.param(raw(_WHOLE[:1]), id="closed-in-the-status-line"),
        pytest.param(raw(_WHOLE[:22]), id="closed-in-the-headers"),
        pytest.param(raw(_WHOLE[:-1]), id="closed-in-the-body"),
        pytest.param(raw(_WHOLE[:-1], then_hang=True), id="hangs-in-the-body"),
        pytest.param(raw(b"\x16\x03\x01 no http at all\r\n\r\n"), id="garbage"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"), id="huge-header"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), id="broken-chunks"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\nFILLED"), id="two-lengths"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000), id="huge-body"),
        pytest.param(answering("FILLED", status="502 Bad Gateway"), id="5xx"),
        pytest.param(answering("<html>sorry</html>"), id="unparseable"),
        pytest.param(answering("", status="301 Moved", headers="Location: /create?id=a\r\n"), id="redirect"),
    ],
)
async def test_d2_whatever_becomes_of_the_reply_the_create_goes_once_and_the_venue_is_asked(
    tmp_path: Path, answer: Any
) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.settings = replace(rig.settings, timeout_ms=400)
        await rig.start_host()
        # A kept-alive connection is there already: whatever resends on its own would do it now.
        await rig.api.submit(create("before"))
        rig.venue.script["/create"] = answer
        rig.venue.script["/query"] = answering("FILLED")
        assert (await rig.api.submit(create("a"))).report.state == UNKNOWN
        await eventually(lambda: kinds(rig, "a")[-1] == EventKind.RESOLVED)
        assert await state(rig, "a") == FILLED
        assert rig.venue.creates("a") == 1


async def test_d2_a_kept_connection_that_the_venue_drops_between_orders_sends_nothing_twice(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.settings = replace(rig.settings, venues={VENUE: VenueSettings(connections=1)})
        await rig.start_host()

        async def answer_and_drop(_: Seen, writer: asyncio.StreamWriter) -> None:
            await reply(writer, "OPEN")
            asyncio.get_running_loop().call_soon(writer.transport.abort)

        rig.venue.script["/create"] = answer_and_drop
        states = [(await rig.api.submit(create(f"o{number}"))).report.state for number in range(20)]
        await eventually(lambda: all(kinds(rig, f"o{n}")[-1] != EventKind.SENDING for n in range(20)))
        assert all(rig.venue.creates(f"o{number}") <= 1 for number in range(20))
        sent = sum(rig.venue.creates(f"o{number}") for number in range(20))
        assert sent >= states.count(OPEN)


async def test_a_second_reply_that_nobody_asked_for_is_not_taken_for_the_next_orders(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.settings = replace(rig.settings, venues={VENUE: VenueSettings(connections=1)})
        await rig.start_host()
        slipped = asyncio.Event()

        async def twice(_: Seen, writer: asyncio.StreamWriter) -> None:
            await reply(writer, "OPEN")
            await asyncio.sleep(0.05)
            await reply(writer, "FILLED")
            slipped.set()

        rig.venue.script["/create"] = twice
        assert (await rig.api.submit(create("a"))).report.state == OPEN
        await slipped.wait()
        await asyncio.sleep(0.05)
        rig.venue.script["/create"] = answering("OPEN")
        assert (await rig.api.submit(create("b"))).report.state == OPEN, "the answer is b's own"
        assert rig.venue.creates("b") == 1


async def test_a_reader_that_fails_leaves_a_create_unknown_and_a_read_answered(tmp_path: Path) -> None:
    class Failing(TinyReader):
        def read(self, operation: Operation, status: int, headers: Any, body: bytes) -> Reading:
            if body == b"BOOM":
                raise KeyError("a fault in the reader")
            return super().read(operation, status, headers, body)

    async with running(tmp_path, start=False) as rig:
        rig.reader = Failing()
        await rig.start_host()
        rig.venue.script["/create"] = answering("BOOM")
        answers = iter([answering("BOOM"), answering("BOOM")])

        async def query(seen: Seen, writer: asyncio.StreamWriter) -> None:
            await next(answers, answering("FILLED"))(seen, writer)

        rig.venue.script["/query"] = query
        rig.venue.script["/open-orders"] = answering("BOOM")
        assert (await rig.api.submit(create("a"))).report.state == UNKNOWN
        await eventually(lambda: kinds(rig, "a")[-1] == EventKind.RESOLVED)
        assert rig.venue.creates("a") == 1
        read = await asyncio.wait_for(rig.api.call("Read", other("open_orders"), wire.ReadReply), 5)
        assert read.error_class == wire.ERROR_CLASS_UNKNOWN


# --- clocks


class StepClock:
    """A wall clock that can be set back, and a monotonic one that cannot."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.step = 0

    def now_ns(self) -> int:
        return int(self._clock.now_ns()) + self.step

    def monotonic_ns(self) -> int:
        return int(self._clock.monotonic_ns())


def _step(rig: Rig, seconds: float) -> None:
    """Set the wall clock of every part of the host."""
    assert rig.host is not None
    runner = rig.host.runner
    clock = runner.clock
    if not isinstance(clock, StepClock):
        clock = StepClock(clock)
        runner.clock = runner.intake._clock = clock
        runner._recorder._clock = clock
        for site in runner.sites.values():
            site._clock = clock
            for lane in site.lanes.values():
                lane._clock = clock
    clock.step += int(seconds * 1e9)


async def test_d4_a_wall_clock_that_is_set_back_makes_no_dead_intent_young_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/create"] = answering("!RATE_LIMITED", status="429 Slow", headers="Retry-After: 1\r\n")
        await rig.api.submit(create("a"))
        waiting = asyncio.ensure_future(rig.api.submit(create("b", valid_for=0.6)))
        await eventually(lambda: kinds(rig, "b") == [EventKind.INTENT])
        rig.venue.script["/create"] = answering("OPEN")
        _step(rig, -3600)
        report = (await waiting).report
        assert (report.state, report.error_class) == (EXPIRED, wire.ERROR_CLASS_NOT_SENT)
        assert rig.venue.creates("b") == 0


async def test_d2_a_wall_clock_that_is_set_forward_makes_no_proof_of_not_found(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("before"))
        rig.venue.script["/create"] = drop
        rig.venue.script["/query"] = answering("!UNKNOWN_ORDER")
        assert (await rig.api.submit(create("a", valid_for=3.0))).report.state == UNKNOWN
        # Far enough to pass the order's end, and not so far that the queries' own has passed.
        _step(rig, 4)
        asked = len(rig.venue.seen)
        await eventually(lambda: len(rig.venue.seen) >= asked + 3)
        assert kinds(rig, "a")[-1] == EventKind.UNKNOWN, "the request may still be on its way"
        rig.venue.script["/query"] = answering("FILLED")
        await eventually(lambda: kinds(rig, "a")[-1] == EventKind.RESOLVED)
        assert await state(rig, "a") == FILLED


# --- the two known open points


async def test_a_cancel_that_is_carried_out_later_is_followed_until_the_orders_end_is_known(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.api.submit(create("a"))
        rig.venue.script["/cancel"] = answering("DONE")
        answers = iter([answering("OPEN"), answering("OPEN", status="503 Busy"), answering("OPEN")])

        async def query(seen: Seen, writer: asyncio.StreamWriter) -> None:
            await next(answers, answering("CANCELED"))(seen, writer)

        rig.venue.script["/query"] = query
        canceled = (await rig.api.submit(other("cancel", "a"))).report
        assert (canceled.state, canceled.error_class) == (0, 0), "taken; nothing is known of the order yet"

        async def known() -> bool:
            return await state(rig, "a") == CANCELED

        await eventually(known)
        assert kinds(rig, "a")[-1] == EventKind.UPDATE
        asked = sum(seen.target.startswith("/query") for seen in rig.venue.seen)
        assert asked == 4
        await asyncio.sleep(0.2)
        assert sum(seen.target.startswith("/query") for seen in rig.venue.seen) == asked, "it stops there"


async def test_an_unknown_order_is_looked_for_among_the_finished_ones_too(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        closed: list[bool] = []
        derive = rig.enclave._derive

        def derived(wanted: Any, answer: Any) -> None:
            closed.append(wanted.closed)
            derive(wanted, answer)
            answer.judged.request.url += f"&closed={int(wanted.closed)}"

        rig.enclave._derive = derived

        async def query(seen: Seen, writer: asyncio.StreamWriter) -> None:
            await reply(writer, "FILLED" if "closed=1" in seen.target else "DONE")

        rig.venue.script["/create"] = drop
        rig.venue.script["/query"] = query
        assert (await rig.api.submit(create("a"))).report.state == UNKNOWN
        await eventually(lambda: kinds(rig, "a")[-1] == EventKind.RESOLVED)
        assert await state(rig, "a") == FILLED
        assert closed == [False, True]
