"""What the journal keeps. ``docs/journal.md`` describes the same for people and other programs."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class EventKind(IntEnum):
    """Kinds of event. Append-only: a kind never changes its meaning."""

    # Payload: the SubmitRequest as it came. Every other payload is an ExecutionReport.
    INTENT = 1
    # Durable before the first byte leaves for the venue.
    SENDING = 2
    # The venue answered.
    OUTCOME = 3
    # A byte may have left and no answer is known.
    UNKNOWN = 4
    # Evidence was found for an UNKNOWN one.
    RESOLVED = 5
    # Ended by the host; no byte left.
    NOT_SENT = 6
    # The enclave's verdict was no.
    REFUSED = 7
    # The enclave did not judge.
    NOT_JUDGED = 8
    # The enclave had signed this before; nothing was sent again.
    REPEATED = 9
    # Judged, and no venue is concerned (OrderClosed, Halt).
    JUDGED = 10
    # An order's state, learnt from the reply to another request (cancel, amend, query).
    UPDATE = 11


#: Kinds that watchers do not get: they change nothing about any order.
UNWATCHED: Final = frozenset({EventKind.INTENT, EventKind.NOT_JUDGED, EventKind.REPEATED, EventKind.JUDGED})


class EventRow(NamedTuple):
    """One row of ``events``, in the order of its columns."""

    sequence: int
    time: int
    account: str
    client_order_id: str
    operation: int
    kind: int
    intent: int
    payload: bytes


class OrderRow(NamedTuple):
    """One row of ``orders``: the latest about one intent. ``intent`` is the sequence of its INTENT event.

    ``placed`` is 1 once a byte may have left; ``ended`` is 1 when the host has nothing left to do about it.
    """

    intent: int
    sequence: int
    account: str
    client_order_id: str
    operation: int
    venue: str
    symbol: str
    state: int
    placed: int
    ended: int
    valid_until: int


class BootRow(NamedTuple):
    """One row of ``boots`` but for its number; an empty document is one that is not known yet."""

    boot: bytes
    since: int
    document: bytes


class ReceiptRow(NamedTuple):
    """One row of ``receipts``."""

    boot: bytes
    sequence: int
    receipt: bytes


class HeadRow(NamedTuple):
    """One row of ``heads``."""

    boot: bytes
    sequence: int
    head: bytes
    signature: bytes


#: What goes to the disk with whatever commits next.
Kept = BootRow | ReceiptRow | HeadRow


class StoredReceipts(NamedTuple):
    """A page of a boot's receipts, its newest head (empty without one), its document, and all boots' keys."""

    boot: bytes
    receipts: list[bytes]
    head: tuple[bytes, bytes]
    document: bytes
    boots: list[bytes]


class JournalError(Exception):
    """A record could not be made durable; the text says why and what to do."""


class Entry:
    """One record on its way to the disk. ``done`` is called on the event loop after the commit, or with the error."""

    __slots__ = ("done", "event", "order", "publish")

    def __init__(
        self, event: EventRow, order: OrderRow, done: Callable[[JournalError | None], None] | None = None
    ) -> None:
        """``publish`` becomes True where the payload is an ExecutionReport that watchers get."""
        self.event = event
        self.order = order
        self.done = done
        self.publish = event.kind not in UNWATCHED


class StoredOrder(NamedTuple):
    """An order as the journal has it: its row, and the kind and payload of its latest event."""

    row: OrderRow
    kind: int
    payload: bytes


class Journal(Protocol):
    """What the host wants of a journal. All methods are called on the event loop."""

    def next_sequence(self) -> int:
        """Return the next sequence; sequences only grow, and commits happen in their order."""

    def append(self, entry: Entry) -> None:
        """Queue a record. Its ``done`` is called once, after the commit or with the error."""

    @property
    def trouble(self) -> str:
        """Why the last write failed, "" if it did not."""

    def order(self, account: str, client_order_id: str, *, before: int = 0) -> Awaitable[StoredOrder | None]:
        """Return the create of that client order id, the one that was placed first of all.

        ``before``: only intents of a lower sequence (0: all).
        """

    def orders(self, account: str, states: Sequence[int], limit: int) -> Awaitable[list[StoredOrder]]:
        """Return the newest creates of an account ("" for all), at most ``limit``."""

    def reports(self, after: int, upto: int, limit: int) -> Awaitable[list[tuple[int, str, bytes]]]:
        """Return (sequence, account, serialised ExecutionReport) in ``after < sequence <= upto``, oldest first."""

    def unfinished(self) -> Awaitable[list[StoredOrder]]:
        """Return what a start has to account for: every intent that has not ended."""


class ReceiptStore(Protocol):
    """What keeping receipts wants of a journal. All methods are called on the event loop."""

    def keep(self, row: Kept) -> None:
        """Have a row written with the next commit; one that is there already stays as it is."""

    def stored_sequences(self, boot: bytes, start: int, end: int) -> Awaitable[list[int]]:
        """Return which receipts of ``start <= sequence < end`` are on the disk."""

    def stored_receipts(self, boot: bytes, start: int, limit: int) -> Awaitable[StoredReceipts | None]:
        """Return a page of a boot, of the newest boot if ``boot`` is empty; None if there is no such boot."""
