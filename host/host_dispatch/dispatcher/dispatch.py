"""One intent on its way through the host: what is known of it, and who waits for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.clock import Moment
from host_dispatch.dispatcher.lane import Rank
from host_dispatch.dispatcher.machine import OrderMachine
from host_dispatch.journal.records import EventKind, EventRow, OrderRow
from host_dispatch.outcome import ErrorClass, Operation, OrderState
from signer_api.v1 import intent_pb2

if TYPE_CHECKING:
    from host_dispatch.clock import Clock
    from host_dispatch.dispatcher.lane import Lane
    from host_dispatch.dispatcher.retry import RetryPlan
    from host_dispatch.dispatcher.sites import Site
    from host_dispatch.errors import NotTakenError
    from host_dispatch.outcome import Reading
    from signer_api.v1.signer_pb2 import SignedRequest, Verdict, VerdictProof

#: Levels of WaitFor; END is what every intent reaches.
SIGNED: Final = wire.WAIT_FOR_SIGNED
SENT: Final = wire.WAIT_FOR_SENT
END: Final = wire.WAIT_FOR_ACKNOWLEDGED

#: Operations that place risk: they are refused first when something is wrong.
RISKY: Final = frozenset({Operation.CREATE, Operation.AMEND})
CANCELS: Final = frozenset({Operation.CANCEL, Operation.CANCEL_ALL})
READS: Final = frozenset({Operation.QUERY, Operation.OPEN_ORDERS, Operation.BALANCES})


class Waiter(Protocol):
    """Called once when the level is reached or the intent failed; ``repeated``: the wait joined an earlier one."""

    def __call__(self, dispatch: Dispatch, *, repeated: bool) -> None:
        """Look at ``dispatch.failure`` first."""


class Driver(Protocol):
    """What carries a dispatch's turn out."""

    @property
    def clock(self) -> Clock:
        """Where time comes from."""

    def on_turn(self, dispatch: Dispatch) -> None:
        """It holds a slot of its lane now."""


class Dispatch:
    """Mutable; lives on the event loop. The state machine decides, this remembers."""

    __slots__ = (
        "account",
        "client_order_id",
        "driver",
        "failure",
        "holds_slot",
        "intent",
        "intent_bytes",
        "lane",
        "level",
        "machine",
        "operation",
        "placed",
        "proof",
        "rank",
        "receipt",
        "received",
        "repeated",
        "report",
        "routing",
        "signed",
        "site",
        "stages",
        "state",
        "symbol",
        "venue",
        "verdict",
        "view",
        "waiters",
    )

    def __init__(
        self,
        routing: wire.Routing,
        intent: int,
        machine: OrderMachine,
        site: Site | None,
        driver: Driver,
        received: Moment,
    ) -> None:
        """``intent``: sequence of its INTENT record; ``received``: when it came."""
        self.routing = routing
        self.account = routing.account
        self.venue = routing.venue
        self.symbol = routing.symbol
        self.client_order_id = routing.client_order_id
        self.operation = machine.operation
        self.rank = rank_of(machine.operation, routing.priority)
        self.intent = intent
        self.intent_bytes = b""
        self.machine = machine
        self.site = site
        self.driver = driver
        self.received = received
        self.lane: Lane | None = None
        self.holds_slot = False
        self.signed: SignedRequest | None = None
        self.verdict: Verdict | None = None
        # The enclave's word for the verdict: for the engine, the host cannot tell.
        self.proof: VerdictProof | None = None
        self.receipt = b""
        self.failure: NotTakenError | None = None
        self.repeated = False
        self.placed = False
        self.state = OrderState.PENDING
        # The latest committed report.
        self.report: wire.ExecutionReport | None = None
        self.view: wire.ExecutionReport | None = None
        self.level = 0
        self.waiters: list[tuple[int, Waiter, bool]] = []
        # Monotonic ns since `received`: journaled, signed, sending, acknowledged.
        self.stages = [0, 0, 0, 0]

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it the same order: account, client order id, operation."""
        return self.account, self.client_order_id, int(self.operation)

    def named(self) -> dict[str, object]:
        """Return what a log line calls it."""
        return {
            "account": self.account,
            "venue": self.venue,
            "client_order_id": self.client_order_id,
            "operation": self.operation.name,
        }

    def signed_for(self) -> tuple[Site, SignedRequest]:
        """Return where to send what; only what was allowed is ever asked."""
        if self.site is None or self.signed is None:
            raise RuntimeError("nothing was signed")
        return self.site, self.signed

    # --- as a passenger of its lane

    def is_stale(self, now: int) -> bool:
        """Whether its validity has ended."""
        return now >= self.machine.valid_until or self.now() >= self.machine.valid_until

    def may_leave(self) -> bool:
        """Whether its first byte may still leave."""
        return self.now() < self.machine.valid_until

    def now(self) -> int:
        """Return the time that counts for its validity (wall clock, ns): a step back does not lengthen it."""
        return self.received.latest(self.driver.clock)

    def elapsed(self) -> int:
        """Return nanoseconds since it came."""
        return self.driver.clock.monotonic_ns() - self.received.monotonic

    def go(self, now: int) -> None:  # noqa: ARG002 - it has a clock of its own, see `now`
        """Its turn."""
        self.holds_slot = True
        self.driver.on_turn(self)

    def release(self) -> None:
        """Give the slot back, once."""
        if self.holds_slot and self.lane is not None:
            self.holds_slot = False
            self.lane.leave()

    # --- who waits

    def wait(self, level: int, waiter: Waiter, *, repeated: bool) -> None:
        """Call ``waiter`` when the level is reached, at once if it is."""
        if self.level >= level or self.failure is not None:
            waiter(self, repeated=repeated)
        else:
            self.waiters.append((level, waiter, repeated))

    def reach(self, level: int) -> None:
        """Call whoever waited for this level or a lower one."""
        self.level = max(self.level, level)
        if self.waiters:
            ready = [item for item in self.waiters if item[0] <= self.level]
            self.waiters = [item for item in self.waiters if item[0] > self.level]
            for _, waiter, repeated in ready:
                waiter(self, repeated=repeated)

    def fail(self, failure: NotTakenError) -> None:
        """Tell everybody that it was not taken."""
        self.failure = failure
        self.reach(END)

    # --- reports

    def new_report(
        self, sequence: int, time: int, state: OrderState | None, error: ErrorClass | None
    ) -> wire.ExecutionReport:
        """Make the next report; what earlier ones knew of the order stays."""
        view = self.view
        journaled, signed, sending, acknowledged = self.stages
        report = wire.ExecutionReport(
            sequence=sequence,
            time=time,
            account=self.account,
            venue=self.venue,
            symbol=self.symbol,
            client_order_id=self.client_order_id,
            operation=self.operation,  # type: ignore[arg-type] # IntEnums of the wire's values, here and below
            state=state or 0,  # type: ignore[arg-type]
            error_class=error or 0,  # type: ignore[arg-type]
            stages=wire.Stages(journaled=journaled, signed=signed, sending=sending, acknowledged=acknowledged),
        )
        if view is not None:
            report.venue_order_id = view.venue_order_id
            report.filled_quantity = view.filled_quantity
            report.average_price = view.average_price
        return report

    def said(self, code: str, message: str) -> wire.ExecutionReport:
        """Make a view with what somebody said last, on top of what was known of the order."""
        view = self.new_report(0, 0, None, None)
        view.venue_code, view.venue_message = code, message
        return view

    def row(self, sequence: int, state: int, *, ended: bool) -> OrderRow:
        """Return this intent's row of ``orders``."""
        return OrderRow(
            self.intent,
            sequence,
            self.account,
            self.client_order_id,
            self.operation,
            self.venue,
            self.symbol,
            state,
            1 if self.placed else 0,
            1 if ended else 0,
            self.machine.valid_until,
        )

    def event(self, sequence: int, time: int, kind: EventKind, payload: bytes) -> EventRow:
        """Return one of this intent's rows of ``events``."""
        return EventRow(sequence, time, self.account, self.client_order_id, self.operation, kind, self.intent, payload)


def rank_of(operation: Operation, priority: int) -> Rank:
    """Return who goes first."""
    if operation in CANCELS:
        return Rank.CANCEL
    if operation in READS:
        return Rank.READ
    return Rank.HIGH if priority == intent_pb2.PRIORITY_HIGH else Rank.NORMAL


def absorb(report: wire.ExecutionReport, reading: Reading) -> None:
    """Put what a venue said into a report; what it did not say stays."""
    if reading.venue_order_id:
        report.venue_order_id = reading.venue_order_id
    if reading.filled_quantity:
        report.filled_quantity = reading.filled_quantity
    if reading.average_price:
        report.average_price = reading.average_price
    report.venue_code = reading.code
    report.venue_message = reading.message


def recovered(routing: wire.Routing, intent: int, plan: RetryPlan, site: Site | None, driver: Driver) -> Dispatch:
    """Return a dispatch that an earlier process left behind after SENDING."""
    operation = Operation(routing.operation)
    machine = OrderMachine.recovered(operation, routing.valid_until, plan)
    dispatch = Dispatch(routing, intent, machine, site, driver, Moment.now(driver.clock))
    dispatch.placed = True
    dispatch.state = OrderState.UNKNOWN
    return dispatch
