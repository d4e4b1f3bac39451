"""Prices are on the tick and quantities on the lot, or refused: nothing is ever rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.decimals import Amount
    from enclave_signer.policy.case import Case, Numbers
    from enclave_signer.policy.prepared import Scope

NAME: Final = "precision"


def check(case: Case) -> None:
    """Refuse what is off tick or off lot. A quote quantity has no step in the policy: the venue knows its own."""
    order, scope = case.order, case.scope
    assert scope is not None  # noqa: S101 - the instrument rule came before
    price, quantity, stop = order.price, order.quantity, order.stop_price
    if price is not None and price.units % scope.tick:
        _refuse("price", price, scope.instrument.tick_size)
    if quantity is not None and quantity.units % scope.lot:
        _refuse("quantity", quantity, scope.instrument.lot_size)
    if stop is not None and stop.units % scope.tick:
        _refuse("stop_price", stop, scope.instrument.tick_size)


def _refuse(field: str, amount: Amount, step: Amount) -> None:
    reason = f"{field} {amount.text} is not a multiple of {step.text}"
    raise Refused(NAME, reason, ((field, amount.text), ("step", step.text)))


def numbers(case: Case) -> Numbers:
    """Return both steps."""
    scope: Scope | None = case.scope
    if scope is None:
        return ()
    return (("tick_size", scope.instrument.tick_size.text), ("lot_size", scope.instrument.lot_size.text))
