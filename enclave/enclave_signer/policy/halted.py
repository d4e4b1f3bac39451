"""HALT (S7): where one stands, nothing new is signed; cancels and reads are not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "halted"


def check(case: Case) -> None:
    """Refuse while a HALT covers the account or the symbol."""
    halt = case.seat.halt if case.scope is None else case.scope.halt
    if halt is not None:
        reason = f"HALT {halt.scope.name} by {halt.by}; it stands until a RESUME"
        raise Refused(NAME, reason, (("since", str(halt.since)),))


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
