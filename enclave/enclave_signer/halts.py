"""HALTs in force (S7). Only a RESUME that the quorum approved ends one; a reload of the policy does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from enclave_signer.model import HaltScope

if TYPE_CHECKING:
    from collections.abc import Iterator

# Who asked, where it was no engine: engines' names have no space. The beginning of the key follows.
ADMINISTRATOR = "administrator "
# An account as a HALT sees it: its name and its venue's.
Covered = tuple[str, str]


class Standing(NamedTuple):
    """One HALT: what was asked, by whom, when, and the accounts that the sender could halt."""

    scope: HaltScope
    account: str
    venue: str
    symbol: str
    by: str
    since: int
    accounts: frozenset[str]
    # Rises with every HALT of this boot: a RESUME names the newest one that it ends.
    number: int = 0

    def covers(self, account: Covered, symbol: str) -> bool:
        """Whether an order for this symbol of this account is stopped."""
        name, venue = account
        if name not in self.accounts:
            return False
        match self.scope:
            case HaltScope.ALL:
                return True
            case HaltScope.ACCOUNT:
                return name == self.account
            case HaltScope.VENUE:
                return venue == self.venue
            case HaltScope.SYMBOL:
                return symbol == self.symbol and self.account in {"", name}


class Halts:
    """All HALTs in force, once each."""

    __slots__ = ("_newest", "_standing")

    def __init__(self) -> None:
        """Start with none."""
        self._standing: dict[tuple[HaltScope, str, str, str, str], Standing] = {}
        self._newest = 0

    def __iter__(self) -> Iterator[Standing]:
        """Yield every HALT in force, oldest first."""
        return iter(self._standing.values())

    def add(self, halt: Standing, *, anew: bool = False) -> None:
        """Put a HALT in force; what an equal one covered stays covered.

        ``anew``: somebody asked for it now. Then no RESUME that was signed before ends it, even if one equal stood.
        """
        key = (halt.scope, halt.account, halt.venue, halt.symbol, halt.by)
        known = self._standing.get(key)
        if known is None or anew:
            self._newest += 1
            halt = halt._replace(number=self._newest)
        if known is not None:
            number = halt.number if anew else known.number
            halt = known._replace(accounts=known.accounts | halt.accounts, number=number)
        self._standing[key] = halt

    def widen(self, engine: str, accounts: frozenset[str]) -> None:
        """A reload gave the engine more accounts: its HALTs cover those too."""
        for key, halt in self._standing.items():
            if halt.by == engine:
                self._standing[key] = halt._replace(accounts=halt.accounts | accounts)

    def widen_administrators(self, accounts: frozenset[str]) -> None:
        """A reload brought accounts: an administrator's HALT covers every one there is."""
        for key, halt in self._standing.items():
            if halt.by.startswith(ADMINISTRATOR):
                self._standing[key] = halt._replace(accounts=halt.accounts | accounts)

    def resume(self, scope: HaltScope, account: str, venue: str, symbol: str, last: int) -> None:
        """End every HALT (ALL), or those with just this scope and target, whoever asked for them; none after ``last``.

        The host may hold a RESUME back for as long as it is valid: it ends only what its signers knew of.
        """
        target = (scope, account, venue, symbol)
        self._standing = {
            key: halt
            for key, halt in self._standing.items()
            if halt.number > last or (scope is not HaltScope.ALL and key[:4] != target)
        }

    def covering(self, account: Covered, symbol: str) -> Standing | None:
        """Return a HALT that stops this symbol of this account."""
        return next((halt for halt in self._standing.values() if halt.covers(account, symbol)), None)
