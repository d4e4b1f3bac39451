"""``OrderAgent.Stream``: batches of intents in, answers out as they come, over one stream to the host.

When the stream to the host breaks, what was sent on it is answered as unknown, and the next intent opens another one:
the engine's own stream stays.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from casemate import errors
from casemate.agent.failures import item_of
from casemate.agent.messages import STREAMED, Item, Messages, kind_of
from casemate.agent.service import parsed
from casemate.calls import MAX_BATCH
from casemate.models import WaitFor
from casemate.wire import member
from dispatch_api.v1 import agent_pb2, dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from casemate.agent.service import Context
    from casemate.gateway import Gateway
    from casemate.stream import OrderStream
    from signer_api.v1 import intent_pb2

MAX_UNANSWERED: Final = 1_024
# Answers in one message.
_TOGETHER: Final = 256


class StreamService:
    """Makes one pair of streams for each call."""

    def __init__(self, gateway: Gateway, messages: Messages) -> None:
        """Both of one engine."""
        self._gateway = gateway
        self._messages = messages

    async def stream(self, requests: AsyncIterator[bytes], _: Context) -> AsyncIterator[bytes]:
        """State the limit, then answer. Raises BadRequest for a batch that is none."""
        yield dispatch_pb2.StreamReply(
            limit=dispatch_pb2.StreamLimit(max_unanswered=MAX_UNANSWERED)
        ).SerializeToString()
        async with AsyncExitStack() as stack:
            pair = _Pair(self._gateway, self._messages, stack)
            reading = asyncio.create_task(pair.read(requests))
            try:
                while (reply := await pair.next_reply()) is not None:
                    yield reply.SerializeToString()
                await reading
            finally:
                reading.cancel()
                await asyncio.gather(reading, *pair.tasks, return_exceptions=True)


class _Pair:
    """The engine's stream and the one to the host."""

    def __init__(self, gateway: Gateway, messages: Messages, stack: AsyncExitStack) -> None:
        self._gateway = gateway
        self._messages = messages
        self._stack = stack
        self._upstream: OrderStream[Item, dispatch_pb2.SubmitReply] | None = None
        self._opening = asyncio.Lock()
        self._room = asyncio.Semaphore(MAX_UNANSWERED)
        self._ready: list[dispatch_pb2.StreamItem] = []
        self._wake = asyncio.Event()
        self._unanswered = 0
        self._ended = False
        self.tasks: set[asyncio.Task[None]] = set()

    async def read(self, requests: AsyncIterator[bytes]) -> None:
        """Take batches until the engine has no more."""
        try:
            async for data in requests:
                batch = parsed(agent_pb2.IntentBatch, data)
                if len(batch.intents) > MAX_BATCH:
                    message = f"{len(batch.intents)} intents: at most {MAX_BATCH} in a batch"
                    raise errors.BadRequest("TOO_LARGE", message, "intents")
                wait_for = member(WaitFor, batch.wait_for) or WaitFor.ACKNOWLEDGED
                for index, intent in enumerate(batch.intents):
                    await self._room.acquire()
                    self._unanswered += 1
                    task = asyncio.create_task(self._one(batch.batch_id, index, Item(intent, wait_for)))
                    self.tasks.add(task)
                    task.add_done_callback(self.tasks.discard)
        finally:
            self._ended = True
            self._wake.set()

    async def _one(self, batch_id: int, index: int, item: Item) -> None:
        try:
            _check(item.intent)
            answer = dispatch_pb2.ItemReply(reply=await (await self._up()).submit(item))
        except Exception as error:  # noqa: BLE001 - the edge: a fault of ours leaves this one intent unknown
            answer = item_of(error)
        self._room.release()
        self._unanswered -= 1
        self._ready.append(dispatch_pb2.StreamItem(batch_id=batch_id, index=index, answer=answer))
        self._wake.set()

    async def _up(self) -> OrderStream[Item, dispatch_pb2.SubmitReply]:
        """Return a stream to the host that is not broken."""
        async with self._opening:
            if self._upstream is None or self._upstream.closed:
                self._upstream = await self._stack.enter_async_context(self._gateway.stream_of(self._messages))
            return self._upstream

    async def next_reply(self) -> dispatch_pb2.StreamReply | None:
        """Return what is ready, None when nothing more can come."""
        while not self._ready:
            if self._ended and not self._unanswered:
                return None
            self._wake.clear()
            await self._wake.wait()
        items, self._ready = self._ready[:_TOGETHER], self._ready[_TOGETHER:]
        if len(items) == 1:
            return dispatch_pb2.StreamReply(item=items[0])
        return dispatch_pb2.StreamReply(items=dispatch_pb2.StreamItems(items=items))


def _check(intent: intent_pb2.Intent) -> None:
    """Raise BadRequest for what a stream does not carry."""
    if kind_of(intent) not in STREAMED:
        message = f"a stream carries {', '.join(sorted(STREAMED))}"
        raise errors.BadRequest("MALFORMED", message, "kind")
