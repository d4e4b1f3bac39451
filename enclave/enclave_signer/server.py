"""The gRPC face of ``handle``: bytes in, bytes out, on one thread. The only file of the enclave that listens.

The garbage collector is off while orders are handled. What exists when the server starts is frozen out of its
sight; what comes later is looked at between orders, the youngest often and all of it when nothing has come for a
while. The hot path makes no cycles, so nearly everything is freed by reference counting anyway.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_SERVICE: Final = "casemate.signer.v1.Signer"
# A little over the service's own limit, so that it is the service that says what was too large.
_MAX_MESSAGE: Final = (2 << 20) + 65_536
_MAX_CALLS: Final = 256
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ("grpc.max_send_message_length", 4 << 20),
    ("grpc.max_concurrent_streams", _MAX_CALLS),
    ("grpc.max_metadata_size", 8192),
    ("grpc.so_reuseport", 0),
    # The host pings an idle link every 20 s; gRPC's own minimum (300 s) would hang up on it. Faster than this, three
    # times, and the link is closed: a flood of pings buys the host nothing.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 2),
)
_LISTEN: Final = re.compile(r"unix:(?P<path>.+)|vsock:[0-9]{1,10}:[0-9]{1,10}|127\.0\.0\.1:[0-9]{1,5}")
_GRACE_S: Final = 2.0
# Also how long a receipt waits for the signature of a head, and less than the 100 ms that are promised.
_YOUNG_EVERY_S: Final = 0.05
# Youngest collections without an order in between, after which there is time for all generations.
_IDLE_ROUNDS: Final = 100


class CannotListen(Exception):
    """The address is not one of ours, or cannot be bound; the text says why."""


class Server:
    """Serves one ``handle`` at one address."""

    __slots__ = ("_between", "_handle", "_handled", "_server", "_serving", "address")

    def __init__(
        self,
        handle: Callable[[bytes], bytes],
        listen: str,
        serving: Callable[[], None] | None = None,
        *,
        between: Callable[[], None] | None = None,
    ) -> None:
        """Bind; raises CannotListen. Must be made within a running event loop.

        ``serving`` is told once it serves; ``between`` is called between orders, more often than every 100 ms.
        """
        if _LISTEN.fullmatch(listen) is None:
            message = f"cannot listen on {listen}: expected unix:PATH, vsock:CID:PORT or 127.0.0.1:PORT"
            raise CannotListen(message)
        self._handle = handle
        self._serving = serving
        self._between = between
        self._handled = 0
        self._server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_MAX_CALLS)
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.address = self._bind(listen)

    async def serve(self) -> None:
        """Serve until cancelled; then finish what has begun, for two seconds at most."""
        await self._server.start()
        gc.collect()
        gc.freeze()
        gc.disable()
        if self._serving is not None:
            self._serving()
        try:
            await self._collect_between_orders()
        finally:
            await self._server.stop(_GRACE_S)

    def _bind(self, listen: str) -> str:
        # The socket file is for this user alone.
        before = os.umask(0o177)
        try:
            port = self._server.add_insecure_port(listen)
        except RuntimeError:
            raise CannotListen(_why_not(listen)) from None
        finally:
            os.umask(before)
        return f"127.0.0.1:{port}" if listen.startswith("127.") else listen

    def _handlers(self) -> grpc.GenericRpcHandler:
        # No serialisers: the bytes go to the service as they came.
        return grpc.method_handlers_generic_handler(
            _SERVICE,
            {
                "Call": grpc.unary_unary_rpc_method_handler(self._call),
                "SignStream": grpc.stream_stream_rpc_method_handler(self._stream),
            },
        )

    async def _call(self, request: bytes, _context: object) -> bytes:
        self._handled += 1
        return self._handle(request)

    async def _stream(self, requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        async for request in requests:
            self._handled += 1
            yield self._handle(request)

    async def _collect_between_orders(self) -> None:
        """Look for garbage where no order waits for it; never returns."""
        handled = idle = 0
        while True:
            await asyncio.sleep(_YOUNG_EVERY_S)
            if self._between is not None:
                self._between()
            if self._handled != handled:
                handled, idle = self._handled, 0
                gc.collect(0)
            else:
                idle += 1
                if idle == _IDLE_ROUNDS:
                    # What survives this is here to stay, and need not be looked through again.
                    gc.collect()
                    gc.freeze()


def _why_not(listen: str) -> str:
    if listen.startswith("vsock:"):
        return (
            f"cannot listen on {listen}: this grpcio has no vsock, or there is no such device. The official wheels are "
            "built without it; build grpcio from its source distribution on the image's own base"
        )
    return f"cannot listen on {listen}: the address is taken, or its directory cannot be written"


async def serve_until_told(server: Server, ended: asyncio.Event | None = None) -> bool:
    """Serve until SIGTERM, SIGINT or the end of the boot; True if it was the last."""
    serving = asyncio.create_task(serve_until_ended(server, ended or asyncio.Event()))
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, serving.cancel)
    try:
        return await serving
    except asyncio.CancelledError:
        if not serving.cancelled():
            raise
        return False


async def serve_until_ended(server: Server, ended: asyncio.Event) -> bool:
    """Serve until the boot ends, True, or until cancelled. What was answered by then is sent first."""
    serving = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        serving.cancel()
        # The server's own end: it finishes what has begun.
        await asyncio.gather(serving, waiting, return_exceptions=True)
    if not ended.is_set():
        serving.result()
    return ended.is_set()
