"""What this boot has counted: kept when a policy is reloaded, gone when the enclave ends.

A reload never loosens. A limit that keeps its name and window keeps its ring, if that covered before whatever of
its symbols was traded. A new or changed one starts with what another limit of the account knows, if that covered
those symbols for as long; else it starts full and opens when its window has passed. What an account counted stays
here even if a policy drops the account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.book import Orders, Table
from enclave_signer.exposure import Book
from enclave_signer.halts import Halts
from enclave_signer.windows import Window

if TYPE_CHECKING:
    from enclave_signer.policy.model import Limit

# More than any limit allows: 10**18 units of 10**-18, times a price and a contract size of the same bound.
FULL: Final = 10**120
_NS_IN_MS: Final = 1_000_000


class AccountLedger:
    """One account's counters."""

    __slots__ = ("_windows", "books", "last_nonce", "orders", "traded")

    def __init__(self, table: Table) -> None:
        """Start with nothing counted."""
        self.orders = Orders(table)
        self.books: dict[str, Book] = {}
        self.last_nonce = 0
        # Symbols of which something was signed in this boot.
        self.traded: set[str] = set()
        self._windows: dict[str, tuple[Window, frozenset[str]]] = {}

    def nonce(self, now_us: int) -> int:
        """Return the next nonce: above the last one and not behind the clock (S11)."""
        self.last_nonce = max(self.last_nonce + 1, now_us)
        return self.last_nonce

    def book(self, symbol: str) -> Book:
        """Return the one book of a symbol."""
        found = self.books.get(symbol)
        if found is None:
            found = self.books[symbol] = Book()
        return found

    def limits(self, limits: tuple[Limit, ...], now: int) -> dict[str, Window]:
        """Return the ring of each limit of a new policy, by its name."""
        made = {limit.name: (self._window(limit, now), limit.symbols) for limit in limits}
        self._windows = made
        return {name: window for name, (window, _) in made.items()}

    def _window(self, limit: Limit, now: int) -> Window:
        window_ns = limit.window_ms * _NS_IN_MS
        needed = limit.symbols & self.traded
        known = self._windows.get(limit.name)
        if known is not None and known[0].window_ns == window_ns and needed <= known[1]:
            return known[0]
        made = Window(window_ns)
        if not needed:
            return made
        for window, symbols in self._windows.values():
            if window.window_ns >= window_ns and needed <= symbols:
                made.include(window, now)
                return made
        made.advance(now)
        made.add(FULL, FULL)
        return made


class Ledger:
    """All accounts' counters, the order table that they share, and the HALTs."""

    __slots__ = ("_accounts", "halts", "table")

    def __init__(self, capacity: int) -> None:
        """``capacity`` bounds the order ids of all accounts together."""
        self.table = Table(capacity)
        self.halts = Halts()
        self._accounts: dict[str, AccountLedger] = {}

    def account(self, name: str) -> AccountLedger:
        """Return the one ledger of an account."""
        found = self._accounts.get(name)
        if found is None:
            found = self._accounts[name] = AccountLedger(self.table)
        return found
