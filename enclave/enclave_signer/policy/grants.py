"""One grant permits the order in full, or it is refused (default deny).

A refusal is named after what the closest grant refused: the one that comes furthest in the order side, type, time
in force, post_only, reduce_only, hours, max_quantity, max_notional, reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from enclave_signer import decimals
from enclave_signer.errors import Refused
from enclave_signer.model import OrderType
from enclave_signer.policy.hours import clock, holds
from enclave_signer.policy.max_age import SKEW_NS
from enclave_signer.policy.prepared import NOTIONAL_PLACES, shape

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers
    from enclave_signer.policy.model import Grant
    from enclave_signer.policy.prepared import GrantBounds

NAME: Final = "grant"
_BPS: Final = 10_000


class _No(NamedTuple):
    """Why a grant does not permit the order; a higher rank came further."""

    rank: int
    rule: str
    reason: str
    numbers: Numbers


def check(case: Case) -> None:
    """Find the grant, or refuse with the closest one's reason."""
    order, scope = case.order, case.scope
    assert scope is not None  # noqa: S101 - the instrument rule came before
    closest: _No | None = None
    for bounds in scope.grants.get(shape(case.operation, order.side, order.type, order.time_in_force or 0), ()):
        no = _asks_too_much(bounds, case)
        if no is None:
            case.grant = bounds
            return
        if closest is None or no.rank > closest.rank:
            closest = no
    if closest is None:
        closest = max((_unlike(grant, case) for grant in _given(case)), default=None)
    if closest is None:
        raise Refused(NAME, "no grant permits it")
    raise Refused(closest.rule, closest.reason, closest.numbers)


def _given(case: Case) -> list[Grant]:
    """Grants of the operation to this engine for this symbol, whatever their shapes."""
    assert case.scope is not None  # noqa: S101 - as above
    symbol = case.scope.instrument.symbol
    return [
        grant
        for grant in case.seat.desk.account.grants
        if case.seat.engine in grant.engines and symbol in grant.symbols and case.operation in grant.operations
    ]


def _unlike(grant: Grant, case: Case) -> _No:
    """Why the shape of the order is not one of the grant's."""
    order, by = case.order, (("grant", grant.name),)
    if order.side not in grant.sides:
        return _No(0, "side", f"{grant.name} does not permit {order.side.name}", by)
    if order.type not in grant.types:
        return _No(1, "type", f"{grant.name} does not permit {order.type.name}", by)
    time = order.time_in_force
    return _No(2, "time_in_force", f"{grant.name} does not permit {time.name if time else 'none'}", by)


def _asks_too_much(bounds: GrantBounds, case: Case) -> _No | None:
    """Why an order of a permitted shape is not permitted, or None."""
    grant, order = bounds.grant, case.order
    if grant.require_post_only and not order.post_only:
        return _No(3, "post_only", f"{grant.name} permits post-only orders alone", (("grant", grant.name),))
    if grant.require_reduce_only and not order.reduce_only:
        return _No(4, "reduce_only", f"{grant.name} permits reduce-only orders alone", (("grant", grant.name),))
    if not bounds.always and not holds(grant.hours, case.now):
        return _No(5, "hours", f"{grant.name} does not hold now", (("grant", grant.name), ("now", clock(case.now))))
    if bounds.max_units is not None and case.units > bounds.max_units:
        return _No(6, "max_quantity", f"more than {grant.name} permits", _quantities(bounds, case))
    if bounds.max_notional is not None and case.notional > bounds.max_notional:
        return _No(7, "max_notional", f"more than {grant.name} permits", _notionals(bounds, case))
    if grant.max_deviation_bps is not None:
        reason = _off_reference(bounds, grant.max_deviation_bps, case)
        if reason:
            return _No(8, "reference", f"{grant.name}: {reason}", _references(grant, case))
    return None


def _off_reference(bounds: GrantBounds, most_bps: int, case: Case) -> str:
    """Say what is wrong with price and reference, or nothing. The band came before: this can only tighten it."""
    order = case.order
    if order.reference_price is None:
        return "a reference_price is required"
    if order.type is OrderType.MARKET or order.price is None:
        return "an order without a price has no distance to the reference"
    age = case.now - order.reference_time
    if age > bounds.reference_max_age_ns:
        return "the reference is too old"
    if age < -SKEW_NS:
        return "the reference is from the future"
    reference = order.reference_price.units
    if abs(order.price.units - reference) * _BPS > reference * most_bps:
        return "the price is too far from the reference"
    return ""


def _quantities(bounds: GrantBounds, case: Case) -> Numbers:
    most = "" if bounds.max_units is None else decimals.text(bounds.max_units)
    return (("quantity", decimals.text(case.units)), ("limit", most), ("grant", bounds.grant.name))


def _notionals(bounds: GrantBounds, case: Case) -> Numbers:
    most = "" if bounds.max_notional is None else decimals.text(bounds.max_notional, NOTIONAL_PLACES)
    notional = decimals.text(case.notional, NOTIONAL_PLACES)
    return (("notional", notional), ("limit", most), ("grant", bounds.grant.name))


def _references(grant: Grant, case: Case) -> Numbers:
    order = case.order
    return (
        ("price", order.price.text if order.price else ""),
        ("reference_price", order.reference_price.text if order.reference_price else ""),
        ("max_deviation_bps", str(grant.max_deviation_bps)),
        ("reference_time", str(order.reference_time)),
        ("reference_max_age_ms", str(grant.reference_max_age_ms)),
    )


def numbers(case: Case) -> Numbers:
    """Name the grant, and what it bounds."""
    if case.grant is None:
        return ()
    return (*_notionals(case.grant, case), *_quantities(case.grant, case)[:2])
