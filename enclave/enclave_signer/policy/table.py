"""The table of all accounts' order ids is bounded too; what is still needed is never evicted (S10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.book import room_for_amend
from enclave_signer.errors import Refused
from enclave_signer.model import Operation

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "table_full"


def check(case: Case) -> None:
    """Refuse an id that there is no room for, or an amend too many of one order."""
    if case.client_order_id and case.seat.desk.ledger.orders.table.full(case.now):
        raise Refused(NAME, "the table of order ids is full", numbers(case))
    if case.operation is Operation.AMEND and case.entry is not None and not room_for_amend(case.entry, case.now):
        raise Refused(NAME, "too many amends of this order are still alive")


def numbers(case: Case) -> Numbers:
    """Return how many ids are kept and how many can be."""
    table = case.seat.desk.ledger.orders.table
    return (("ids", str(table.size)), ("capacity", str(table.capacity)))
