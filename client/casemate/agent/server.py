"""The agent as a process: one unix socket that only its owner can open, a READY line, and an end that is asked for."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc
import grpc.aio

from casemate import errors
from casemate.agent.failures import fault, status_of
from casemate.agent.keeper import Keeper
from casemate.agent.messages import Messages
from casemate.agent.service import READS, SUBMITS, AgentService
from casemate.agent.streaming import StreamService
from casemate.calls import DEFAULT_VALIDITY_NS
from casemate.gateway import Gateway
from dispatch_api.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from casemate.agent.service import Context
    from casemate.channel import Endpoint
    from casemate.session import AttestedSealer

SERVICE: Final = agent_pb2.DESCRIPTOR.services_by_name["OrderAgent"].full_name
_DETAILS: Final = "grpc-status-details-bin"
# Bounds a batch of 64 intents generously.
_OPTIONS: Final = (("grpc.max_receive_message_length", 1 << 20), ("grpc.so_reuseport", 0))
_CALL_S: Final = 30.0
_GRACE_S: Final = 5.0
_LONGEST_PATH: Final = 107


class CannotListen(errors.CasemateError):
    """The socket cannot be served."""


def checked_listen(text: str) -> Path:
    """Return the path of ``unix:PATH``; ValueError for any other address: the agent takes whoever reaches it."""
    path = text.removeprefix("unix:")
    if not text.startswith("unix:") or not path.startswith("/") or len(os.fsencode(path)) > _LONGEST_PATH:
        message = f'"{text}": expected unix:/PATH of at most {_LONGEST_PATH} bytes: whoever reaches an agent may trade'
        raise ValueError(message)
    return Path(path)


class Agent:
    """Serves one engine."""

    def __init__(
        self,
        listen: Path,
        endpoint: Endpoint,
        sealer: AttestedSealer,
        engine: str,
        *,
        clock: Callable[[], int],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``clock`` in nanoseconds UTC; ``note`` gets a line about each session. Nothing is open yet."""
        self._listen = listen
        self._gateway = Gateway(endpoint, sealer, timeout_s=_CALL_S, clock=clock)
        self.keeper = Keeper(self._gateway, sealer, note)
        messages = Messages(sealer, clock, DEFAULT_VALIDITY_NS)
        self._service = AgentService(self._gateway, messages, sealer, self.keeper, engine)
        self._streams = StreamService(self._gateway, messages)

    async def start(self) -> None:
        """Listen, and begin to keep a session open. Raises CannotListen."""
        _refuse_taken(self._listen)
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        before = os.umask(0o177)
        try:
            self._server.add_insecure_port(f"unix:{self._listen}")
        except RuntimeError as error:
            message = f"cannot listen on {self._listen}: {error}"
            raise CannotListen(message) from None
        finally:
            os.umask(before)
        self._listen.chmod(0o600)
        # Before the first order, where that is possible.
        await self.keeper.look()
        await self._server.start()
        self._keeping = asyncio.create_task(self.keeper.run())

    async def stop(self) -> None:
        """Let calls end for a moment, then close."""
        self._keeping.cancel()
        await self._server.stop(_GRACE_S)
        await self._gateway.close()
        self._listen.unlink(missing_ok=True)

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
        service = self._service
        unary = {name: service.submitting(kind) for name, kind in SUBMITS.items()}
        unary |= {name: service.reading(kind) for name, kind in READS.items()}
        unary |= {"Logon": service.logon, "Halt": service.halt}
        unary |= {"Get": service.get, "List": service.list, "Status": service.status}
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.unary_unary_rpc_method_handler(_guarded(method)) for name, method in unary.items()
        }
        handlers["WatchExecutions"] = grpc.unary_stream_rpc_method_handler(_guarded_stream(service.watch))
        handlers["Stream"] = grpc.stream_stream_rpc_method_handler(_guarded_stream(self._streams.stream))
        return handlers


def _refuse_taken(path: Path) -> None:
    """Raise CannotListen if somebody serves there: gRPC would silently take the path over."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    message = f"cannot listen on {path}: another process serves there"
    raise CannotListen(message)


def _guarded(method: Callable[[bytes, Context], Any]) -> Callable[[bytes, Context], Any]:
    async def call(request: bytes, context: Context) -> bytes:
        try:
            return bytes(await method(request, context))
        except Exception as error:  # noqa: BLE001 - the edge: a fault of ours is INTERNAL, without its text
            await _abort(context, error)

    return call


def _guarded_stream(method: Callable[[Any, Context], AsyncIterator[bytes]]) -> Callable[[Any, Context], Any]:
    async def call(request: Any, context: Context) -> AsyncIterator[bytes]:  # noqa: ANN401 - bytes, or an iterator
        try:
            async for message in method(request, context):
                yield message
        except Exception as error:  # noqa: BLE001 - as above
            await _abort(context, error)

    return call


async def _abort(context: Context, error: Exception) -> NoReturn:
    told = status_of(error) if isinstance(error, errors.CasemateError) else fault()
    if not isinstance(error, errors.CasemateError):
        sys.stderr.write(f"casemate agent: a fault: {type(error).__name__}\n")
    await context.abort(told.code, told.message, ((_DETAILS, told.details),))


async def serve(agent: Agent, listen: str) -> None:
    """Serve until SIGTERM or SIGINT. Raises CannotListen."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await agent.start()
    sys.stdout.write(f"READY {json.dumps({'listen': listen})}\n")
    sys.stdout.flush()
    await stop.wait()
    await agent.stop()
