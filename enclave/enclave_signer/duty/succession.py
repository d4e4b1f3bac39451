"""How a boot begins to count: from nothing, from another boot's checkpoint, or as if everything were spent (S13). Pure.

Whatever is not known is taken as spent, at the latest moment at which it can have been. What the predecessor counted
becomes what this boot had counted under the predecessor's policy, and meets the live policy as a reload does.

A predecessor that was not retired may have signed after its checkpoint, until its last grant ended. If that is the
grant that the checkpoint shows, it was at most what the grant had left of each limit. If another grant came after
it, nothing bounds it but the limits themselves: they start full as of then, and so do the books.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from enclave_signer.budget import FULL
from enclave_signer.ledger import AccountLedger
from enclave_signer.windows import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.duty.carried import Carried, CarriedAccount, CarriedLimit
    from enclave_signer.ledger import Ledger
    from enclave_signer.policy.model import Account, Listing, Policy

_NS_IN_US: Final = 1_000
# A quantity by quote amount is rounded up to 10**-18 a piece: this covers a thousand million of them.
_ROUNDING: Final = 10**9


class Debt(Enum):
    """What a predecessor may have signed that its checkpoint does not show."""

    NOTHING = 1
    # What the grant that the checkpoint shows had left.
    GRANT = 2
    UNKNOWN = 3


class Ended(NamedTuple):
    """The predecessor's debt, and the last moment at which it can have been made."""

    debt: Debt
    at: int


def ended(carried: Carried, until: int) -> Ended:
    """Say what the predecessor may have done after its checkpoint; ``until`` is when its last grant ended."""
    if carried.boot.retired:
        return Ended(Debt.NOTHING, carried.boot.time)
    shown = 0 if carried.grant is None else carried.grant.not_after
    at = max(until, shown)
    if at <= carried.boot.time:
        return Ended(Debt.NOTHING, at)
    return Ended(Debt.GRANT if at == shown else Debt.UNKNOWN, at)


def go_on(ledger: Ledger, policy: Policy, carried: Carried, end: Ended, now: int) -> None:
    """Add to this boot's counters what the predecessor counted and may have counted."""
    indebted = carried.grant.accounts if end.debt is Debt.GRANT and carried.grant is not None else frozenset()
    same = carried.boot.policy_digest == policy.digest
    for name, each in carried.accounts.items():
        debt = end.at if name in indebted else None
        _account(ledger.account(name), policy.accounts.get(name), each, debt, now)
        _nonce(ledger.account(name), each, carried.boot.time, now)
        if debt is not None:
            _open(ledger.account(name), policy.accounts.get(name) if same else None, each)
    for halt in carried.halts:
        ledger.halts.add(halt)
    # As in a reload: the policy may have given an engine more accounts since.
    for engine, accounts in policy.engines.items():
        ledger.halts.widen(engine, accounts)
    ledger.halts.widen_administrators(frozenset(policy.accounts))
    if end.debt is Debt.UNKNOWN:
        know_nothing(ledger, policy, end.at, now)
    elif carried.unsure:
        known = carried.accounts.keys()
        know_nothing(ledger, policy, now, now, [name for name in policy.accounts if name not in known])


def know_nothing(ledger: Ledger, policy: Policy, at: int, now: int, names: list[str] | None = None) -> None:
    """Count as if everything had been spent at a moment; and of accounts that come later, when they come."""
    ledger.unsure = True
    for name in policy.accounts.keys() | ledger.accounts.keys() if names is None else names:
        account = ledger.account(name)
        account.unsure = True
        for window, _ in account.windows.values():
            window.advance(now)
            window.insert(at, FULL, FULL)
        _fill_books(account)


def _account(own: AccountLedger, live: Account | None, carried: CarriedAccount, debt: int | None, now: int) -> None:
    """Derive the live limits from the predecessor's, by the rules of a reload, and add them to what is counted."""
    before = AccountLedger(own.orders.table)
    before.traded = set(carried.traded)
    # Of what was signed after the checkpoint, nobody knows the symbols.
    before.unsure = carried.unsure or debt is not None
    before.windows = {name: (_window(each, debt, now), each.symbols) for name, each in carried.limits.items()}
    if live is None:
        own.windows = {**before.windows, **own.windows}
    else:
        for name, window in before.limits(live.limits, now).items():
            own.windows[name][0].include(window, now)
    own.traded |= before.traded
    own.unsure = own.unsure or before.unsure
    for symbol, legs in carried.books.items():
        for leg, numbers in legs.items():
            own.book(symbol).include(leg, *numbers)
    if carried.unsure_books:
        _fill_books(own)


def _window(limit: CarriedLimit, debt: int | None, now: int) -> Window:
    window = Window(limit.window_ns)
    window.advance(now)
    for begin, spent, count in limit.slots:
        # As late as it can have been; one that the predecessor's clock puts after now counts as now.
        window.insert(begin + window.slot_ns - 1, spent, count)
    if debt is not None:
        spent_left, count_left = limit.left or (None, None)
        window.insert(debt, FULL if spent_left is None else spent_left, FULL if count_left is None else count_left)
    return window


def _open(own: AccountLedger, live: Account | None, carried: CarriedAccount) -> None:
    """Reserve on both sides what the rest of the grant can have opened: its notional at the band's lowest price."""
    if live is None:
        _fill_books(own)
        return
    for symbol, listing in live.listings.items():
        quantity = _most(listing, carried.limits)
        if quantity is None:
            own.book(symbol).fill_up()
        elif quantity:
            own.book(symbol).include(None, 0, quantity, quantity)


def _most(listing: Listing, limits: Mapping[str, CarriedLimit]) -> int | None:
    """Return the most quantity that the rest of the grant can have opened; None if nothing bounds it."""
    lefts = [
        each.left[0]
        for each in limits.values()
        if listing.instrument.symbol in each.symbols and each.left is not None and each.left[0] is not None
    ]
    if not lefts:
        return None
    left = min(lefts)
    unit = listing.price_min.units * listing.instrument.contract_size.units
    return -(-left // unit) + _ROUNDING if left else 0


def _fill_books(account: AccountLedger) -> None:
    account.unsure_books = True
    for book in account.books.values():
        book.fill_up()


def _nonce(own: AccountLedger, carried: CarriedAccount, time: int, now: int) -> None:
    """Pass every nonce that the predecessor can have used: at most one a microsecond since its checkpoint."""
    # Rounded up: its clock may have shown the microsecond that is not over yet.
    latest = max(carried.nonce, time // _NS_IN_US) + max(0, -(-(now - time) // _NS_IN_US))
    own.last_nonce = max(own.last_nonce, latest)
