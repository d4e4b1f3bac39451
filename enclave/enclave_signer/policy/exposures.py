"""Worst-case exposure: what the account could hold or owe if the worst of its open orders filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer import decimals
from enclave_signer.errors import Refused
from enclave_signer.exposure import FULL

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "exposure"
_EXCEEDED: Final = "the worst case would exceed the exposure"
_STARTED_FULL: Final = "the exposure started full, because nobody knew what is open: it stays so until a fresh start"


def check(case: Case) -> None:
    """Refuse what would make the worst case of the order's side larger than a bound."""
    scope = case.scope
    assert scope is not None  # noqa: S101 - the instrument rule came before
    if not scope.exposures:
        return
    order = case.order
    worst = scope.book.worst_after(order.side, order.position_side, case.reserve)
    for bound in scope.exposures:
        if worst > bound.max_units:
            reason = _EXCEEDED if worst < FULL else _STARTED_FULL
            raise Refused(f"{NAME}:{bound.name}", reason, _of(worst, bound.max_units))


def numbers(case: Case) -> Numbers:
    """Return the worst case and every bound of the symbol, in units of quantity."""
    scope = case.scope
    if scope is None:
        return ()
    order = case.order
    worst = scope.book.worst_after(order.side, order.position_side, case.reserve)
    found: Numbers = ()
    for bound in scope.exposures:
        found += (("name", bound.name), *_of(worst, bound.max_units))
    return found


def _of(worst: int, most: int) -> Numbers:
    return (("worst_case", decimals.text(worst) if worst < FULL else "full"), ("limit", decimals.text(most)))
