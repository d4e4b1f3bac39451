"""Both gateways against a host that answers over real gRPC."""

from __future__ import annotations

import asyncio
import socket
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from casemate import (
    Gateway,
    HaltIntent,
    OrderIntent,
    OrderState,
    SubmitResult,
    SyncGateway,
    UnauthenticatedSealer,
    WaitFor,
)
from casemate.channel import Endpoint, can_connect_sync
from casemate.errors import (
    BadRequest,
    DeadlineExceeded,
    Disconnected,
    NotAllowed,
    NotFound,
    NotJudged,
    NotReady,
    OutcomeUnknown,
)
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2
from tests.client.fake_host import FakeHost, abort_with, allowed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def order(client_order_id: str = "id-1") -> OrderIntent:
    """A valid order."""
    return OrderIntent.limit(
        "main", "okx", "BTC/USDT", "BUY", quantity="0.5", price="60000", client_order_id=client_order_id
    )


def sync(host: FakeHost, **options: Any) -> SyncGateway:
    """A synchronous gateway of engine mm-1."""
    return SyncGateway(host.target, UnauthenticatedSealer("mm-1"), **options)


def asynchronous(host: FakeHost, **options: Any) -> Gateway:
    """An asynchronous gateway of engine mm-1."""
    return Gateway(host.target, UnauthenticatedSealer("mm-1"), **options)


def test_an_allowed_order_comes_back_with_the_hosts_claim(host: FakeHost) -> None:
    with sync(host) as gateway:
        result = gateway.submit(order(), wait_for=WaitFor.SENT)
    assert result.allowed
    assert result.verdict.rule == "grant:test"
    assert result.state is OrderState.OPEN
    name, raw = host.asked[0]
    request = dispatch_pb2.SubmitRequest.FromString(raw)
    assert name == "Submit"
    assert request.wait_for == dispatch_pb2.WAIT_FOR_SENT
    assert request.routing.client_order_id == "id-1"
    assert host.intents()[0].order.price == "60000"


def test_a_refusal_is_a_value_with_its_rule_and_numbers(host: FakeHost) -> None:
    verdict = signer_pb2.Verdict(
        decision=signer_pb2.DECISION_REFUSE,
        rule="max_notional",
        reason="too large",
        numbers=[signer_pb2.Number(name="notional", value="50000")],
    )
    host.answers["Submit"] = dispatch_pb2.SubmitReply(verdict=verdict)
    with sync(host) as gateway:
        result = gateway.submit(order())
    assert not result.allowed
    assert result.state is OrderState.REFUSED
    assert result.verdict.numbers == {"notional": "50000"}


def test_an_undecided_verdict_refuses(host: FakeHost) -> None:
    host.answers["Submit"] = dispatch_pb2.SubmitReply(verdict=signer_pb2.Verdict())
    with sync(host) as gateway:
        assert gateway.submit(order()).state is OrderState.REFUSED


def test_an_allowed_order_without_a_report_is_unknown_and_not_absent(host: FakeHost) -> None:
    reply = allowed()
    reply.ClearField("report")
    host.answers["Submit"] = reply
    with sync(host) as gateway:
        assert gateway.submit(order()).unknown


def test_a_cancel_that_the_venue_took_without_a_state_is_no_unknown_outcome(host: FakeHost) -> None:
    reply = allowed(state=dispatch_pb2.ORDER_STATE_UNSPECIFIED)
    reply.report.operation = signer_pb2.OPERATION_CANCEL
    host.answers["Cancel"] = reply
    with sync(host) as gateway:
        result = gateway.cancel("main", "okx", "BTC/USDT", "id-1")
        assert (result.state, result.unknown, result.taken) == (None, False, True)
        reply.report.error_class = dispatch_pb2.ERROR_CLASS_UNKNOWN_ORDER
        assert not gateway.cancel("main", "okx", "BTC/USDT", "id-1").taken
        host.answers["Submit"] = allowed(state=dispatch_pb2.ORDER_STATE_UNSPECIFIED)
        assert gateway.submit(order()).unknown


def test_a_state_of_a_later_version_is_unknown(host: FakeHost) -> None:
    host.answers["Submit"] = allowed(state=99)  # type: ignore[arg-type]
    with sync(host) as gateway:
        assert gateway.submit(order()).state is OrderState.UNKNOWN


@pytest.mark.parametrize(
    ("reason", "retry", "kind"),
    [
        ("MALFORMED", False, BadRequest),
        ("TOO_LARGE", False, BadRequest),
        ("NOT_AUTHENTICATED", False, NotAllowed),
        ("PAUSED", True, NotReady),
        ("SOMETHING_NEW", False, NotJudged),
    ],
)
def test_what_was_not_judged_raises_by_what_can_be_done(
    host: FakeHost,
    reason: str,
    retry: bool,  # noqa: FBT001 - a column of the table
    kind: type[NotJudged],
) -> None:
    host.answers["Submit"] = abort_with(grpc.StatusCode.FAILED_PRECONDITION, reason, "price", retry=retry)
    with sync(host) as gateway, pytest.raises(NotJudged) as caught:
        gateway.submit(order())
    assert type(caught.value) is kind
    assert (caught.value.reason, caught.value.field) == (reason, "price")
    assert caught.value.retry_can_help is retry
    assert "the host's words" in str(caught.value)


def test_a_passed_deadline_says_which_order_to_ask_about(host: FakeHost) -> None:
    release = threading.Event()
    host.answers["Submit"] = lambda _raw, _context: (release.wait(20), allowed())[1]
    with sync(host, timeout_s=0.2) as gateway, pytest.raises(DeadlineExceeded) as caught:
        gateway.submit(order())
    release.set()
    assert (caught.value.account, caught.value.client_order_id) == ("main", "id-1")
    assert "get('main', 'id-1')" in str(caught.value)


def says_that_nothing_was_sent(error: NotReady) -> bool:
    text = str(error)
    return error.retry_can_help and "could not connect" in text and "sent nothing" in text and "order id" not in text


def test_an_order_for_a_host_that_was_never_there_was_not_sent(tmp_path: Path) -> None:
    gateway = SyncGateway(f"unix:{tmp_path / 'nobody.sock'}", UnauthenticatedSealer("mm-1"))
    with gateway:
        for _ in range(2):
            with pytest.raises(NotReady) as caught:
                gateway.submit(order())
            assert says_that_nothing_was_sent(caught.value)
        with pytest.raises(NotReady) as caught:
            gateway.wait_ready(0.1)
        assert says_that_nothing_was_sent(caught.value)


def test_the_asynchronous_gateway_sends_nothing_to_a_host_that_was_never_there(tmp_path: Path) -> None:
    async def talk() -> None:
        async with Gateway(f"unix:{tmp_path / 'nobody.sock'}", UnauthenticatedSealer("mm-1")) as gateway:
            for _ in range(2):
                with pytest.raises(NotReady) as caught:
                    await gateway.submit(order())
                assert says_that_nothing_was_sent(caught.value)
            with pytest.raises(NotReady) as caught:
                await gateway.wait_ready(0.1)
            assert says_that_nothing_was_sent(caught.value)
            with pytest.raises(NotReady):
                await anext(gateway.watch(reconnect=False))
            async with gateway.stream() as stream:
                for _ in range(2):
                    with pytest.raises(NotReady, match="not sent") as caught:
                        await stream.submit(order())
                    assert "another client order id" not in str(caught.value)

    asyncio.run(talk())


@pytest.fixture
def silent() -> Iterator[str]:
    """An address at which a connection is made and nobody speaks."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_host_that_does_not_speak_within_the_deadline_was_sent_nothing(silent: str) -> None:
    async def talk() -> None:
        endpoint = Endpoint(target=silent, insecure_plaintext_for_development=True)
        async with Gateway(endpoint, UnauthenticatedSealer("mm-1"), timeout_s=0.2) as gateway:
            with pytest.raises(NotReady, match="sent nothing"):
                await gateway.submit(order())

    asyncio.run(talk())


def test_what_cannot_be_known_beforehand_stays_unknown(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint(target=silent, insecure_plaintext_for_development=True)
    # Somebody listens, so that the call was begun.
    with (
        SyncGateway(endpoint, UnauthenticatedSealer("mm-1"), timeout_s=0.2) as gateway,
        pytest.raises(OutcomeUnknown, match="became of it"),
    ):
        gateway.submit(order())
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    assert not can_connect_sync(nobody, 1)
    assert not can_connect_sync("127.0.0.1:99999", 1)
    assert can_connect_sync(f"dns:///{nobody}", 1)
    assert can_connect_sync("unix:/no%20body.sock", 1)
    # Through a proxy it may well be reached.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert can_connect_sync(nobody, 1)


def test_an_order_that_was_sent_when_the_connection_broke_is_unknown_and_the_next_was_not_sent(host: FakeHost) -> None:
    taken = threading.Event()
    release = threading.Event()

    def late(_raw: bytes, _context: grpc.ServicerContext) -> dispatch_pb2.SubmitReply:
        taken.set()
        release.wait(20)
        return allowed()

    host.answers["Submit"] = late

    def break_it() -> None:
        taken.wait(20)
        host.stop()

    async def talk() -> None:
        async with asynchronous(host) as gateway:
            breaking = asyncio.create_task(asyncio.to_thread(break_it))
            with pytest.raises(Disconnected, match=r"get\('main', 'id-1'\)"):
                await gateway.submit(order())
            release.set()
            await breaking
            with pytest.raises(NotReady, match="sent nothing"):
                await gateway.submit(order("id-2"))
            host.answers.clear()
            host.start()
            await gateway.wait_ready()
            assert (await gateway.submit(order("id-3"))).allowed

    asyncio.run(talk())
    assert [intent.order.client_order_id for intent in host.intents()] == ["id-1", "id-3"]
    taken.clear()
    release.clear()
    host.answers["Submit"] = late
    with sync(host) as gateway:
        breaking = threading.Thread(target=break_it)
        breaking.start()
        with pytest.raises(Disconnected, match=r"get\('main', 'id-4'\)"):
            gateway.submit(order("id-4"))
        release.set()
        breaking.join()
        with pytest.raises(NotReady, match="sent nothing"):
            gateway.submit(order("id-5"))


def test_a_call_on_a_closed_gateway_does_not_wait_for_a_connection(host: FakeHost) -> None:
    gateway = sync(host, timeout_s=60)
    gateway.close()
    with pytest.raises(ValueError, match="closed"):
        gateway.submit(order())


def test_nothing_is_sent_twice_by_itself(host: FakeHost) -> None:
    def broken(_raw: bytes, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNAVAILABLE, "went away")

    host.answers["Submit"] = broken
    with sync(host) as gateway, pytest.raises(Disconnected):
        gateway.submit(order())
    assert len(host.asked) == 1


def test_the_channel_reconnects_after_the_host_came_back(host: FakeHost) -> None:
    with sync(host) as gateway:
        assert gateway.submit(order()).allowed
        host.stop()
        with pytest.raises(Disconnected):
            gateway.submit(order())
        host.start()
        gateway.wait_ready()
        assert gateway.submit(order()).allowed


def test_an_unknown_order_is_not_found(host: FakeHost) -> None:
    host.answers["Get"] = abort_with(grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    with sync(host) as gateway, pytest.raises(NotFound):
        gateway.get("main", "id-9")


def test_every_kind_of_intent_goes_to_its_own_method(host: FakeHost) -> None:
    with sync(host) as gateway:
        gateway.cancel("main", "okx", "BTC/USDT", "id-1")
        gateway.cancel_all("main", "okx", "BTC/USDT")
        gateway.close_order("main", "id-1", Decimal("0.5"))
        gateway.query("main", "okx", "BTC/USDT", "id-1")
        gateway.open_orders("main", "okx", "BTC/USDT")
        gateway.balances("main", "okx")
    assert [name for name, _ in host.asked] == ["Cancel", "CancelAll", "CloseOrder", "Read", "Read", "Read"]
    kinds = [intent.WhichOneof("kind") for intent in host.intents()]
    assert kinds == ["cancel", "cancel_all", "order_closed", "query", "open_orders", "balances"]
    assert host.intents()[2].order_closed.filled_quantity == "0.5"


def test_a_halt_travels_sealed(host: FakeHost) -> None:
    with sync(host) as gateway:
        gateway.halt(HaltIntent())
    name, raw = host.asked[0]
    sealed = intent_pb2.SealedIntent.FromString(raw)
    assert name == "Halt"
    assert intent_pb2.Intent.FromString(sealed.intent).halt.scope == intent_pb2.HALT_SCOPE_ALL


def test_tcp_without_tls_is_refused_unless_named() -> None:
    with pytest.raises(ValueError, match="TCP needs TLS files"):
        Endpoint(target="127.0.0.1:1")
    with pytest.raises(ValueError, match="expected unix:PATH or HOST:PORT"):
        Endpoint(target="somewhere")
    assert Endpoint(target="127.0.0.1:1", insecure_plaintext_for_development=True).tls is None


def test_the_asynchronous_gateway_says_the_same(host: FakeHost) -> None:
    async def talk() -> None:
        async with asynchronous(host) as gateway:
            assert (await gateway.submit(order())).allowed
            host.answers["Submit"] = abort_with(grpc.StatusCode.UNAVAILABLE, "PAUSED", retry=True)
            with pytest.raises(NotReady):
                await gateway.submit(order())
            host.answers["SubmitBatch"] = dispatch_pb2.SubmitBatchReply(
                items=[
                    dispatch_pb2.ItemReply(reply=allowed("a")),
                    dispatch_pb2.ItemReply(not_taken=dispatch_pb2.NotTaken(reason="STALE")),
                ]
            )
            first, second = await gateway.submit_batch([order("a"), order("b")])
            assert isinstance(first, SubmitResult)
            assert first.allowed
            assert isinstance(second, NotJudged)
            assert second.reason == "STALE"

    asyncio.run(talk())


def test_a_stream_keeps_within_the_hosts_limit_and_matches_answers_to_orders(host: FakeHost) -> None:
    async def talk() -> None:
        async with asynchronous(host) as gateway, gateway.stream() as stream:
            results = await asyncio.gather(*(stream.submit(order(f"id-{n}")) for n in range(50)))
            names = [result.report.client_order_id for result in results if result.report]
            assert names == [f"id-{n}" for n in range(50)]
            assert stream.limit == 4
            assert stream.unanswered == 0

    asyncio.run(talk())
    assert sum(host.batch_sizes) == 50
    assert max(host.batch_sizes) <= 4
    # What is queued goes out together.
    assert max(host.batch_sizes) > 1


def test_one_bad_order_of_a_stream_does_not_touch_the_others(host: FakeHost) -> None:
    async def talk() -> None:
        async with asynchronous(host) as gateway, gateway.stream() as stream:
            names = ("id-1", "bad-1", "id-2")
            first, bad, last = await asyncio.gather(
                *(stream.submit(order(name)) for name in names), return_exceptions=True
            )
            assert isinstance(bad, NotJudged)
            assert bad.field == "valid_until"
            assert not isinstance(first, BaseException)
            assert not isinstance(last, BaseException)

    asyncio.run(talk())


def test_an_order_that_never_left_the_stream_is_not_unknown(host: FakeHost) -> None:
    host.max_unanswered = 0

    async def talk() -> None:
        async with asynchronous(host) as gateway, gateway.stream() as stream:
            with pytest.raises(NotReady, match="not sent"):
                await stream.submit(order(), timeout_s=0.2)

    asyncio.run(talk())


def test_watching_resumes_after_the_last_report_and_repeats_none(host: FakeHost) -> None:
    host.reports = [[5, 6], [7], [8, 9]]

    async def talk() -> list[int]:
        seen: list[int] = []
        async with asynchronous(host) as gateway:
            async for report in gateway.watch(5):
                seen.append(report.sequence)
                if report.sequence == 9:
                    break
        return seen

    assert asyncio.run(talk()) == [5, 6, 7, 8, 9]
    asked = [dispatch_pb2.WatchExecutionsRequest.FromString(raw).from_sequence for _, raw in host.asked]
    assert asked == [5, 7, 8]
