"""How things are, taken on the event loop every few seconds and read by the exporter's thread: values only."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from host_dispatch.errors import NotTakenError
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from host_dispatch.clock import Clock
    from host_dispatch.collector import Collector
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.dispatcher.sites import Site
    from host_dispatch.journal.sqlite import SqliteJournal
    from host_dispatch.receipts import ReceiptKeeper

_EVERY_S: Final = 2.0

_log = logging.getLogger("casemate.host.telemetry")


class LaneState(NamedTuple):
    """One account's lane at one venue."""

    venue: str
    account: str
    queued: int
    out: int


class VenueState(NamedTuple):
    """One venue; ``health`` is the wire's VenueHealth."""

    venue: str
    health: int


class Pauses(NamedTuple):
    """A garbage collector's: how often, and nanoseconds."""

    collections: int
    total: int
    longest: int


class Receipts(NamedTuple):
    """Of the boot that the link leads to: how many were seen, are covered by a head, and are missing here."""

    seen: int
    signed: int
    missing: int


class Snapshot(NamedTuple):
    """Everything that is read rather than counted."""

    # Nanoseconds UTC.
    at: int
    venues: tuple[VenueState, ...]
    lanes: tuple[LaneState, ...]
    events: dict[str, int]
    journal_sequence: int
    journal_in_trouble: bool
    unresolved: int
    under_way: int
    paused: bool
    host_pauses: Pauses | None
    receipts: Receipts
    # None while the enclave does not answer.
    enclave: signer_pb2.EnclaveStatus | None


class Watcher:
    """Takes snapshots until cancelled."""

    def __init__(
        self,
        runner: Runner,
        journal: SqliteJournal,
        keeper: ReceiptKeeper,
        clock: Clock,
        collector: Collector | None,
    ) -> None:
        """The parts that are looked at; nothing of them is changed."""
        self._runner = runner
        self._journal = journal
        self._keeper = keeper
        self._collector = collector
        self._clock = clock
        self.latest: Snapshot | None = None

    async def run(self) -> None:
        """Look, wait, look again."""
        while True:
            try:
                self.latest = await self.look()
            except Exception as error:  # noqa: BLE001 - looking must not end because of what it sees
                _log.error("a fault while looking at the host's state", exc_info=error)
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> Snapshot:
        """Take one snapshot."""
        runner, sites = self._runner, tuple(self._runner.sites.values())
        enclave = await self._enclave()
        return Snapshot(
            at=self._clock.now_ns(),
            venues=tuple(VenueState(site.name, site.status().health) for site in sites),
            lanes=tuple(lane for site in sites for lane in _lanes(site)),
            events=dict(runner.counters.values),
            journal_sequence=self._journal.head,
            journal_in_trouble=bool(self._journal.trouble),
            unresolved=runner.unresolved(),
            under_way=runner.live,
            paused=runner.intake.paused,
            host_pauses=_pauses(self._collector),
            receipts=Receipts(self._keeper.seen, self._keeper.signed, self._keeper.missing),
            enclave=enclave,
        )

    async def _enclave(self) -> signer_pb2.EnclaveStatus | None:
        try:
            answer = await self._runner.link.call(signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest()))
        except NotTakenError:
            return None
        return answer.status


def _lanes(site: Site) -> tuple[LaneState, ...]:
    return tuple(LaneState(site.name, name, len(lane), lane.out) for name, lane in site.lanes.items())


def _pauses(collector: Collector | None) -> Pauses | None:
    return None if collector is None else Pauses(collector.collections, collector.total, collector.longest)
