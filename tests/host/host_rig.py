"""A host in one event loop between a scripted enclave and a scripted venue: real gRPC, real sockets, real SQLite.

The scripted enclave signs nothing: it shapes requests the way the wire says, so that the host's part is what is
tested. The venue speaks raw HTTP over a TCP socket and can misbehave at any byte.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.addresses import Address
from host_dispatch.application import Host
from host_dispatch.config import Config
from host_dispatch.dispatcher.retry import RetryPlan
from host_dispatch.dispatcher.settings import DispatchSettings, VenueSettings
from host_dispatch.outcome import ErrorClass, Operation, OrderState, Reading
from host_dispatch.venues.base import Bucket, Cost
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from pathlib import Path

VENUE = "tiny"
AUTHORITY = "api.tiny.test"
ACCOUNT = "desk"
SYMBOL = "BTC/USDT"
SECOND = 1_000_000_000


# --- the venue's reader: `STATE` or `!ERROR`, in plain text


class TinyReader:
    """Reads the scripted venue's replies."""

    name = VENUE
    buckets: tuple[Bucket, ...] = (Bucket("orders", 10_000, 1_000, "account"),)

    def read(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Reading:
        text = body.decode("ascii", "replace")
        after = headers.get("retry-after")
        pause = int(after) * 1000 if after else None
        if status >= 500:
            state = OrderState.UNKNOWN if operation < Operation.QUERY else None
            return Reading(state=state, error=ErrorClass.UNKNOWN, code=f"HTTP {status}")
        if text.startswith("!"):
            error = ErrorClass[text[1:]]
            state = OrderState.REJECTED if operation is Operation.CREATE else None
            return Reading(
                state=state, error=error, code=text[1:], message="the venue's own words", retry_after_ms=pause
            )
        if operation is Operation.LOGON:
            return Reading(token=text)
        if text == "DONE":
            return Reading()
        if text not in OrderState.__members__:
            state = OrderState.UNKNOWN if operation < Operation.QUERY else None
            return Reading(state=state, error=ErrorClass.UNKNOWN, code="unreadable")
        return Reading(state=OrderState[text], venue_order_id="v-1", filled_quantity="0.5", average_price="7.25")

    def cost(self, operation: Operation) -> tuple[Cost, ...]:
        return (Cost("orders", 1),) if operation < Operation.QUERY else ()

    def usage(self, headers: Mapping[str, str]) -> tuple[()]:
        del headers
        return ()


# --- the venue


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    head: str
    body: bytes

    @property
    def client_order_id(self) -> str:
        return self.target.partition("id=")[2].partition("&")[0]

    @property
    def is_create(self) -> bool:
        return self.target.startswith("/create")


Answer = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


async def reply(writer: asyncio.StreamWriter, text: str, *, status: str = "200 OK", headers: str = "") -> None:
    """Send one whole HTTP reply."""
    body = text.encode()
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)
    await writer.drain()


def answering(text: str, *, status: str = "200 OK", headers: str = "") -> Answer:
    """Return an answer that always says the same."""

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        await reply(writer, text, status=status, headers=headers)

    return answer


async def drop(_: Seen, writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""
    writer.transport.abort()


class TinyVenue:
    """Scripted by path: `/create`, `/cancel`, `/query`, ... ; unscripted paths answer OPEN."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.script: dict[str, Answer] = {}
        self.on_first_byte: Callable[[], None] | None = None
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def creates(self, client_order_id: str) -> int:
        return sum(seen.is_create and seen.client_order_id == client_order_id for seen in self.seen)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while first := await reader.read(1):
                if self.on_first_byte is not None:
                    self.on_first_byte()
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (int(x.split(":")[1]) for x in head.split("\r\n") if x.lower().startswith("content-length:")),
                    0,
                )
                body = await reader.readexactly(length) if length else b""
                method, target, _ = head.split(" ", 2)
                seen = Seen(method, target, head, body)
                self.seen.append(seen)
                await self.script.get(target.partition("?")[0], answering("OPEN"))(seen, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)


# --- the enclave

_PATHS = {
    Operation.CREATE: ("POST", "/create"),
    Operation.CANCEL: ("DELETE", "/cancel"),
    Operation.CANCEL_ALL: ("DELETE", "/cancel-all"),
    Operation.AMEND: ("PUT", "/amend"),
    Operation.QUERY: ("GET", "/query"),
    Operation.OPEN_ORDERS: ("GET", "/open-orders"),
    Operation.BALANCES: ("GET", "/balances"),
    Operation.LOGON: ("POST", "/listen-key"),
}
_KINDS = {
    "order": Operation.CREATE,
    "cancel": Operation.CANCEL,
    "cancel_all": Operation.CANCEL_ALL,
    "amend": Operation.AMEND,
    "query": Operation.QUERY,
    "open_orders": Operation.OPEN_ORDERS,
    "balances": Operation.BALANCES,
    "logon": Operation.LOGON,
    "order_closed": Operation.ORDER_CLOSED,
    "halt": Operation.HALT,
}
SIGNATURE = "f00dfacef00dfacef00dfacef00dfacef00dfacef00dfacef00dfacef00dface"


class ScriptedEnclave:
    """The Signer service. ``rule`` set: refuses. ``mute``: never answers. ``twist``: changes what it signs."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix:{path}"
        self.rule = ""
        self.mute = False
        self.no_right = False
        self.not_judged: signer_pb2.NotJudged | None = None
        self.twist: Callable[[signer_pb2.SignedRequest], None] = lambda _: None
        self.signed: dict[tuple[str, str], signer_pb2.SignedRequest] = {}
        self.intents: list[bytes] = []
        self.batches: list[int] = []
        self.derived: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self) -> None:
        self._server = grpc.aio.server()
        handlers = {
            "Call": grpc.unary_unary_rpc_method_handler(
                self._call, signer_pb2.EnclaveRequest.FromString, signer_pb2.EnclaveReply.SerializeToString
            ),
            "SignStream": grpc.stream_stream_rpc_method_handler(
                self._stream, signer_pb2.EnclaveRequest.FromString, signer_pb2.EnclaveReply.SerializeToString
            ),
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("casemate.signer.v1.Signer", handlers),)
        )
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    async def _call(self, request: signer_pb2.EnclaveRequest, _: Any) -> signer_pb2.EnclaveReply:
        return self._answer(request)

    async def _stream(self, requests: Any, context: Any) -> None:
        async for request in requests:
            kind = request.WhichOneof("call")
            if kind != "status":
                if self.mute:
                    continue
                await self.gate.wait()
            await context.write(self._answer(request))

    def _answer(self, request: signer_pb2.EnclaveRequest) -> signer_pb2.EnclaveReply:
        reply = signer_pb2.EnclaveReply(request_id=request.request_id)
        match request.WhichOneof("call"):
            case "status":
                reply.status.phase = signer_pb2.PHASE_READY
            case "sign":
                self.batches.append(1)
                one = self._judge(request.sign)
                field = one.WhichOneof("answer")
                getattr(reply, field).CopyFrom(getattr(one, field))
            case "sign_batch":
                self.batches.append(len(request.sign_batch.intents))
                reply.judged_batch.answers.extend(self._judge(sealed) for sealed in request.sign_batch.intents)
            case "derived":
                self._derive(request.derived, reply)
            case "grant":
                reply.granted.duty.sequence = 3
            case "checkpoint" | "retire" as call:
                reply.checkpoint.checkpoint, reply.checkpoint.signature = call.encode(), b"signed"
            case "load_policy" | "provision":
                reply.loaded.policy_version = 7
            case _:
                reply.not_judged.reason = "WRONG_PHASE"
        return reply

    def _judge(self, sealed: intent_pb2.SealedIntent) -> signer_pb2.JudgedOrNot:
        self.intents.append(sealed.intent)
        answer = signer_pb2.JudgedOrNot()
        if self.not_judged is not None:
            answer.not_judged.CopyFrom(self.not_judged)
            return answer
        verdict = answer.judged.verdict
        if self.rule:
            verdict.decision, verdict.rule = signer_pb2.DECISION_REFUSE, self.rule
            return answer
        verdict.decision, verdict.rule = signer_pb2.DECISION_ALLOW, "grant:all"
        intent = intent_pb2.Intent.FromString(sealed.intent)
        kind = intent.WhichOneof("kind")
        operation = _KINDS[kind]
        if operation in (Operation.ORDER_CLOSED, Operation.HALT):
            return answer
        body = getattr(intent, kind)
        key = (body.account, getattr(body, "client_order_id", ""))
        if operation is Operation.CREATE and key in self.signed:
            answer.judged.repeated = True
            answer.judged.request.CopyFrom(self.signed[key])
            return answer
        request = signed(operation, body.account, getattr(body, "symbol", ""), key[1], body.valid_until)
        self.twist(request)
        answer.judged.request.CopyFrom(request)
        if operation is Operation.CREATE:
            self.signed[key] = request
        return answer

    def _derive(self, wanted: signer_pb2.DerivedRequest, reply: signer_pb2.EnclaveReply) -> None:
        self.derived.append(wanted.operation)
        original = self.signed.get((wanted.account, wanted.client_order_id))
        if original is None or self.no_right:
            reply.not_judged.reason = "NO_RIGHT"
            return
        reply.judged.verdict.decision = signer_pb2.DECISION_ALLOW
        until = time.time_ns() + 5 * SECOND
        operation = Operation(wanted.operation)
        reply.judged.request.CopyFrom(signed(operation, wanted.account, SYMBOL, wanted.client_order_id, until))


def signed(
    operation: Operation, account: str, symbol: str, client_order_id: str, until: int
) -> signer_pb2.SignedRequest:
    """Return what the scripted enclave signs."""
    method, path = _PATHS[operation]
    return signer_pb2.SignedRequest(
        method=method,
        url=f"https://{AUTHORITY}{path}?id={client_order_id}&sig={SIGNATURE}",
        headers=[signer_pb2.Header(name="X-Key", value="k")],
        body=b'{"id":"%s"}' % client_order_id.encode() if method == "POST" else None,
        account=account,
        venue=VENUE,
        symbol=symbol,
        client_order_id=client_order_id,
        operation=int(operation),  # type: ignore[arg-type]
        valid_until=until,
    )


# --- requests


def create(client_order_id: str, *, wait: int = 0, valid_for: float = 10.0, **routing: Any) -> wire.SubmitRequest:
    """Return a limit order's request."""
    until = time.time_ns() + int(valid_for * SECOND)
    intent = intent_pb2.Intent(
        order=intent_pb2.OrderIntent(
            account=ACCOUNT,
            venue=VENUE,
            symbol=SYMBOL,
            client_order_id=client_order_id,
            side=intent_pb2.SIDE_BUY,
            type=intent_pb2.ORDER_TYPE_LIMIT,
            quantity="1",
            price="7",
            valid_until=until,
        )
    )
    return sealed(intent, Operation.CREATE, client_order_id, until, wait, **routing)


def other(kind: str, client_order_id: str = "", *, wait: int = 0, valid_for: float = 10.0) -> wire.SubmitRequest:
    """Return a request of another kind: ``cancel``, ``amend``, ``query``, ``halt``, ..."""
    until = time.time_ns() + int(valid_for * SECOND)
    intent = intent_pb2.Intent()
    body = getattr(intent, kind)
    names = {descriptor.name for descriptor in body.DESCRIPTOR.fields}
    fields = {"account": ACCOUNT, "venue": VENUE, "symbol": SYMBOL, "client_order_id": client_order_id}
    for name, value in fields.items():
        if name in names:
            setattr(body, name, value)
    body.valid_until = until
    operation = _KINDS[kind]
    symbol = SYMBOL if "symbol" in names else ""
    return sealed(intent, operation, client_order_id, until, wait, symbol=symbol)


def sealed(
    intent: intent_pb2.Intent,
    operation: Operation,
    client_order_id: str,
    until: int,
    wait: int,
    **routing: Any,
) -> wire.SubmitRequest:
    """Seal an intent and address it."""
    return wire.SubmitRequest(
        sealed=intent_pb2.SealedIntent(session=b"engine", counter=1, intent=intent.SerializeToString()),
        routing=wire.Routing(
            **{
                "account": ACCOUNT,
                "venue": VENUE,
                "symbol": SYMBOL,
                "client_order_id": client_order_id,
                "operation": int(operation),
                "valid_until": until,
                **routing,
            }
        ),
        wait_for=wait,  # type: ignore[arg-type]
    )


# --- the whole


def _bytes(message: Any) -> bytes:
    """Serialise, or pass on what is no message at all."""
    return message if isinstance(message, bytes) else bytes(message.SerializeToString())


class Api:
    """A client of both services, by hand: only the stubs and the method paths."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),))

    def _unary(self, path: str, kind: Any) -> Any:
        return self.channel.unary_unary(
            f"/casemate.dispatch.v1.{path}",
            request_serializer=_bytes,
            response_deserializer=kind.FromString,
        )

    async def call(
        self, method: str, request: Any, kind: Any = wire.SubmitReply, service: str = "OrderDispatch"
    ) -> Any:
        return await self._unary(f"{service}/{method}", kind)(request, timeout=20)

    async def submit(self, request: wire.SubmitRequest) -> wire.SubmitReply:
        reply: wire.SubmitReply = await self.call("Submit", request)
        return reply

    async def get(self, client_order_id: str) -> wire.ExecutionReport:
        request = wire.GetRequest(account=ACCOUNT, client_order_id=client_order_id)
        report: wire.ExecutionReport = await self.call("Get", request, wire.ExecutionReport)
        return report

    async def status(self) -> wire.StatusReply:
        reply: wire.StatusReply = await self.call("Status", wire.StatusRequest(), wire.StatusReply, "Operator")
        return reply

    def watch(self, start: int = 0) -> Any:
        return self.channel.unary_stream(
            "/casemate.dispatch.v1.OrderDispatch/WatchExecutions",
            request_serializer=wire.WatchExecutionsRequest.SerializeToString,
            response_deserializer=wire.ExecutionReport.FromString,
        )(wire.WatchExecutionsRequest(from_sequence=start))

    def stream(self) -> Any:
        return self.channel.stream_stream(
            "/casemate.dispatch.v1.OrderDispatch/Stream",
            request_serializer=_bytes,
            response_deserializer=wire.StreamReply.FromString,
        )()


@dataclass
class Rig:
    """One host between its two neighbours. ``settings`` and ``config`` may be changed before :meth:`start_host`."""

    directory: Path
    enclave: ScriptedEnclave
    venue: TinyVenue
    settings: DispatchSettings = field(
        default_factory=lambda: DispatchSettings(
            timeout_ms=2_000,
            repeats=RetryPlan(3, 5, 20),
            resolve=RetryPlan(1_000_000, 5, 40),
            resolve_for_ms=10_000,
            not_found_margin_ms=100,
            recovery_ms=5_000,
        )
    )
    reader: Any = field(default_factory=TinyReader)
    changes: dict[str, Any] = field(default_factory=dict)
    host: Host | None = None
    transport: Any = None

    @property
    def journal_path(self) -> Path:
        return self.directory / "journal.db"

    def config(self) -> Config:
        connect = {AUTHORITY: f"http://127.0.0.1:{self.venue.port}"}
        before = self.settings.venues.get(VENUE, VenueSettings())
        settings = replace(self.settings, venues={VENUE: replace(before, connect=connect)})
        config = Config(
            listen=(Address(f"unix:{self.directory}/gateway.sock", f"{self.directory}/gateway.sock"),),
            enclave=Address(self.enclave.address),
            journal=self.journal_path,
            durability="full",
            dispatch=settings,
            drain_ms=2_000,
        )
        return replace(config, **self.changes)

    async def start_host(self) -> Api:
        self.host = Host(self.config(), readers={VENUE: self.reader}, transport=self.transport)
        await self.host.start()
        self.api = Api(self.host.listen[0])
        return self.api

    async def stop_host(self) -> None:
        if self.host is not None:
            await self.api.channel.close()
            host, self.host = self.host, None
            await host.stop()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the journal's file from outside."""
        connection = sqlite3.connect(f"file:{self.journal_path}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


@asynccontextmanager
async def running(directory: Path, *, start: bool = True) -> Any:
    """Run enclave, venue and host; ``start`` False leaves the host for later."""
    enclave, venue = ScriptedEnclave(directory / "enclave.sock"), TinyVenue()
    await enclave.start()
    await venue.start()
    rig = Rig(directory, enclave, venue)
    try:
        if start:
            await rig.start_host()
        yield rig
    finally:
        await rig.stop_host()
        await venue.stop()
        await enclave.stop()


async def eventually(check: Callable[[], Awaitable[bool]] | Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until ``check`` is true; fails the test after a generous bound."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if not isinstance(found, bool):
            found = await found
        if found:
            return
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.01)


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """Read the ErrorInfo of a failed call."""
    trailing = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "casemate"
    return info
