"""What the venue's signature leaves open is accepted by name, for this account, or nothing is signed (S2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "signature_gaps"


def check(case: Case) -> None:
    """Refuse what has a gap that the account does not accept."""
    gaps = case.seat.desk.gaps
    if gaps and case.operation in gaps:
        names = ", ".join(gaps[case.operation])
        reason = f"the signature leaves open what the account does not accept: {names}"
        raise Refused(NAME, reason, numbers(case))


def numbers(case: Case) -> Numbers:
    """Name the gaps that are not accepted."""
    return tuple(("gap", gap) for gap in case.seat.desk.gaps.get(case.operation, ()))
