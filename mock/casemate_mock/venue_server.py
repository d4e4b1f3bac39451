"""A real HTTP server around one simulated venue, with scripted faults and a log of every request.

Faults are queued with :meth:`VenueServer.script`; each applies to the next request that it matches and is
then used up.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Self, assert_never

from aiohttp import web

from casemate_mock.exchange import Exchange
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.wire import VenueRequest, VenueResponse

MAX_BODY_BYTES = 1 << 20
LOG_ENTRIES = 100_000


@unique
class FaultKind(Enum):
    """What goes wrong."""

    DROP_BEFORE = "the connection closes and the venue never sees the request"
    DROP_AFTER = "the venue executes the request and the connection closes without a reply"
    REPLY = "a scripted reply is sent instead, and the venue never sees the request"
    REPLY_AFTER = "the venue executes the request and a scripted reply is sent instead of its own"
    DELAY = "the reply comes late; the venue executes the request at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scripted behaviour; `method` and `path` (a prefix) say which request it waits for, None any.

    `delay_s` delays the reply of every kind of fault, or the drop.
    """

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    delay_s: float = 0.0
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def drop_before(cls, method: str | None = None, path: str | None = None) -> "Fault":
        """Close the connection before the venue sees the request."""
        return cls(kind=FaultKind.DROP_BEFORE, method=method, path=path)

    @classmethod
    def lost_reply(cls, method: str | None = None, path: str | None = None) -> "Fault":
        """Execute, then close the connection without a reply."""
        return cls(kind=FaultKind.DROP_AFTER, method=method, path=path)

    @classmethod
    def delay(cls, seconds: float, method: str | None = None, path: str | None = None) -> "Fault":
        """Execute at once and reply after `seconds`."""
        return cls(kind=FaultKind.DELAY, method=method, path=path, delay_s=seconds)

    @classmethod
    def reply(cls, status: int, body: bytes = b"", *, method: str | None = None, path: str | None = None) -> "Fault":
        """Answer with a status and body, without the venue."""
        return cls(kind=FaultKind.REPLY, method=method, path=path, status=status, body=body)

    @classmethod
    def too_many(cls, retry_after_s: int, *, method: str | None = None, path: str | None = None) -> "Fault":
        """Answer 429 with Retry-After, without the venue."""
        headers = {"Retry-After": str(retry_after_s)}
        return cls(kind=FaultKind.REPLY, method=method, path=path, status=429, headers=headers)

    @classmethod
    def garbage(cls, body: bytes = b"\x00<garbage", *, method: str | None = None, path: str | None = None) -> "Fault":
        """Execute, then answer 200 with bytes that nobody can read."""
        return cls(kind=FaultKind.REPLY_AFTER, method=method, path=path, body=body)

    def matches(self, request: VenueRequest) -> bool:
        """Whether this fault waits for such a request."""
        return self.method in {None, request.method} and request.path.startswith(self.path or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request as the server saw it.

    `seen` says that the venue handled it, `executed` that this changed the exchange (an order placed,
    amended or cancelled); `status` is None when the connection was closed without a reply.
    """

    method: str
    path: str
    query: str = field(repr=False)
    host: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    status: int | None
    seen: bool
    executed: bool


class VenueServer:
    """Serves a venue on `host` and `port` (0: any free one) until stopped; an async context manager."""

    def __init__(
        self,
        venue: SimulatedVenue,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sleep: Callable[[float], "asyncio.Future[None] | object"] | None = None,
    ) -> None:
        """`sleep` waits out a scripted delay (seconds); tests may pass one that does not."""
        self.venue = venue
        self.log: deque[LoggedRequest] = deque(maxlen=LOG_ENTRIES)
        self._host = host
        self._port = port
        self._sleep = sleep
        self._faults: deque[Fault] = deque()
        self._runner: web.AppRunner | None = None

    @property
    def exchange(self) -> Exchange:
        """The venue's exchange, for inspection and for moving prices."""
        return self.venue.exchange

    @property
    def address(self) -> str:
        """`host:port`. Raises RuntimeError when the server is not running."""
        if self._runner is None:
            message = "the server is not running"
            raise RuntimeError(message)
        return f"{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """`http://host:port`."""
        return f"http://{self.address}"

    def script(self, *faults: Fault) -> None:
        """Queue faults; the first one that matches a request applies to it and is used up."""
        self._faults.extend(faults)

    async def start(self) -> "VenueServer":
        """Listen. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        await web.SockSite(runner, listener).start()
        self._runner = runner
        return self

    async def stop(self) -> None:
        """Close the listener and all connections."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def _answer(self, raw: web.Request) -> web.StreamResponse:
        path, _, query = raw.raw_path.partition("?")
        headers = {name.lower(): value for name, value in raw.headers.items()}
        request = VenueRequest(method=raw.method, path=path, query=query, headers=headers, body=await raw.read())
        fault = self._take_fault(request)
        revision = self.exchange.revision
        reply, seen = self._react(request, fault)
        self._record(request, reply, seen=seen, executed=self.exchange.revision != revision)
        if fault is not None and fault.delay_s:
            await self._wait(fault.delay_s)
        if reply is None:
            return _drop(raw)
        return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))

    def _react(self, request: VenueRequest, fault: Fault | None) -> tuple[VenueResponse | None, bool]:
        if fault is None:
            return self.venue.handle(request), True
        scripted = VenueResponse(status=fault.status, body=fault.body, headers=fault.headers)
        match fault.kind:
            case FaultKind.DROP_BEFORE:
                return None, False
            case FaultKind.REPLY:
                return scripted, False
            case FaultKind.DROP_AFTER:
                self.venue.handle(request)
                return None, True
            case FaultKind.REPLY_AFTER:
                self.venue.handle(request)
                return scripted, True
            case FaultKind.DELAY:
                return self.venue.handle(request), True
            case _:
                assert_never(fault.kind)

    def _take_fault(self, request: VenueRequest) -> Fault | None:
        for fault in self._faults:
            if fault.matches(request):
                self._faults.remove(fault)
                return fault
        return None

    def _record(self, request: VenueRequest, reply: VenueResponse | None, *, seen: bool, executed: bool) -> None:
        entry = LoggedRequest(
            method=request.method,
            path=request.path,
            query=request.query,
            host=request.host,
            headers=request.headers,
            body=request.body,
            status=None if reply is None else reply.status,
            seen=seen,
            executed=executed,
        )
        self.log.append(entry)

    async def _wait(self, seconds: float) -> None:
        if self._sleep is None:
            await asyncio.sleep(seconds)
            return
        waiting = self._sleep(seconds)
        if asyncio.iscoroutine(waiting):
            await waiting


def _drop(raw: web.Request) -> web.StreamResponse:
    if raw.transport is not None:
        raw.transport.abort()
    return web.Response(status=500)
