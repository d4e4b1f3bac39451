"""One intent on its way past the rules: what was asked, by whom, when, and what the policy prepared for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from enclave_signer import decimals
from enclave_signer.errors import Refused
from enclave_signer.model import (
    Amend,
    Balances,
    Cancel,
    CancelAll,
    Halt,
    Logon,
    OpenOrders,
    Operation,
    Order,
    OrderClosed,
    Query,
)
from enclave_signer.policy.prepared import NOTIONAL_PLACES, TRADING, most_base, quote_notional

if TYPE_CHECKING:
    from enclave_signer.book import Entry
    from enclave_signer.decimals import Amount
    from enclave_signer.policy.prepared import GrantBounds, Scope, Seat

Numbers = tuple[tuple[str, str], ...]

OPERATIONS = {
    Order: Operation.CREATE,
    Cancel: Operation.CANCEL,
    CancelAll: Operation.CANCEL_ALL,
    Amend: Operation.AMEND,
    OrderClosed: Operation.ORDER_CLOSED,
    Query: Operation.QUERY,
    OpenOrders: Operation.OPEN_ORDERS,
    Balances: Operation.BALANCES,
    Halt: Operation.HALT,
    Logon: Operation.LOGON,
}


class Case:
    """What the rules see. ``scope`` is None for what names no symbol, or one that the account does not trade.

    For a create or an amend ``order`` is the order as it would be; for an amend ``entry`` is what it changes, for
    a create what is known under the same client order id. ``units`` is its quantity, ``notional`` its most worth,
    ``reserve`` what it adds to the exposure.
    """

    __slots__ = (
        "alive_until",
        "client_order_id",
        "created_at",
        "ends_ms",
        "entry",
        "grant",
        "notional",
        "now",
        "operation",
        "order",
        "reserve",
        "scope",
        "seat",
        "units",
        "valid_until",
    )

    order: Order
    grant: GrantBounds | None

    def __init__(
        self,
        operation: Operation,
        seat: Seat,
        scope: Scope | None,
        now: int,
        created_at: int,
        valid_until: int,
    ) -> None:
        """Take what every intent has."""
        self.operation = operation
        self.seat = seat
        self.scope = scope
        self.now = now
        self.created_at = created_at
        self.valid_until = valid_until
        self.ends_ms = 0
        self.alive_until = 0

    def trade(self, order: Order, entry: Entry | None, client_order_id: str) -> None:
        """Add what a create or an amend has; ``client_order_id`` is the id that it would take, if any."""
        self.order = order
        self.entry = entry
        self.client_order_id = client_order_id
        self.grant = None

    def size(self, scope: Scope) -> None:
        """Value the order at the top of the band, so that nobody outside values it."""
        order = self.order
        quantity: Amount | None = order.quantity
        if quantity is not None:
            self.units = units = quantity.units
            self.notional = units * scope.unit_value
        elif order.quote_quantity is not None:
            self.units = units = most_base(order.quote_quantity.units, scope)
            self.notional = quote_notional(order.quote_quantity.units)
        else:
            raise Refused("max_quantity", "the order has no quantity")
        self.reserve = units * scope.desk.uses

    def granted_by(self) -> str:
        """Return the rule of an allowed case."""
        if self.operation in TRADING:
            name = "" if self.grant is None else self.grant.grant.name
        else:
            operations = self.seat.operations if self.scope is None else self.scope.operations
            name = operations[self.operation]
        return f"grant:{name}"

    def worth(self) -> str:
        """Return the notional that limits count once for each use, in the settle currency."""
        return decimals.text(self.notional, NOTIONAL_PLACES)

    def charged(self) -> str:
        """Return what limits counted: the notional for each use of the signature."""
        return decimals.text(self.notional * self.seat.desk.uses, NOTIONAL_PLACES)


class Rule(Protocol):
    """One rule: a module with these three."""

    NAME: str

    def check(self, case: Case) -> None:
        """Raise Refused with rule, reason and numbers, or return."""

    def numbers(self, case: Case) -> Numbers:
        """Return what the rule looked at, for an explanation."""
