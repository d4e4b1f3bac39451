"""The bidirectional stream: batches in, answers out as they are ready, several in one message under load.

At most ``max_unanswered`` intents are under way on one stream. At the limit the host reads no further until answers
have gone out, so an engine that does not read its answers holds up its own stream and nothing else.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.api import checks
from host_dispatch.api.dispatch import check_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from host_dispatch.api.dispatch import DispatchService
    from host_dispatch.api.server import Context

# Answers in one message: bounds its size.
_TOGETHER: Final = 256


class StreamService:
    """Makes one session for each stream."""

    def __init__(self, dispatch: DispatchService, *, max_unanswered: int) -> None:
        """``max_unanswered``: at least one whole batch."""
        self._dispatch = dispatch
        self._max_unanswered = max_unanswered

    async def stream(self, requests: AsyncIterator[bytes], _: Context) -> AsyncIterator[bytes]:
        """State the limit, then answer."""
        limit = wire.StreamLimit(max_unanswered=self._max_unanswered)
        yield wire.StreamReply(limit=limit).SerializeToString()
        session = _Session(self._dispatch, self._max_unanswered)
        reader = asyncio.create_task(session.read(requests))
        try:
            while (reply := await session.next_reply()) is not None:
                yield reply.SerializeToString()
            # Raises what ended the reading, if it was a mistake of the engine's.
            await reader
        finally:
            reader.cancel()


class _Session:
    """One stream's unanswered intents and ready answers."""

    def __init__(self, dispatch: DispatchService, max_unanswered: int) -> None:
        self._dispatch = dispatch
        self._max = max_unanswered
        self._unanswered = 0
        self._ready: list[wire.StreamItem] = []
        self._ended = False
        # Set when there is something to send; and when there is room again.
        self._wake = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self, requests: AsyncIterator[bytes]) -> None:
        try:
            async for data in requests:
                batch = checks.parse(wire.SubmitBatchRequest, data)
                check_batch(batch)
                while self._unanswered + len(batch.requests) > self._max:
                    self._room.clear()
                    await self._room.wait()
                self._unanswered += len(batch.requests)
                for index, request in enumerate(batch.requests):
                    self._dispatch.take_item(request, partial(self._answered, batch.batch_id, index))
        finally:
            self._ended = True
            self._wake.set()

    def _answered(self, batch_id: int, index: int, answer: wire.ItemReply) -> None:
        self._ready.append(wire.StreamItem(batch_id=batch_id, index=index, answer=answer))
        self._wake.set()

    async def next_reply(self) -> wire.StreamReply | None:
        """Return what is ready, None when nothing more can come."""
        while not self._ready:
            if self._ended and not self._unanswered:
                return None
            self._wake.clear()
            await self._wake.wait()
        items, self._ready = self._ready[:_TOGETHER], self._ready[_TOGETHER:]
        self._unanswered -= len(items)
        self._room.set()
        if len(items) == 1:
            return wire.StreamReply(item=items[0])
        return wire.StreamReply(items=wire.StreamItems(items=items))
