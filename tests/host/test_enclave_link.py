"""The link to the enclave, over a real gRPC stream on a unix socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.enclave_link import EnclaveLink
from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.outcome import Operation
from signer_api.v1 import intent_pb2, signer_pb2
from tests.host.host_rig import ScriptedEnclave, create, eventually, other

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def linked(directory: Path, timeout_ms: int = 5_000) -> AsyncIterator[tuple[EnclaveLink, ScriptedEnclave]]:
    enclave = ScriptedEnclave(directory / "e.sock")
    await enclave.start()
    link = EnclaveLink(enclave.address, timeout_ms=timeout_ms)
    await link.start(wait_seconds=5)
    try:
        yield link, enclave
    finally:
        await link.close()
        await enclave.stop()


def ask(link: EnclaveLink, sealed: intent_pb2.SealedIntent, *, urgent: bool = False) -> asyncio.Future[Any]:
    """Return a future of (judged, failure)."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    link.sign(sealed, lambda judged, failure: future.set_result((judged, failure)), urgent=urgent)
    return future


async def test_an_intents_bytes_arrive_as_they_came(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, enclave):
        # Not canonical protobuf on purpose: an unknown field and a field written twice.
        sealed = create("a").sealed
        sealed.intent = sealed.intent + b"\xfa\x3f\x01x" + sealed.intent
        await ask(link, sealed)
        assert enclave.intents == [sealed.intent]


async def test_what_is_queued_goes_as_batches_of_at_most_64_and_each_gets_its_own_answer(
    tmp_path: Path,
) -> None:
    async with linked(tmp_path) as (link, enclave):
        answers = await asyncio.gather(*(ask(link, create(f"o{number}").sealed) for number in range(200)))
        names = [judged.request.client_order_id for judged, _ in answers]
        assert names == [f"o{number}" for number in range(200)]
        assert sum(enclave.batches) == 200
        assert max(enclave.batches) == 64
        assert len(enclave.batches) <= 5


async def test_d7_cancels_go_to_the_enclave_before_queued_orders(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, enclave):
        futures = [ask(link, create(f"o{number}").sealed) for number in range(3)]
        cancel = other("cancel", "x").sealed
        futures.append(ask(link, cancel, urgent=True))
        await asyncio.gather(*futures)
        assert enclave.intents[0] == cancel.intent


async def test_a_derived_request_and_a_refusal_of_one(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, _):
        await ask(link, create("a").sealed)
        seen: list[Any] = []
        link.derive("desk", "a", Operation.QUERY, lambda *answer: seen.append(answer))
        link.derive("desk", "never", Operation.QUERY, lambda *answer: seen.append(answer))
        await eventually(lambda: len(seen) == 2)
        assert seen[0][0].request.operation == Operation.QUERY
        assert seen[1][1].reason == "NO_RIGHT"


async def test_a_late_signature_is_dropped(tmp_path: Path) -> None:
    async with linked(tmp_path, timeout_ms=100) as (link, enclave):
        enclave.gate.clear()
        calls: list[Any] = []
        link.sign(create("a").sealed, lambda *answer: calls.append(answer), urgent=False)
        await eventually(lambda: len(calls) == 1)
        assert calls[0][0] is None
        assert calls[0][1].reason == Reason.ENCLAVE_TIMEOUT
        assert enclave.intents == []
        enclave.gate.set()
        # The stream is in order: once the next one is answered, the late one has come and gone.
        judged, _ = await ask(link, create("b").sealed)
        assert judged.request.client_order_id == "b"
        assert len(enclave.intents) == 2
        assert len(calls) == 1


async def test_while_the_enclave_is_gone_it_fails_at_once_and_it_reconnects(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, enclave):
        enclave.mute = True
        waiting = ask(link, create("a").sealed)
        await eventually(lambda: len(link._waiting) == 1)
        await enclave.stop()
        judged, failure = await waiting
        assert judged is None
        assert failure.reason == Reason.ENCLAVE_UNAVAILABLE
        await eventually(lambda: not link.up)
        with pytest.raises(NotTakenError) as refused:
            ask(link, create("b").sealed)
        assert refused.value.reason == Reason.ENCLAVE_UNAVAILABLE
        assert refused.value.retry_can_help
        with pytest.raises(NotTakenError) as unreachable:
            await link.call(signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest()))
        assert unreachable.value.reason == Reason.ENCLAVE_UNAVAILABLE
        enclave.mute = False
        await enclave.start()
        await eventually(lambda: link.up)
        judged, _ = await ask(link, create("c").sealed)
        assert judged.request.client_order_id == "c"


async def test_not_judged_comes_back_word_for_word(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, enclave):
        enclave.not_judged = signer_pb2.NotJudged(
            reason="MALFORMED", field="order.price", message="of no use", retry_can_help=False
        )
        _, failure = await ask(link, create("a").sealed)
        assert (failure.reason, failure.field, failure.message) == ("MALFORMED", "order.price", "of no use")
        assert not failure.retry_can_help


async def test_one_callbacks_fault_does_not_end_the_stream(tmp_path: Path) -> None:
    async with linked(tmp_path) as (link, _):

        def broken(*_: object) -> None:
            raise RuntimeError

        link.sign(create("a").sealed, broken, urgent=False)
        judged, _ = await ask(link, create("b").sealed)
        assert judged.request.client_order_id == "b"
        assert link.up
