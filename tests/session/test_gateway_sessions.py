"""The gateways open, renew and replace sessions by themselves, and never seal an intent twice."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from casemate import AttestedSealer, Gateway, SubmitResult, SyncGateway
from casemate.errors import NotAttested, NotJudged, NotReady, OutcomeUnknown, Unproven
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2
from tests.client.fake_host import FakeHost, abort_with
from tests.session.session_rig import HOUR, MEASUREMENTS, SECOND, Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Front(FakeHost):
    """A host in front of a rig: passes on what it should, and keeps count."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.rig = Rig().load()
        self.judged: list[signer_pb2.Judged] = []
        # Changes the reply to a submitted intent.
        self.lie: Callable[[dispatch_pb2.SubmitReply], None] = lambda _: None
        carry = {"Attest": signer_pb2.Attest, "OpenSession": signer_pb2.OpenSession}
        for name, kind in carry.items():
            self.answers[name] = lambda raw, context, kind=kind: self.carry(kind.FromString(raw), context)
        for name in ("Submit", "Cancel"):
            self.answers[name] = lambda raw, context: self.submit(dispatch_pb2.SubmitRequest.FromString(raw), context)
        self.answers["Read"] = lambda raw, context: self.read(dispatch_pb2.SubmitRequest.FromString(raw), context)

    def carry(self, asked: Any, context: grpc.ServicerContext) -> Any:
        call = {"attest": asked} if isinstance(asked, signer_pb2.Attest) else {"open_session": asked}
        try:
            answer = self.rig.ask(**call)
        except NotJudged as error:
            return abort_with(grpc.StatusCode.UNAUTHENTICATED, error.reason, error.field)(b"", context)
        return getattr(answer, answer.WhichOneof("answer") or "")

    def submit(self, request: dispatch_pb2.SubmitRequest, context: grpc.ServicerContext) -> Any:
        try:
            return self.reply(request)
        except NotJudged as error:
            return abort_with(grpc.StatusCode.UNAUTHENTICATED, error.reason, error.field)(b"", context)

    def reply(self, request: dispatch_pb2.SubmitRequest) -> dispatch_pb2.SubmitReply:
        judged = self.rig.sign(request.sealed)
        self.judged.append(judged)
        reply = dispatch_pb2.SubmitReply(verdict=judged.verdict, proof=judged.proof, receipt=judged.receipt)
        self.lie(reply)
        return reply

    def read(self, request: dispatch_pb2.SubmitRequest, _context: grpc.ServicerContext) -> Any:
        judged = self.rig.sign(request.sealed)
        return dispatch_pb2.ReadReply(verdict=judged.verdict, proof=judged.proof, receipt=judged.receipt)

    def _item(self, batch_id: int, index: int, request: dispatch_pb2.SubmitRequest) -> dispatch_pb2.StreamItem:
        try:
            answer = dispatch_pb2.ItemReply(reply=self.reply(request))
        except NotJudged as error:
            told = dispatch_pb2.NotTaken(reason=error.reason, field=error.field)
            answer = dispatch_pb2.ItemReply(not_taken=told)
        return dispatch_pb2.StreamItem(batch_id=batch_id, index=index, answer=answer)

    def opened(self) -> int:
        """How many handshakes were finished or tried."""
        return sum(name == "OpenSession" for name, _ in self.asked) // 2


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """A host in front of an enclave."""
    host = Front(tmp_path)
    host.start()
    yield host
    host.stop()


def sync(front: Front, sealer: AttestedSealer | None = None) -> SyncGateway:
    """A gateway on the rig's clock."""
    return SyncGateway(front.target, sealer or front.rig.sealer(), clock=front.rig.clock.now_ns)


def asynchronous(front: Front, sealer: AttestedSealer | None = None) -> Gateway:
    """The same, asynchronous."""
    return Gateway(front.target, sealer or front.rig.sealer(), clock=front.rig.clock.now_ns)


def test_the_first_order_opens_the_session_and_the_verdict_is_the_enclaves_own(front: Front) -> None:
    with sync(front) as gateway:
        results = [gateway.submit(front.rig.order()) for _ in range(3)]
        read = gateway.query("main", "binance", "BTC/USDT", "id-000001")
    assert all(result.allowed and result.authenticated for result in results)
    assert read.authenticated
    assert front.opened() == 1


def test_an_engines_clock_that_is_behind_hinders_nothing(front: Front) -> None:
    gateway = SyncGateway(front.target, front.rig.sealer(), clock=lambda: front.rig.clock.now - SECOND)
    with gateway:
        assert gateway.submit(front.rig.order()).allowed


def test_many_threads_share_one_session(front: Front) -> None:
    orders = [front.rig.order() for _ in range(40)]
    with sync(front) as gateway, ThreadPoolExecutor(8) as pool:
        front_lock = pool.map(lambda order: gateway.submit(order).authenticated, orders)
        assert all(front_lock)
    assert front.opened() == 1


def test_tasks_and_streams_share_one_session(front: Front) -> None:
    async def trade() -> list[SubmitResult]:
        async with asynchronous(front) as gateway, gateway.stream() as stream:
            unary = [gateway.submit(front.rig.order()) for _ in range(5)]
            streamed = [stream.submit(front.rig.order()) for _ in range(20)]
            return await asyncio.gather(*unary, *streamed)

    assert all(result.allowed and result.authenticated for result in asyncio.run(trade()))
    assert front.opened() == 1


def test_a_session_is_renewed_before_it_ends_without_the_engine_noticing(front: Front) -> None:
    with sync(front) as gateway:
        for _ in range(6):
            assert gateway.submit(front.rig.order()).allowed
            front.rig.clock.now += HOUR // 2
    # At 0:00, 1:00 (more than 80 % of an hour), 2:00.
    assert front.opened() == 3


def test_a_renewal_that_fails_does_not_stop_a_session_that_still_lives(front: Front) -> None:
    with sync(front) as gateway:
        assert gateway.submit(front.rig.order()).allowed
        good = front.answers["OpenSession"]
        front.answers["OpenSession"] = abort_with(grpc.StatusCode.UNAVAILABLE, "ENCLAVE_UNAVAILABLE", retry=True)
        front.rig.clock.now += HOUR * 9 // 10
        tried = front.opened()
        assert gateway.submit(front.rig.order()).allowed
        assert gateway.submit(front.rig.order()).allowed
        assert front.opened() <= tried + 1
        front.rig.clock.now += HOUR // 5
        with pytest.raises(NotReady):
            gateway.submit(front.rig.order())
        front.answers["OpenSession"] = good
        assert gateway.submit(front.rig.order()).allowed


@pytest.mark.parametrize("how", ["policy", "restart"])
def test_s12_an_intent_that_met_an_ended_session_is_not_sealed_again(front: Front, how: str) -> None:
    with sync(front) as gateway:
        assert gateway.submit(front.rig.order()).allowed
        if how == "policy":
            front.rig.load_policy(front.rig.policy(2))
        else:
            front.rig = Rig(clock=front.rig.clock).load()
        before = len(front.asked)
        with pytest.raises(OutcomeUnknown, match="NOT_AUTHENTICATED") as caught:
            gateway.submit(front.rig.order(client_order_id="once"))
        assert (caught.value.account, caught.value.client_order_id) == ("main", "once")
        assert [name for name, _ in front.asked[before:]] == ["Submit"]
        # The next one finds a new session.
        assert gateway.submit(front.rig.order(client_order_id="next")).authenticated
    assert front.opened() == 2


def test_s12_on_the_stream_and_in_batches_too(front: Front) -> None:
    async def trade() -> None:
        async with asynchronous(front) as gateway, gateway.stream() as stream:
            assert (await stream.submit(front.rig.order())).allowed
            front.rig.load_policy(front.rig.policy(2))
            with pytest.raises(OutcomeUnknown, match="NOT_AUTHENTICATED"):
                await stream.submit(front.rig.order())
            assert (await stream.submit(front.rig.order())).authenticated
            front.rig.load_policy(front.rig.policy(3))
            front.answers["SubmitBatch"] = lambda raw, _: dispatch_pb2.SubmitBatchReply(
                items=[
                    front._item(0, index, request).answer
                    for index, request in enumerate(dispatch_pb2.SubmitBatchRequest.FromString(raw).requests)
                ]
            )
            first = await gateway.submit_batch([front.rig.order(), front.rig.order()])
            assert all(isinstance(item, OutcomeUnknown) for item in first)
            second = await gateway.submit_batch([front.rig.order(), front.rig.order()])
            assert all(isinstance(item, SubmitResult) and item.authenticated for item in second)

    asyncio.run(trade())
    assert front.opened() == 3


def _swap(reply: dispatch_pb2.SubmitReply) -> None:
    refusal = signer_pb2.Verdict(decision=signer_pb2.DECISION_REFUSE, rule="invented")
    reply.verdict.CopyFrom(refusal)


def _forge(reply: dispatch_pb2.SubmitReply) -> None:
    _swap(reply)
    reply.proof.verdict = reply.verdict.SerializeToString()


def test_s3_a_verdict_that_the_host_writes_beside_the_enclaves_is_not_read(front: Front) -> None:
    front.lie = _swap
    with sync(front) as gateway:
        result = gateway.submit(front.rig.order())
    assert result.allowed
    assert result.authenticated


def _other_receipt(reply: dispatch_pb2.SubmitReply) -> None:
    """Show the engine a receipt that is not in the chain."""
    reply.receipt = reply.receipt.replace(b"kind", b"kinD")


@pytest.mark.parametrize("lie", [_forge, _other_receipt, lambda reply: reply.ClearField("proof")])
def test_s3_an_answer_without_the_enclaves_word_is_an_unknown_outcome(
    front: Front, lie: Callable[[dispatch_pb2.SubmitReply], None]
) -> None:
    front.lie = lie
    with sync(front) as gateway:
        with pytest.raises(Unproven, match="get"):
            gateway.submit(front.rig.order())
        front.lie = lambda _: None
        assert gateway.submit(front.rig.order()).authenticated


def test_s3_the_answer_to_another_intent_is_no_answer(front: Front) -> None:
    with sync(front) as gateway:
        gateway.submit(front.rig.order())
        old = front.judged[0].proof
        front.lie = lambda reply: reply.proof.CopyFrom(old)
        with pytest.raises(Unproven):
            gateway.submit(front.rig.order())


def test_nothing_is_handed_over_to_an_enclave_that_is_not_the_expected_one(front: Front) -> None:
    sealer = front.rig.sealer(pins=front.rig.pins(pcrs={0: MEASUREMENTS[1]}))
    with sync(front, sealer) as gateway, pytest.raises(NotAttested, match="pcr_mismatch"):
        gateway.submit(front.rig.order())
    assert [name for name, _ in front.asked] == ["Attest"]


def test_a_host_that_cannot_be_reached_leaves_an_intent_unsealed(front: Front) -> None:
    front.stop()
    sealer = front.rig.sealer()
    with sync(front, sealer) as gateway, pytest.raises(NotReady, match="NOT_CONNECTED"):
        gateway.submit(front.rig.order())
    with pytest.raises(NotReady):
        sealer.seal(b"intent")


def test_garbage_in_place_of_a_handshake_is_refused(front: Front) -> None:
    for name, answer in (
        ("Attest", signer_pb2.Attested(document=b"no document")),
        ("OpenSession", signer_pb2.SessionOpened(handle=b"x", message=b"garbage")),
    ):
        good, front.answers[name] = front.answers[name], answer
        with sync(front) as gateway, pytest.raises(NotAttested):
            gateway.submit(front.rig.order())
        front.answers[name] = good
