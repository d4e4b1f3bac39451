"""The symbol is among the account's instruments: those are the policy's, never the host's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "instrument"


def check(case: Case) -> None:
    """Refuse a symbol that the account does not trade."""
    if case.scope is None:
        raise Refused(NAME, f"account {case.seat.desk.name} has no such instrument")


def numbers(case: Case) -> Numbers:
    """Name the venue's symbol."""
    return () if case.scope is None else (("venue_symbol", case.scope.instrument.venue_symbol),)
