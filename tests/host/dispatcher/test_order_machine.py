"""The order machine: tables of single steps, and hypothesis over whole lives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_dispatch.dispatcher.machine import (
    TERMINAL,
    Do,
    GaveUp,
    How,
    IntentWritten,
    Judged,
    Judgement,
    Looked,
    NotSent,
    Observed,
    OrderMachine,
    Phase,
    Record,
    Replied,
    ReplyLost,
    SendingWritten,
    TransmitAgain,
    Turn,
    merge,
)
from host_dispatch.dispatcher.retry import RetryPlan
from host_dispatch.outcome import ErrorClass, Operation, OrderState

UNTIL = 1_000_000_000_000
EARLY = UNTIL - 500_000_000_000
PLAN = RetryPlan(3, 10, 40)

STALE = (Record(How.NOT_SENT, OrderState.EXPIRED, ErrorClass.NOT_SENT),)
UNSENT = (Record(How.NOT_SENT, OrderState.REJECTED, ErrorClass.NOT_SENT),)
LOST = (Do.RECORD_UNKNOWN, Do.ASK)


def machine(operation: Operation = Operation.CREATE, *events: object) -> OrderMachine:
    """Return a machine that has seen these events."""
    made = OrderMachine(operation, UNTIL, PLAN)
    for event in events:
        made.on(event)  # type: ignore[arg-type]
    return made


READY = (IntentWritten(ok=True), Judged(Judgement.ALLOWED))
SENT = (*READY, Turn(EARLY), SendingWritten(ok=True, now=EARLY))


@pytest.mark.parametrize(
    ("operation", "before", "event", "actions"),
    [
        # Signing and the INTENT record overlap; nothing happens before both are there, whichever comes first.
        (Operation.CREATE, (), IntentWritten(ok=True), ()),
        (Operation.CREATE, (), Judged(Judgement.ALLOWED), ()),
        (Operation.CREATE, (IntentWritten(ok=True),), Judged(Judgement.ALLOWED), (Do.ENQUEUE,)),
        (Operation.CREATE, (Judged(Judgement.ALLOWED),), IntentWritten(ok=True), (Do.ENQUEUE,)),
        # A signature whose INTENT did not commit is thrown away; a cancel goes on.
        (Operation.CREATE, (Judged(Judgement.ALLOWED),), IntentWritten(ok=False), (Do.FAIL_JOURNAL,)),
        (Operation.AMEND, (Judged(Judgement.ALLOWED),), IntentWritten(ok=False), (Do.FAIL_JOURNAL,)),
        (Operation.CANCEL, (Judged(Judgement.ALLOWED),), IntentWritten(ok=False), (Do.ENQUEUE,)),
        # Other judgements.
        (
            Operation.CREATE,
            (IntentWritten(ok=True),),
            Judged(Judgement.REFUSED),
            (Record(How.REFUSED, OrderState.REFUSED),),
        ),
        (Operation.CREATE, (IntentWritten(ok=True),), Judged(Judgement.NOT_JUDGED), (Do.FAIL_NOT_JUDGED,)),
        (Operation.CREATE, (IntentWritten(ok=True),), Judged(Judgement.MISROUTED), UNSENT),
        (Operation.CREATE, (IntentWritten(ok=True),), Judged(Judgement.REPEATED), (Do.LOOK_UP,)),
        (
            Operation.HALT,
            (IntentWritten(ok=True),),
            Judged(Judgement.NO_REQUEST),
            (Record(How.JUDGED, None),),
        ),
        # Signed before: the journal's answer, or asking the venue; never a second sending.
        (
            Operation.CREATE,
            (IntentWritten(ok=True), Judged(Judgement.REPEATED)),
            Looked(found=True),
            (Do.ANSWER_STORED,),
        ),
        (Operation.CREATE, (IntentWritten(ok=True), Judged(Judgement.REPEATED)), Looked(found=False), LOST),
        # The turn, and SENDING before the first byte.
        (Operation.CREATE, READY, Turn(EARLY), (Do.WRITE_SENDING,)),
        (Operation.CREATE, READY, Turn(UNTIL), STALE),
        (Operation.CREATE, (*READY, Turn(EARLY)), SendingWritten(ok=True, now=EARLY), (Do.TRANSMIT,)),
        (Operation.CREATE, (*READY, Turn(EARLY)), SendingWritten(ok=True, now=UNTIL), STALE),
        (Operation.CREATE, (*READY, Turn(EARLY)), SendingWritten(ok=False, now=EARLY), UNSENT),
        (Operation.CANCEL, (*READY, Turn(EARLY)), SendingWritten(ok=False, now=EARLY), (Do.TRANSMIT,)),
        # No byte left: the same bytes again, bounded, while valid.
        (Operation.CREATE, SENT, NotSent(EARLY), (TransmitAgain(10, fresh=False),)),
        (Operation.CREATE, (*SENT, NotSent(EARLY)), NotSent(EARLY), (TransmitAgain(20, fresh=False),)),
        (Operation.CREATE, (*SENT, NotSent(EARLY), NotSent(EARLY)), NotSent(EARLY), UNSENT),
        (Operation.CREATE, SENT, NotSent(UNTIL - 10_000_000), UNSENT),
        (Operation.CREATE, SENT, NotSent(UNTIL), STALE),
        # A byte may have left.
        (Operation.CREATE, SENT, ReplyLost(EARLY), LOST),
        (Operation.AMEND, SENT, ReplyLost(EARLY), LOST),
        (Operation.CANCEL, SENT, ReplyLost(EARLY), (TransmitAgain(10, fresh=True),)),
        (Operation.CANCEL, (*SENT, ReplyLost(EARLY), ReplyLost(EARLY)), ReplyLost(EARLY), LOST),
        (Operation.CANCEL_ALL, SENT, ReplyLost(EARLY), (TransmitAgain(10, fresh=False),)),
        (Operation.CANCEL_ALL, SENT, ReplyLost(UNTIL), LOST),
        # "Not found" after a lost cancel: the first one may have worked.
        (Operation.CANCEL, (*SENT, ReplyLost(EARLY)), Replied(None, ErrorClass.UNKNOWN_ORDER), LOST),
        # Answers.
        (Operation.CREATE, SENT, Replied(OrderState.OPEN, None), (Record(How.OUTCOME, OrderState.OPEN),)),
        (Operation.CREATE, SENT, Replied(None, None), (Record(How.OUTCOME, OrderState.OPEN),)),
        (Operation.CANCEL, SENT, Replied(None, None), (Record(How.OUTCOME, None),)),
        (
            Operation.CREATE,
            SENT,
            Replied(OrderState.REJECTED, ErrorClass.INSUFFICIENT_FUNDS),
            (Record(How.OUTCOME, OrderState.REJECTED, ErrorClass.INSUFFICIENT_FUNDS),),
        ),
        (
            Operation.AMEND,
            SENT,
            Replied(OrderState.CANCELED, ErrorClass.INVALID_ORDER),
            (Record(How.OUTCOME, OrderState.CANCELED, ErrorClass.INVALID_ORDER),),
        ),
        # UNKNOWN ends on evidence only.
        (Operation.CREATE, (*SENT, ReplyLost(EARLY)), Observed(OrderState.UNKNOWN), ()),
        (Operation.CREATE, (*SENT, ReplyLost(EARLY)), GaveUp(), (Do.ALARM,)),
        (
            Operation.CREATE,
            (*SENT, ReplyLost(EARLY)),
            Observed(OrderState.FILLED),
            (Record(How.RESOLVED, OrderState.FILLED),),
        ),
        (
            Operation.CREATE,
            (*SENT, ReplyLost(EARLY), GaveUp()),
            Observed(OrderState.OPEN),
            (Record(How.RESOLVED, OrderState.OPEN),),
        ),
        # A cancel's answer overtakes the create's.
        (
            Operation.CREATE,
            (*SENT, Observed(OrderState.CANCELED)),
            Replied(OrderState.OPEN, None),
            (Record(How.OUTCOME, OrderState.CANCELED),),
        ),
        (
            Operation.CREATE,
            (*SENT, Observed(OrderState.CANCELED)),
            ReplyLost(EARLY),
            (Record(How.RESOLVED, OrderState.CANCELED),),
        ),
    ],
)
def test_each_step_asks_for_exactly_what_the_table_says(
    operation: Operation, before: tuple[object, ...], event: object, actions: tuple[object, ...]
) -> None:
    assert machine(operation, *before).on(event) == actions  # type: ignore[arg-type]


TIMES = st.integers(EARLY, UNTIL + 1_000_000_000)
EVENTS = st.one_of(
    st.builds(IntentWritten, st.booleans()),
    st.builds(Judged, st.sampled_from(Judgement)),
    st.builds(Turn, TIMES),
    st.builds(SendingWritten, st.booleans(), TIMES),
    st.builds(NotSent, TIMES),
    st.builds(ReplyLost, TIMES),
    st.builds(
        Replied,
        st.none() | st.sampled_from(OrderState),
        st.none() | st.sampled_from([e for e in ErrorClass if e is not ErrorClass.UNKNOWN]),
    ),
    st.builds(Observed, st.sampled_from(OrderState)),
    st.builds(Looked, st.booleans()),
    st.just(GaveUp()),
)
OPERATIONS = st.sampled_from([Operation.CREATE, Operation.AMEND, Operation.CANCEL, Operation.CANCEL_ALL])


@settings(max_examples=500, deadline=None)
@given(OPERATIONS, st.lists(EVENTS, max_size=25))
def test_d1_d2_d4_hold_in_every_order_of_events(operation: Operation, events: list[object]) -> None:
    life = machine(operation)
    intent = sending = left = ended = False
    transmissions = 0
    for event in events:
        phase = life.phase
        actions = life.on(event)  # type: ignore[arg-type]
        assert not (ended and actions), "an end is the end"
        intent = intent or (event == IntentWritten(ok=True) and phase is Phase.PREPARING)
        sending = sending or (isinstance(event, SendingWritten) and event.ok and phase is Phase.RECORDING)
        left = left or (isinstance(event, ReplyLost | Replied) and phase is Phase.SENT)
        for action in actions:
            if action is Do.TRANSMIT or isinstance(action, TransmitAgain):
                transmissions += 1
                if operation in (Operation.CREATE, Operation.AMEND):
                    assert intent, "D1: INTENT first"
                    assert sending, "D1: SENDING first"
                    assert not left, "D2: never again after a byte may have left"
            if action is Do.TRANSMIT:
                assert isinstance(event, SendingWritten)
                assert event.now < UNTIL, "D4"
            if isinstance(action, TransmitAgain) and not left:
                assert isinstance(event, NotSent)
                assert event.now + action.delay_ms * 1_000_000 < UNTIL, "D4"
            ended = (
                ended or isinstance(action, Record) or action in (Do.FAIL_JOURNAL, Do.FAIL_NOT_JUDGED, Do.ANSWER_STORED)
            )
    assert transmissions <= PLAN.attempts


@given(st.lists(st.sampled_from(OrderState), min_size=1, max_size=8))
def test_a_terminal_state_is_never_left(seen: list[OrderState]) -> None:
    state: OrderState | None = None
    reached: OrderState | None = None
    for new in seen:
        state = merge(state, new)
        if reached is not None:
            assert state is reached
        if state in TERMINAL:
            reached = state


def test_a_partial_fill_is_not_forgotten_by_a_late_open() -> None:
    assert merge(OrderState.PARTIALLY_FILLED, OrderState.OPEN) is OrderState.PARTIALLY_FILLED


def test_a_recovered_intent_is_unknown_and_waits_for_evidence() -> None:
    life = OrderMachine.recovered(Operation.CREATE, UNTIL, PLAN)
    assert life.on(Turn(EARLY)) == ()
    assert life.on(Observed(OrderState.OPEN)) == (Record(How.RESOLVED, OrderState.OPEN),)
