"""OpenTelemetry: one span an intent, made when it has ended, with an event for each stage.

Never in a span: what was signed, and what the venue said. The exporter is an installed package, chosen by
``OTEL_TRACES_EXPORTER`` as the OpenTelemetry specification has it ("console" comes with the SDK).
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode

from host_dispatch import __version__
from host_dispatch.journal.records import EventKind
from host_dispatch.telemetry.exporter import CannotExport
from host_dispatch.telemetry.metrics import STAGES

if TYPE_CHECKING:
    from host_dispatch.dispatcher.dispatch import Dispatch

_EXPORTERS: Final = "opentelemetry_traces_exporter"
_FAILED: Final = frozenset({EventKind.UNKNOWN, EventKind.NOT_JUDGED})


def provider_from_environment() -> TracerProvider:
    """Return a provider that sends to the exporter of the environment; raises CannotExport."""
    wanted = os.environ.get("OTEL_TRACES_EXPORTER", "otlp_proto_http")
    found = {each.name: each for each in entry_points(group=_EXPORTERS)}
    if wanted not in found:
        message = f"OTEL_TRACES_EXPORTER={wanted}: installed are {', '.join(sorted(found)) or 'none'}"
        raise CannotExport(message)
    provider = TracerProvider(resource=Resource.create({"service.name": "casemate-host"}))
    provider.add_span_processor(BatchSpanProcessor(found[wanted].load()()))
    return provider


class Traces:
    """Lives on the event loop; the provider sends from a thread of its own."""

    def __init__(self, provider: TracerProvider) -> None:
        """``provider`` knows where spans go."""
        self._provider = provider
        self._tracer = provider.get_tracer("casemate.host", __version__)

    def ended(self, dispatch: Dispatch, kind: EventKind) -> None:
        """Make the span of an intent that ended, or whose outcome is UNKNOWN."""
        begun = dispatch.received.wall
        span = self._tracer.start_span(dispatch.operation.name, start_time=begun, attributes=_named(dispatch, kind))
        for stage, after in zip(STAGES, dispatch.stages, strict=True):
            if after:
                span.add_event(stage, timestamp=begun + after)
        if kind in _FAILED:
            span.set_status(Status(StatusCode.ERROR, kind.name))
        span.end(end_time=begun + dispatch.elapsed())

    def stop(self) -> None:
        """Send what is left; blocks."""
        self._provider.shutdown()


def _named(dispatch: Dispatch, kind: EventKind) -> dict[str, str | int]:
    rule = dispatch.verdict.rule if dispatch.verdict is not None else ""
    return {
        "casemate.account": dispatch.account,
        "casemate.venue": dispatch.venue,
        "casemate.symbol": dispatch.symbol,
        "casemate.client_order_id": dispatch.client_order_id,
        "casemate.outcome": kind.name,
        "casemate.rule": rule,
        "casemate.intent": dispatch.intent,
    }
