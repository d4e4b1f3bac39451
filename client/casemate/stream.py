"""One long-lived stream that carries many orders.

What is queued goes out together, at most 64 in a batch, and nothing waits to fill one. The host states how many intents
may be unanswered; the rest stay here, unsent, until answers come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import grpc.aio

from casemate import calls, errors
from casemate.failures import About, translate_async
from dispatch_api.v1 import dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from types import TracebackType

    from casemate.models import WaitFor
    from signer_api.v1 import intent_pb2


I = TypeVar("I")  # noqa: E741 - I for intent
R = TypeVar("R")
I_contra = TypeVar("I_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Maker(Protocol[I_contra, R_co]):
    """Seals intents of one form, and reads what comes back."""

    def who(self, intent: I_contra) -> About:
        """Which order it is about."""

    def request(self, intent: I_contra, wait_for: WaitFor) -> dispatch_pb2.SubmitRequest:
        """Seal one intent. Raises CasemateError."""

    def item(
        self, item: dispatch_pb2.ItemReply, sealed: intent_pb2.SealedIntent, who: About
    ) -> R_co | errors.CasemateError:
        """Read the answer, or (as a value) why there is none."""


@dataclass(slots=True)
class _Waiting(Generic[R]):
    request: dispatch_pb2.SubmitRequest
    about: About
    answer: asyncio.Future[R]
    sent: bool = False


class OrderStream(Generic[I, R]):
    """Use as ``async with gateway.stream() as stream``; :meth:`submit` may be called by many tasks at once."""

    def __init__(
        self,
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes],
        make: Maker[I, R],
        wait_for: WaitFor,
        timeout_s: float,
        ready: Callable[[], Awaitable[None]],
    ) -> None:
        """Made by :meth:`casemate.Gateway.stream`."""
        self._method = method
        self._make = make
        self._wait_for = wait_for
        self._timeout = timeout_s
        self._ready = ready
        self._queue: deque[_Waiting[R]] = deque()
        self._unanswered: dict[tuple[int, int], _Waiting[R]] = {}
        self._limit = 0
        self._batch = 0
        self._wake = asyncio.Event()
        self._broken: errors.CasemateError | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def limit(self) -> int:
        """Unanswered intents that the host allows; 0 until it said so."""
        return self._limit

    @property
    def closed(self) -> bool:
        """Whether it ended: nothing more can be sent."""
        return self._broken is not None

    @property
    def unanswered(self) -> int:
        """Intents that were sent and are not answered yet."""
        return len(self._unanswered)

    async def __aenter__(self) -> Self:
        """Open the stream."""
        self._call = self._method()
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream; what is still unanswered ends as Disconnected."""
        self._fail(errors.Disconnected("the stream was closed"))
        self._call.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(self, intent: I, *, timeout_s: float | None = None) -> R:
        """Send one intent and wait for its answer; errors as those of :meth:`casemate.Gateway.submit`."""
        if self._broken is not None:
            raise errors.NotReady("STREAM_CLOSED", f"not sent: {_cause(self._broken)}", retry_can_help=True)
        await self._ready()
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(self._make.request(intent, self._wait_for), self._make.who(intent), future)
        self._queue.append(waiting)
        self._wake.set()
        try:
            async with asyncio.timeout(self._timeout if timeout_s is None else timeout_s):
                return await future
        except TimeoutError:
            raise self._overdue(waiting) from None

    def _overdue(self, waiting: _Waiting[R]) -> errors.CasemateError:
        if waiting.sent:
            return errors.DeadlineExceeded("no answer within the deadline", *waiting.about)
        self._queue.remove(waiting)
        return errors.NotReady("STREAM_FULL", "not sent: the host allowed no more in time", retry_can_help=True)

    async def _write(self) -> None:
        while self._broken is None:
            await self._wake.wait()
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                continue
            self._batch += 1
            for index, waiting in enumerate(batch):
                waiting.sent = True
                self._unanswered[self._batch, index] = waiting
            request = dispatch_pb2.SubmitBatchRequest(
                batch_id=self._batch, requests=[waiting.request for waiting in batch]
            )
            try:
                await self._call.write(request.SerializeToString())
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # the reader sees the same end, with its reason

    def _next_batch(self) -> list[_Waiting[R]]:
        room = min(calls.MAX_BATCH, self._limit - len(self._unanswered), len(self._queue))
        return [self._queue.popleft() for _ in range(room)]

    async def _read(self) -> None:
        try:
            async for raw in self._call:
                self._take(dispatch_pb2.StreamReply.FromString(raw))
                self._wake.set()
            self._fail(errors.Disconnected("the host ended the stream"))
        except grpc.aio.AioRpcError as error:
            self._fail(translate_async(error, About()))

    def _take(self, reply: dispatch_pb2.StreamReply) -> None:
        match reply.WhichOneof("kind"):
            case "limit":
                self._limit = reply.limit.max_unanswered
            case "item":
                self._answer([reply.item])
            case "items":
                self._answer(reply.items.items)
            case _:
                pass  # a later version's addition

    def _answer(self, items: Iterable[dispatch_pb2.StreamItem]) -> None:
        for item in items:
            waiting = self._unanswered.pop((item.batch_id, item.index), None)
            if waiting is None or waiting.answer.done():
                continue
            result = self._make.item(item.answer, waiting.request.sealed, waiting.about)
            if isinstance(result, errors.CasemateError):
                waiting.answer.set_exception(result)
            else:
                waiting.answer.set_result(result)

    def _fail(self, error: errors.CasemateError) -> None:
        if self._broken is not None:
            return
        self._broken = error
        for waiting in (*self._unanswered.values(), *self._queue):
            if waiting.answer.done():
                continue
            if waiting.sent:
                waiting.answer.set_exception(errors.Disconnected(_cause(error), *waiting.about))
            else:
                waiting.answer.set_exception(
                    errors.NotReady("STREAM_CLOSED", f"not sent: {_cause(error)}", retry_can_help=True)
                )
        self._unanswered.clear()
        self._queue.clear()
        self._wake.set()


def _cause(error: errors.CasemateError) -> str:
    """What happened, without the advice for an order that was sent."""
    return str(error).split(";", 1)[0]
