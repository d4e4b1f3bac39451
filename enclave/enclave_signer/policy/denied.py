"""A denial beats every grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused
from enclave_signer.policy.hours import holds
from enclave_signer.policy.prepared import TRADING, shape

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "denied"


def check(case: Case) -> None:
    """Refuse what a denial matches now."""
    index = case.seat.denials if case.scope is None else case.scope.denials
    if not index:
        return
    if case.operation in TRADING:
        order = case.order
        key = shape(case.operation, order.side, order.type, order.time_in_force or 0)
    else:
        key = shape(case.operation, 0, 0, 0)
    for denial in index.get(key, ()):
        if holds(denial.hours, case.now):
            raise Refused(NAME, f"denied by {denial.name}", (("denial", denial.name),))


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
