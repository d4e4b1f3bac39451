"""A denial beats every grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused
from enclave_signer.policy.hours import holds
from enclave_signer.policy.prepared import TRADING, shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.model import Operation
    from enclave_signer.policy.case import Case, Numbers
    from enclave_signer.policy.model import Denial

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
    denial = _first(index.get(key, ()), case.now)
    if denial is not None:
        raise Refused(NAME, f"denied by {denial.name}", (("denial", denial.name),))


def by(index: Mapping[int, tuple[Denial, ...]], operation: Operation, now: int) -> Denial | None:
    """Return what denies a cancel or a read now, if anything does."""
    return _first(index.get(shape(operation, 0, 0, 0), ()), now)


def _first(denials: tuple[Denial, ...], now: int) -> Denial | None:
    return next((denial for denial in denials if holds(denial.hours, now)), None)


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
