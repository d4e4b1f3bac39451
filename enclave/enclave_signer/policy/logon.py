"""Only a read-only account logs a connection on (S6).

An authenticated connection is a blank cheque: whoever holds it can send what the key may do, and the host holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "logon"


def check(case: Case) -> None:
    """Refuse a logon for an account that the policy does not mark read-only."""
    name = case.seat.desk.name
    if not case.seat.desk.account.read_only:
        raise Refused(NAME, f"account {name} is not read-only: a logon would let the host trade with its key")


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
