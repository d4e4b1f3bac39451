"""What this boot has counted, as bytes from which a successor can go on (S13). Pure.

It is asked for once a second beside the orders, so it must cost little: an account, a slot of a window, the book of a
symbol is encoded when it changes and kept as it was otherwise.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from enclave_signer import decimals
from enclave_signer.budget import FULL
from enclave_signer.duty.forms import CHECKPOINT
from enclave_signer.duty.pieces import list_of, map_of, piece
from enclave_signer.policy.prepared import NOTIONAL_PLACES

if TYPE_CHECKING:
    from collections.abc import Collection

    from enclave_signer.budget import Budget
    from enclave_signer.duty.forms import Grant
    from enclave_signer.exposure import Book
    from enclave_signer.halts import Standing
    from enclave_signer.ledger import AccountLedger, Ledger
    from enclave_signer.ports import Marks
    from enclave_signer.windows import Window

# No limit allows as many; a full one says this instead of a number that is no 64-bit integer.
MOST_COUNT: Final = 1 << 62
# Among the sequences: the latest number of a grant or retirement that this boot took.
DUTY: Final = "duty"
_NS_IN_MS: Final = 1_000_000
_NULL: Final = piece(None)
_Legs: TypeAlias = tuple[tuple[str, int, int, int], ...]


class Boot(NamedTuple):
    """What the checkpoint says of the boot that writes it."""

    deployment: str
    boot: bytes
    seq: int
    hash: bytes
    time: int
    policy_version: int
    policy_digest: bytes
    retired: bool


class Writer:
    """Writes the checkpoints of one boot."""

    __slots__ = ("_accounts", "_books", "_ledger", "_slots", "_symbols")

    def __init__(self, ledger: Ledger) -> None:
        """Start with nothing encoded."""
        self._ledger = ledger
        self._accounts: dict[str, tuple[object, object, bytes]] = {}
        self._slots: dict[tuple[str, str], _Slots] = {}
        self._books: dict[tuple[str, str], tuple[_Legs, bytes]] = {}
        self._symbols: dict[tuple[str, str], tuple[Collection[str], int, bytes]] = {}

    def write(self, boot: Boot, grant: Grant | None, marks: Marks) -> bytes:
        """Return the canonical bytes; ``grant`` is the one in force."""
        granted = frozenset() if grant is None else frozenset(grant.accounts)
        sequence = 0 if grant is None else grant.sequence
        parts = {name: piece(value) for name, value in boot._asdict().items()}
        parts["format"] = piece(CHECKPOINT)
        parts["grant"] = _NULL if grant is None else _granted(grant)
        parts["accounts"] = map_of(
            {
                name: self._known(name, each, sequence if name in granted else 0)
                for name, each in self._ledger.accounts.items()
            }
        )
        parts["unsure"] = piece(self._ledger.unsure)
        parts["halts"] = list_of([_halt(each) for each in self._ledger.halts])
        parts["sequences"] = piece(dict(marks.sequences))
        parts["bundles"] = piece(dict(marks.bundles))
        return map_of(parts)

    def _known(self, name: str, ledger: AccountLedger, granted: int) -> bytes:
        """Return the account as it was encoded last, if nothing was signed or closed since, or encode it.

        What only time releases may be in it for longer, which errs on the side of what was spent.
        """
        key = (ledger.last_nonce, ledger.orders.open, granted, ledger.unsure, ledger.unsure_books)
        known = self._accounts.get(name)
        if known is None or known[0] != key or known[1] is not ledger.windows:
            known = self._accounts[name] = (key, ledger.windows, self._account(name, ledger, granted=bool(granted)))
        return known[2]

    def _account(self, name: str, ledger: AccountLedger, *, granted: bool) -> bytes:
        limits = {
            limit: map_of(
                {
                    "window_ms": piece(window.window_ns // _NS_IN_MS),
                    "symbols": self._names((name, limit), symbols),
                    "slots": self._window((name, limit), window),
                    "left": _left(ledger.budget(limit)) if granted else _NULL,
                }
            )
            for limit, (window, symbols) in ledger.windows.items()
        }
        return map_of(
            {
                "nonce": piece(ledger.last_nonce),
                "unsure": piece(ledger.unsure),
                "unsure_books": piece(ledger.unsure_books),
                "traded": self._names((name, ""), ledger.traded),
                "limits": map_of(limits),
                "books": map_of({symbol: self._book((name, symbol), book) for symbol, book in ledger.books.items()}),
            }
        )

    def _window(self, at: tuple[str, str], window: Window) -> bytes:
        known = self._slots.get(at)
        if known is None or known.window is not window:
            known = self._slots[at] = _Slots(window)
        return known.encoded()

    def _book(self, at: tuple[str, str], book: Book) -> bytes:
        legs: _Legs = tuple(
            ("" if side is None else side.name, leg.position, leg.open_buys, leg.open_sells)
            for side, leg in book.legs()
        )
        known = self._books.get(at)
        if known is None or known[0] != legs:
            encoded = map_of({name: piece([decimals.text(number) for number in numbers]) for name, *numbers in legs})
            known = self._books[at] = (legs, encoded)
        return known[1]

    def _names(self, at: tuple[str, str], names: Collection[str]) -> bytes:
        """Encode names; those of a limit never change, those of what was traded only become more."""
        known = self._symbols.get(at)
        if known is None or known[0] is not names or known[1] != len(names):
            known = self._symbols[at] = (names, len(names), piece(sorted(names)))
        return known[2]


class _Slots:
    """One window's slots as they were encoded last."""

    __slots__ = ("_encoded", "_rewritten", "_since", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self._rewritten = window.rewritten
        self._since = 0
        self._encoded: dict[int, bytes] = {}

    def encoded(self) -> bytes:
        """Encode what changed: the slot that was the newest last time, and what came after it."""
        window, encoded = self.window, self._encoded
        if window.rewritten != self._rewritten:
            self._rewritten, self._since = window.rewritten, 0
            encoded.clear()
        for slot, spent, count in window.slots(self._since):
            text = decimals.text(spent, NOTIONAL_PLACES)
            encoded[slot] = piece([slot * window.slot_ns, text, min(count, MOST_COUNT)])
        self._since = window.newest
        # The oldest come first; a slot that holds what came since keeps its place.
        for slot in list(takewhile(window.oldest.__gt__, encoded)):
            del encoded[slot]
        return list_of(encoded.values())


def _granted(grant: Grant) -> bytes:
    return piece(
        {
            "sequence": grant.sequence,
            "not_after": grant.not_after,
            "share": list(grant.share),
            "accounts": list(grant.accounts),
        }
    )


def _left(budget: Budget) -> bytes:
    """Write what the grant leaves of a limit; null for what the limit does not bound."""
    spent = None if budget.spent > FULL >> 1 else decimals.text(budget.spent, NOTIONAL_PLACES)
    return piece([spent, None if budget.count > MOST_COUNT else budget.count])


def _halt(halt: Standing) -> bytes:
    return piece(
        {
            "scope": halt.scope.name,
            "account": halt.account,
            "venue": halt.venue,
            "symbol": halt.symbol,
            "by": halt.by,
            "since": halt.since,
            "accounts": sorted(halt.accounts),
        }
    )
