"""A read-only account makes and changes no orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "read_only"


def check(case: Case) -> None:
    """Refuse a create or an amend for a read-only account."""
    if case.seat.desk.account.read_only:
        raise Refused(NAME, f"account {case.seat.desk.name} is read-only")


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
