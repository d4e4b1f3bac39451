"""The host's end of the wire to the enclave: one long-lived stream for signing, single calls for the rest.

* Whatever is queued goes out as one ``sign_batch`` of at most 64; nothing waits for a batch to fill. Cancels and
  derived requests go first (D7).
* Each request has a deadline; a reply that comes later is dropped, signature and all.
* While the enclave cannot be reached, requests fail at once instead of queueing.
* The intent's bytes pass through: the link copies the SealedIntent as a message and never reads it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc
import grpc.aio

from host_dispatch.errors import NotTakenError, Reason
from signer_api.v1 import signer_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from signer_api.v1 import intent_pb2

    _Stream = grpc.aio.StreamStreamCall[Message, wire.EnclaveReply]
    # Gets the judgement, or why there is none; called on the event loop, exactly once.
    Answer = Callable[[wire.Judged | None, NotTakenError | None], None]

_SERVICE: Final = "/casemate.signer.v1.Signer/"
_BATCH: Final = 64
_MESSAGE_BYTES: Final = 4 << 20
_SWEEP_SECONDS: Final = 0.05
_FIRST_BACKOFF: Final = 0.05
_LONGEST_BACKOFF: Final = 1.0
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    # gRPC's own retries could send an intent twice.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
    # Pings find a dead enclave while no order goes. Not less than the enclave's server allows, or it hangs up.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # No end to them however long nothing is sent.
    ("grpc.http2.max_pings_without_data", 0),
)

_log = logging.getLogger("casemate.host.enclave")


class _Queued(NamedTuple):
    """One that waits to be written: what, whom to answer, and until when (monotonic seconds of the loop)."""

    item: wire.EnclaveRequest | intent_pb2.SealedIntent
    answer: Answer
    deadline: float


class _Waiting(NamedTuple):
    """One request on the stream: whom to answer, and until when."""

    answers: Sequence[Answer]
    deadline: float


class EnclaveLink:
    """See the module's text."""

    def __init__(self, target: str, *, timeout_ms: int) -> None:
        """``target`` as gRPC writes it; nothing is connected before :meth:`start`.

        ``connected`` gets the status that opens each stream; ``seen`` gets every reply, also one that comes too late.
        """
        self.connected: Callable[[wire.EnclaveStatus], None] = lambda _: None
        self.seen: Callable[[wire.EnclaveReply], None] = lambda _: None
        self._target = target
        self._timeout = timeout_ms / 1000
        # All three are in the order of their deadlines, but for what urgent ones overtake.
        self._urgent: deque[_Queued] = deque()
        self._normal: deque[_Queued] = deque()
        self._waiting: dict[int, _Waiting] = {}
        self._last_id = 0
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.up = False

    async def start(self, *, wait_seconds: float = 0.0) -> None:
        """Begin to connect; optionally wait for the first connection (returns either way)."""
        self._loop = asyncio.get_running_loop()
        self._channel = grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        self._call = self._channel.unary_unary(
            f"{_SERVICE}Call",
            request_serializer=wire.EnclaveRequest.SerializeToString,
            response_deserializer=wire.EnclaveReply.FromString,
        )
        self._stream = self._channel.stream_stream(
            f"{_SERVICE}SignStream",
            request_serializer=wire.EnclaveRequest.SerializeToString,
            response_deserializer=wire.EnclaveReply.FromString,
        )
        self._first = self._loop.create_future()
        self._tasks = [asyncio.create_task(self._keep_connected()), asyncio.create_task(self._sweep())]
        if wait_seconds:
            await asyncio.wait([self._first], timeout=wait_seconds)

    async def close(self) -> None:
        """Fail what is waiting and disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lose("the host is stopping")
        await self._channel.close()

    # --- signing

    def sign(self, sealed: intent_pb2.SealedIntent, answer: Answer, *, urgent: bool) -> None:
        """Have one intent judged; raises NotTakenError at once while the enclave cannot be reached."""
        self._enqueue(sealed, answer, urgent=urgent)

    def derive(
        self, account: str, client_order_id: str, operation: int, answer: Answer, *, closed: bool = False
    ) -> None:
        """Ask for the derived request (query or cancel) of an order that the enclave signed.

        ``closed``: a query among finished orders, where the venue keeps those apart.
        """
        request = wire.EnclaveRequest(
            derived=wire.DerivedRequest(
                account=account,
                client_order_id=client_order_id,
                operation=operation,  # type: ignore[arg-type] # an IntEnum of the same values
                closed=closed,
            )
        )
        self._enqueue(request, answer, urgent=True)

    async def call(self, request: wire.EnclaveRequest) -> wire.EnclaveReply:
        """Make a single call; NotJudged becomes NotTakenError."""
        try:
            reply = await self._call(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise _unreachable(error) from None
        if reply.WhichOneof("answer") == "not_judged":
            raise not_judged(reply.not_judged)
        return reply

    def _enqueue(self, item: wire.EnclaveRequest | intent_pb2.SealedIntent, answer: Answer, *, urgent: bool) -> None:
        if not self.up:
            raise NotTakenError(Reason.ENCLAVE_UNAVAILABLE, "the enclave cannot be reached")
        queued = _Queued(item, answer, self._loop.time() + self._timeout)
        (self._urgent if urgent else self._normal).append(queued)
        self._wake.set()

    # --- the stream

    async def _keep_connected(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            try:
                await self._run_stream()
                backoff = _FIRST_BACKOFF
            except grpc.aio.AioRpcError as error:
                if self.up:
                    _log.warning("the stream to the enclave broke", extra={"fields": {"code": error.code().name}})
            except grpc.aio.UsageError:
                # Writing on a stream that has just ended.
                pass
            except Exception:  # noqa: BLE001 - whatever an enclave answers, the host connects again
                _log.exception("a fault on the stream to the enclave")
            finally:
                was_up, self.up = self.up, False
                self._lose("the stream to the enclave broke")
            await asyncio.sleep(_FIRST_BACKOFF if was_up else backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)

    async def _run_stream(self) -> None:
        stream: _Stream = self._stream()
        # Ids grow over the link's whole life: a reply of an older stream matches nothing.
        status = wire.EnclaveRequest(request_id=self._next_id(), status=wire.StatusRequest())
        writer: asyncio.Task[None] | None = None
        try:
            await stream.write(status)
            while isinstance(reply := await stream.read(), wire.EnclaveReply):
                if writer is None:
                    # The enclave has answered: it is there.
                    writer = asyncio.create_task(self._write(stream))
                    self.up = True
                    if not self._first.done():
                        self._first.set_result(None)
                    self.connected(reply.status)
                self.seen(reply)
                self._on_reply(reply)
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
            stream.cancel()

    async def _write(self, stream: _Stream) -> None:
        try:
            while True:
                if not self._urgent and not self._normal:
                    self._wake.clear()
                    await self._wake.wait()
                await stream.write(self._next_request())
        except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            # The reading side sees the end too and reconnects.
            stream.cancel()
        except Exception:  # noqa: BLE001 - without a writer the link would be up and dumb
            _log.exception("a fault while writing to the enclave")
            stream.cancel()

    def _next_request(self) -> wire.EnclaveRequest:
        """Coalesce what is queued: one derived request, one intent, or a batch."""
        queue = self._urgent or self._normal
        first, answer, deadline = queue.popleft()
        number = self._next_id()
        answers = [answer]
        if isinstance(first, wire.EnclaveRequest):
            first.request_id = number
            request = first
        else:
            intents = [first]
            self._take_more(intents, answers)
            if len(intents) == 1:
                request = wire.EnclaveRequest(request_id=number, sign=first)
            else:
                request = wire.EnclaveRequest(request_id=number, sign_batch=wire.SealedBatch(intents=intents))
        # Of a batch the first one's; the rest came at most a moment later.
        self._waiting[number] = _Waiting(answers, deadline)
        return request

    def _take_more(self, intents: list[intent_pb2.SealedIntent], answers: list[Answer]) -> None:
        for queue in (self._urgent, self._normal):
            while queue and len(intents) < _BATCH and not isinstance(queue[0].item, wire.EnclaveRequest):
                item, answer, _ = queue.popleft()
                intents.append(item)  # type: ignore[arg-type] # checked in the line above
                answers.append(answer)

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _on_reply(self, reply: wire.EnclaveReply) -> None:
        waiting = self._waiting.pop(reply.request_id, None)
        if waiting is None:
            # The status that opened the stream, or later than its deadline: dropped, unused.
            return
        kind = reply.WhichOneof("answer")
        if kind == "judged_batch" and len(reply.judged_batch.answers) == len(waiting.answers):
            for answer, item in zip(waiting.answers, reply.judged_batch.answers, strict=True):
                _hand(answer, item)
        elif kind in ("judged", "not_judged") and (kind == "not_judged" or len(waiting.answers) == 1):
            for answer in waiting.answers:
                _hand(answer, reply)
        else:
            _fail(waiting.answers, NotTakenError(Reason.INTERNAL, "the enclave's reply does not fit the request"))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._loop.time()
            late = [number for number, waiting in self._waiting.items() if waiting.deadline <= now]
            for number in late:
                _fail(self._waiting.pop(number).answers, _too_late())
            # An enclave that reads no more holds up what is queued, too.
            for queue in (self._urgent, self._normal):
                while queue and queue[0].deadline <= now:
                    _fail([queue.popleft().answer], _too_late())

    def _lose(self, message: str) -> None:
        error = NotTakenError(Reason.ENCLAVE_UNAVAILABLE, message)
        waiting, self._waiting = self._waiting, {}
        for item in waiting.values():
            _fail(item.answers, error)
        for queue in (self._urgent, self._normal):
            while queue:
                _fail([queue.popleft().answer], error)


def _hand(answer: Answer, item: wire.JudgedOrNot | wire.EnclaveReply) -> None:
    if item.WhichOneof("answer") == "judged":
        _tell(answer, item.judged, None)
    else:
        _tell(answer, None, not_judged(item.not_judged))


def _fail(answers: Sequence[Answer], error: NotTakenError) -> None:
    for answer in answers:
        _tell(answer, None, error)


def _tell(answer: Answer, judged: wire.Judged | None, failure: NotTakenError | None) -> None:
    try:
        answer(judged, failure)
    except Exception:  # noqa: BLE001 - one order's fault must not end the stream of all
        _log.exception("a fault after a judgement")


def not_judged(reply: wire.NotJudged) -> NotTakenError:
    """Turn the enclave's "not judged" into the host's exception, word for word."""
    return NotTakenError(
        reply.reason or Reason.INTERNAL, reply.message, field=reply.field, retry_can_help=reply.retry_can_help
    )


def _too_late() -> NotTakenError:
    return NotTakenError(Reason.ENCLAVE_TIMEOUT, "the enclave did not answer in time")


def _unreachable(error: grpc.aio.AioRpcError) -> NotTakenError:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _too_late()
    return NotTakenError(Reason.ENCLAVE_UNAVAILABLE, "the enclave cannot be reached")
