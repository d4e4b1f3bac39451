"""The client order id is one that the venue takes, within [A-Za-z0-9_-]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "client_order_id"


def check(case: Case) -> None:
    """Refuse an id in another format; an amend that keeps its id was checked as a create."""
    taken = case.client_order_id
    if taken and case.seat.desk.fits_client_order_id(taken) is None:
        raise Refused(NAME, "not in the venue's format", (("client_order_id", taken), *numbers(case)))


def numbers(case: Case) -> Numbers:
    """Show the format."""
    return (("format", case.seat.desk.account.venue.declaration.client_order_id),)
