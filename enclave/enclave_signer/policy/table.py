"""The table of all accounts' order ids is bounded too; what is still needed is never evicted (S10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused
from enclave_signer.model import Operation

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "table_full"


def check(case: Case) -> None:
    """Refuse what there is no room for: an order's or an amend's answer, an amend's new id, too many amends of one."""
    table, entry = case.seat.desk.ledger.orders.table, case.entry
    amending = case.operation is Operation.AMEND
    rows = 2 if amending and case.client_order_id else 1
    if table.full(case.now, rows):
        raise Refused(NAME, "the table of order ids is full", numbers(case))
    if amending and entry is not None and not table.room_for_amend(entry, case.now):
        raise Refused(NAME, "too many amends of this order are still alive")


def numbers(case: Case) -> Numbers:
    """Return how many ids are kept and how many can be."""
    table = case.seat.desk.ledger.orders.table
    return (("ids", str(table.size)), ("capacity", str(table.capacity)))
