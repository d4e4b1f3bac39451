"""Duty (S13): creates and amends are signed only while a grant from off the host covers the account.

What a grant comes to for an account is one moment, noted at its desk when the grant is taken: to judge an order is one
comparison. Cancels and reads are not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "duty"
# Moments that no order comes before.
NONE: Final = 0
RETIRED: Final = -1


def check(case: Case) -> None:
    """Refuse what would be signed without duty."""
    until = case.seat.desk.duty_until
    if case.now >= until:
        raise Refused(NAME, _reason(until), () if until <= NONE else (("ended", str(until)),))


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()


def _reason(until: int) -> str:
    if until == RETIRED:
        return "this boot is retired: it signs cancels and reads only"
    if until == NONE:
        return "no duty grant covers this account; cancels and reads are signed"
    return "the duty grant has ended and no other came: is the duty daemon away? Cancels and reads are signed"
