"""The asynchronous gateway: orders in, verdicts and reports out.

>>> async with Gateway("unix:/run/casemate/gateway.sock", UnauthenticatedSealer("mm-1")) as gateway:
...     order = OrderIntent.limit("main", "okx", "BTC/USDT", "BUY", quantity="0.1", price="60000")
...     result = await gateway.submit(order)
...     if not result.allowed:
...         print(result.verdict.rule, result.verdict.reason)

A refusal is a value. An exception means that nothing was judged (:class:`casemate.errors.NotJudged`), or that
the outcome is unknown (:class:`casemate.errors.OutcomeUnknown`): then ask :meth:`Gateway.get`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Self, TypeVar

import grpc
import grpc.aio

from casemate import calls, errors, intents
from casemate.channel import can_connect, endpoint_of, identity
from casemate.failures import not_connected, translate_async
from casemate.models import WaitFor
from casemate.profile import read_profile
from casemate.stream import OrderStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path
    from types import TracebackType

    from casemate import models
    from casemate.channel import Endpoint
    from casemate.failures import About
    from casemate.sealing import Opening, Sealer
    from casemate.stream import Maker
    from dispatch_api.v1 import dispatch_pb2

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - I for intent
R = TypeVar("R")

DEFAULT_TIMEOUT_S: Final = 10.0
_RECONNECT_S: Final = 0.2


class Gateway:
    """A connection to one Casemate host, for one engine. Safe for any number of concurrent calls of one event loop."""

    def __init__(
        self,
        gateway: str | Endpoint,
        sealer: Sealer,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        validity_ns: int = calls.DEFAULT_VALIDITY_NS,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Connect lazily. ``timeout_s`` bounds each call; ``validity_ns`` is how long an intent may be sent."""
        self._endpoint = endpoint_of(gateway)
        self._calls = calls.Calls(sealer, clock, validity_ns)
        self._opening = asyncio.Lock()
        self._timeout = timeout_s
        self._channel = self._endpoint.open()
        # As far as the last call knew.
        self._connected = False
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    @classmethod
    def connect(
        cls,
        profile: Path | str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        validity_ns: int = calls.DEFAULT_VALIDITY_NS,
    ) -> Self:
        """Connect as a profile file says: gateway, engine, its key, and the enclave that it must be.

        Raises :class:`casemate.profile.ProfileError`. Sessions open with the first intent.
        """
        said = read_profile(profile)
        return cls(said.gateway(), said.sealer(), timeout_s=timeout_s, validity_ns=validity_ns)

    async def __aenter__(self) -> Self:
        """Return the gateway."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way end as :class:`casemate.errors.Disconnected`."""
        await self._channel.close()

    async def wait_ready(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Wait until the host answers; raises NotReady after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._channel.channel_ready()
        except TimeoutError:
            raise not_connected(self._endpoint.target) from None
        self._connected = True

    async def submit(
        self,
        order: intents.OrderIntent,
        *,
        wait_for: WaitFor = WaitFor.ACKNOWLEDGED,
        timeout_s: float | None = None,
    ) -> models.SubmitResult:
        """Send one order and wait until it is signed, sent or acknowledged."""
        return await self.send(lambda: self._calls.submit(order, wait_for), timeout_s)

    async def submit_batch(
        self,
        orders: Sequence[intents.Intent],
        *,
        wait_for: WaitFor = WaitFor.ACKNOWLEDGED,
        timeout_s: float | None = None,
    ) -> tuple[models.SubmitResult | errors.NotJudged | errors.OutcomeUnknown, ...]:
        """Send up to 64 intents in one call; each gets its own answer, in order."""
        return await self.send(lambda: self._calls.submit_batch(orders, wait_for), timeout_s)

    async def cancel(
        self,
        account: str,
        venue: str,
        symbol: str,
        client_order_id: str = "",
        *,
        venue_order_id: str = "",
        timeout_s: float | None = None,
    ) -> models.SubmitResult:
        """Cancel one order."""
        intent = intents.CancelIntent(
            account=account,
            venue=venue,
            symbol=symbol,
            client_order_id=client_order_id,
            venue_order_id=venue_order_id,
        )
        return await self.send(lambda: self._calls.submit(intent), timeout_s)

    async def cancel_all(
        self,
        account: str,
        venue: str,
        symbol: str,
        *,
        side: models.Side | None = None,
        timeout_s: float | None = None,
    ) -> models.SubmitResult:
        """Cancel every open order of one symbol."""
        intent = intents.CancelAllIntent(account=account, venue=venue, symbol=symbol, side=side)
        return await self.send(lambda: self._calls.submit(intent), timeout_s)

    async def amend(self, amend: intents.AmendIntent, *, timeout_s: float | None = None) -> models.SubmitResult:
        """Change an order's quantity and/or price; judged as a new order."""
        return await self.send(lambda: self._calls.submit(amend), timeout_s)

    async def close_order(
        self,
        account: str,
        client_order_id: str,
        filled_quantity: intents.Number,
        *,
        timeout_s: float | None = None,
    ) -> models.SubmitResult:
        """Tell the enclave that an order can fill no more, and how much it filled: releases its exposure, once."""
        intent = intents.CloseIntent(
            account=account,
            client_order_id=client_order_id,
            filled_quantity=filled_quantity,  # type: ignore[arg-type]  # written as text by the intent
        )
        return await self.send(lambda: self._calls.submit(intent), timeout_s)

    async def query(
        self,
        account: str,
        venue: str,
        symbol: str,
        client_order_id: str = "",
        *,
        venue_order_id: str = "",
        timeout_s: float | None = None,
    ) -> models.ReadResult:
        """Ask the venue about one order."""
        intent = intents.QueryIntent(
            account=account,
            venue=venue,
            symbol=symbol,
            client_order_id=client_order_id,
            venue_order_id=venue_order_id,
        )
        return await self.send(lambda: self._calls.read(intent), timeout_s)

    async def open_orders(
        self, account: str, venue: str, symbol: str, *, timeout_s: float | None = None
    ) -> models.ReadResult:
        """Ask the venue for the open orders of one symbol."""
        intent = intents.OpenOrdersIntent(account=account, venue=venue, symbol=symbol)
        return await self.send(lambda: self._calls.read(intent), timeout_s)

    async def balances(self, account: str, venue: str, *, timeout_s: float | None = None) -> models.ReadResult:
        """Ask the venue for the account's balances."""
        return await self.send(
            lambda: self._calls.read(intents.BalancesIntent(account=account, venue=venue)), timeout_s
        )

    async def logon(self, account: str, venue: str, *, timeout_s: float | None = None) -> models.LogonResult:
        """Ask for what logs a connection of a read-only account's private stream on."""
        intent = intents.LogonIntent(account=account, venue=venue)
        return await self.send(lambda: self._calls.logon(intent), timeout_s)

    async def get(
        self, account: str, client_order_id: str, *, timeout_s: float | None = None
    ) -> models.ExecutionReport:
        """Latest report of one order, from the host's journal; raises NotFound."""
        return await self._call(self._calls.get(account, client_order_id), timeout_s)

    async def list_orders(
        self,
        account: str,
        *,
        states: Iterable[models.OrderState] = (),
        limit: int = 100,
        timeout_s: float | None = None,
    ) -> tuple[models.ExecutionReport, ...]:
        """Latest reports from the host's journal, at most 1,000."""
        return await self._call(self._calls.list_orders(account, states, limit), timeout_s)

    async def watch(
        self, from_sequence: int = 0, *, accounts: Iterable[str] = (), reconnect: bool = True
    ) -> AsyncIterator[models.ExecutionReport]:
        """Replay every report from ``from_sequence`` on, then follow; resumes by itself after a broken connection."""
        names = tuple(accounts)
        while True:
            call = self._calls.watch(from_sequence, names)
            try:
                async for report in self._stream(call):
                    from_sequence = report.sequence + 1
                    yield report
            except (errors.Disconnected, errors.NotReady):
                if not reconnect:
                    raise
            if not reconnect:
                return
            await asyncio.sleep(_RECONNECT_S)

    def stream(self, *, wait_for: WaitFor = WaitFor.ACKNOWLEDGED) -> OrderStream[intents.Intent, models.SubmitResult]:
        """Open one long-lived stream for many orders: ``async with gateway.stream() as stream``."""
        return self.stream_of(self._calls, wait_for)

    def stream_of(self, make: Maker[I, R], wait_for: WaitFor = WaitFor.ACKNOWLEDGED) -> OrderStream[I, R]:
        """Open one for intents in another form; ``make`` must seal under this gateway's sealer."""
        method = self._channel.stream_stream(
            calls.DISPATCH + "Stream", request_serializer=identity, response_deserializer=identity
        )
        return OrderStream(method, make, wait_for, self._timeout, self.open_session)

    async def status(self, *, timeout_s: float | None = None) -> models.Status:
        """Return the host's and the enclave's status."""
        return await self._call(calls.status(), timeout_s)

    async def halt(self, halt: intents.HaltIntent, *, timeout_s: float | None = None) -> models.SubmitResult:
        """Stop signing within a scope; cancels and reads still pass. Only :meth:`resume` ends it."""
        return await self.send(lambda: self._calls.halt(halt), timeout_s)

    async def halt_by_administrator(
        self, halt: intents.HaltIntent, approval: bytes, *, timeout_s: float | None = None
    ) -> models.EnclaveStatus:
        """Stop signing within a scope, of every account, by one administrator's approval: no session is needed."""
        return await self._call(calls.halt_by_administrator(halt, approval), timeout_s)

    async def resume(
        self, halt: intents.HaltIntent, approvals: Sequence[bytes] = (), *, last: int, timeout_s: float | None = None
    ) -> models.EnclaveStatus:
        """End a HALT of that scope, none after number ``last`` of the status; needs the quorum's approvals."""
        return await self._call(calls.resume(halt, approvals, last), timeout_s)

    async def succeed(
        self, quorum: bytes, approvals: Sequence[bytes], *, timeout_s: float | None = None
    ) -> models.EnclaveStatus:
        """Put a successor in the quorum's place, before a policy is live; the host keeps none for the next boot."""
        return await self._call(calls.succeed(quorum, approvals), timeout_s)

    async def pause(self, for_ms: int, *, timeout_s: float | None = None) -> models.Status:
        """Have the host take no new orders for a while; ends by itself."""
        return await self._call(calls.pause(for_ms), timeout_s)

    async def unpause(self, *, timeout_s: float | None = None) -> models.Status:
        """End a pause."""
        return await self._call(calls.unpause(), timeout_s)

    async def receipts(
        self, boot: bytes = b"", from_sequence: int = 0, limit: int = 0, *, timeout_s: float | None = None
    ) -> dispatch_pb2.StoredReceipts:
        """Return a page of receipts as the host stored them, unchecked; ``casemate audit verify`` checks them."""
        return await self._call(calls.receipts(boot, from_sequence, limit), timeout_s)

    async def load_policy(
        self, policy: bytes, approvals: Sequence[bytes] = (), *, timeout_s: float | None = None
    ) -> models.Loaded:
        """Give the enclave a policy in its canonical form."""
        return await self._call(calls.load_policy(policy, approvals), timeout_s)

    async def attest(self, nonce: bytes, *, timeout_s: float | None = None) -> bytes:
        """Return the enclave's attestation document, unverified; ``nonce`` has 16 to 64 bytes."""
        return await self._call(calls.attest(nonce), timeout_s)

    async def provision_bundle(
        self, account: str, bundle: bytes, approvals: Sequence[bytes] = (), *, timeout_s: float | None = None
    ) -> models.Loaded:
        """Give the enclave one account's credential, sealed to its own key."""
        return await self._call(calls.provision_bundle(account, bundle, approvals), timeout_s)

    async def unseal(
        self, account: str, bundle: bytes, approvals: Sequence[bytes] = (), *, timeout_s: float | None = None
    ) -> models.Loaded:
        """Have the host ask KMS to open one account's sealed credential for the enclave."""
        return await self._call(calls.unseal(account, bundle, approvals), timeout_s)

    async def provision(
        self,
        account: str,
        credential: bytes,
        approvals: Sequence[bytes] = (),
        *,
        timeout_s: float | None = None,
    ) -> models.Loaded:
        """Give the development stand-in one account's credential in clear."""
        return await self._call(calls.provision(account, credential, approvals), timeout_s)

    async def send(self, make: Callable[[], calls.Call[T]], timeout_s: float | None) -> T:
        """Make a call that hands an intent over; ``make`` seals it, when there is a session."""
        await self.open_session()
        return await self._call(make(), timeout_s)

    async def open_session(self) -> None:
        """Open or renew the session if it is time: every call that needs one does so by itself.

        Raises NotReady or NotAttested if there is none then.
        """
        sessions = self._calls.sessions
        if sessions is None or not sessions.due():
            return
        async with self._opening:
            if not sessions.due():
                return
            try:
                await self._open(sessions.opening())
            except errors.CasemateError as error:
                if not sessions.usable():
                    raise calls.no_session(error) from None
                sessions.postpone()

    async def _open(self, opening: Opening) -> None:
        try:
            step = next(opening)
            while True:
                try:
                    answer = await self._call(calls.Call(step.method, step.request, bytes), None)
                except errors.CasemateError as error:
                    step = opening.throw(error)
                else:
                    step = opening.send(answer)
        except StopIteration:
            return

    async def call(self, call: calls.Call[T], timeout_s: float | None = None) -> T:
        """Make a call that hands no intent over."""
        return await self._call(call, timeout_s)

    def follow(self, call: calls.Call[T]) -> AsyncIterator[T]:
        """Make a call with a streamed answer; ends when the host ends it."""
        return self._stream(call)

    async def _call(self, call: calls.Call[T], timeout_s: float | None) -> T:
        method = self._methods.get(call.method)
        if method is None:
            method = self._channel.unary_unary(call.method, request_serializer=identity, response_deserializer=identity)
            self._methods[call.method] = method
        left_s = await self._connect(self._timeout if timeout_s is None else timeout_s)
        try:
            raw = await method(call.request, timeout=left_s)
        except grpc.aio.AioRpcError as error:
            failure = self._failed(error, call.about)
            raise self._calls.failed(failure, call.session, call.about) from None
        return call.parse(raw)

    async def _connect(self, timeout_s: float) -> float:
        """Return the seconds left for the call; raises NotReady, before anything is sent, if there is no connection."""
        if self._connected:
            return timeout_s
        begun = asyncio.get_running_loop().time()
        if not await can_connect(self._channel, timeout_s):
            raise not_connected(self._endpoint.target)
        self._connected = True
        return max(0.0, timeout_s - (asyncio.get_running_loop().time() - begun))

    def _failed(self, error: grpc.aio.AioRpcError, about: About) -> errors.CasemateError:
        # The call was begun: whatever the channel's state is now, it may have been sent.
        failure = translate_async(error, about)
        if isinstance(failure, errors.Disconnected):
            self._connected = False
        return failure

    async def _stream(self, call: calls.Call[T]) -> AsyncIterator[T]:
        method = self._channel.unary_stream(call.method, request_serializer=identity, response_deserializer=identity)
        await self._connect(self._timeout)
        try:
            async for raw in method(call.request):
                yield call.parse(raw)
        except grpc.aio.AioRpcError as error:
            raise self._failed(error, call.about) from None
