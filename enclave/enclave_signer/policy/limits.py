"""Rolling limits: what was spent and how often, within a window that ends now. Nothing ever releases them but time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from enclave_signer import decimals
from enclave_signer.budget import FULL
from enclave_signer.errors import Refused
from enclave_signer.policy.prepared import NOTIONAL_PLACES

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers
    from enclave_signer.policy.prepared import RollingLimit

NAME: Final = "limit"
# As much stands for what nobody knows, and has no business in an answer.
_UNKNOWN: Final = FULL >> 1
_FULL: Final = "full"
_NS_IN_S: Final = 1_000_000_000


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
            raise _exceeded(limit, charge, uses)
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


def _exceeded(limit: RollingLimit, charge: int, uses: int) -> Refused:
    """Say so; and where nobody knew what was spent before, so that it started full, when that ends."""
    rule, numbers = f"{NAME}:{limit.name}", _of(limit, charge, uses)
    opens = limit.window.opens(_UNKNOWN) if _is_full(limit) else 0
    if not opens:
        return Refused(rule, "the rolling limit would be exceeded", numbers)
    at = datetime.fromtimestamp(opens // _NS_IN_S + 1, UTC)
    reason = f"the limit started full, because nobody knew what had been spent; it opens at {at:%Y-%m-%dT%H:%M:%SZ}"
    return Refused(rule, reason, numbers)


def _is_full(limit: RollingLimit) -> bool:
    window = limit.window
    return (limit.max_spent is not None and window.spent >= _UNKNOWN) or (
        limit.max_count is not None and window.count >= _UNKNOWN
    )


def _left(limit: RollingLimit, charge: int, uses: int) -> Numbers:
    budget = limit.budget
    return (
        ("charge", decimals.text(charge, NOTIONAL_PLACES)),
        ("left", "" if limit.max_spent is None else decimals.text(budget.spent, NOTIONAL_PLACES)),
        ("uses", str(uses)),
        ("orders_left", "" if limit.max_count is None else str(budget.count)),
    )


def _of(limit: RollingLimit, charge: int, uses: int) -> Numbers:
    window = limit.window
    return (
        ("charge", decimals.text(charge, NOTIONAL_PLACES)),
        ("spent", _FULL if window.spent >= _UNKNOWN else decimals.text(window.spent, NOTIONAL_PLACES)),
        ("limit", "" if limit.max_spent is None else decimals.text(limit.max_spent, NOTIONAL_PLACES)),
        ("uses", str(uses)),
        ("orders", _FULL if window.count >= _UNKNOWN else str(window.count)),
        ("max_orders", "" if limit.max_count is None else str(limit.max_count)),
        ("window_ms", str(window.window_ns // 1_000_000)),
    )
