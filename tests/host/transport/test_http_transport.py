"""The transport against real sockets: byte-exact, once, and the truth about whether a byte may have left."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from host_dispatch.transport.base import NotSentError, ReplyLostError
from host_dispatch.transport.http import HttpTransport
from signer_api.v1.signer_pb2 import Header, SignedRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AUTHORITY = "api.venue.test"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Used: 7\r\n\r\nok"


class Server:
    """Keeps every byte; answers each request with the next of ``replies`` (None: close without a word)."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self.replies: list[bytes | None] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")),
                    0,
                )
                self.received.append(head + (await reader.readexactly(length) if length else b""))
                reply = self.replies.pop(0) if self.replies else OK
                if reply is None:
                    writer.transport.abort()
                    return
                writer.write(reply)
                await writer.drain()
                if b"hangs" in reply:
                    await asyncio.sleep(30)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, HttpTransport]]:
    """Run a server and a transport that connects to it instead of to the signed authority."""
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    transport = HttpTransport({AUTHORITY: f"http://127.0.0.1:{server.port}"})
    await transport.start()
    try:
        yield server, transport
    finally:
        await transport.close()
        listener.close()


def request(method: str = "POST", target: str = "/order", body: bytes | None = b"{}", **more: Any) -> SignedRequest:
    return SignedRequest(method=method, url=f"https://{AUTHORITY}{target}", body=body, **more)


async def send(
    transport: HttpTransport, wanted: SignedRequest, timeout_ms: int = 5_000, may_leave: Any = lambda: True
) -> Any:
    return await asyncio.create_task(transport.send(wanted, timeout_ms, may_leave))


# Everything that a URL library likes to rewrite: escapes in both cases, plus, unsorted, empty values, doubled slashes.
AWKWARD = "/api/v3/order?b=%2f%2F&a=1+2%20%7e&e=&e=&sig=aGk%2B%3D%3d&x=%41*'()~!,;:@$/?//../."


async def test_target_headers_and_body_leave_byte_for_byte_and_nothing_is_added() -> None:
    async with serving() as (server, transport):
        body = b'{"q": "\\u00e9", "p":1.50 }\n'
        headers = [
            Header(name="X-MBX-APIKEY", value="key"),
            Header(name="Content-Type", value="application/json"),
        ]
        reply = await send(transport, request(target=AWKWARD, body=body, headers=headers))
        assert (reply.status, reply.body, reply.headers["x-used"]) == (200, b"ok", "7")
        head, _, sent = server.received[0].partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        assert first == f"POST {AWKWARD} HTTP/1.1".encode()
        assert sorted(lines) == sorted(
            [
                b"Host: " + AUTHORITY.encode(),
                b"X-MBX-APIKEY: key",
                b"Content-Type: application/json",
                b"Content-Length: %d" % len(body),
            ]
        )
        assert sent == body


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_request_without_a_body_has_none(method: str) -> None:
    async with serving() as (server, transport):
        await send(transport, request(method, body=None))
        assert server.received[0].startswith(f"{method} /order HTTP/1.1\r\n".encode())
        assert b"Content-Type" not in server.received[0]
        assert server.received[0].endswith(b"\r\n\r\n")


async def test_a_url_that_would_change_on_its_way_is_not_sent() -> None:
    async with serving() as (server, transport):
        for target in ("/order?x=1#fragment", "order", "/order?", ""):
            with pytest.raises(NotSentError):
                await send(transport, request(target=target))
        assert server.received == []


async def test_connections_are_kept_and_can_be_warmed() -> None:
    async with serving() as (server, transport):
        assert await transport.warm(AUTHORITY, 3) == 3
        assert server.connections == 3
        for _ in range(5):
            await send(transport, request())
        assert server.connections == 3
        assert len(server.received) == 5


async def test_warming_what_is_not_there_is_no_failure() -> None:
    transport = HttpTransport({AUTHORITY: f"http://127.0.0.1:{_closed_port()}"})
    await transport.start()
    assert await transport.warm(AUTHORITY, 2) == 0
    await transport.close()


async def test_a_refused_connection_is_certain_that_no_byte_left() -> None:
    transport = HttpTransport({AUTHORITY: f"http://127.0.0.1:{_closed_port()}"})
    await transport.start()
    with pytest.raises(NotSentError, match="cannot connect"):
        await send(transport, request())
    await transport.close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_d2_a_kept_connection_that_drops_is_reported_as_lost_and_nothing_goes_twice(
    method: str,
) -> None:
    async with serving() as (server, transport):
        await send(transport, request("GET", body=None))
        server.replies = [None]
        with pytest.raises(ReplyLostError):
            await send(
                transport,
                request(method, target="/second", body=b"{}" if method in ("POST", "PUT") else None),
            )
        # aiohttp by itself would have sent GET, PUT and DELETE again on a new connection.
        assert [line.split()[1] for line in server.received] == [b"/order", b"/second"]
        assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhangs",
        b"HTTP/1.1 200 OK\r\nContent-Le\r\n hangs",
        b"\x16\x03\x01 hangs no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhangs\r\n",
    ],
)
async def test_a_reply_that_never_becomes_whole_is_lost(reply: bytes) -> None:
    async with serving() as (server, transport):
        server.replies = [reply]
        with pytest.raises(ReplyLostError):
            await send(transport, request(), timeout_ms=300)
        assert len(server.received) == 1


async def test_a_reply_over_the_bound_is_lost() -> None:
    async with serving() as (server, transport):
        size = (4 << 20) + 1
        server.replies = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size]
        with pytest.raises(ReplyLostError):
            await send(transport, request())


async def test_a_redirect_is_a_reply_and_is_not_followed() -> None:
    async with serving() as (server, transport):
        server.replies = [b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"]
        assert (await send(transport, request())).status == 307
        assert len(server.received) == 1


async def test_cookies_are_not_kept() -> None:
    async with serving() as (server, transport):
        server.replies = [OK.replace(b"X-Used: 7", b"Set-Cookie: a=b")]
        await send(transport, request())
        await send(transport, request())
        assert b"ookie" not in server.received[1]


async def test_a_packed_reply_is_handed_on_as_it_came() -> None:
    async with serving() as (server, transport):
        server.replies = [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"]
        assert (await send(transport, request())).body == b"\x1f\x8b\x08\x00"


async def test_d4_the_last_gate_is_asked_when_a_connection_is_there_and_stops_every_byte() -> None:
    async with serving() as (server, transport):
        with pytest.raises(NotSentError):
            await send(transport, request(), may_leave=lambda: False)
        # It had connected, and said nothing.
        assert server.connections == 1
        assert server.received == []


async def test_errors_never_quote_the_request() -> None:
    async with serving() as (server, transport):
        secret = "5ecre7" * 10
        for replies in ([None], [b"nonsense\r\n\r\n"]):
            server.replies = list(replies)
            with pytest.raises(ReplyLostError) as lost:
                await send(transport, request(target=f"/order?signature={secret}"), timeout_ms=500)
            assert secret not in str(lost.value)
            assert lost.value.__cause__ is None
    transport = HttpTransport({AUTHORITY: f"http://127.0.0.1:{_closed_port()}"})
    await transport.start()
    with pytest.raises(NotSentError) as unsent:
        await send(transport, request(target=f"/order?signature={secret}"))
    assert secret not in str(unsent.value)
    await transport.close()


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
