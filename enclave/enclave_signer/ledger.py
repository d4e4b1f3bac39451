"""What this boot has counted: kept when a policy is reloaded, gone when the enclave ends.

A reload never loosens. A limit that keeps its name and window keeps its ring, if that covered before whatever of
its symbols was traded. A new or changed one starts with what another limit of the account knows, if that covered
those symbols for as long; else it starts full and opens when its window has passed. What an account counted stays
here even if a policy drops the account.

A boot may go on from what another one counted (S13, :mod:`enclave_signer.duty`). Where that is not known in full, an
account is *unsure*: every symbol counts as traded, and every limit and book that has no better knowledge starts full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.book import Orders, Table
from enclave_signer.budget import FULL, Budget
from enclave_signer.exposure import Book
from enclave_signer.halts import Halts
from enclave_signer.windows import Window

if TYPE_CHECKING:
    from enclave_signer.policy.model import Limit

_NS_IN_MS: Final = 1_000_000


class AccountLedger:
    """One account's counters."""

    __slots__ = ("books", "budgets", "last_nonce", "orders", "traded", "unsure", "unsure_books", "windows")

    def __init__(self, table: Table, *, unsure: bool = False) -> None:
        """Start with nothing counted."""
        self.orders = Orders(table)
        self.books: dict[str, Book] = {}
        self.last_nonce = 0
        # Symbols of which something was signed in this boot.
        self.traded: set[str] = set()
        # Each limit's ring and the symbols that it covers.
        self.windows: dict[str, tuple[Window, frozenset[str]]] = {}
        self.budgets: dict[str, Budget] = {}
        self.unsure = unsure
        self.unsure_books = unsure

    def nonce(self, now_us: int) -> int:
        """Return the next nonce: above the last one and not behind the clock (S11)."""
        self.last_nonce = max(self.last_nonce + 1, now_us)
        return self.last_nonce

    def book(self, symbol: str) -> Book:
        """Return the one book of a symbol."""
        found = self.books.get(symbol)
        if found is None:
            found = self.books[symbol] = Book()
            if self.unsure_books:
                found.fill_up()
        return found

    def budget(self, limit: str) -> Budget:
        """Return what a grant leaves of a limit; the same object as long as this boot lives."""
        found = self.budgets.get(limit)
        if found is None:
            found = self.budgets[limit] = Budget()
        return found

    def limits(self, limits: tuple[Limit, ...], now: int) -> dict[str, Window]:
        """Return the ring of each limit of a new policy, by its name."""
        made = {limit.name: (self._window(limit, now), limit.symbols) for limit in limits}
        self.windows = made
        return {name: window for name, (window, _) in made.items()}

    def _window(self, limit: Limit, now: int) -> Window:
        window_ns = limit.window_ms * _NS_IN_MS
        needed = limit.symbols if self.unsure else limit.symbols & self.traded
        known = self.windows.get(limit.name)
        if known is not None and known[0].window_ns == window_ns and needed <= known[1]:
            return known[0]
        made = Window(window_ns)
        if not needed:
            return made
        for window, symbols in self.windows.values():
            if window.window_ns >= window_ns and needed <= symbols:
                made.include(window, now)
                return made
        made.advance(now)
        made.add(FULL, FULL)
        return made


class Ledger:
    """All accounts' counters, the order table that they share, and the HALTs."""

    __slots__ = ("accounts", "halts", "table", "unsure")

    def __init__(self, capacity: int) -> None:
        """``capacity`` bounds the order ids of all accounts together."""
        self.table = Table(capacity)
        self.halts = Halts()
        self.accounts: dict[str, AccountLedger] = {}
        # Accounts that come later may have been traded before this boot, by nobody knows whom.
        self.unsure = False

    def account(self, name: str) -> AccountLedger:
        """Return the one ledger of an account."""
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = AccountLedger(self.table, unsure=self.unsure)
        return found
