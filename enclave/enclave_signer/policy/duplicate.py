"""One client order id, one order (S12). The identical intent, while its signature lives, never comes this far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "duplicate"


def check(case: Case) -> None:
    """Refuse an id that is known; an amend's new id too."""
    taken = case.client_order_id
    if taken and taken in case.seat.desk.ledger.orders.by_id:
        raise Refused(NAME, "this client order id was used before", (("client_order_id", taken),))


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
