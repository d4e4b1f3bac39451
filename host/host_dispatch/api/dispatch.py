"""OrderDispatch: what engines call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.api import checks
from host_dispatch.api.logons import Logons
from host_dispatch.api.replies import item_reply, submit_reply
from host_dispatch.api.status import not_taken
from host_dispatch.dispatcher.dispatch import CANCELS, END, READS
from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.journal.records import EventKind, JournalError
from host_dispatch.outcome import Operation, OrderState
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from host_dispatch.api.reads import Reads
    from host_dispatch.api.server import ApiServer, Context
    from host_dispatch.dispatcher.dispatch import Dispatch
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.executions import ExecutionHub
    from host_dispatch.journal.records import StoredOrder

# Halt belongs to the Operator service, reads to Read, logons to Logon.
_SUBMITTED: Final = frozenset({Operation.CREATE, Operation.AMEND, Operation.ORDER_CLOSED, *CANCELS})
_STATES: Final = frozenset(int(state) for state in OrderState)


class DispatchService:
    """Handlers take and give serialised messages."""

    def __init__(self, runner: Runner, hub: ExecutionHub, reads: Reads) -> None:
        """``hub`` hands committed reports out; ``reads`` asks venues."""
        self._logons = Logons(runner)
        self._runner = runner
        self._hub = hub
        self._reads = reads
        self._venues = frozenset(runner.sites)

    async def submit(self, data: bytes, _: Context) -> bytes:
        """Take one intent of any kind but reads and halts."""
        return await self._submit(data, _SUBMITTED)

    async def cancel(self, data: bytes, _: Context) -> bytes:
        """Cancel one order."""
        return await self._submit(data, (Operation.CANCEL,))

    async def cancel_all(self, data: bytes, _: Context) -> bytes:
        """Cancel all open orders of a symbol."""
        return await self._submit(data, (Operation.CANCEL_ALL,))

    async def amend(self, data: bytes, _: Context) -> bytes:
        """Change one order."""
        return await self._submit(data, (Operation.AMEND,))

    async def close_order(self, data: bytes, _: Context) -> bytes:
        """Pass the engine's word on that an order can fill no more."""
        return await self._submit(data, (Operation.ORDER_CLOSED,))

    async def _submit(self, data: bytes, allowed: Collection[int]) -> bytes:
        request = checks.parse(wire.SubmitRequest, data)
        checks.check_submit(request, allowed, self._venues)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def answer(dispatch: Dispatch, *, repeated: bool) -> None:
            # The caller may have gone (deadline, disconnect): the intent goes on all the same.
            if future.done():
                return
            if dispatch.failure is not None:
                future.set_exception(dispatch.failure)
            else:
                future.set_result(submit_reply(dispatch, repeated=repeated).SerializeToString())

        self._runner.take(request, request.wait_for or END, answer)
        return await future

    async def submit_batch(self, data: bytes, _: Context) -> bytes:
        """Take up to 64 intents: signed in one round trip, journaled as one group."""
        batch = checks.parse(wire.SubmitBatchRequest, data)
        check_batch(batch)
        answers: list[wire.ItemReply | None] = [None] * len(batch.requests)
        left = len(answers)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(index: int, answer: wire.ItemReply) -> None:
            nonlocal left
            answers[index] = answer
            left -= 1
            if not left and not future.done():
                future.set_result(None)

        for index, request in enumerate(batch.requests):
            self.take_item(request, lambda answer, index=index: settle(index, answer))  # type: ignore[misc]
        if left:
            await future
        return wire.SubmitBatchReply(
            batch_id=batch.batch_id, items=[answer for answer in answers if answer is not None]
        ).SerializeToString()

    def take_item(self, request: wire.SubmitRequest, answer: Callable[[wire.ItemReply], None]) -> None:
        """Take one item of a batch; ``answer`` is called once."""
        try:
            checks.check_submit(request, _SUBMITTED, self._venues)
            self._runner.take(
                request,
                request.wait_for or END,
                lambda dispatch, *, repeated: answer(item_reply(dispatch, repeated=repeated)),
            )
        except NotTakenError as error:
            answer(wire.ItemReply(not_taken=not_taken(error)))

    async def open_session(self, data: bytes, _: Context) -> bytes:
        """Pass a handshake message between engine and enclave; the host understands neither."""
        request = signer_pb2.EnclaveRequest(open_session=checks.parse(signer_pb2.OpenSession, data))
        answer = await self._runner.link.call(request)
        if answer.WhichOneof("answer") != "session_opened":
            raise NotTakenError(Reason.INTERNAL, "the enclave's reply does not fit the request")
        return answer.session_opened.SerializeToString()

    async def read(self, data: bytes, _: Context) -> bytes:
        """Ask the venue: one order, open orders, balances."""
        request = checks.parse(wire.SubmitRequest, data)
        checks.check_submit(request, READS, self._venues)
        return (await self._reads.read(request)).SerializeToString()

    async def logon(self, data: bytes, _: Context) -> bytes:
        """Log a connection of a private stream on."""
        request = checks.parse(wire.SubmitRequest, data)
        checks.check_submit(request, (Operation.LOGON,), self._venues)
        return (await self._logons.logon(request)).SerializeToString()

    # --- from the journal

    async def get(self, data: bytes, _: Context) -> bytes:
        """Return the latest report about one order."""
        request = checks.parse(wire.GetRequest, data)
        try:
            stored = await self._runner.journal.order(request.account, request.client_order_id)
        except JournalError as error:
            raise NotTakenError(Reason.JOURNAL_UNAVAILABLE, str(error)) from error
        if stored is None:
            message = "the journal has no order of this account with this client_order_id"
            raise NotTakenError(Reason.NOT_FOUND, message, field="client_order_id")
        return report_bytes(stored)

    async def list(self, data: bytes, _: Context) -> bytes:
        """Return the newest orders."""
        request = checks.parse(wire.ListRequest, data)
        if request.limit > checks.LIST_LIMIT:
            message = f"{request.limit} is more than {checks.LIST_LIMIT}"
            raise NotTakenError(Reason.MALFORMED, message, field="limit")
        if not _STATES.issuperset(request.states):
            raise NotTakenError(Reason.MALFORMED, "there is no such OrderState", field="states")
        try:
            found = await self._runner.journal.orders(
                request.account, sorted(set(request.states)), request.limit or checks.LIST_DEFAULT
            )
        except JournalError as error:
            raise NotTakenError(Reason.JOURNAL_UNAVAILABLE, str(error)) from error
        reports = [wire.ExecutionReport.FromString(report_bytes(stored)) for stored in found]
        return wire.ListReply(reports=reports).SerializeToString()

    async def watch_executions(self, data: bytes, _: Context) -> AsyncIterator[bytes]:
        """Replay from the journal, then follow."""
        request = checks.parse(wire.WatchExecutionsRequest, data)
        async for report in self._hub.follow(self._runner.journal, request.from_sequence, request.accounts):
            yield report

    def add_to(self, server: ApiServer, service: str, stream: object, watch_venues: object) -> None:
        """Register the service."""
        server.add(
            service,
            unary={
                "Submit": self.submit,
                "SubmitBatch": self.submit_batch,
                "Cancel": self.cancel,
                "CancelAll": self.cancel_all,
                "Amend": self.amend,
                "CloseOrder": self.close_order,
                "OpenSession": self.open_session,
                "Read": self.read,
                "Logon": self.logon,
                "Get": self.get,
                "List": self.list,
            },
            streaming={"WatchExecutions": self.watch_executions, "WatchVenues": watch_venues},  # type: ignore[dict-item]
            bidirectional={"Stream": stream},  # type: ignore[dict-item]
        )


def check_batch(batch: wire.SubmitBatchRequest) -> None:
    """Refuse an empty or too large batch."""
    count = len(batch.requests)
    if not count:
        raise NotTakenError(Reason.MALFORMED, "the batch is empty", field="requests")
    if count > checks.BATCH_ITEMS:
        message = f"a batch holds at most {checks.BATCH_ITEMS} intents, this one {count}"
        raise NotTakenError(Reason.TOO_LARGE, message, field="requests")


def report_bytes(stored: StoredOrder) -> bytes:
    """Return the serialised report; an intent that is not judged yet has none of its own."""
    if stored.kind != EventKind.INTENT:
        return stored.payload
    row = stored.row
    return wire.ExecutionReport(
        sequence=row.sequence,
        account=row.account,
        venue=row.venue,
        symbol=row.symbol,
        client_order_id=row.client_order_id,
        operation=row.operation,  # type: ignore[arg-type] # stored as the wire's value
        state=wire.ORDER_STATE_PENDING,
    ).SerializeToString()
