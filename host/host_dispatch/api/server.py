"""The gRPC server: generic handlers, health, reflection, sockets and TLS."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from dispatch_api.v1 import dispatch_pb2
from host_dispatch.api.checks import MESSAGE_BYTES
from host_dispatch.api.status import abort
from host_dispatch.errors import NotTakenError, Reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from host_dispatch.addresses import Address
    from host_dispatch.config import Tls

    Context = grpc.aio.ServicerContext[bytes, bytes]
    Unary = Callable[[bytes, Context], Awaitable[bytes]]
    Streaming = Callable[[bytes, Context], AsyncIterator[bytes]]
    Bidirectional = Callable[[AsyncIterator[bytes], Context], AsyncIterator[bytes]]

# Above the stated limit, so that the host itself can refuse with a reason; beyond that gRPC does.
_RECEIVE_BYTES: Final = 2 * MESSAGE_BYTES
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _RECEIVE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 4096),
    # A second host on the same TCP port would silently take half of the calls.
    ("grpc.so_reuseport", 0),
)

_log = logging.getLogger("casemate.host.api")


class BindError(Exception):
    """An address could not be listened on."""


class ApiServer:
    """Owns the grpc.aio server."""

    def __init__(self) -> None:
        """Nothing is bound yet."""
        self._server = grpc.aio.server(options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        self._services: list[str] = []

    def add(
        self,
        service: str,
        unary: Mapping[str, Unary],
        streaming: Mapping[str, Streaming] | None = None,
        bidirectional: Mapping[str, Bidirectional] | None = None,
    ) -> None:
        """Add one service; handlers take and give serialised messages and may raise NotTakenError."""
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {}
        for name, unary_method in unary.items():
            handlers[name] = grpc.unary_unary_rpc_method_handler(_guarded(unary_method))
        for name, streaming_method in (streaming or {}).items():
            handlers[name] = grpc.unary_stream_rpc_method_handler(_guarded_stream(streaming_method))
        for name, both in (bidirectional or {}).items():
            handlers[name] = grpc.stream_stream_rpc_method_handler(_guarded_stream(both))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self._services.append(service)

    async def start(self, addresses: Sequence[Address], tls: Tls | None, socket_mode: int) -> list[str]:
        """Bind and serve; returns the addresses as bound. Raises BindError."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        bound = [self._bind(address, tls, socket_mode) for address in addresses]
        await self._server.start()
        await self.serving(yes=True)
        return bound

    async def serving(self, *, yes: bool) -> None:
        """Tell health checkers."""
        state = health_pb2.HealthCheckResponse.SERVING if yes else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._services):
            await self._health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Stop; calls that run get ``grace`` seconds."""
        await self._server.stop(grace)

    def _bind(self, address: Address, tls: Tls | None, socket_mode: int) -> str:
        try:
            if address.path:
                return self._bind_unix(address, socket_mode)
            if tls is None:
                port = self._server.add_insecure_port(address.text)
            else:
                port = self._server.add_secure_port(address.text, _credentials(tls))
        except (RuntimeError, OSError) as error:
            hint = (
                "" if tls is None or address.path else "; are certificate, key and client_ca of [tls] PEM and a pair?"
            )
            message = f"cannot listen on {address.text}: {error}{hint}"
            raise BindError(message) from error
        return f"{address.text.rpartition(':')[0]}:{port}"

    def _bind_unix(self, address: Address, mode: int) -> str:
        # The socket appears with the right mode: there is no moment at which others could connect.
        before = os.umask(0o777 & ~mode)
        try:
            self._server.add_insecure_port(address.text)
        finally:
            os.umask(before)
        Path(address.path).chmod(mode)
        return address.text


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    return grpc.ssl_server_credentials([pair], root_certificates=tls.client_ca.read_bytes(), require_client_auth=True)


def _guarded(method: Unary) -> Unary:
    async def call(request: bytes, context: Context) -> bytes:
        try:
            return await method(request, context)
        except NotTakenError as error:
            await abort(context, error)
        except Exception as error:  # noqa: BLE001 - the edge: a fault of ours is INTERNAL, without its text
            _log.error("a fault in a call", exc_info=error)
            await abort(context, NotTakenError(Reason.INTERNAL, "a fault in the host"))

    return call


def _guarded_stream(method: Streaming | Bidirectional) -> Streaming:
    async def call(request: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            async for message in method(request, context):  # type: ignore[arg-type] # each gets its own kind
                yield message
        except NotTakenError as error:
            await abort(context, error)
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("a fault in a stream", exc_info=error)
            await abort(context, NotTakenError(Reason.INTERNAL, "a fault in the host"))

    return call


ORDER_DISPATCH: Final = dispatch_pb2.DESCRIPTOR.services_by_name["OrderDispatch"].full_name
OPERATOR: Final = dispatch_pb2.DESCRIPTOR.services_by_name["Operator"].full_name
