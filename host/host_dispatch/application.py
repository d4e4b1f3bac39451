"""Wiring: makes the host's parts of a configuration, starts them in order, and stops them in the reverse order."""

from __future__ import annotations

import asyncio
import logging
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from host_dispatch import boot_codes
from host_dispatch.api.dispatch import DispatchService
from host_dispatch.api.duty import LastCheckpoint
from host_dispatch.api.operator import OperatorService
from host_dispatch.api.reads import Reads
from host_dispatch.api.server import OPERATOR, ORDER_DISPATCH, ApiServer
from host_dispatch.api.stream import StreamService
from host_dispatch.api.venues import VenueWatch
from host_dispatch.clock import SystemClock
from host_dispatch.dispatcher.recovery import recover
from host_dispatch.dispatcher.runner import Runner
from host_dispatch.enclave_link import EnclaveLink
from host_dispatch.errors import NotTakenError
from host_dispatch.executions import ExecutionHub
from host_dispatch.journal.sqlite import SqliteJournal
from host_dispatch.provisioning.at_start import AtStart
from host_dispatch.provisioning.kms import Kms
from host_dispatch.provisioning.unsealing import Unsealer
from host_dispatch.receipts import ReceiptKeeper
from host_dispatch.telemetry.service import Telemetry
from host_dispatch.telemetry.snapshot import Watcher
from host_dispatch.transport.http import HttpTransport
from host_dispatch.venues.registry import READERS
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from host_dispatch.clock import Clock
    from host_dispatch.collector import Collector
    from host_dispatch.config import Config
    from host_dispatch.transport.base import Transport
    from host_dispatch.venues.base import VenueReader

# The enclave may start after the host: its absence is no reason not to serve.
_ENCLAVE_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 1.0

_log = logging.getLogger("casemate.host")


class Host:
    """A whole host process, also usable inside a test."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        transport: Transport | None = None,
        readers: Mapping[str, VenueReader] = READERS,
        collector: Collector | None = None,
    ) -> None:
        """``clock``, ``transport`` and ``readers`` can be stood in for."""
        self._config = config
        self._clock = clock or SystemClock()
        self._http = HttpTransport(_connect(config))
        self._transport = transport or self._http
        self._readers = readers
        self._collector = collector
        self.listen: list[str] = []

    async def start(self) -> None:
        """Start everything; raises JournalError, BindError or CannotExport. Afterwards ``listen`` says where."""
        config, loop = self._config, asyncio.get_running_loop()
        self.telemetry = Telemetry(config.metrics, traces=config.traces)
        self.hub = ExecutionHub(buffer=config.watch_buffer)
        self.journal = SqliteJournal(config.journal, loop, durability=config.durability, committed=self.hub.publish)
        self.hub.head = self.journal.head
        await self._http.start()
        # Before the link: an enclave that cannot start says why meanwhile.
        self._codes = await boot_codes.start() if config.enclave.text.startswith("vsock:") else None
        self.link = EnclaveLink(config.enclave.text, timeout_ms=config.enclave_timeout_ms)
        self.keeper = ReceiptKeeper(self.journal, self.link.call, self._clock)
        self.link.connected, self.link.seen = self.keeper.connected, self.keeper.on_reply
        self._keeping = asyncio.create_task(self.keeper.run())
        await self.link.start(wait_seconds=_ENCLAVE_SECONDS)
        self.runner = Runner(
            journal=self.journal,
            link=self.link,
            transport=self._transport,
            readers=self._readers,
            settings=config.dispatch,
            clock=self._clock,
            random=SystemRandom().random,
            loop=loop,
        )
        self.kms = Kms(config.kms) if config.kms else None
        self.unsealer = Unsealer(self.link, self.kms)
        self.at_start = AtStart(self.link, self.unsealer, config.bundles)
        self.runner.observe = self.telemetry.ended
        self.telemetry.start(Watcher(self.runner, self.journal, self.keeper, self._clock, self._collector))
        await recover(self.runner)
        await self._warm()
        await self._serve()

    async def _warm(self) -> None:
        dispatch = self._config.dispatch
        await asyncio.gather(
            *(
                self._http.warm(authority, dispatch.slots(name))
                for name, venue in dispatch.venues.items()
                for authority in venue.warm
            )
        )

    async def _serve(self) -> None:
        config = self._config
        self.server = ApiServer()
        dispatch = DispatchService(self.runner, self.hub, Reads(self.runner))
        stream = StreamService(dispatch, max_unanswered=config.max_unanswered)
        dispatch.add_to(self.server, ORDER_DISPATCH, stream.stream, VenueWatch(self.runner.sites).watch)
        last = LastCheckpoint(config.journal.with_name(f"{config.journal.name}.checkpoint"))
        operator = OperatorService(self.runner, self.journal, self.unsealer, self._collector, last)
        operator.add_to(self.server, OPERATOR)
        if config.insecure_plaintext_tcp and config.tls is None:
            _log.warning("INSECURE: plaintext TCP is on; whoever reaches the port can trade. Development only.")
        self.listen = await self.server.start(config.listen, config.tls, config.socket_mode)
        self.at_start.start()

    async def trouble(self) -> str:
        """Say why the host cannot do its work, "" if it can: the journal's last write failed, no enclave answers."""
        if self.journal.trouble:
            return self.journal.trouble
        try:
            await self.link.call(signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest()))
        except NotTakenError as error:
            return error.message
        return ""

    async def stop(self) -> None:
        """Take nothing new, finish what is under way, flush the journal."""
        self.runner.draining = True
        await self.server.serving(yes=False)
        await self.runner.drain(self._config.drain_ms / 1000)
        await self.server.stop(_STOP_SECONDS)
        await self.at_start.stop()
        if self.kms is not None:
            self.kms.close()
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await self.keeper.finish()
        await self.telemetry.stop()
        await self.link.close()
        if self._codes is not None:
            self._codes.close()
        await self._http.close()
        await self.journal.close()


def _connect(config: Config) -> dict[str, str]:
    return {authority: url for venue in config.dispatch.venues.values() for authority, url in venue.connect.items()}
