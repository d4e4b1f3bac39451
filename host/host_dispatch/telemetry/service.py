"""Metrics and traces of one host, as it is configured: without them nothing here does anything."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from host_dispatch.telemetry.exporter import CannotExport, Exporter
from host_dispatch.telemetry.gauges import Gauges
from host_dispatch.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from host_dispatch.addresses import Address
    from host_dispatch.dispatcher.dispatch import Dispatch
    from host_dispatch.journal.records import EventKind
    from host_dispatch.telemetry.snapshot import Watcher
    from host_dispatch.telemetry.traces import Traces


class Telemetry:
    """Lives on the event loop."""

    def __init__(self, listen: Address | None, *, traces: bool = False) -> None:
        """``listen``: where Prometheus scrapes, None for nowhere. Raises CannotExport."""
        self._listen = listen
        self._metrics = Metrics() if listen is not None else None
        self._traces = _make_traces() if traces else None
        self._exporter: Exporter | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it is scraped, 0 for nowhere."""
        return self._exporter.port if self._exporter is not None else 0

    def ended(self, dispatch: Dispatch, kind: EventKind) -> None:
        """Take an intent's end, or that it is UNKNOWN."""
        if self._metrics is not None:
            self._metrics.ended(dispatch, kind)
        if self._traces is not None:
            self._traces.ended(dispatch, kind)

    def start(self, watcher: Watcher) -> None:
        """Listen, and look at the host's state from time to time; raises CannotExport."""
        if self._metrics is None or self._listen is None:
            return
        self._metrics.registry.register(Gauges(lambda: watcher.latest))
        host, _, port = self._listen.text.rpartition(":")
        self._exporter = Exporter(self._metrics.registry, host.strip("[]"), int(port))
        self._task = asyncio.get_running_loop().create_task(watcher.run())

    async def stop(self) -> None:
        """Stop both, and send what traces are left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._exporter is not None:
            self._exporter.stop()
        if self._traces is not None:
            await asyncio.to_thread(self._traces.stop)


def _make_traces() -> Traces:
    try:
        # An extra: imported only where it is wanted.
        from host_dispatch.telemetry.traces import Traces, provider_from_environment  # noqa: PLC0415
    except ImportError:
        message = 'traces: needs the extra "traces": pip install "casemate-host[traces]"'
        raise CannotExport(message) from None
    return Traces(provider_from_environment())
