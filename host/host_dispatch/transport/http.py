"""The transport on aiohttp.

What aiohttp would do by itself and must not: send an idempotent request (PUT amends, DELETE cancels) a second time
when a kept-alive connection turns out dead, follow redirects, keep cookies, read proxies from the environment,
add headers, unpack bodies. All of it is off, and the tests hold it off.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from host_dispatch.transport.base import Exchange, NotSentError, ReplyLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.connector import Connection

    from signer_api.v1.signer_pb2 import SignedRequest

_AUTOMATIC: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_LARGEST_REPLY: Final = 4 << 20
# RFC 9110, 5.1 and 5.5: a token, and one line of visible ASCII.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[ -~]*")
# The transport's own to say.
_FRAMING: Final = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})
_KEEP_ALIVE_SECONDS: Final = 55.0
_CONNECT_SECONDS: Final = 5.0


class _Departure:
    """One request's last gate: ``left`` is True from right before its first byte is handed to the socket."""

    __slots__ = ("left", "may_leave")

    def __init__(self, may_leave: Callable[[], bool]) -> None:
        self.left = False
        self.may_leave = may_leave


_DEPARTURE: ContextVar[_Departure] = ContextVar("casemate_departure")


class _ClosedBeforeError(aiohttp.ClientError):
    """The pooled connection was closed before anything was written to it."""


class _TooLateError(aiohttp.ClientError):
    """The request was not to leave any more when a connection was there."""


class _MarkedRequest(aiohttp.ClientRequest):
    """Notes the moment from which bytes may have left."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Refuse a connection that is closed already and a request that is too late, else mark and send."""
        departure = _DEPARTURE.get()
        link, protocol = conn.transport, conn.protocol
        # `should_close`: bytes came while it was idle. They would be taken for the reply to this request.
        if link is None or link.is_closing() or protocol is None or protocol.should_close:
            raise _ClosedBeforeError
        if not departure.may_leave():
            raise _TooLateError
        departure.left = True
        return await super().send(conn)


class HttpTransport:
    """See :class:`host_dispatch.transport.base.Transport`."""

    def __init__(self, connect: Mapping[str, str], *, context: ssl.SSLContext | None = None) -> None:
        """``connect``: authority of a signed URL -> base URL to connect to instead (the Host header stays)."""
        self._connect = dict(connect)
        self._tls = context if context is not None else ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the session on the running loop."""
        self._connector = aiohttp.TCPConnector(
            ssl=self._tls, limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS, ttl_dns_cache=30
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            request_class=_MarkedRequest,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTOMATIC,
            auto_decompress=False,
            trust_env=False,
            requote_redirect_url=False,
        )
        _switch_resending_off(self._session)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def warm(self, authority: str, count: int) -> int:
        """Open ``count`` connections to an authority and pool them; returns how many there are."""
        url = URL(self._connect.get(authority, f"https://{authority}"))
        opened = await asyncio.gather(*(self._open(url) for _ in range(count)))
        alive = [connection for connection in opened if connection is not None]
        for connection in alive:
            connection.release()
        return len(alive)

    async def _open(self, url: URL) -> Connection | None:
        request = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop(), ssl=True)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._connector.connect(request, [], aiohttp.ClientTimeout())
        except (aiohttp.ClientError, OSError):
            # Warming is a courtesy: the first order tries again and says what is wrong.
            return None

    async def send(self, request: SignedRequest, timeout_ms: int, may_leave: Callable[[], bool]) -> Exchange:
        """Send it once, byte-exact; see the interface. Each call belongs in a task of its own."""
        url, headers = self._address(request)
        departure = _Departure(may_leave)
        _DEPARTURE.set(departure)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._exchange(request, url, headers)
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            # TimeoutError is an OSError; RuntimeError is a session that is closed already.
            # Only the type is named: texts of aiohttp quote the URL.
            if departure.left:
                raise ReplyLostError(type(error).__name__) from None
            raise NotSentError(_in_words(error)) from None

    async def _exchange(self, request: SignedRequest, url: URL, headers: CIMultiDict[str]) -> Exchange:
        if self._session is None:
            raise RuntimeError("start() comes first")
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            data=request.body if request.HasField("body") else None,
            allow_redirects=False,
        ) as response:
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > _LARGEST_REPLY:
                    raise aiohttp.ClientPayloadError
                chunks.append(chunk)
            names = {name.lower(): value for name, value in response.headers.items()}
            return Exchange(response.status, names, b"".join(chunks))

    def _address(self, request: SignedRequest) -> tuple[URL, CIMultiDict[str]]:
        """Return where to connect and what to say; raises NotSentError for a URL that would not go out as signed."""
        scheme, _, rest = request.url.partition("://")
        authority, slash, path = rest.partition("/")
        target = slash + path
        base = self._connect.get(authority) or f"{scheme}://{authority}"
        url = _read(base + target)
        if url is None or not slash or scheme != "https" or "@" in authority or url.raw_path_qs != target:
            message = "the signed URL would not go out byte for byte"
            raise NotSentError(message)
        headers = CIMultiDict((header.name, header.value) for header in request.headers)
        if not all(map(_is_plain, headers.items())) or not _HEADER_NAME.fullmatch(request.method):
            message = "the signed headers would not go out as they are"
            raise NotSentError(message)
        headers["Host"] = authority
        return url, headers


def _read(text: str) -> URL | None:
    try:
        return URL(text, encoded=True)
    except ValueError:
        return None


def _is_plain(header: tuple[str, str]) -> bool:
    """Whether a header is one line, and none of those that say where a request ends."""
    name, value = header
    return bool(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)) and name.lower() not in _FRAMING


def _switch_resending_off(session: aiohttp.ClientSession) -> None:
    """Stop aiohttp from sending GET, PUT and DELETE again on its own (aiohttp 3.x: ``_retry_connection``)."""
    if getattr(session, "_retry_connection", None) is not True:
        message = "this aiohttp has no known switch for its silent resend; use one that the host was tested with"
        raise RuntimeError(message)
    session._retry_connection = False  # noqa: SLF001 - there is no public switch


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "connecting took too long"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect ({type(error.os_error).__name__})"
    return f"not sent ({type(error).__name__})"
