"""The one place where dispatch meets asyncio: carries out what the machines ask for, and feeds them what happened.

An intent costs no task until it is transmitted: records, judgements and turns come back as callbacks on the event
loop. Whoever waits for an intent can go away (deadline, disconnect) without stopping it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, assert_never

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.clock import Moment
from host_dispatch.dispatcher import machine as m
from host_dispatch.dispatcher.courier import Courier, Errand, is_lost
from host_dispatch.dispatcher.derived import derive
from host_dispatch.dispatcher.dispatch import CANCELS, END, RISKY, SENT, SIGNED, Dispatch, absorb
from host_dispatch.dispatcher.intake import Intake
from host_dispatch.dispatcher.observer import Observer
from host_dispatch.dispatcher.recorder import Recorder
from host_dispatch.dispatcher.resolver import Resolver
from host_dispatch.dispatcher.routing import mismatch
from host_dispatch.dispatcher.sites import Site
from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.journal.records import EventKind, JournalError
from host_dispatch.outcome import ErrorClass, Operation, OrderState, Reading
from host_dispatch.telemetry.counters import Counters
from host_dispatch.transport.base import NotSentError, ReplyLostError
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from host_dispatch.clock import Clock
    from host_dispatch.dispatcher.dispatch import Waiter
    from host_dispatch.dispatcher.settings import DispatchSettings
    from host_dispatch.enclave_link import EnclaveLink
    from host_dispatch.journal.records import Journal
    from host_dispatch.transport.base import Transport
    from host_dispatch.venues.base import VenueReader
    from signer_api.v1 import intent_pb2

# Before whatever else waits for the enclave.
_URGENT: Final = CANCELS | {Operation.HALT}
_NO_REQUEST: Final = frozenset({Operation.ORDER_CLOSED, Operation.HALT})
_IDLE_SECONDS: Final = 0.02

_log = logging.getLogger("casemate.host.dispatch")


def _unobserved(_dispatch: Dispatch, _kind: EventKind) -> None:
    """Nobody measures."""


class Runner:
    """See the module's text. One for a process, on its event loop."""

    def __init__(
        self,
        *,
        journal: Journal,
        link: EnclaveLink,
        transport: Transport,
        readers: Mapping[str, VenueReader],
        settings: DispatchSettings,
        clock: Clock,
        random: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """``random`` returns numbers in [0, 1), for jitter only."""
        self.journal = journal
        self.link = link
        self.settings = settings
        self.clock = clock
        self.counters = Counters()
        # Told of every intent's end, and of UNKNOWN.
        self.observe: Callable[[Dispatch, EventKind], None] = _unobserved
        self.sites = {name: Site(name, reader, settings, loop, clock) for name, reader in readers.items()}
        self.courier = Courier(transport, self.counters, timeout_ms=settings.timeout_ms)
        # Creates and amends under way, by account, client order id and operation.
        self.active: dict[tuple[str, str, int], Dispatch] = {}
        # How many intents of any kind are under way, and which of them are UNKNOWN.
        self.live = 0
        self._unknown: set[Dispatch] = set()
        self.draining = False
        self.intake = Intake(self.sites, settings, clock)
        self.observer = Observer(self)
        self.resolver = Resolver(self, random)
        self._recorder = Recorder(journal, clock, loop)
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    # --- in

    def take(self, request: wire.SubmitRequest, level: int, waiter: Waiter) -> None:
        """Take one intent; ``waiter`` is called once, maybe before this returns. Raises NotTakenError."""
        routing = request.routing
        operation = Operation(routing.operation)
        if operation in RISKY:
            if self.draining:
                raise NotTakenError(Reason.DRAINING, "the host is stopping and takes no new orders")
            earlier = self.active.get((routing.account, routing.client_order_id, int(operation)))
            if earlier is not None:
                _join(earlier, request, level, waiter)
                return
            self.intake.check_risky(routing)
        self.intake.check_stale(routing)
        if not self.link.up:
            raise NotTakenError(Reason.ENCLAVE_UNAVAILABLE, "the enclave cannot be reached")
        dispatch = self._new_dispatch(request, operation)
        dispatch.waiters.append((level, waiter, False))
        self._begin(dispatch, request)

    def _new_dispatch(self, request: wire.SubmitRequest, operation: Operation) -> Dispatch:
        routing = request.routing
        machine = m.OrderMachine(operation, routing.valid_until, self.settings.repeats)
        intent, site = self.journal.next_sequence(), self.sites.get(routing.venue)
        dispatch = Dispatch(routing, intent, machine, site, self, Moment.now(self.clock))
        dispatch.intent_bytes = request.sealed.intent
        self.live += 1
        if operation in RISKY:
            self.active[dispatch.key] = dispatch
        return dispatch

    def _begin(self, dispatch: Dispatch, request: wire.SubmitRequest) -> None:
        # While the journal is in trouble nothing is signed before its INTENT is durable: a signature whose INTENT
        # did not commit is thrown away, and its budget would be spent for nothing.
        careful = bool(self.journal.trouble) and dispatch.operation in RISKY

        def written(error: JournalError | None) -> None:
            dispatch.stages[0] = dispatch.elapsed()
            if careful and error is not None:
                self._fail(dispatch, NotTakenError(Reason.JOURNAL_UNAVAILABLE, str(error)))
                return
            if careful:
                self._sign(dispatch, request.sealed)
            self.drive(dispatch, m.IntentWritten(error is None))

        self._recorder.intent(dispatch, request, written)
        if not careful:
            self._sign(dispatch, request.sealed)

    def _sign(self, dispatch: Dispatch, sealed: intent_pb2.SealedIntent) -> None:
        def answer(judged: signer_pb2.Judged | None, failure: NotTakenError | None) -> None:
            dispatch.stages[1] = dispatch.elapsed()
            self.drive(dispatch, m.Judged(_judgement(dispatch, judged, failure)))

        try:
            self.link.sign(sealed, answer, urgent=dispatch.operation in _URGENT)
        except NotTakenError as failure:
            answer(None, failure)

    # --- the machine's wishes

    def drive(self, dispatch: Dispatch, event: m.Event) -> None:
        """Feed one event and carry out what the machine wants."""
        for action in dispatch.machine.on(event):
            if isinstance(action, m.Record):
                self._record_end(dispatch, action)
            elif isinstance(action, m.TransmitAgain):
                self._spawn(self._transmit_again(dispatch, action))
            else:
                self._do(dispatch, action)

    def _do(self, dispatch: Dispatch, action: m.Do) -> None:
        match action:
            case m.Do.ENQUEUE:
                self._enqueue(dispatch)
            case m.Do.WRITE_SENDING:
                self._write_sending(dispatch)
            case m.Do.TRANSMIT:
                dispatch.placed = True
                self._spawn(self._transmit(dispatch))
                dispatch.reach(SENT)
            case m.Do.LOOK_UP:
                self._spawn(self._look_up(dispatch))
            case m.Do.ANSWER_STORED:
                self._answer_stored(dispatch)
            case m.Do.FAIL_JOURNAL:
                self._fail(dispatch, NotTakenError(Reason.JOURNAL_UNAVAILABLE, self.journal.trouble))
            case m.Do.FAIL_NOT_JUDGED:
                self._record_not_judged(dispatch)
            case m.Do.RECORD_UNKNOWN:
                self._record_unknown(dispatch)
            case m.Do.ASK:
                self._ask(dispatch)
            case m.Do.ALARM:
                self._alarm(dispatch, "an order is UNKNOWN and could not be resolved")
            case _:
                assert_never(action)

    def _enqueue(self, dispatch: Dispatch) -> None:
        dispatch.state = OrderState.SIGNED
        dispatch.reach(SIGNED)
        dispatch.lane = dispatch.signed_for()[0].lane(dispatch.account)
        dispatch.lane.join(dispatch)

    def on_turn(self, dispatch: Dispatch) -> None:
        """It is this dispatch's turn in its lane."""
        self.drive(dispatch, m.Turn(dispatch.now()))

    def _write_sending(self, dispatch: Dispatch) -> None:
        dispatch.state = OrderState.SENDING
        dispatch.placed = True
        dispatch.stages[2] = dispatch.elapsed()

        def written(error: JournalError | None) -> None:
            dispatch.placed = error is None
            self.drive(dispatch, m.SendingWritten(error is None, dispatch.now()))

        self._recorder.sending(dispatch, written)

    # --- the venue

    async def _transmit(self, dispatch: Dispatch) -> None:
        site, signed = dispatch.signed_for()
        try:
            reading = await self.courier.carry(site, signed, dispatch.operation, dispatch.may_leave)
        except NotSentError as error:
            dispatch.view = dispatch.said("NOT_SENT", str(error))
            self.drive(dispatch, m.NotSent(dispatch.now()))
        except ReplyLostError as error:
            dispatch.view = dispatch.said("REPLY_LOST", str(error))
            self.drive(dispatch, m.ReplyLost(dispatch.now()))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, a byte may have left
            _log.error("a fault while sending", exc_info=error)
            self.drive(dispatch, m.ReplyLost(dispatch.now()))
        else:
            self._on_reading(dispatch, reading)

    def _on_reading(self, dispatch: Dispatch, reading: Reading) -> None:
        dispatch.stages[3] = dispatch.elapsed()
        dispatch.view = dispatch.said(reading.code, reading.message)
        absorb(dispatch.view, reading)
        if is_lost(dispatch.operation, reading):
            self.drive(dispatch, m.ReplyLost(dispatch.now()))
            return
        self.drive(dispatch, m.Replied(reading.state, reading.error))
        if dispatch.operation is not Operation.CREATE:
            self.observer.observe(dispatch.account, dispatch.client_order_id, reading)
        if dispatch.operation is Operation.CANCEL and reading.error is None and reading.state is None:
            # Taken, to be carried out later: without asking, the order would look open for ever.
            asking = self.resolver.follow(dispatch)
            if asking is not None:
                self._spawn(asking)

    async def _transmit_again(self, dispatch: Dispatch, again: m.TransmitAgain) -> None:
        await asyncio.sleep(again.delay_ms / 1000)
        if again.fresh:
            await self._sign_anew(dispatch)
        await self._transmit(dispatch)

    async def _sign_anew(self, dispatch: Dispatch) -> None:
        """Use the derived right; without it the same bytes go again, while they are valid."""
        try:
            fresh = await derive(self.link, dispatch.account, dispatch.client_order_id, dispatch.operation)
        except NotTakenError:
            return
        if fresh is not None and (fresh.venue, fresh.symbol) == (dispatch.venue, dispatch.symbol):
            dispatch.signed = fresh
            dispatch.machine.valid_until = fresh.valid_until

    async def read(self, signed: signer_pb2.SignedRequest, operation: Operation) -> Reading:
        """Carry one read out; raises NotSentError or ReplyLostError."""
        reading = await Errand(self.courier, self.sites[signed.venue], signed, operation, self.clock).run()
        if operation is Operation.QUERY and reading.error is None:
            self.observer.observe(signed.account, signed.client_order_id, reading)
        return reading

    # --- records

    def _record_end(self, dispatch: Dispatch, record: m.Record) -> None:
        dispatch.release()
        if record.state is not None:
            dispatch.state = record.state
        if record.how is m.How.NOT_SENT:
            dispatch.placed = False
        kind = self._recorder.end(dispatch, record, lambda _: self._end(dispatch))
        self.observe(dispatch, kind)

    def _record_not_judged(self, dispatch: Dispatch) -> None:
        failure = dispatch.failure or NotTakenError(Reason.INTERNAL, "the enclave's answer could not be used")
        self.observe(dispatch, EventKind.NOT_JUDGED)
        self._recorder.not_judged(dispatch, failure, lambda _: self._fail(dispatch, failure))

    def _record_unknown(self, dispatch: Dispatch) -> None:
        dispatch.release()
        dispatch.state = OrderState.UNKNOWN
        dispatch.placed = True
        self._unknown.add(dispatch)
        self.observe(dispatch, EventKind.UNKNOWN)
        # What cannot be asked about has nothing left to do.
        ended = not self.resolver.can_ask(dispatch)
        self._recorder.unknown(dispatch, lambda _: dispatch.reach(END), ended=ended)

    def _ask(self, dispatch: Dispatch) -> None:
        if self.resolver.can_ask(dispatch):
            self._spawn(self.resolver.ask(dispatch))
        else:
            self._alarm(dispatch, "a cancel's outcome is unknown and there is no right to ask")
            self._forget(dispatch)

    async def _look_up(self, dispatch: Dispatch) -> None:
        """The enclave signed this before: find what came of it, and send nothing."""
        dispatch.repeated = True
        try:
            stored = await self.journal.order(dispatch.account, dispatch.client_order_id, before=dispatch.intent)
        except JournalError as error:
            self._fail(dispatch, NotTakenError(Reason.JOURNAL_UNAVAILABLE, str(error)))
            return
        if stored is not None and stored.row.placed:
            dispatch.view = wire.ExecutionReport.FromString(stored.payload)
            self.drive(dispatch, m.Looked(found=True))
        else:
            self.drive(dispatch, m.Looked(found=False))

    def _answer_stored(self, dispatch: Dispatch) -> None:
        told = dispatch.view or wire.ExecutionReport()
        self.observe(dispatch, EventKind.REPEATED)
        self._recorder.repeated(dispatch, told, lambda _: self._end(dispatch))

    # --- the end

    def _end(self, dispatch: Dispatch) -> None:
        self._forget(dispatch)
        dispatch.reach(END)
        self.intake.settled(dispatch)

    def _fail(self, dispatch: Dispatch, failure: NotTakenError) -> None:
        dispatch.release()
        self._forget(dispatch)
        dispatch.fail(failure)

    def _forget(self, dispatch: Dispatch) -> None:
        self.live -= 1
        self._unknown.discard(dispatch)
        if self.active.get(dispatch.key) is dispatch:
            del self.active[dispatch.key]

    def _alarm(self, dispatch: Dispatch, message: str) -> None:
        self.counters.add("alarms")
        _log.error(message, extra={"fields": dispatch.named()})
        if dispatch.site is not None:
            dispatch.site.failed(message)
        self.intake.settled(dispatch)

    def unresolved(self) -> int:
        """How many intents are UNKNOWN at present."""
        return len(self._unknown)

    # --- what an earlier process left, and the end of this one

    def end_unsent(self, dispatch: Dispatch) -> None:
        """End an intent that was never sent and never will be."""
        self.live += 1
        self._record_end(dispatch, m.Record(m.How.NOT_SENT, OrderState.EXPIRED, ErrorClass.NOT_SENT))

    def resume_unknown(self, dispatch: Dispatch, *, recorded: bool) -> None:
        """Go on asking about an intent that may have been sent; ``recorded``: as UNKNOWN, by the earlier process."""
        self.live += 1
        self.active.setdefault(dispatch.key, dispatch)
        if recorded:
            self._unknown.add(dispatch)
            dispatch.report = dispatch.view
            dispatch.reach(END)
        else:
            self._record_unknown(dispatch)
        self._ask(dispatch)

    async def drain(self, seconds: float) -> None:
        """Stop the intake and wait, so long at most, until nothing but UNKNOWN ones is under way."""
        self.draining = True
        end = self._loop.time() + seconds
        while self._loop.time() < end and self.live > self.unresolved():  # noqa: ASYNC110 - once in a process's life
            await asyncio.sleep(_IDLE_SECONDS)
        # What still waits has only an INTENT: the next start accounts for it as never sent.
        for site in self.sites.values():
            site.gate.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a fault in a task", exc_info=error)


def _join(earlier: Dispatch, request: wire.SubmitRequest, level: int, waiter: Waiter) -> None:
    """Let the identical intent share the outcome of the one under way (S12)."""
    if earlier.intent_bytes != request.sealed.intent:
        message = "another intent for this client_order_id is under way"
        raise NotTakenError(Reason.DUPLICATE_IN_FLIGHT, message, field="routing.client_order_id")
    earlier.wait(level, waiter, repeated=True)


def _judgement(dispatch: Dispatch, judged: signer_pb2.Judged | None, failure: NotTakenError | None) -> m.Judgement:
    """Take what the enclave answered into the dispatch, and say what kind of answer it is."""
    if judged is None:
        dispatch.failure = failure
        return m.Judgement.NOT_JUDGED
    dispatch.verdict = judged.verdict
    dispatch.proof = judged.proof if judged.HasField("proof") else None
    dispatch.receipt = judged.receipt
    if judged.verdict.decision != signer_pb2.DECISION_ALLOW:
        return m.Judgement.REFUSED
    if dispatch.operation in _NO_REQUEST:
        # A signed request means that the intent was of another kind than the routing said.
        return m.Judgement.MISROUTED if judged.HasField("request") else m.Judgement.NO_REQUEST
    if not judged.HasField("request") or mismatch(dispatch.routing, judged.request):
        return m.Judgement.MISROUTED
    dispatch.signed = judged.request
    if dispatch.operation is Operation.LOGON:
        return m.Judgement.HANDED_BACK
    dispatch.machine.valid_until = min(dispatch.machine.valid_until, judged.request.valid_until)
    # A cancel may go as often as it likes.
    if judged.repeated and dispatch.operation not in CANCELS:
        return m.Judgement.REPEATED
    return m.Judgement.ALLOWED
