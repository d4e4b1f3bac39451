"""Reads: sealed intents too, but they change nothing, so the journal does not hear of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.dispatcher.routing import mismatch
from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.outcome import Operation
from host_dispatch.transport.base import NotSentError, ReplyLostError
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.outcome import Reading


class Reads:
    """Has a read judged, asks the venue, and answers what it said."""

    def __init__(self, runner: Runner) -> None:
        """``runner`` carries reads out."""
        self._runner = runner

    async def read(self, request: wire.SubmitRequest) -> wire.ReadReply:
        """Return verdict and reading; raises NotTakenError."""
        self._runner.intake.check_stale(request.routing)
        judged = await self._judge(request)
        proof = judged.proof if judged.HasField("proof") else None
        reply = wire.ReadReply(verdict=judged.verdict, proof=proof, receipt=judged.receipt)
        if judged.verdict.decision != signer_pb2.DECISION_ALLOW:
            return reply
        if not judged.HasField("request") or mismatch(request.routing, judged.request):
            return _failed(reply, wire.ERROR_CLASS_NOT_SENT, "ROUTING_MISMATCH", "not what the routing said")
        try:
            reading = await self._runner.read(judged.request, Operation(request.routing.operation))
        except NotSentError as error:
            return _failed(reply, wire.ERROR_CLASS_NOT_SENT, "NOT_SENT", str(error))
        except ReplyLostError as error:
            return _failed(reply, wire.ERROR_CLASS_UNKNOWN, "REPLY_LOST", str(error))
        return _filled(reply, reading)

    async def _judge(self, request: wire.SubmitRequest) -> signer_pb2.Judged:
        future: asyncio.Future[signer_pb2.Judged] = asyncio.get_running_loop().create_future()

        def answer(judged: signer_pb2.Judged | None, failure: NotTakenError | None) -> None:
            if future.done():
                return
            if judged is None:
                future.set_exception(failure or NotTakenError(Reason.INTERNAL, "the enclave did not answer"))
            else:
                future.set_result(judged)

        self._runner.link.sign(request.sealed, answer, urgent=False)
        return await future


def _failed(reply: wire.ReadReply, error: wire.ErrorClass, code: str, message: str) -> wire.ReadReply:
    reply.error_class, reply.venue_code, reply.venue_message = error, code, message
    return reply


def _filled(reply: wire.ReadReply, reading: Reading) -> wire.ReadReply:
    reply.error_class = reading.error or 0  # type: ignore[assignment] # an IntEnum of the wire's values
    reply.venue_code, reply.venue_message = reading.code, reading.message
    for order in reading.orders:
        reply.orders.add(
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            symbol=order.symbol,
            state=order.state,
            quantity=order.quantity,
            filled_quantity=order.filled_quantity,
            price=order.price,
            average_price=order.average_price,
        )
    for balance in reading.balances:
        reply.balances.add(asset=balance.asset, available=balance.available, locked=balance.locked)
    return reply
