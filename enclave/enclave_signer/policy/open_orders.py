"""An account keeps at most so many orders that may be open. A full table refuses, it never evicts (S10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "open_orders_full"


def check(case: Case) -> None:
    """Refuse one order too many; an amended order is counted already."""
    desk = case.seat.desk
    if desk.ledger.orders.open >= desk.account.max_open_orders:
        raise Refused(NAME, "too many orders may be open; close some with OrderClosed", numbers(case))


def numbers(case: Case) -> Numbers:
    """Return how many are open and how many may be."""
    desk = case.seat.desk
    return (("open", str(desk.ledger.orders.open)), ("limit", str(desk.account.max_open_orders)))
