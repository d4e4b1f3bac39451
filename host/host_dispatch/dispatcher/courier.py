"""Carries one signed request to its venue and reads the reply; keeps the venue's health and pauses up to date."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from host_dispatch.dispatcher.lane import Rank
from host_dispatch.outcome import WRITES, ErrorClass, Operation, OrderState, Reading, narrow
from host_dispatch.transport.base import NotSentError, ReplyLostError
from host_dispatch.venues.authorities import authority_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from host_dispatch.clock import Clock
    from host_dispatch.dispatcher.sites import Site
    from host_dispatch.telemetry.counters import Counters
    from host_dispatch.transport.base import Transport
    from signer_api.v1.signer_pb2 import SignedRequest

_LIMITED: Final = 429
_BANNED: Final = 418
_FORBIDDEN: Final = 403
# Where the venue does not say how long: a minute's window for 429, the shortest documented ban for 418.
_PAUSE_MS: Final = {_LIMITED: 1_000, _BANNED: 120_000}

_log = logging.getLogger("casemate.host.courier")


class Courier:
    """See the module's text."""

    def __init__(self, transport: Transport, counters: Counters, *, timeout_ms: int) -> None:
        """``timeout_ms`` bounds one exchange, connecting included."""
        self._transport = transport
        self._counters = counters
        self._timeout_ms = timeout_ms

    async def carry(
        self, site: Site, signed: SignedRequest, operation: Operation, may_leave: Callable[[], bool]
    ) -> Reading:
        """Send once and read the reply; raises NotSentError or ReplyLostError.

        ``may_leave`` is asked right before the first byte does (D4).
        """
        authority = authority_of(signed.url)
        if authority not in site.authorities:
            self._counters.add("not_sent")
            _log.error(
                "a signed URL leads elsewhere", extra={"fields": {"venue": site.name, "authority": authority[:80]}}
            )
            message = f"the signed URL does not lead to {site.name}"
            raise NotSentError(message)
        try:
            reply = await self._transport.send(signed, self._timeout_ms, may_leave)
        except NotSentError as error:
            self._counters.add("not_sent")
            site.failed(str(error))
            raise
        except ReplyLostError as error:
            self._counters.add("reply_lost")
            site.failed(f"reply lost ({error})")
            raise
        reading = site.reader.read(operation, reply.status, reply.headers, reply.body)
        self._note(site, reply.status, reading)
        return reading

    def _note(self, site: Site, status: int, reading: Reading) -> None:
        if status in _PAUSE_MS or reading.error is ErrorClass.RATE_LIMITED:
            pause = reading.retry_after_ms if reading.retry_after_ms is not None else _PAUSE_MS.get(status, 0)
            site.held(pause, f"asked to wait {pause} ms (HTTP {status})")
            if status == _BANNED:
                _log.error("the venue has banned this address", extra={"fields": {"venue": site.name, "ms": pause}})
        elif reading.error in (ErrorClass.UNKNOWN, ErrorClass.MAINTENANCE):
            site.failed(f"HTTP {status} {reading.code}".strip())
        else:
            site.answered()
        if status == _FORBIDDEN:
            _log.error("the venue refused the connection's origin", extra={"fields": {"venue": site.name}})


class Errand:
    """A read on its way through a lane: an engine's own, or a query about an order that is UNKNOWN."""

    rank = Rank.READ

    def __init__(self, courier: Courier, site: Site, signed: SignedRequest, operation: Operation, clock: Clock) -> None:
        """``signed``: the enclave's request."""
        self.operation = operation
        self.symbol = signed.symbol
        self._courier = courier
        self._site = site
        self._signed = signed
        self._clock = clock
        self._lane = site.lane(signed.account)
        self._result: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()

    async def run(self) -> Reading:
        """Return the reading; raises as the courier does."""
        self._lane.join(self)
        return await self._result

    def is_stale(self, now: int) -> bool:
        """Whether its validity has ended or nobody waits any more."""
        return now >= self._signed.valid_until or self._result.done()

    def go(self, now: int) -> None:
        """Its turn."""
        if self._result.done():
            self._lane.leave()
            return
        if now >= self._signed.valid_until:
            self._result.set_exception(NotSentError("the read waited past its validity"))
            self._lane.leave()
            return
        self._task = asyncio.get_running_loop().create_task(self._carry())

    async def _carry(self) -> None:
        try:
            reading = await self._courier.carry(self._site, self._signed, self.operation, self._may_leave)
        except (NotSentError, ReplyLostError) as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whoever waits hears of it whatever went wrong
            _log.error("a fault while reading", exc_info=error)
            self._fail(ReplyLostError("a fault in the host"))
        else:
            if self.operation is Operation.QUERY:
                # Some venues answer with a list that the order asked for is somewhere in.
                reading = narrow(reading, client_order_id=self._signed.client_order_id)
            if not self._result.done():
                self._result.set_result(reading)
        finally:
            self._lane.leave()

    def _may_leave(self) -> bool:
        return self._clock.now_ns() < self._signed.valid_until

    def _fail(self, error: Exception) -> None:
        if not self._result.done():
            self._result.set_exception(error)


def is_lost(operation: Operation, reading: Reading) -> bool:
    """Whether a reply leaves open what happened."""
    return reading.error is ErrorClass.UNKNOWN or (operation in WRITES and reading.state is OrderState.UNKNOWN)
