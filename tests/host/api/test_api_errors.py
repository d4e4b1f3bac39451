"""Every call that is not judged ends in a status with an ErrorInfo; malformed and oversized ones too."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.api import checks
from host_dispatch.api.status import CODES
from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.outcome import Operation
from signer_api.v1 import intent_pb2, signer_pb2
from tests.host.host_rig import ACCOUNT, SYMBOL, VENUE, create, drop, error_info, eventually, other, running

DOCUMENT = Path(__file__).parents[3] / "docs" / "errors.md"
SUBMITTED = frozenset({Operation.CREATE, Operation.CANCEL})


def routing(**more: Any) -> dict[str, Any]:
    fields = {
        "account": ACCOUNT,
        "venue": VENUE,
        "symbol": SYMBOL,
        "client_order_id": "a",
        "operation": 1,
        "valid_until": 2**62,
    }
    return {**fields, **more}


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"operation": 0}, "MALFORMED", "routing.operation"),
        ({"operation": 77}, "MALFORMED", "routing.operation"),
        ({"operation": 5}, "WRONG_METHOD", "routing.operation"),
        ({"account": ""}, "MALFORMED", "routing.account"),
        ({"account": "x" * 65}, "MALFORMED", "routing.account"),
        ({"account": "a\nb"}, "MALFORMED", "routing.account"),
        ({"symbol": ""}, "MALFORMED", "routing.symbol"),
        ({"symbol": "BTC USDT"}, "MALFORMED", "routing.symbol"),
        ({"client_order_id": ""}, "MALFORMED", "routing.client_order_id"),
        ({"client_order_id": "a/b"}, "MALFORMED", "routing.client_order_id"),
        ({"client_order_id": "é"}, "MALFORMED", "routing.client_order_id"),
        ({"venue": "nowhere"}, "UNKNOWN_VENUE", "routing.venue"),
        ({"valid_until": 0}, "MALFORMED", "routing.valid_until"),
        ({"valid_until": -5}, "MALFORMED", "routing.valid_until"),
    ],
)
def test_a_routing_mistake_names_its_field(change: dict[str, Any], reason: str, field: str) -> None:
    request = wire.SubmitRequest(sealed=intent_pb2.SealedIntent(intent=b"x"), routing=wire.Routing(**routing(**change)))
    with pytest.raises(NotTakenError) as found:
        checks.check_submit(request, SUBMITTED, {VENUE})
    assert (found.value.reason, found.value.field) == (reason, field)


@pytest.mark.parametrize(
    ("sealed", "reason", "field"),
    [
        ({"intent": b""}, "MALFORMED", "sealed.intent"),
        ({"intent": b"x" * 4097}, "TOO_LARGE", "sealed.intent"),
        ({"intent": b"x", "mac": b"m" * 257}, "TOO_LARGE", "sealed"),
    ],
)
def test_a_sealed_intent_has_stated_sizes(sealed: dict[str, Any], reason: str, field: str) -> None:
    request = wire.SubmitRequest(sealed=intent_pb2.SealedIntent(**sealed), routing=wire.Routing(**routing()))
    with pytest.raises(NotTakenError) as found:
        checks.check_submit(request, SUBMITTED, {VENUE})
    assert (found.value.reason, found.value.field) == (reason, field)


def test_the_largest_intent_is_taken() -> None:
    request = wire.SubmitRequest(sealed=intent_pb2.SealedIntent(intent=b"x" * 4096), routing=wire.Routing(**routing()))
    checks.check_submit(request, SUBMITTED, {VENUE})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_either_a_request_or_a_clear_refusal(data: bytes) -> None:
    refusal = None
    try:
        checks.check_submit(checks.parse(wire.SubmitRequest, data), SUBMITTED, {VENUE})
    except NotTakenError as error:
        refusal = error
    assert refusal is None or (refusal.reason in set(Reason) and refusal.message)


def test_every_reason_has_a_code_and_stands_in_the_document() -> None:
    assert set(CODES) == set(Reason)
    named = set(
        re.findall(r"^\| `([A-Z_]+)` \|", DOCUMENT.read_text("utf-8").partition("## After the venue")[0], re.MULTILINE)
    )
    assert named == {str(reason) for reason in Reason}


async def info(call: Any) -> tuple[grpc.StatusCode, str, str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    found = error_info(failed.value)
    return failed.value.code(), found.reason, found.metadata["field"], found.metadata["retry_can_help"]


async def test_each_failure_travels_with_code_reason_field_and_hope(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        api, code = rig.api, grpc.StatusCode
        assert await info(api.call("Submit", b"\xff\xff")) == (
            code.INVALID_ARGUMENT,
            "MALFORMED",
            "",
            "false",
        )
        huge = b"\x00" * (checks.MESSAGE_BYTES + 1)
        assert await info(api.call("Submit", huge)) == (code.INVALID_ARGUMENT, "TOO_LARGE", "", "false")
        for method, request in (
            ("Cancel", create("a")),
            ("CancelAll", create("a")),
            ("Amend", create("a")),
            ("CloseOrder", create("a")),
            ("Read", create("a")),
            ("Submit", other("query", "a")),
        ):
            found = await info(api.call(method, request))
            assert found == (code.INVALID_ARGUMENT, "WRONG_METHOD", "routing.operation", "false"), method
        batch = wire.SubmitBatchRequest(requests=[create(f"b{number}") for number in range(65)])
        assert await info(api.call("SubmitBatch", batch)) == (
            code.INVALID_ARGUMENT,
            "TOO_LARGE",
            "requests",
            "false",
        )
        empty = wire.SubmitBatchRequest()
        assert await info(api.call("SubmitBatch", empty)) == (
            code.INVALID_ARGUMENT,
            "MALFORMED",
            "requests",
            "false",
        )
        assert await info(api.get("nobody")) == (code.NOT_FOUND, "NOT_FOUND", "client_order_id", "false")
        long = wire.ListRequest(limit=1001)
        assert await info(api.call("List", long)) == (code.INVALID_ARGUMENT, "MALFORMED", "limit", "false")
        odd = wire.ListRequest(states=[99])  # type: ignore[list-item]
        assert await info(api.call("List", odd)) == (code.INVALID_ARGUMENT, "MALFORMED", "states", "false")
        pause = wire.PauseRequest(for_ms=0)
        assert (await info(api.call("Pause", pause, service="Operator")))[1:3] == ("MALFORMED", "for_ms")
        assert rig.enclave.intents == []
        assert rig.rows("SELECT count(*) FROM events") == [(0,)]


async def test_beyond_what_grpc_itself_takes_it_still_refuses(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rig.api.call("Submit", b"\x00" * (2 * checks.MESSAGE_BYTES + 1))
        assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_what_the_enclave_did_not_judge_is_passed_on_and_the_journal_closes_the_intent(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.not_judged = signer_pb2.NotJudged(
            reason="MALFORMED", field="order.price", message="no", retry_can_help=False
        )
        found = await info(rig.api.submit(create("a")))
        assert found == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED", "order.price", "false")
        rig.enclave.not_judged = signer_pb2.NotJudged(reason="FROM_THE_FUTURE", message="?", retry_can_help=True)
        assert (await info(rig.api.submit(create("a"))))[1:] == ("FROM_THE_FUTURE", "", "true")
        assert rig.rows("SELECT count(*) FROM orders WHERE ended = 0") == [(0,)]
        # The same client order id is free again.
        rig.enclave.not_judged = None
        assert (await rig.api.submit(create("a"))).report.state == wire.ORDER_STATE_OPEN


async def test_a_dead_enclave_fails_fast_and_nothing_is_journaled(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.enclave.stop()
        assert rig.host is not None
        await eventually(lambda: not rig.host.link.up)
        found = await info(rig.api.submit(create("a")))
        assert found == (grpc.StatusCode.UNAVAILABLE, "ENCLAVE_UNAVAILABLE", "", "true")
        status = await rig.api.status()
        assert not status.enclave_reachable
        assert rig.rows("SELECT count(*) FROM events") == [(0,)]
        await rig.enclave.start()


async def test_a_hanging_enclave_is_a_timeout_and_the_late_signature_is_not_sent(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.changes["enclave_timeout_ms"] = 150
        await rig.start_host()
        rig.enclave.gate.clear()
        found = await info(rig.api.submit(create("a")))
        assert found == (grpc.StatusCode.DEADLINE_EXCEEDED, "ENCLAVE_TIMEOUT", "", "true")
        rig.enclave.gate.set()
        await rig.api.submit(create("b"))
        assert [seen.client_order_id for seen in rig.venue.seen] == ["b"]


async def test_a_refusal_is_an_answer_with_the_rule_and_is_journaled(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.enclave.rule = "max_notional"
        answer = await rig.api.submit(create("a"))
        assert answer.verdict.decision == signer_pb2.DECISION_REFUSE
        assert answer.verdict.rule == "max_notional"
        assert answer.report.state == wire.ORDER_STATE_REFUSED
        assert answer.report.verdict.rule == "max_notional"
        assert await rig.api.get("a") == answer.report
        assert rig.venue.seen == []


async def test_an_undecided_verdict_is_a_refusal(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert rig.host is not None
        original = rig.enclave._judge

        def undecided(sealed: intent_pb2.SealedIntent) -> signer_pb2.JudgedOrNot:
            answer: signer_pb2.JudgedOrNot = original(sealed)
            answer.judged.verdict.decision = signer_pb2.DECISION_UNDECIDED
            return answer

        rig.enclave._judge = undecided
        assert (await rig.api.submit(create("a"))).report.state == wire.ORDER_STATE_REFUSED
        assert rig.venue.seen == []


async def test_pause_stops_orders_but_neither_cancels_nor_reads_and_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        api = rig.api
        assert (await api.call("Pause", wire.PauseRequest(for_ms=60_000), wire.StatusReply, "Operator")).paused
        assert (await info(api.submit(create("a"))))[1] == "PAUSED"
        await api.submit(other("cancel", "x"))
        await api.call("Read", other("query", "x"), wire.ReadReply)
        assert not (await api.call("Unpause", wire.UnpauseRequest(), wire.StatusReply, "Operator")).paused
        assert (await api.submit(create("b"))).report.state == wire.ORDER_STATE_OPEN
        await api.call("Pause", wire.PauseRequest(for_ms=1), wire.StatusReply, "Operator")

        async def ended() -> bool:
            return not (await api.status()).paused

        await eventually(ended)


async def test_reads_answer_what_the_venue_said_or_why_not(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        read = await rig.api.call("Read", other("query", "x"), wire.ReadReply)
        assert (read.error_class, read.verdict.decision) == (0, signer_pb2.DECISION_ALLOW)
        rig.venue.script["/balances"] = drop
        read = await rig.api.call("Read", other("balances"), wire.ReadReply)
        assert (read.error_class, read.venue_code) == (wire.ERROR_CLASS_UNKNOWN, "REPLY_LOST")
        rig.enclave.rule = "operation"
        read = await rig.api.call("Read", other("open_orders"), wire.ReadReply)
        assert read.verdict.rule == "operation"
        assert (
            await rig.api.call("Read", other("query", "x"), wire.ReadReply)
        ).verdict.decision == signer_pb2.DECISION_REFUSE


async def test_halt_close_policy_and_credentials_are_passed_on(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        halt = await rig.api.call("Halt", other("halt").sealed, service="Operator")
        assert halt.verdict.decision == signer_pb2.DECISION_ALLOW
        closed = await rig.api.call("CloseOrder", other("order_closed", "a"))
        assert closed.verdict.decision == signer_pb2.DECISION_ALLOW
        loaded = await rig.api.call("LoadPolicy", signer_pb2.LoadPolicy(policy=b"p"), signer_pb2.Loaded, "Operator")
        assert loaded.policy_version == 7
        secret = b"hunter2" * 8
        provision = signer_pb2.Provision(account="a", credential=secret)
        await rig.api.call("Provision", provision, signer_pb2.Loaded, "Operator")
        resume = rig.api.call("Resume", signer_pb2.Resume(), signer_pb2.EnclaveStatus, "Operator")
        assert (await info(resume))[1] == "WRONG_PHASE"
        assert rig.rows("SELECT operation FROM orders ORDER BY intent") == [(9,), (8,)]
        assert rig.rows("SELECT count(*) FROM orders WHERE ended = 0") == [(0,)]
        assert secret not in (tmp_path / "journal.db-wal").read_bytes()


async def test_health_and_reflection_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        check = rig.api.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        for name in ("", "casemate.dispatch.v1.OrderDispatch", "casemate.dispatch.v1.Operator"):
            answer = await check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        call = rig.api.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = await call.read()
        names = {service.name for service in listed.list_services_response.service}
        assert names >= {
            "casemate.dispatch.v1.OrderDispatch",
            "casemate.dispatch.v1.Operator",
            "grpc.health.v1.Health",
        }
        call.cancel()


async def test_an_engine_that_goes_away_does_not_stop_its_order(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        release = asyncio.Event()

        async def slow(_: Any, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nFILLED")

        rig.venue.script["/create"] = slow
        call = asyncio.ensure_future(rig.api.submit(create("a")))
        await eventually(lambda: rig.venue.creates("a") == 1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        release.set()

        async def filled() -> bool:
            return bool((await rig.api.get("a")).state == wire.ORDER_STATE_FILLED)

        await eventually(filled)


@pytest.mark.parametrize(
    ("wait", "states"),
    [
        (wire.WAIT_FOR_SIGNED, {wire.ORDER_STATE_SIGNED, wire.ORDER_STATE_SENDING}),
        (wire.WAIT_FOR_SENT, {wire.ORDER_STATE_SENDING}),
    ],
)
async def test_wait_for_answers_as_soon_as_it_is_that_far(tmp_path: Path, wait: int, states: set[int]) -> None:
    async with running(tmp_path) as rig:
        release = asyncio.Event()

        async def slow(_: Any, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nOPEN")

        rig.venue.script["/create"] = slow
        answer = await rig.api.submit(create("a", wait=wait))
        assert answer.report.state in states
        assert answer.verdict.decision == signer_pb2.DECISION_ALLOW
        release.set()


async def test_list_returns_the_newest_first_by_state(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for name in ("a", "b"):
            await rig.api.submit(create(name))
        rig.enclave.rule = "band"
        await rig.api.submit(create("c"))

        async def names(**query: Any) -> list[str]:
            found = await rig.api.call("List", wire.ListRequest(**query), wire.ListReply)
            return [report.client_order_id for report in found.reports]

        assert await names() == ["c", "b", "a"]
        assert await names(account=ACCOUNT, states=[wire.ORDER_STATE_OPEN]) == ["b", "a"]
        assert await names(limit=1) == ["c"]
        assert await names(account="nobody") == []


async def test_too_many_waiting_orders_are_turned_away_by_name(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as rig:
        rig.settings = replace(rig.settings, queue=2, connections=1)
        await rig.start_host()
        release = asyncio.Event()

        async def slow(_: Any, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nOPEN")

        rig.venue.script["/create"] = slow
        waiting = [asyncio.ensure_future(rig.api.submit(create(f"w{number}"))) for number in range(3)]
        lane = rig.host.runner.sites[VENUE].lane(ACCOUNT)
        await eventually(lambda: len(lane) == 2)
        found = await info(rig.api.submit(create("late")))
        assert found == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", "routing.account", "true")
        release.set()
        await asyncio.gather(*waiting)
