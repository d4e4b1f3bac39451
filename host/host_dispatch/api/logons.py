"""Logons of private streams (S6): judged and journaled like an order, and then handed back to whoever asked.

A message for a websocket belongs to whoever holds the socket, and the host holds none. What a venue takes over HTTP
the host sends like a read: the answer holds what opens the stream. Journal and logs see neither.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.dispatcher.dispatch import END
from host_dispatch.outcome import Operation
from host_dispatch.transport.base import NotSentError, ReplyLostError

if TYPE_CHECKING:
    from host_dispatch.dispatcher.dispatch import Dispatch
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.outcome import Reading

_WEBSOCKET: Final = "WEBSOCKET"


class Logons:
    """Has a logon judged and recorded, and answers with what the engine needs."""

    def __init__(self, runner: Runner) -> None:
        """``runner`` carries what goes over HTTP out."""
        self._runner = runner

    async def logon(self, request: wire.SubmitRequest) -> wire.LogonReply:
        """Return the verdict and, if it was allowed, a message to send or a token; raises NotTakenError."""
        dispatch = await self._judge(request)
        reply = wire.LogonReply(verdict=dispatch.verdict, proof=dispatch.proof, receipt=dispatch.receipt)
        signed = dispatch.signed
        if signed is None:
            # Refused; or something else was signed than was asked for, and the record says so.
            if dispatch.report is not None and dispatch.report.error_class:
                return _failed(reply, dispatch.report.error_class, dispatch.report.venue_code, "nothing was handed out")
            return reply
        if signed.method == _WEBSOCKET:
            reply.request = signed.SerializeToString(deterministic=True)
            return reply
        try:
            reading = await self._runner.read(signed, Operation.LOGON)
        except NotSentError as error:
            return _failed(reply, wire.ERROR_CLASS_NOT_SENT, "NOT_SENT", str(error))
        except ReplyLostError as error:
            return _failed(reply, wire.ERROR_CLASS_UNKNOWN, "REPLY_LOST", str(error))
        return _filled(reply, reading)

    async def _judge(self, request: wire.SubmitRequest) -> Dispatch:
        """Wait until verdict and record are there."""
        future: asyncio.Future[Dispatch] = asyncio.get_running_loop().create_future()

        def answer(dispatch: Dispatch, *, repeated: bool) -> None:
            del repeated
            if future.done():
                return
            if dispatch.failure is not None:
                future.set_exception(dispatch.failure)
            else:
                future.set_result(dispatch)

        self._runner.take(request, END, answer)
        return await future


def _failed(reply: wire.LogonReply, error: wire.ErrorClass, code: str, message: str) -> wire.LogonReply:
    reply.error_class, reply.venue_code, reply.venue_message = error, code, message
    return reply


def _filled(reply: wire.LogonReply, reading: Reading) -> wire.LogonReply:
    reply.token = reading.token
    reply.error_class = reading.error or 0  # type: ignore[assignment] # an IntEnum of the wire's values
    reply.venue_code, reply.venue_message = reading.code, reading.message
    return reply
