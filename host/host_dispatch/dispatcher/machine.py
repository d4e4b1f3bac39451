"""The life of one intent in the host, as a value machine: events in, actions out. No I/O, no clock.

What it guarantees (DESIGN D1, D2, D4):

* ``Transmit`` comes only after the INTENT and the SENDING record were reported durable. A cancel is the one
  exception: it reduces risk, so a journal that fails does not stop it.
* After a byte may have left, a create or an amend is never transmitted again: it becomes UNKNOWN and the venue is
  asked. A cancel may go again; a cancel-all goes again as the same bytes.
* An intent whose ``valid_until`` has come is never transmitted.
* A state that ended is never left.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from host_dispatch.outcome import ErrorClass, Operation, OrderState

if TYPE_CHECKING:
    from host_dispatch.dispatcher.retry import RetryPlan

#: States that are never left.
TERMINAL: Final = frozenset(
    {OrderState.REFUSED, OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED}
)
_CANCELS: Final = frozenset({Operation.CANCEL, Operation.CANCEL_ALL})


class Phase(Enum):
    """Where an intent is. The state that people see is :class:`OrderState`."""

    PREPARING = auto()
    QUEUED = auto()
    RECORDING = auto()
    SENT = auto()
    # Signed before; the journal is being asked what came of it.
    REPEATED = auto()
    UNKNOWN = auto()
    ENDED = auto()


class Judgement(Enum):
    """What came back from the enclave."""

    ALLOWED = auto()
    # Signed before: these bytes were handed out already.
    REPEATED = auto()
    # Allowed, and no venue is concerned.
    NO_REQUEST = auto()
    # Signed for whoever asked to use: nothing is sent from here.
    HANDED_BACK = auto()
    REFUSED = auto()
    NOT_JUDGED = auto()
    # Allowed, but the signed request is not what the engine's routing said.
    MISROUTED = auto()


# --- events


class IntentWritten(NamedTuple):
    """The INTENT record is durable, or could not be made so."""

    ok: bool


class Judged(NamedTuple):
    """The enclave answered."""

    judgement: Judgement


class Turn(NamedTuple):
    """The lane has room and the rate limits allow it (wall clock, ns)."""

    now: int


class SendingWritten(NamedTuple):
    """The SENDING record is durable, or could not be made so."""

    ok: bool
    now: int


class NotSent(NamedTuple):
    """The transport is certain that no byte left."""

    now: int


class ReplyLost(NamedTuple):
    """A byte may have left, and no whole reply came or none that says what happened."""

    now: int


class Replied(NamedTuple):
    """The venue's answer; never ``ErrorClass.UNKNOWN``, which is :class:`ReplyLost`."""

    state: OrderState | None
    error: ErrorClass | None


class Observed(NamedTuple):
    """Evidence about this order from another request (query, cancel)."""

    state: OrderState


class Looked(NamedTuple):
    """The journal was asked what came of an intent that the enclave had signed before."""

    found: bool


class GaveUp(NamedTuple):
    """The bound on asking was reached without evidence."""


Event = IntentWritten | Judged | Turn | SendingWritten | NotSent | ReplyLost | Replied | Observed | Looked | GaveUp


# --- actions


class Do(Enum):
    """Actions without arguments."""

    ENQUEUE = auto()
    WRITE_SENDING = auto()
    TRANSMIT = auto()
    # Find out what the journal has about the first time; then a `Looked` event.
    LOOK_UP = auto()
    # Answer with it.
    ANSWER_STORED = auto()
    # Tell the engine that the journal failed; the signature is thrown away.
    FAIL_JOURNAL = auto()
    # Pass the enclave's "not judged" on.
    FAIL_NOT_JUDGED = auto()
    RECORD_UNKNOWN = auto()
    # Ask the venue until there is evidence.
    ASK = auto()
    ALARM = auto()


class Record(NamedTuple):
    """The end: record it and tell. ``state`` None: the venue said nothing of the order, as of a cancel-all."""

    how: How
    state: OrderState | None
    error: ErrorClass | None = None


class How(Enum):
    """Kinds of end."""

    REFUSED = auto()
    JUDGED = auto()
    NOT_SENT = auto()
    OUTCOME = auto()
    RESOLVED = auto()


class TransmitAgain(NamedTuple):
    """After ``delay_ms``; ``fresh``: newly signed if the enclave gives the derived right, else the same bytes."""

    delay_ms: int
    fresh: bool


Action = Do | Record | TransmitAgain


class OrderMachine:
    """One intent. Feed it events in the order in which they happened; carry its actions out in order."""

    __slots__ = (
        "_attempts",
        "_durable",
        "_judgement",
        "_lost",
        "_observed",
        "_plan",
        "operation",
        "phase",
        "valid_until",
    )

    def __init__(self, operation: Operation, valid_until: int, plan: RetryPlan) -> None:
        """``valid_until``: nanoseconds UTC. ``plan`` bounds repeats after no byte left, and of cancels."""
        self.operation = operation
        self.valid_until = valid_until
        self.phase = Phase.PREPARING
        self._plan = plan
        self._durable: bool | None = None
        self._judgement: Judgement | None = None
        self._observed: OrderState | None = None
        self._attempts = 0
        self._lost = False

    @classmethod
    def recovered(cls, operation: Operation, valid_until: int, plan: RetryPlan) -> OrderMachine:
        """Return the machine of an intent that an earlier process left with a byte that may have gone."""
        machine = cls(operation, valid_until, plan)
        machine.phase = Phase.UNKNOWN
        machine._lost = True
        return machine

    @property
    def is_unknown(self) -> bool:
        """Whether evidence is awaited."""
        return self.phase is Phase.UNKNOWN

    def on(self, event: Event) -> tuple[Action, ...]:
        """Take one event; return what is to be done. An event that the phase does not await does nothing."""
        match event:
            case IntentWritten(ok):
                self._durable = ok
                return self._prepared()
            case Judged(judgement):
                self._judgement = judgement
                return self._prepared()
            case Turn(now):
                return self._on_turn(now)
            case SendingWritten(ok, now):
                return self._on_sending(ok=ok, now=now)
            case Replied(state, error):
                return self._on_reply(state, error)
            case NotSent(now):
                return self._on_not_sent(now)
            case ReplyLost(now):
                return self._on_lost(now) if self.phase is Phase.SENT else ()
            case Observed(state):
                return self._on_observed(state)
            case Looked(found):
                return self._on_looked(found=found)
            case GaveUp():
                return (Do.ALARM,) if self.phase is Phase.UNKNOWN else ()
            case _:
                assert_never(event)

    # --- phases

    def _prepared(self) -> tuple[Action, ...]:
        if self.phase is not Phase.PREPARING or self._durable is None or self._judgement is None:
            return ()
        self.phase = Phase.ENDED
        match self._judgement:
            case Judgement.ALLOWED:
                return self._allowed()
            case Judgement.REPEATED:
                return self._repeated()
            case Judgement.NO_REQUEST:
                return (Record(How.JUDGED, None),)
            case Judgement.HANDED_BACK:
                return (Record(How.JUDGED, None),) if self._durable else (Do.FAIL_JOURNAL,)
            case Judgement.REFUSED:
                return (Record(How.REFUSED, OrderState.REFUSED),)
            case Judgement.NOT_JUDGED:
                return (Do.FAIL_NOT_JUDGED,)
            case Judgement.MISROUTED:
                return (_never_sent(OrderState.REJECTED),)
            case _:
                assert_never(self._judgement)

    def _allowed(self) -> tuple[Action, ...]:
        if not self._durable and self.operation not in _CANCELS:
            return (Do.FAIL_JOURNAL,)
        self.phase = Phase.QUEUED
        return (Do.ENQUEUE,)

    def _repeated(self) -> tuple[Action, ...]:
        if not self._durable:
            return (Do.FAIL_JOURNAL,)
        self.phase = Phase.REPEATED
        return (Do.LOOK_UP,)

    def _on_looked(self, *, found: bool) -> tuple[Action, ...]:
        if self.phase is not Phase.REPEATED:
            return ()
        self.phase = Phase.ENDED
        # Bytes that went out by a way this journal knows nothing of may be anywhere: ask, never send.
        return (Do.ANSWER_STORED,) if found else self._unknown()

    def _on_turn(self, now: int) -> tuple[Action, ...]:
        if self.phase is not Phase.QUEUED:
            return ()
        if now >= self.valid_until:
            self.phase = Phase.ENDED
            return (_never_sent(OrderState.EXPIRED),)
        self.phase = Phase.RECORDING
        return (Do.WRITE_SENDING,)

    def _on_sending(self, *, ok: bool, now: int) -> tuple[Action, ...]:
        if self.phase is not Phase.RECORDING:
            return ()
        self.phase = Phase.ENDED
        if now >= self.valid_until:
            return (_never_sent(OrderState.EXPIRED),)
        if not ok and self.operation not in _CANCELS:
            return (_never_sent(OrderState.REJECTED),)
        self.phase = Phase.SENT
        self._attempts = 1
        return (Do.TRANSMIT,)

    def _on_not_sent(self, now: int) -> tuple[Action, ...]:
        if self.phase is not Phase.SENT:
            return ()
        if self._lost:
            return self._on_lost(now)
        delay = self._plan.delay_ms(self._attempts)
        if delay is not None and now + delay * 1_000_000 < self.valid_until:
            self._attempts += 1
            return (TransmitAgain(delay, fresh=False),)
        self.phase = Phase.ENDED
        expired = now >= self.valid_until
        return (_never_sent(OrderState.EXPIRED if expired else OrderState.REJECTED),)

    def _on_lost(self, now: int) -> tuple[Action, ...]:
        self._lost = True
        delay = self._plan.delay_ms(self._attempts)
        may_repeat = self.operation is Operation.CANCEL or (
            self.operation is Operation.CANCEL_ALL and now < self.valid_until
        )
        if may_repeat and delay is not None:
            self._attempts += 1
            return (TransmitAgain(delay, fresh=self.operation is Operation.CANCEL),)
        return self._unknown()

    def _unknown(self) -> tuple[Action, ...]:
        if self._observed in TERMINAL:
            self.phase = Phase.ENDED
            return (Record(How.RESOLVED, self._observed),)
        self.phase = Phase.UNKNOWN
        return (Do.RECORD_UNKNOWN, Do.ASK)

    def _on_reply(self, state: OrderState | None, error: ErrorClass | None) -> tuple[Action, ...]:
        if self.phase is not Phase.SENT:
            return ()
        if self._lost and error is ErrorClass.UNKNOWN_ORDER:
            # The first cancel may have done it, or the order never was: only a query tells which.
            return self._unknown()
        self.phase = Phase.ENDED
        if state is None:
            state = self._unsaid(error)
        if error is None and self._observed in TERMINAL:
            state = self._observed
        return (Record(How.OUTCOME, state, error),)

    def _unsaid(self, error: ErrorClass | None) -> OrderState | None:
        """Return the state where the venue named none."""
        if error is not None:
            return OrderState.REJECTED
        return OrderState.OPEN if self.operation is Operation.CREATE else None

    def _on_observed(self, state: OrderState) -> tuple[Action, ...]:
        self._observed = merge(self._observed, state)
        if self.phase is not Phase.UNKNOWN or self._observed is OrderState.UNKNOWN:
            return ()
        self.phase = Phase.ENDED
        return (Record(How.RESOLVED, self._observed),)


def _never_sent(state: OrderState) -> Record:
    return Record(How.NOT_SENT, state, ErrorClass.NOT_SENT)


def merge(old: OrderState | None, new: OrderState) -> OrderState:
    """Return the state after a new observation: a terminal one stays, a partial fill never becomes unfilled."""
    if old in TERMINAL:
        return old
    if new is OrderState.UNKNOWN and old is not None:
        return old
    if old is OrderState.PARTIALLY_FILLED and new is OrderState.OPEN:
        return old
    return new
