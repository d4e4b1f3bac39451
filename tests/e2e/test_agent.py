"""`casemate agent` as a process in front of the real host and enclave: an engine that only knows agent.proto."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from casemate_mock.stack import Stack
from dispatch_api.v1 import agent_pb2, dispatch_pb2
from signer_api.v1 import intent_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_SERVICE = "/casemate.dispatch.v1.OrderAgent/"


@contextlib.asynccontextmanager
async def agent(directory: Path, profile: str) -> AsyncIterator[grpc.aio.Channel]:
    """Start the agent; on SIGTERM it must end with 0."""
    listen = f"unix:{directory / 'agent.sock'}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "casemate", "agent", "--profile", profile, "--listen", listen),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        assert json.loads(line.removeprefix(b"READY ")) == {"listen": listen}
        async with grpc.aio.insecure_channel(listen) as channel:
            yield channel
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def ask(channel: grpc.aio.Channel, method: str, request: Any, kind: Any) -> Any:
    call = channel.unary_unary(_SERVICE + method, type(request).SerializeToString, kind.FromString)
    return await call(request, timeout=20)


def limit(price: str = "50000") -> intent_pb2.OrderIntent:
    """A buy that rests."""
    return intent_pb2.OrderIntent(
        account="okx-spot",
        venue="okx",
        symbol="BTC/USDT",
        side=intent_pb2.SIDE_BUY,
        type=intent_pb2.ORDER_TYPE_LIMIT,
        time_in_force=intent_pb2.TIME_IN_FORCE_GTC,
        quantity="0.001",
        price=price,
        client_order_id=uuid.uuid4().hex,
    )


async def created(channel: grpc.aio.Channel) -> dispatch_pb2.SubmitReply:
    reply: dispatch_pb2.SubmitReply = await ask(channel, "Create", limit(), dispatch_pb2.SubmitReply)
    assert reply.report.state == dispatch_pb2.ORDER_STATE_OPEN
    assert reply.verdict_source == dispatch_pb2.SOURCE_ENCLAVE
    assert reply.report.source == dispatch_pb2.SOURCE_HOST
    return reply


async def trade(directory: Path) -> None:
    stack = Stack(directory)
    try:
        ready = await stack.start()
        async with agent(directory, ready["profiles"]["demo-engine"]) as channel:
            placed = (await created(channel)).report
            cancel = intent_pb2.CancelIntent(
                account="okx-spot", venue="okx", symbol="BTC/USDT", client_order_id=placed.client_order_id
            )
            canceled = await ask(channel, "Cancel", cancel, dispatch_pb2.SubmitReply)
            assert canceled.verdict_source == dispatch_pb2.SOURCE_ENCLAVE
            closed = intent_pb2.OrderClosed(
                account="okx-spot", client_order_id=placed.client_order_id, filled_quantity="0"
            )
            assert (await ask(channel, "CloseOrder", closed, dispatch_pb2.SubmitReply)).verdict.rule
            asked = intent_pb2.BalancesIntent(account="okx-spot", venue="okx")
            assert (await ask(channel, "Balances", asked, dispatch_pb2.ReadReply)).balances
            await _streamed(channel)
            await _restarted(stack, channel)
            listed = await ask(channel, "List", dispatch_pb2.ListRequest(account="okx-spot"), dispatch_pb2.ListReply)
            assert len(listed.reports) == 5
    finally:
        await stack.stop()


async def _streamed(channel: grpc.aio.Channel) -> None:
    batch = agent_pb2.IntentBatch(batch_id=3, intents=[intent_pb2.Intent(order=limit()) for _ in range(3)])

    async def batches() -> AsyncIterator[agent_pb2.IntentBatch]:
        yield batch

    call = channel.stream_stream(
        _SERVICE + "Stream", agent_pb2.IntentBatch.SerializeToString, dispatch_pb2.StreamReply.FromString
    )(batches())
    found = []
    async for reply in call:
        found += [reply.item] if reply.HasField("item") else list(reply.items.items)
    assert sorted(item.index for item in found) == [0, 1, 2]
    assert {item.answer.reply.verdict_source for item in found} == {dispatch_pb2.SOURCE_ENCLAVE}


async def _restarted(stack: Stack, channel: grpc.aio.Channel) -> None:
    """Another boot: the agent opens a session with it before the engine's next order."""
    before = (await ask(channel, "Status", agent_pb2.AgentStatusRequest(), agent_pb2.AgentStatus)).boot_key
    await stack.restart_enclave()
    async with asyncio.timeout(20):
        while True:
            status = await ask(channel, "Status", agent_pb2.AgentStatusRequest(), agent_pb2.AgentStatus)
            if status.boot_key not in (before, b""):
                break
            await asyncio.sleep(0.05)
    async with asyncio.timeout(20):
        while True:
            try:
                await created(channel)
            except grpc.aio.AioRpcError as error:
                # Not handed over: the host has not reached the new boot yet.
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.05)
            else:
                return


def test_s3_an_engine_trades_through_the_agent_and_over_a_restart_of_the_enclave(tmp_path: Path) -> None:
    asyncio.run(trade(tmp_path))
