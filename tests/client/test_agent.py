"""The agent: plain intents in, sealed ones out, and nothing passed on as the enclave's word that is not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from casemate import errors
from casemate.agent.server import SERVICE, Agent, CannotListen, checked_listen
from casemate.agent.service import READS, SUBMITS
from casemate.channel import Endpoint
from casemate.failures import About, Failure, translate
from dispatch_api.v1 import agent_pb2, dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2
from tests.session.session_rig import SECOND, Rig
from tests.session.test_gateway_sessions import Front

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """A host in front of an enclave."""
    host = Front(tmp_path)
    host.start()
    yield host
    host.stop()


def _octets(message: Any) -> bytes:
    return bytes(message if isinstance(message, bytes) else message.SerializeToString())


class Engine:
    """An engine that knows agent.proto and nothing else."""

    def __init__(self, path: Path) -> None:
        self.channel = grpc.aio.insecure_channel(f"unix:{path}")

    async def call(self, method: str, request: Any, kind: Any, **options: Any) -> Any:
        call = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=_octets,
            response_deserializer=kind.FromString,
        )
        return await call(request, timeout=10, **options)

    async def create(self, order: intent_pb2.OrderIntent, **options: Any) -> dispatch_pb2.SubmitReply:
        reply: dispatch_pb2.SubmitReply = await self.call("Create", order, dispatch_pb2.SubmitReply, **options)
        return reply

    async def status(self) -> agent_pb2.AgentStatus:
        reply: agent_pb2.AgentStatus = await self.call("Status", agent_pb2.AgentStatusRequest(), agent_pb2.AgentStatus)
        return reply


@asynccontextmanager
async def running(front: Front, directory: Path) -> AsyncIterator[tuple[Engine, Agent]]:
    """An agent in front of the front, on the rig's clock."""
    path = directory / "agent.sock"
    agent = Agent(path, Endpoint(target=front.target), front.rig.sealer(), "mm", clock=front.rig.clock.now_ns)
    await agent.start()
    engine = Engine(path)
    try:
        yield engine, agent
    finally:
        await engine.channel.close()
        await agent.stop()


def order(number: int = 1, **fields: Any) -> intent_pb2.OrderIntent:
    """A limit order without times."""
    said: dict[str, Any] = {
        "account": "main",
        "venue": "binance",
        "symbol": "BTC/USDT",
        "side": intent_pb2.SIDE_BUY,
        "type": intent_pb2.ORDER_TYPE_LIMIT,
        "time_in_force": intent_pb2.TIME_IN_FORCE_GTC,
        "quantity": "0.5",
        "price": "60000",
        "client_order_id": f"id-{number:06d}",
    }
    return intent_pb2.OrderIntent(**(said | fields))


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """The ErrorInfo of a failed call."""
    (raw,) = (value for name, value in error.trailing_metadata() or () if name == "grpc-status-details-bin")
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(raw).details[0].Unpack(info)
    return info


def test_an_engine_without_any_cryptography_gets_the_enclaves_own_verdict(front: Front, tmp_path: Path) -> None:
    async def trade() -> None:
        async with running(front, tmp_path) as (engine, _):
            reply = await engine.create(order())
            assert reply.verdict.decision == signer_pb2.DECISION_ALLOW
            assert reply.verdict_source == dispatch_pb2.SOURCE_ENCLAVE
            query = intent_pb2.QueryIntent(
                account="main", venue="binance", symbol="BTC/USDT", client_order_id="id-000001"
            )
            read = await engine.call("Query", query, dispatch_pb2.ReadReply)
            assert read.verdict_source == dispatch_pb2.SOURCE_ENCLAVE
            refused = await engine.create(order(2, price="1"))
            assert (refused.verdict.rule, refused.verdict_source) == ("band", dispatch_pb2.SOURCE_ENCLAVE)
            status = await engine.status()
            assert (status.engine, status.deployment, status.sessions_opened) == ("mm", "rig", 1)

    asyncio.run(trade())
    assert front.opened() == 1
    sealed = [dispatch_pb2.SubmitRequest.FromString(raw) for name, raw in front.asked if name == "Submit"]
    assert all(len(request.sealed.mac) == 32 for request in sealed)
    intent = intent_pb2.Intent.FromString(sealed[0].sealed.intent).order
    assert intent.created_at == front.rig.clock.now
    assert sealed[0].routing.valid_until == intent.valid_until == intent.created_at + 5 * SECOND


def _without_proof(reply: dispatch_pb2.SubmitReply) -> None:
    reply.ClearField("proof")


def _with_a_wrong_mac(reply: dispatch_pb2.SubmitReply) -> None:
    reply.proof.reply_mac = bytes(32)


def _with_another_verdict(reply: dispatch_pb2.SubmitReply) -> None:
    refusal = signer_pb2.Verdict(decision=signer_pb2.DECISION_REFUSE, rule="invented")
    reply.proof.verdict = refusal.SerializeToString()


@pytest.mark.parametrize("lie", [_without_proof, _with_a_wrong_mac, _with_another_verdict])
def test_s3_what_the_enclave_did_not_say_is_no_verdict_but_an_unknown_outcome(
    front: Front, tmp_path: Path, lie: Any
) -> None:
    async def trade() -> None:
        async with running(front, tmp_path) as (engine, _):
            assert (await engine.create(order())).verdict_source == dispatch_pb2.SOURCE_ENCLAVE
            front.lie = lie
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await engine.create(order(2))
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            info = info_of(caught.value)
            assert (info.domain, info.reason) == ("casemate.agent", "UNPROVEN")
            assert info.metadata["client_order_id"] == "id-000002"

    asyncio.run(trade())


def test_s9_a_host_that_changes_the_copy_of_the_verdict_and_claims_a_source_changes_nothing(
    front: Front, tmp_path: Path
) -> None:
    def lie(reply: dispatch_pb2.SubmitReply) -> None:
        reply.verdict.rule = "invented"
        reply.report.state = dispatch_pb2.ORDER_STATE_FILLED
        reply.report.source = dispatch_pb2.SOURCE_ENCLAVE

    async def trade() -> None:
        async with running(front, tmp_path) as (engine, _):
            front.lie = lie
            reply = await engine.create(order())
            assert reply.verdict.rule == "grant:trade"
            assert reply.report.source == dispatch_pb2.SOURCE_HOST
            got = await engine.call("Get", dispatch_pb2.GetRequest(account="main"), dispatch_pb2.ExecutionReport)
            assert got.source == dispatch_pb2.SOURCE_HOST

    asyncio.run(trade())


def test_a_restart_of_the_enclave_is_over_before_the_engine_notices(front: Front, tmp_path: Path) -> None:
    def status(*_: Any) -> dispatch_pb2.StatusReply:
        live = front.rig.ask(status=signer_pb2.StatusRequest()).status
        live.boot_key = front.rig.sessions.keys.receipt_public
        return dispatch_pb2.StatusReply(enclave=live, enclave_reachable=True)

    async def trade() -> None:
        front.answers["Status"] = status
        async with running(front, tmp_path) as (engine, agent):
            assert (await engine.create(order())).verdict_source == dispatch_pb2.SOURCE_ENCLAVE
            before = (await engine.status()).boot_key
            front.rig = Rig(clock=front.rig.clock).load()
            await agent.keeper.look()
            assert (await engine.status()).boot_key != before
            assert (await engine.create(order(2))).verdict_source == dispatch_pb2.SOURCE_ENCLAVE
            assert (await engine.status()).sessions_opened == 2

    asyncio.run(trade())


def test_s12_an_intent_that_met_an_ended_session_is_unknown_and_not_sealed_again(front: Front, tmp_path: Path) -> None:
    async def trade() -> None:
        async with running(front, tmp_path) as (engine, _):
            await engine.create(order())
            front.rig.load_policy(front.rig.policy(2))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await engine.create(order(2))
            assert info_of(caught.value).reason == "SESSION_LOST"
            assert (await engine.create(order(3))).verdict_source == dispatch_pb2.SOURCE_ENCLAVE

    asyncio.run(trade())
    sent = [dispatch_pb2.SubmitRequest.FromString(raw) for name, raw in front.asked if name == "Submit"]
    ids = [intent_pb2.Intent.FromString(request.sealed.intent).order.client_order_id for request in sent]
    assert ids.count("id-000002") == 1


def test_a_stream_carries_batches_and_each_intent_gets_its_own_answer(front: Front, tmp_path: Path) -> None:
    batch = agent_pb2.IntentBatch(
        batch_id=7,
        intents=[
            intent_pb2.Intent(order=order()),
            intent_pb2.Intent(balances=intent_pb2.BalancesIntent(account="main", venue="binance")),
            intent_pb2.Intent(),
            intent_pb2.Intent(order=order(2, price="1")),
        ],
    )

    async def trade() -> dict[int, dispatch_pb2.ItemReply]:
        found: dict[int, dispatch_pb2.ItemReply] = {}
        async with running(front, tmp_path) as (engine, _):
            call = engine.channel.stream_stream(
                f"/{SERVICE}/Stream", agent_pb2.IntentBatch.SerializeToString, dispatch_pb2.StreamReply.FromString
            )(iter_of(batch))
            async for reply in call:
                for item in [reply.item] if reply.HasField("item") else reply.items.items:
                    assert item.batch_id == 7
                    found[item.index] = item.answer
        return found

    answers = asyncio.run(trade())
    assert answers[0].reply.verdict_source == dispatch_pb2.SOURCE_ENCLAVE
    assert answers[1].not_taken.reason == answers[2].not_taken.reason == "MALFORMED"
    assert answers[3].reply.verdict.rule == "band"


async def iter_of(*messages: Any) -> AsyncIterator[Any]:
    """Give the messages one after the other."""
    for message in messages:
        yield message


def test_a_host_that_lies_on_the_stream_leaves_that_intent_unknown(front: Front, tmp_path: Path) -> None:
    front.lie = _with_a_wrong_mac

    async def trade() -> list[dispatch_pb2.StreamReply]:
        async with running(front, tmp_path) as (engine, _):
            batch = agent_pb2.IntentBatch(batch_id=1, intents=[intent_pb2.Intent(order=order())])
            call = engine.channel.stream_stream(
                f"/{SERVICE}/Stream", agent_pb2.IntentBatch.SerializeToString, dispatch_pb2.StreamReply.FromString
            )(iter_of(batch))
            return [reply async for reply in call]

    limit, answer = asyncio.run(trade())
    assert limit.limit.max_unanswered >= 64
    assert answer.item.answer.outcome_unknown.reason == "UNPROVEN"
    assert answer.item.answer.outcome_unknown.client_order_id == "id-000001"


@pytest.mark.parametrize("method", [*SUBMITS, *READS, "Halt", "Get", "List"])
def test_bytes_that_are_no_message_are_malformed_and_not_passed_on(front: Front, tmp_path: Path, method: str) -> None:
    async def trade() -> None:
        async with running(front, tmp_path) as (engine, _):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await engine.call(method, b"\xff" * 9, dispatch_pb2.SubmitReply)
            assert info_of(caught.value).reason == "MALFORMED"
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert {name for name, _ in front.asked} <= {"Attest", "OpenSession", "Status"}

    asyncio.run(trade())


def test_a_way_to_wait_that_there_is_not_is_malformed(front: Front, tmp_path: Path) -> None:
    async def trade() -> None:
        async with running(front, tmp_path) as (engine, _):
            await engine.create(order(), metadata=(("casemate-wait-for", "SIGNED"),))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await engine.create(order(2), metadata=(("casemate-wait-for", "FOREVER"),))
            assert info_of(caught.value).metadata["field"] == "casemate-wait-for"

    asyncio.run(trade())
    (sent,) = [dispatch_pb2.SubmitRequest.FromString(raw) for name, raw in front.asked if name == "Submit"]
    assert sent.wait_for == dispatch_pb2.WAIT_FOR_SIGNED


def test_the_socket_is_its_owners_alone_and_is_not_taken_from_another_agent(front: Front, tmp_path: Path) -> None:
    async def serve() -> None:
        async with running(front, tmp_path):
            assert (tmp_path / "agent.sock").stat().st_mode & 0o777 == 0o600
            second = Agent(tmp_path / "agent.sock", Endpoint(target=front.target), front.rig.sealer(), "mm", clock=int)
            with pytest.raises(CannotListen, match="another process"):
                await second.start()
        assert not (tmp_path / "agent.sock").exists()

    asyncio.run(serve())


@pytest.mark.parametrize("address", ["127.0.0.1:5000", "unix:relative.sock", "unix:/" + "x" * 120, ""])
def test_an_agent_serves_no_other_address(address: str) -> None:
    with pytest.raises(ValueError, match="expected unix"):
        checked_listen(address)


def test_an_enclave_that_is_not_the_pinned_one_gets_nothing(front: Front, tmp_path: Path) -> None:
    front.rig = Rig(clock=front.rig.clock, measurements={0: bytes(47) + b"\x01"}).load()
    expected = Rig(clock=front.rig.clock).sealer()

    async def trade() -> None:
        path = tmp_path / "agent.sock"
        agent = Agent(path, Endpoint(target=front.target), expected, "mm", clock=front.rig.clock.now_ns)
        await agent.start()
        engine = Engine(path)
        try:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await engine.create(order())
            assert info_of(caught.value).reason == "NOT_ATTESTED"
            assert "PCR0" in (await engine.status()).trouble
        finally:
            await engine.channel.close()
            await agent.stop()

    asyncio.run(trade())
    assert "Submit" not in [name for name, _ in front.asked]


def test_what_an_agent_does_not_serve_is_said_in_words() -> None:
    failure = Failure(grpc.StatusCode.UNIMPLEMENTED, "Method not found!", ())
    error = translate(failure, About())
    assert isinstance(error, errors.BadRequest)
    assert "casemate agent" in str(error)
    assert "--gateway" in str(error)
