"""Every client order id that this boot signed, for as long as it matters (S12).

An id is kept until its signature has ended and a margin has passed; longer, until the engine's ``OrderClosed``,
if the order can rest or an exposure rule waits for its end. Nothing that is still needed is evicted: a full
table refuses. What is due to go is found by a heap, a few a call, so that no order waits for a scan.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from enclave_signer.exposure import Book
    from enclave_signer.model import Amend, Order, PositionSide, Side

    # Engine, policy version, amend.
    AmendKey = tuple[str, int, Amend]

# After the end of a signature: clocks of venue and enclave may differ by this much, and a request may linger.
MARGIN_NS: Final = 10_000_000_000
_SWEPT_A_CALL: Final = 4
# Amends of one order whose signatures are still alive.
_LIVE_AMENDS: Final = 64


class Entry:
    """One signed order. ``raw`` is its intent's bytes, ``judged`` the encoded answer while it is alive."""

    __slots__ = (
        "amends",
        "book",
        "closed",
        "engine",
        "ids",
        "judged",
        "keep_until",
        "late",
        "leg",
        "order",
        "orders",
        "raw",
        "reserved",
        "side",
        "sticky",
        "symbol",
        "uses",
        "valid_until",
        "version",
    )

    def __init__(  # noqa: PLR0913 - a row of the table
        self,
        engine: str,
        order: Order,
        raw: bytes,
        judged: bytes,
        *,
        valid_until: int,
        keep_until: int,
        sticky: bool,
        reserved: int,
        uses: int,
        book: Book,
        version: int,
    ) -> None:
        """Keep what a repeat, an amend, a close and a derived request need."""
        self.engine = engine
        self.symbol = order.symbol
        self.side: Side = order.side
        self.leg: PositionSide | None = order.position_side
        self.raw = raw
        self.judged: bytes | None = judged
        self.valid_until = valid_until
        self.keep_until = keep_until
        self.sticky = sticky
        self.reserved = reserved
        self.uses = uses
        self.book = book
        self.version = version
        self.closed = False
        # What an early close left reserved, because the signature was still usable; see Orders.close.
        self.late = 0
        # The order as amended; None while `raw` says it all.
        self.order: Order | None = None
        self.ids: tuple[str, ...] = (order.client_order_id,)
        # The signed bytes of each live amend, the end of their signature and that of the intent.
        self.amends: dict[AmendKey, tuple[bytes, int, int]] | None = None
        self.orders: Orders | None = None


class Orders:
    """The orders of one account."""

    __slots__ = ("by_id", "open", "table")

    def __init__(self, table: Table) -> None:
        """Start empty; ``table`` is shared by all accounts."""
        self.table = table
        self.by_id: dict[str, Entry] = {}
        # Orders that may still be open at the venue.
        self.open = 0

    def add(self, client_order_id: str, entry: Entry) -> None:
        """Keep a new order; whether there is room was asked before."""
        self.by_id[client_order_id] = entry
        self.open += 1
        entry.orders = self
        self.table.add(entry)

    def rename(self, entry: Entry, client_order_id: str) -> None:
        """Know an amended order by its new id too; the old one stays taken."""
        self.by_id[client_order_id] = entry
        entry.ids = (*entry.ids, client_order_id)
        self.table.size += 1

    def close(self, entry: Entry, filled: int, now: int) -> None:
        """The order can fill no more: move the position and release what was reserved.

        A signature that is counted more than once could still make another order while it lives. The share
        of those others stays reserved until then.
        """
        entry.closed = True
        self.open -= 1
        if entry.uses > 1 and now < entry.keep_until:
            entry.late = entry.reserved - entry.reserved // entry.uses
        entry.book.fill(entry.side, entry.leg, filled)
        entry.book.reserve(entry.side, entry.leg, entry.late - entry.reserved)
        if now >= entry.keep_until:
            self.forget(entry)

    def forget(self, entry: Entry) -> None:
        """Let go of an order that nobody needs any more."""
        self.table.drop_amends(entry)
        for name in entry.ids:
            # The id may have been taken again since, after an earlier call of this for the same entry.
            if self.by_id.get(name) is entry:
                del self.by_id[name]
                self.table.size -= 1
        if entry.late:
            entry.book.reserve(entry.side, entry.leg, -entry.late)
            entry.late = 0
        if not entry.closed:
            entry.closed = True
            self.open -= 1


class Table:
    """The bound over all accounts, and what is due to go when."""

    __slots__ = ("_due", "_serial", "capacity", "size")

    def __init__(self, capacity: int) -> None:
        """Keep at most ``capacity`` ids and live amends."""
        self.capacity = capacity
        self.size = 0
        self._due: list[tuple[int, int, Entry]] = []
        self._serial = 0

    def add(self, entry: Entry) -> None:
        """Count an entry and note when to look at it again."""
        self.size += 1
        self.schedule(entry)

    def keep_amend(self, entry: Entry, key: AmendKey, judged: bytes, ends: int) -> None:
        """Remember an amend's answer, whose signature ``ends``; it takes as much room as an order does."""
        if entry.amends is None:
            entry.amends = {}
        entry.amends[key] = (judged, ends, key[2].valid_until)
        self.size += 1
        self.schedule(entry)

    def drop_amends(self, entry: Entry, until: int | None = None) -> None:
        """Forget an order's amends, or those whose intents ended by ``until``."""
        if entry.amends is None:
            return
        left = {} if until is None else {key: kept for key, kept in entry.amends.items() if kept[2] > until}
        self.size -= len(entry.amends) - len(left)
        entry.amends = left or None

    def room_for_amend(self, entry: Entry, now: int) -> bool:
        """Whether one more live amend of this order may be remembered; forgets the dead ones when there are many."""
        if entry.amends is not None and len(entry.amends) >= _LIVE_AMENDS:
            self.drop_amends(entry, now)
        return entry.amends is None or len(entry.amends) < _LIVE_AMENDS

    def schedule(self, entry: Entry) -> None:
        """Look at the entry when its ``keep_until`` has passed."""
        self._serial += 1
        heappush(self._due, (entry.keep_until, self._serial, entry))

    def sweep(self, now: int, most: int = _SWEPT_A_CALL) -> None:
        """Let go of up to ``most`` entries whose time has passed."""
        due = self._due
        while due and due[0][0] <= now and most:
            entry = heappop(due)[2]
            # An amend may have prolonged it; then another note of it is in the heap.
            if entry.keep_until <= now:
                self._expire(entry)
            most -= 1

    def full(self, now: int, rows: int = 1) -> bool:
        """Whether there is no room for so many more, after letting go of everything that may go."""
        if self.size + rows <= self.capacity:
            return False
        self.sweep(now, len(self._due))
        return self.size + rows > self.capacity

    def _expire(self, entry: Entry) -> None:
        # The bytes are dead: a repeat is refused from here on without them.
        entry.judged = None
        self.drop_amends(entry)
        if entry.orders is not None and (entry.closed or not entry.sticky):
            entry.orders.forget(entry)
