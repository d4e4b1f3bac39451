"""An enclave, or somebody in its place, that answers anything: nothing is sent that was not asked for, nobody hangs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.enclave_link import EnclaveLink
from host_dispatch.journal.records import EventKind
from host_dispatch.outcome import Operation
from signer_api.v1 import intent_pb2, signer_pb2
from tests.host.host_rig import (
    Rig,
    create,
    drop,
    error_info,
    eventually,
    other,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from host_dispatch.errors import NotTakenError

REJECTED, EXPIRED, UNKNOWN = wire.ORDER_STATE_REJECTED, wire.ORDER_STATE_EXPIRED, wire.ORDER_STATE_UNKNOWN


def kinds(rig: Rig, client_order_id: str) -> list[int]:
    """Return the kinds of an order's events, in order."""
    events = rig.rows("SELECT client_order_id, kind FROM events ORDER BY sequence")
    return [kind for name, kind in events if name == client_order_id]


# --- answers that do not fit


def _crossed(answers: list[signer_pb2.JudgedOrNot]) -> None:
    answers.reverse()


def _short(answers: list[signer_pb2.JudgedOrNot]) -> None:
    answers.pop()


def _empty(answers: list[signer_pb2.JudgedOrNot]) -> None:
    answers[:] = [signer_pb2.JudgedOrNot() for _ in answers]


def _allowed_without_request(answers: list[signer_pb2.JudgedOrNot]) -> None:
    for answer in answers:
        answer.judged.ClearField("request")


@pytest.mark.parametrize("spoil", [_crossed, _short, _empty, _allowed_without_request])
async def test_answers_that_do_not_fit_their_intents_send_nothing_and_end_every_intent(
    tmp_path: Path, spoil: Callable[[list[signer_pb2.JudgedOrNot]], None]
) -> None:
    async with running(tmp_path) as rig:
        judge = rig.enclave._answer

        def answer(request: signer_pb2.EnclaveRequest) -> Any:
            reply = judge(request)
            if reply.WhichOneof("answer") == "judged_batch":
                answers = list(reply.judged_batch.answers)
                spoil(answers)
                del reply.judged_batch.answers[:]
                reply.judged_batch.answers.extend(answers)
            return reply

        rig.enclave._answer = answer
        batch = wire.SubmitBatchRequest(requests=[create(f"o{number}") for number in range(4)])
        await rig.api.call("SubmitBatch", batch, wire.SubmitBatchReply)
        assert rig.venue.seen == []
        await eventually(lambda: rig.rows("SELECT count(*) FROM orders WHERE ended = 0") == [(0,)])
        assert (await rig.api.status()).enclave_reachable


async def test_a_reply_under_another_requests_number_sends_nobodys_order_in_its_place(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        judge, held = rig.enclave._answer, []

        def answer(request: signer_pb2.EnclaveRequest) -> Any:
            reply = judge(request)
            if request.WhichOneof("call") == "sign":
                held.append(reply)
                if len(held) == 2:
                    held[0].request_id, held[1].request_id = held[1].request_id, held[0].request_id
                    return held[1]
                # A number that nobody uses: dropped.
                lost = signer_pb2.EnclaveReply()
                lost.CopyFrom(reply)
                lost.request_id = 1 << 60
                return lost
            return reply

        rig.enclave._answer = answer
        first = asyncio.ensure_future(rig.api.submit(create("a")))
        await eventually(lambda: len(held) == 1)
        second = asyncio.ensure_future(rig.api.submit(create("b")))
        report = (await first).report
        assert (report.state, report.venue_code) == (REJECTED, "ROUTING_MISMATCH")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await second
        assert error_info(failed.value).reason == "ENCLAVE_TIMEOUT"
        assert rig.venue.seen == []


async def test_bytes_that_are_no_reply_break_the_stream_and_the_host_connects_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        stream, spoilt = rig.enclave._stream, asyncio.Event()

        class Context:
            def __init__(self, context: Any) -> None:
                self._context = context

            async def write(self, reply: Any) -> None:
                if reply.WhichOneof("answer") != "status" and not spoilt.is_set():
                    spoilt.set()
                    reply = _Raw()
                await self._context.write(reply)

        class _Raw:
            def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
                return b"\xff\xff\xff\xff"

        # The rig's handler is bound already: a new server takes the place of the old one.
        await rig.stop_host()
        await rig.enclave.stop()

        async def spoiling(requests: Any, context: Any) -> None:
            await stream(requests, Context(context))

        handlers = {
            "Call": grpc.unary_unary_rpc_method_handler(
                rig.enclave._call, signer_pb2.EnclaveRequest.FromString, signer_pb2.EnclaveReply.SerializeToString
            ),
            "SignStream": grpc.stream_stream_rpc_method_handler(
                spoiling,
                signer_pb2.EnclaveRequest.FromString,
                lambda reply: reply.SerializeToString(),
            ),
        }
        rig.enclave._server = grpc.aio.server()
        rig.enclave._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("casemate.signer.v1.Signer", handlers),)
        )
        rig.enclave._server.add_insecure_port(rig.enclave.address)
        await rig.enclave._server.start()
        await rig.start_host()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rig.api.submit(create("a"))
        assert error_info(failed.value).reason == "ENCLAVE_UNAVAILABLE"
        assert rig.host is not None
        await eventually(lambda: rig.host.link.up)
        assert (await rig.api.submit(create("b"))).report.state == wire.ORDER_STATE_OPEN


async def test_an_enclave_that_reads_no_more_times_every_request_out(tmp_path: Path) -> None:
    reading = asyncio.Event()
    reading.set()

    async def stream(requests: Any, context: Any) -> None:
        async for request in requests:
            await context.write(
                signer_pb2.EnclaveReply(request_id=request.request_id, status=signer_pb2.EnclaveStatus())
            )
            await asyncio.sleep(60)

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(
        stream, signer_pb2.EnclaveRequest.FromString, signer_pb2.EnclaveReply.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("casemate.signer.v1.Signer", {"SignStream": handler}),)
    )
    server.add_insecure_port(f"unix:{tmp_path}/enclave.sock")
    await server.start()
    link = EnclaveLink(f"unix:{tmp_path}/enclave.sock", timeout_ms=300)
    await link.start(wait_seconds=5)
    assert link.up
    ends: list[NotTakenError | None] = []
    # Far more than the windows of HTTP/2 and the socket hold.
    count = 5_000
    for _ in range(count):
        link.sign(intent_pb2.SealedIntent(intent=b"x" * 4096), lambda _, failure: ends.append(failure), urgent=False)
    await eventually(lambda: len(ends) == count)
    assert {failure.reason for failure in ends if failure is not None} == {"ENCLAVE_TIMEOUT"}
    await link.close()
    await server.stop(0)


# --- requests that are not what they should be


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "other"),
        ("venue", "elsewhere"),
        ("symbol", "ETH/USDT"),
        ("client_order_id", "z"),
        ("operation", Operation.CANCEL),
        ("valid_until", 1 << 62),
    ],
)
async def test_what_was_sealed_for_another_place_than_the_routing_says_is_not_sent(
    tmp_path: Path, field: str, value: Any
) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = lambda request: setattr(request, field, value)
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.error_class) == (REJECTED, wire.ERROR_CLASS_NOT_SENT)
        assert rig.venue.seen == []
        assert kinds(rig, "a") == [EventKind.INTENT, EventKind.NOT_SENT]


@pytest.mark.parametrize(
    "url",
    [
        "http://api.tiny.test/create?id=a",
        "https://key@api.tiny.test/create?id=a",
        "https://api.tiny.test",
        "https://api.tiny.test/create\r\nX-More: 1?id=a",
        "https://api.tiny.test/create?id=a HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
        "https:///create?id=a",
        "https://[/create",
        "",
    ],
)
async def test_a_url_that_is_not_the_venues_plain_one_is_not_sent(tmp_path: Path, url: str) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = lambda request: setattr(request, "url", url)
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.error_class) == (REJECTED, wire.ERROR_CLASS_NOT_SENT)
        assert rig.venue.seen == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Key", "k\r\nX-More: 1"),
        ("X-Key", "k\n"),
        ("X-Key", "k\0"),
        ("X Key", "k"),
        ("X-Key:", "k"),
        ("", "k"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
        ("Expect", "100-continue"),
    ],
)
async def test_a_header_that_would_end_the_request_early_or_add_one_is_not_sent(
    tmp_path: Path, name: str, value: str
) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = lambda request: request.headers.add(name=name, value=value)
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.error_class) == (REJECTED, wire.ERROR_CLASS_NOT_SENT)
        assert rig.venue.seen == []


@pytest.mark.parametrize("method", ["POST /evil HTTP/1.1\r\nA: b\r\n\r\nPOST", "", "P OST"])
async def test_a_method_that_is_none_is_not_sent(tmp_path: Path, method: str) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.twist = lambda request: setattr(request, "method", method)
        report = (await rig.api.submit(create("a"))).report
        assert (report.state, report.error_class) == (REJECTED, wire.ERROR_CLASS_NOT_SENT)
        assert rig.venue.seen == []


async def test_a_halt_that_was_sealed_as_an_order_is_no_halt_and_no_order(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.api.call("Halt", create("a").sealed, wire.SubmitReply, "Operator")
        assert (answer.report.error_class, answer.report.venue_code) == (
            wire.ERROR_CLASS_NOT_SENT,
            "ROUTING_MISMATCH",
        )
        closing = create("b")
        closing.routing.operation = int(Operation.ORDER_CLOSED)  # type: ignore[assignment]
        answer = await rig.api.call("CloseOrder", closing)
        assert answer.report.venue_code == "ROUTING_MISMATCH"
        assert rig.venue.seen == []


async def test_a_mistake_in_a_halts_seal_is_named_as_it_stands_in_the_message(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for sealed, field in (
            (intent_pb2.SealedIntent(), "intent"),
            (intent_pb2.SealedIntent(intent=b"x", mac=b"m" * 257), "mac"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await rig.api.call("Halt", sealed, wire.SubmitReply, "Operator")
            assert error_info(failed.value).metadata["field"] == field


async def test_a_reason_of_any_length_still_arrives_as_errorinfo(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.not_judged = signer_pb2.NotJudged(reason="BAD_POLICY", field="é" * 3_000, message="ü\n" * 60_000)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rig.api.submit(create("a"))
        info = error_info(failed.value)
        assert info.reason == "BAD_POLICY"
        assert info.metadata["field"].startswith("é")


# --- the enclave goes away


async def test_d2_an_enclave_that_restarts_while_an_order_is_unknown_gets_no_second_create_sent(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        rig.venue.script["/create"] = drop
        rig.venue.script["/query"] = drop
        request = create("a")
        assert (await rig.api.submit(request)).report.state == UNKNOWN
        # A new boot knows no order of the one before.
        await rig.enclave.stop()
        rig.enclave.signed.clear()
        await rig.enclave.start()
        assert rig.host is not None
        await eventually(lambda: rig.host.runner.counters.values.get("alarms") == 1)
        assert (await rig.api.get("a")).state == UNKNOWN
        again = await rig.api.submit(request)
        assert again.repeated
        assert again.report.state == UNKNOWN
        assert rig.venue.creates("a") == 1


async def test_s12_after_both_restarted_the_same_intent_again_is_not_sent_again(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        request = create("a", valid_for=20)
        assert (await rig.api.submit(request)).report.state == wire.ORDER_STATE_OPEN
        await rig.stop_host()
        await rig.start_host()
        again = await rig.api.submit(request)
        assert again.repeated
        assert again.report.state == wire.ORDER_STATE_OPEN
        assert rig.venue.creates("a") == 1


async def test_s12_one_id_over_unary_stream_and_batch_at_once_is_one_order(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.gate.clear()
        request = create("a")
        different = create("a")
        different.sealed.intent += b"\x92\x01\x03tag"
        stream = rig.api.stream()
        await stream.write(wire.SubmitBatchRequest(batch_id=1, requests=[request, different, request]))
        batch = asyncio.ensure_future(
            rig.api.call("SubmitBatch", wire.SubmitBatchRequest(requests=[request, different]), wire.SubmitBatchReply)
        )
        unary = [asyncio.ensure_future(rig.api.submit(request)) for _ in range(5)]
        cancelled = asyncio.ensure_future(rig.api.submit(request))
        await eventually(lambda: kinds(rig, "a") == [EventKind.INTENT])
        await asyncio.sleep(0.05)
        cancelled.cancel()
        rig.enclave.gate.set()
        answers = [await call for call in unary]
        assert len({answer.report.sequence for answer in answers}) == 1
        assert sum(not answer.repeated for answer in answers) <= 1
        await batch
        await stream.done_writing()
        items = []
        async for reply in stream:
            items += [reply.item] if reply.HasField("item") else list(reply.items.items)
        assert sorted(item.index for item in items) == [0, 1, 2]
        assert rig.venue.creates("a") == 1


async def test_a_cancel_of_an_order_in_flight_and_a_dead_caller_leave_nothing_open(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.gate.clear()
        calls = [asyncio.ensure_future(rig.api.submit(create(f"o{number}"))) for number in range(20)]
        calls.append(asyncio.ensure_future(rig.api.submit(other("cancel", "o1"))))
        await eventually(lambda: rig.rows("SELECT count(*) FROM orders") == [(21,)])
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        rig.enclave.gate.set()
        await eventually(lambda: rig.rows("SELECT count(*) FROM orders WHERE ended = 0") == [(0,)])
        assert all(rig.venue.creates(f"o{number}") == 1 for number in range(20))
        host = rig.host
        assert host is not None
        await eventually(lambda: host.runner.live == 0)
        assert not rig.host.runner.active
