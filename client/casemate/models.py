"""The values that an engine works with: frozen, typed, and never a float.

Enum values are those of ``signer_api/v1`` and ``dispatch_api/v1``; members leave out 0, which always means
"unspecified" and is ``None`` here. Times are int nanoseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


class Side(IntEnum):
    """Which way."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """Kinds of order."""

    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3


class TimeInForce(IntEnum):
    """How long an order may rest; absent for MARKET."""

    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4


class TriggerBy(IntEnum):
    """The price that a stop watches."""

    LAST = 1
    MARK = 2
    INDEX = 3


class PositionSide(IntEnum):
    """Leg of a hedged position."""

    LONG = 1
    SHORT = 2


class SelfTradePrevention(IntEnum):
    """What the venue does when an account would trade with itself."""

    NONE = 1
    CANCEL_TAKER = 2
    CANCEL_MAKER = 3
    CANCEL_BOTH = 4


class Priority(IntEnum):
    """A hint to the host's queue; no rule depends on it."""

    NORMAL = 1
    HIGH = 2


class Operation(IntEnum):
    """What an intent asks for."""

    CREATE = 1
    CANCEL = 2
    CANCEL_ALL = 3
    AMEND = 4
    QUERY = 5
    OPEN_ORDERS = 6
    BALANCES = 7
    LOGON = 10
    ORDER_CLOSED = 8
    HALT = 9


class HaltScope(IntEnum):
    """How much a HALT stops."""

    ALL = 1
    ACCOUNT = 2
    VENUE = 3
    SYMBOL = 4


class WaitFor(IntEnum):
    """How far the host goes before it answers."""

    SIGNED = 1
    SENT = 2
    ACKNOWLEDGED = 3


class Decision(IntEnum):
    """A verdict. UNDECIDED is treated as a refusal."""

    UNDECIDED = 0
    ALLOW = 1
    REFUSE = 2


class OrderState(IntEnum):
    """Life cycle of an order as the host sees it. A closed set."""

    PENDING = 1
    REFUSED = 2
    SIGNED = 3
    SENDING = 4
    OPEN = 5
    PARTIALLY_FILLED = 6
    FILLED = 7
    CANCELED = 8
    EXPIRED = 9
    REJECTED = 10
    # A byte may have left and no answer is known: the host asks the venue, and never sends again.
    UNKNOWN = 11

    def __str__(self) -> str:
        """Show the name."""
        return self.name

    @property
    def final(self) -> bool:
        """Whether no later report can change it."""
        return self in _FINAL


_FINAL = frozenset(
    {OrderState.REFUSED, OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED}
)


class ErrorClass(IntEnum):
    """Why a venue did not do as asked. A closed set; an unknown failure is UNKNOWN, never "retry"."""

    RATE_LIMITED = 1
    INSUFFICIENT_FUNDS = 2
    BAD_SYMBOL = 3
    BAD_SIGNATURE = 4
    CLOCK_OR_NONCE = 5
    DUPLICATE_CLIENT_ID = 6
    UNKNOWN_ORDER = 7
    INVALID_ORDER = 8
    WOULD_TAKE = 9
    PERMISSION = 10
    MAINTENANCE = 11
    NOT_SENT = 12
    UNKNOWN = 13


class Phase(IntEnum):
    """What the enclave waits for."""

    AWAITING_POLICY = 1
    AWAITING_CREDENTIALS = 2
    READY = 3
    # A sealed bundle could not be opened: the boot answers nothing more, and its process ends.
    ENDED = 4


class VenueHealth(IntEnum):
    """The host's view of a venue."""

    UP = 1
    DEGRADED = 2
    DOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The enclave's judgement: a value, whichever way it went.

    ``rule`` is stable and machine-readable (docs/policy.md lists them); ``numbers`` are what decided, as text.
    """

    decision: Decision
    rule: str
    reason: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    policy_version: int = 0

    @property
    def allowed(self) -> bool:
        """True for ALLOW alone: an undecided verdict refuses."""
        return self.decision is Decision.ALLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Host's clock: nanoseconds since it received the request; None where it did not get so far."""

    journaled: int | None = None
    signed: int | None = None
    sending: int | None = None
    acknowledged: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """What the host *claims* about an order.

    The enclave vouches for the verdict and for nothing else here. The host is untrusted: it can withhold a
    fill or invent a rejection, so count a signed order as live until its ``valid_until`` has passed, whatever
    this says, and reconcile with the venue by a channel of your own. Decimals are None where the venue did
    not say.
    """

    sequence: int
    time: int
    account: str
    venue: str
    symbol: str
    client_order_id: str
    venue_order_id: str
    operation: Operation | None
    # None only where a venue took a cancel or an amend and did not say what the order has become.
    state: OrderState | None
    filled_quantity: Decimal | None
    average_price: Decimal | None
    error_class: ErrorClass | None
    venue_code: str
    venue_message: str
    verdict: Verdict | None
    stages: Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where a decision is in the enclave's chain of receipts: its number and its hash, hexadecimal."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitResult:
    """The answer to one judged intent.

    ``report`` is the host's claim (see :class:`ExecutionReport`), None where there is none. ``repeated``: the
    same intent came before and nothing was sent again. ``authenticated``: the verdict is the enclave's own word,
    and so is ``receipt``; else both are as the host tells them.
    """

    verdict: Verdict
    report: ExecutionReport | None
    repeated: bool = False
    authenticated: bool = False
    receipt: Receipt | None = None

    @property
    def allowed(self) -> bool:
        """Whether the enclave signed it."""
        return self.verdict.allowed

    @property
    def state(self) -> OrderState | None:
        """REFUSED by the enclave's verdict; else what the host claims, UNKNOWN where it sent no report.

        None only for a cancel or an amend that the venue took without saying what the order has become.
        """
        if not self.verdict.allowed:
            return OrderState.REFUSED
        return OrderState.UNKNOWN if self.report is None else self.report.state

    @property
    def taken(self) -> bool:
        """Whether the enclave allowed it and, by the host's claim, the venue did as asked."""
        error = None if self.report is None else self.report.error_class
        return self.allowed and error is None and self.state not in {OrderState.UNKNOWN, OrderState.REJECTED}

    @property
    def unknown(self) -> bool:
        """A byte may have left and no answer is known: treat the order as live, and ask ``get``."""
        return self.state is OrderState.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """One order as the venue lists it (the host's claim)."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    state: OrderState | None
    quantity: Decimal | None
    filled_quantity: Decimal | None
    price: Decimal | None
    average_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One asset of an account (the host's claim)."""

    asset: str
    available: Decimal | None
    locked: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """The answer to a query, open-orders or balances intent.

    ``authenticated``: the verdict is the enclave's own word. What the venue answered is the host's claim in any case.
    """

    verdict: Verdict
    error_class: ErrorClass | None
    venue_code: str
    venue_message: str
    orders: tuple[VenueOrder, ...] = ()
    balances: tuple[Balance, ...] = ()
    authenticated: bool = False
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogonResult:
    """The answer to a logon: ``message`` to send first on a connection to ``url``, or a ``token`` of the venue's.

    Both are secrets while they are valid, so they are in no repr. ``authenticated``: the verdict is the enclave's own
    word, and so is the message; a token is the host's claim in any case. ``valid_until``: nanoseconds UTC, of the
    message.
    """

    verdict: Verdict
    url: str = ""
    message: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    valid_until: int = 0
    error_class: ErrorClass | None = None
    venue_code: str = ""
    venue_message: str = ""
    authenticated: bool = False
    receipt: Receipt | None = None

    @property
    def granted(self) -> bool:
        """Whether there is something to log on with."""
        return self.verdict.allowed and bool(self.message or self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A standing HALT."""

    scope: HaltScope
    account: str
    venue: str
    symbol: str
    by: str
    since: int
    # Rises with every HALT of a boot; an approval of a RESUME names the newest that it ends.
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveStatus:
    """The enclave about itself, as the host passes it on."""

    phase: Phase | None
    policy_version: int
    policy_digest: str
    halts: tuple[Halt, ...]
    # Those of the policy.
    accounts: tuple[str, ...]
    unauthenticated: bool
    judged: int
    refused: int
    clock: int
    gc: GcPauses
    # Ed25519 public key in hexadecimal, which an approval of a RESUME names.
    boot_key: str = ""
    # SHA-256 of the quorum file in force, in hexadecimal; 0 is the generation of a quorum that succeeds none.
    quorum: str = ""
    quorum_generation: int = 0
    # Nanoseconds by which the enclave's clock was ahead of its security module's when last compared.
    clock_drift: int = 0
    duty: DutyStatus | None = None
    # Those of the accounts whose credential the enclave has.
    provisioned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyStatus:
    """Whether new orders need a grant, and the one in force: ``sequence`` 0 and no accounts without one."""

    required: bool
    sequence: int
    not_after: int
    accounts: tuple[str, ...]
    retired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GcPauses:
    """What a process's garbage collector did since it serves; nanoseconds."""

    collections: int
    total_ns: int
    longest_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueStatus:
    """The host's view of one venue."""

    venue: str
    health: VenueHealth | None
    reason: str
    since: int
    connections: int
    queued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything that ``casemate status`` shows."""

    enclave: EnclaveStatus
    enclave_reachable: bool
    venues: tuple[VenueStatus, ...]
    journal_sequence: int
    unresolved: int
    paused: bool
    version: str
    gc: GcPauses


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A policy or credential was taken."""

    policy_version: int
    policy_digest: str
    phase: Phase | None
