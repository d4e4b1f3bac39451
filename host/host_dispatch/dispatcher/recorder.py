"""Turns what happened to a dispatch into journal records and reports, and decides nothing.

An outcome that the journal could not take is tried again until it is taken: the engine has heard the truth by
then, and only the journal is behind. A process that dies meanwhile leaves a SENDING, which the next start resolves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.dispatcher import machine as m
from host_dispatch.journal.records import Entry, EventKind
from host_dispatch.outcome import ErrorClass, OrderState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from host_dispatch.clock import Clock
    from host_dispatch.dispatcher.dispatch import Dispatch
    from host_dispatch.errors import NotTakenError
    from host_dispatch.journal.records import Journal, JournalError

    Then = Callable[[JournalError | None], None]

_KINDS: Final = {
    m.How.REFUSED: EventKind.REFUSED,
    m.How.JUDGED: EventKind.JUDGED,
    m.How.NOT_SENT: EventKind.NOT_SENT,
    m.How.OUTCOME: EventKind.OUTCOME,
    m.How.RESOLVED: EventKind.RESOLVED,
}
_KEPT: Final = frozenset({EventKind.OUTCOME, EventKind.RESOLVED, EventKind.UNKNOWN, EventKind.NOT_SENT})
# An outcome that could not be journaled is tried again this often; so many at most wait for that.
_AGAIN_SECONDS: Final = 1.0
_MOST_KEPT: Final = 10_000
_TEXT_CHARACTERS: Final = 256


class Recorder:
    """One for a runner."""

    def __init__(self, journal: Journal, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        """``then`` of every method is called once, after the commit or with the error."""
        self._journal = journal
        self._clock = clock
        self._loop = loop
        self._kept = 0

    def intent(self, dispatch: Dispatch, request: wire.SubmitRequest, then: Then) -> None:
        """Record that it came, with the request as it came."""
        payload = request.SerializeToString()
        event = dispatch.event(dispatch.intent, self._clock.now_ns(), EventKind.INTENT, payload)
        row = dispatch.row(dispatch.intent, OrderState.PENDING, ended=False)
        self._journal.append(Entry(event, row, then))

    def sending(self, dispatch: Dispatch, then: Then) -> None:
        """Record that its first byte is about to leave."""
        self._append(dispatch, EventKind.SENDING, self._report(dispatch, OrderState.SENDING, None), then, ended=False)

    def end(self, dispatch: Dispatch, record: m.Record, then: Then) -> EventKind:
        """Record its end; returns the kind of the record."""
        kind = _KINDS[record.how]
        report = self._report(dispatch, record.state, record.error)
        _explain(dispatch, report, kind)
        self._append(dispatch, kind, report, then, ended=True)
        return kind

    def not_judged(self, dispatch: Dispatch, failure: NotTakenError, then: Then) -> None:
        """Record that the enclave did not judge it."""
        report = self._report(dispatch, OrderState.REJECTED, ErrorClass.NOT_SENT)
        report.venue_code, report.venue_message = failure.reason, failure.message[:_TEXT_CHARACTERS]
        self._append(dispatch, EventKind.NOT_JUDGED, report, then, ended=True)

    def unknown(self, dispatch: Dispatch, then: Then, *, ended: bool) -> None:
        """Record that a byte may have left and nobody knows; ``ended``: and nobody can ask."""
        report = self._report(dispatch, OrderState.UNKNOWN, ErrorClass.UNKNOWN)
        _explain(dispatch, report, EventKind.UNKNOWN)
        self._append(dispatch, EventKind.UNKNOWN, report, then, ended=ended)

    def repeated(self, dispatch: Dispatch, told: wire.ExecutionReport, then: Then) -> None:
        """Record that it came again, and what was answered."""
        report = wire.ExecutionReport()
        report.CopyFrom(told)
        report.sequence = self._journal.next_sequence()

        def done(error: JournalError | None) -> None:
            # The engine gets the stored report itself, sequence and all.
            dispatch.report = told
            then(error)

        self._append(dispatch, EventKind.REPEATED, report, done, ended=True)

    def _report(self, dispatch: Dispatch, state: OrderState | None, error: ErrorClass | None) -> wire.ExecutionReport:
        return dispatch.new_report(self._journal.next_sequence(), self._clock.now_ns(), state, error)

    def _append(
        self, dispatch: Dispatch, kind: EventKind, report: wire.ExecutionReport, then: Then, *, ended: bool
    ) -> None:
        def done(error: JournalError | None) -> None:
            if error is None:
                dispatch.report = report
            elif kind in _KEPT:
                self._keep(dispatch, kind, report, ended=ended)
            then(error)

        event = dispatch.event(report.sequence, report.time, kind, report.SerializeToString())
        self._journal.append(Entry(event, dispatch.row(report.sequence, report.state, ended=ended), done))

    def _keep(self, dispatch: Dispatch, kind: EventKind, report: wire.ExecutionReport, *, ended: bool) -> None:
        dispatch.report = report
        if self._kept >= _MOST_KEPT:
            return
        self._kept += 1

        def again() -> None:
            self._kept -= 1
            report.sequence = self._journal.next_sequence()
            self._append(dispatch, kind, report, lambda _: None, ended=ended)

        self._loop.call_later(_AGAIN_SECONDS, again)


def _explain(dispatch: Dispatch, report: wire.ExecutionReport, kind: EventKind) -> None:
    """Say in the report why it ended: the verdict, the venue's words, or the host's own reason."""
    if kind is EventKind.REFUSED and dispatch.verdict is not None:
        report.verdict.CopyFrom(dispatch.verdict)
    elif dispatch.view is not None:
        report.venue_code = dispatch.view.venue_code
        report.venue_message = dispatch.view.venue_message
    elif kind is EventKind.NOT_SENT:
        report.venue_code, report.venue_message = _why_not_sent(dispatch, report)


def _why_not_sent(dispatch: Dispatch, report: wire.ExecutionReport) -> tuple[str, str]:
    if report.state == wire.ORDER_STATE_EXPIRED:
        return "STALE", "its valid_until came before it could be sent"
    if dispatch.signed is None:
        return "ROUTING_MISMATCH", "what the enclave signed is not what the routing said; nothing was sent"
    return "JOURNAL", "the journal could not record it as SENDING"
