"""Worst-case exposure: what the account could hold or owe if the worst of its open orders filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer import decimals
from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "exposure"


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
            reason = "the worst case would exceed the exposure"
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
    return (("worst_case", decimals.text(worst)), ("limit", decimals.text(most)))
