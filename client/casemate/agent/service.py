"""``OrderAgent``: every call of ``agent.proto``, over one gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.message import DecodeError, Message

from casemate import errors
from casemate.agent.messages import Messages, claimed
from casemate.calls import DISPATCH, Call
from casemate.failures import About
from casemate.models import WaitFor
from dispatch_api.v1 import agent_pb2, dispatch_pb2
from signer_api.v1 import intent_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import grpc.aio

    from casemate.agent.keeper import Keeper
    from casemate.gateway import Gateway
    from casemate.session import AttestedSealer

    Context = grpc.aio.ServicerContext[bytes, bytes]

M = TypeVar("M", bound=Message)

WAIT_FOR: Final = "casemate-wait-for"
# By method: which field of `Intent` its request is.
SUBMITS: Final = {
    "Create": "order",
    "Cancel": "cancel",
    "CancelAll": "cancel_all",
    "Amend": "amend",
    "CloseOrder": "order_closed",
}
READS: Final = {"Query": "query", "OpenOrders": "open_orders", "Balances": "balances"}


class AgentService:
    """Requests' bytes in, replies' bytes out. Raises CasemateError."""

    def __init__(
        self, gateway: Gateway, messages: Messages, sealer: AttestedSealer, keeper: Keeper, engine: str
    ) -> None:
        """All of them of one engine."""
        self._gateway = gateway
        self._messages = messages
        self._sealer = sealer
        self._keeper = keeper
        self._engine = engine

    def submitting(self, kind: str) -> Callable[[bytes, Context], Any]:
        """Return the handler of a call that changes an order."""

        async def handle(data: bytes, context: Context) -> bytes:
            intent, wait_for = wrapped(kind, data), wait_for_of(context)
            reply = await self._gateway.send(lambda: self._messages.submit(intent, wait_for), deadline_of(context))
            return reply.SerializeToString()

        return handle

    def reading(self, kind: str) -> Callable[[bytes, Context], Any]:
        """Return the handler of a call that reads from the venue."""

        async def handle(data: bytes, context: Context) -> bytes:
            intent = wrapped(kind, data)
            reply = await self._gateway.send(lambda: self._messages.read(intent), deadline_of(context))
            return reply.SerializeToString()

        return handle

    async def halt(self, data: bytes, context: Context) -> bytes:
        """Stop the enclave's signing within a scope."""
        intent = wrapped("halt", data)
        reply = await self._gateway.send(lambda: self._messages.halt(intent), deadline_of(context))
        return reply.SerializeToString()

    async def logon(self, data: bytes, context: Context) -> bytes:
        """Log a connection of a read-only account's private stream on."""
        intent = wrapped("logon", data)
        reply = await self._gateway.send(lambda: self._messages.logon(intent), deadline_of(context))
        return reply.SerializeToString()

    async def get(self, data: bytes, context: Context) -> bytes:
        """Latest report of one order, from the host's journal."""
        asked = parsed(dispatch_pb2.GetRequest, data)
        who = About(asked.account, asked.client_order_id)
        call = Call(DISPATCH + "Get", data, dispatch_pb2.ExecutionReport.FromString, who)
        return claimed(await self._gateway.call(call, deadline_of(context))).SerializeToString()

    async def list(self, data: bytes, context: Context) -> bytes:
        """Latest reports, from the host's journal."""
        parsed(dispatch_pb2.ListRequest, data)
        call = Call(DISPATCH + "List", data, dispatch_pb2.ListReply.FromString)
        reply = await self._gateway.call(call, deadline_of(context))
        for report in reply.reports:
            claimed(report)
        return reply.SerializeToString()

    async def watch(self, data: bytes, _: Context) -> AsyncIterator[bytes]:
        """Every report from a sequence on, as the host tells it; ends with the host's stream."""
        parsed(dispatch_pb2.WatchExecutionsRequest, data)
        call = Call(DISPATCH + "WatchExecutions", data, dispatch_pb2.ExecutionReport.FromString)
        async for report in self._gateway.follow(call):
            yield claimed(report).SerializeToString()

    async def status(self, data: bytes, _: Context) -> bytes:
        """Which enclave the session is with."""
        parsed(agent_pb2.AgentStatusRequest, data)
        boot = self._sealer.boot
        reply = agent_pb2.AgentStatus(
            engine=self._engine,
            session=self._sealer.session,
            sessions_opened=self._keeper.opened,
            trouble=self._keeper.trouble,
        )
        if boot is not None:
            reply.deployment, reply.policy_version = boot.deployment, boot.policy_version
            reply.policy_digest, reply.boot_key = boot.policy_digest, boot.receipt_key
        return reply.SerializeToString()


def wrapped(kind: str, data: bytes) -> intent_pb2.Intent:
    """Read one intent of this kind; raises BadRequest."""
    intent = intent_pb2.Intent()
    inner = getattr(intent, kind)
    inner.CopyFrom(parsed(type(inner), data))
    inner.SetInParent()
    return intent


def parsed(kind: type[M], data: bytes) -> M:
    """Read one message; raises BadRequest."""
    try:
        return kind.FromString(data)
    except DecodeError:
        message = f"not a {kind.DESCRIPTOR.name}"
        raise errors.BadRequest("MALFORMED", message) from None


def wait_for_of(context: Context) -> WaitFor:
    """Read how far to wait, from the call's metadata; raises BadRequest."""
    for name, value in context.invocation_metadata() or ():
        if name == WAIT_FOR:
            text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
            if text not in WaitFor.__members__:
                message = f"expected one of {', '.join(WaitFor.__members__)}"
                raise errors.BadRequest("MALFORMED", message, WAIT_FOR)
            return WaitFor[text]
    return WaitFor.ACKNOWLEDGED


def deadline_of(context: Context) -> float | None:
    """Return the seconds that the engine still waits; None where it set no deadline."""
    return context.time_remaining()
