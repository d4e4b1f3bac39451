"""Rolling limits: what was spent and how often, within a window that ends now. Nothing ever releases them but time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer import decimals
from enclave_signer.errors import Refused
from enclave_signer.policy.prepared import NOTIONAL_PLACES

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers
    from enclave_signer.policy.prepared import RollingLimit

NAME: Final = "limit"


def check(case: Case) -> None:
    """Refuse what would exceed a limit, counting every use that the signature may be put to (S2)."""
    scope = case.scope
    assert scope is not None  # noqa: S101 - the instrument rule came before
    uses = scope.desk.uses
    charge = case.notional * uses
    for limit in scope.limits:
        window = limit.window
        window.advance(case.now)
        if (limit.max_spent is not None and window.spent + charge > limit.max_spent) or (
            limit.max_count is not None and window.count + uses > limit.max_count
        ):
            raise Refused(f"{NAME}:{limit.name}", "the rolling limit would be exceeded", _of(limit, charge, uses))
        budget = limit.budget
        if charge > budget.spent or uses > budget.count:
            raise Refused("duty", f"the grant's share of the limit {limit.name} is used up", _left(limit, charge, uses))


def count(case: Case) -> None:
    """Count the order in every limit of its symbol."""
    scope = case.scope
    assert scope is not None  # noqa: S101 - as above
    uses = scope.desk.uses
    charge = case.notional * uses
    for limit in scope.limits:
        limit.window.add(charge, uses)
        budget = limit.budget
        budget.spent -= charge
        budget.count -= uses


def numbers(case: Case) -> Numbers:
    """Return the numbers of every limit of the symbol."""
    scope = case.scope
    if scope is None:
        return ()
    uses = scope.desk.uses
    found: Numbers = ()
    for limit in scope.limits:
        limit.window.advance(case.now)
        found += (("name", limit.name), *_of(limit, case.notional * uses, uses))
    return found


def _left(limit: RollingLimit, charge: int, uses: int) -> Numbers:
    budget = limit.budget
    return (
        ("charge", decimals.text(charge, NOTIONAL_PLACES)),
        ("left", "" if limit.max_spent is None else decimals.text(budget.spent, NOTIONAL_PLACES)),
        ("uses", str(uses)),
        ("orders_left", "" if limit.max_count is None else str(budget.count)),
    )


def _of(limit: RollingLimit, charge: int, uses: int) -> Numbers:
    return (
        ("charge", decimals.text(charge, NOTIONAL_PLACES)),
        ("spent", decimals.text(limit.window.spent, NOTIONAL_PLACES)),
        ("limit", "" if limit.max_spent is None else decimals.text(limit.max_spent, NOTIONAL_PLACES)),
        ("uses", str(uses)),
        ("orders", str(limit.window.count)),
        ("max_orders", "" if limit.max_count is None else str(limit.max_count)),
        ("window_ms", str(limit.window.window_ns // 1_000_000)),
    )
