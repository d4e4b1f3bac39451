"""Balances. Every movement is a transfer between an account and the house, so that totals are conserved.

The house is the counterparty of every fill and may owe without limit; an account never goes below zero.
"""

from dataclasses import dataclass
from decimal import Decimal

from casemate_mock.exchange.arithmetic import ZERO
from casemate_mock.exchange.refusals import Refusal, Refused


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account owns of one asset: `available` is free, `locked` backs open orders and positions."""

    available: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Everything owned."""
        return self.available + self.locked


class Ledger:
    """Balances of all accounts, and the house's."""

    def __init__(self) -> None:
        """Start empty."""
        self._accounts: dict[str, dict[str, Balance]] = {}
        self._house: dict[str, Decimal] = {}

    def balance(self, account: str, asset: str) -> Balance:
        """Balance of one asset, zero when it never moved."""
        return self._accounts.get(account, {}).get(asset, Balance())

    def balances(self, account: str) -> dict[str, Balance]:
        """All balances of an account by asset."""
        return dict(self._accounts.get(account, {}))

    def total(self, asset: str) -> Decimal:
        """Sum over accounts and house: only a deposit changes it."""
        return sum(
            (held.get(asset, Balance()).total for held in self._accounts.values()),
            self._house.get(asset, ZERO),
        )

    def deposit(self, account: str, asset: str, amount: Decimal) -> None:
        """Bring money in from outside."""
        held = self.balance(account, asset)
        self._set(account, asset, Balance(held.available + amount, held.locked))

    def lock(self, account: str, asset: str, amount: Decimal) -> None:
        """Move from available to locked; refuses when there is not enough."""
        held = self.balance(account, asset)
        if amount > held.available:
            raise Refused(Refusal.INSUFFICIENT_BALANCE)
        self._set(account, asset, Balance(held.available - amount, held.locked + amount))

    def unlock(self, account: str, asset: str, amount: Decimal) -> None:
        """Move from locked back to available."""
        held = self.balance(account, asset)
        self._set(account, asset, Balance(held.available + amount, held.locked - amount))

    def pay_locked(self, account: str, asset: str, amount: Decimal) -> None:
        """Pay the house out of what is locked."""
        held = self.balance(account, asset)
        self._set(account, asset, Balance(held.available, held.locked - amount))
        self._house[asset] = self._house.get(asset, ZERO) + amount

    def receive(self, account: str, asset: str, amount: Decimal) -> None:
        """Be paid by the house."""
        self._house[asset] = self._house.get(asset, ZERO) - amount
        self.deposit(account, asset, amount)

    def lose(self, account: str, asset: str, amount: Decimal) -> None:
        """Pay a loss from available; the house bears what the account lacks, like an insurance fund."""
        held = self.balance(account, asset)
        paid = min(amount, held.available)
        self._set(account, asset, Balance(held.available - paid, held.locked))
        self._house[asset] = self._house.get(asset, ZERO) + paid

    def _set(self, account: str, asset: str, balance: Balance) -> None:
        if balance.available < 0 or balance.locked < 0:
            message = f"{account} would hold {balance} of {asset}: a fault of the engine"
            raise AssertionError(message)
        self._accounts.setdefault(account, {})[asset] = balance
