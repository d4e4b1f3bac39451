"""Every price lies within the instrument's absolute band, which nothing outside the policy can widen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer import decimals
from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.decimals import Amount
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "band"


def check(case: Case) -> None:
    """Refuse a price or a stop price outside the band."""
    scope = case.scope
    assert scope is not None  # noqa: S101 - the instrument rule came before
    price, stop = case.order.price, case.order.stop_price
    if price is not None and not scope.price_min <= price.units <= scope.price_max:
        _refuse(case, "price", price)
    if stop is not None and not scope.price_min <= stop.units <= scope.price_max:
        _refuse(case, "stop_price", stop)


def _refuse(case: Case, field: str, price: Amount) -> None:
    raise Refused(NAME, f"{field} {price.text} is outside the band", ((field, price.text), *numbers(case)))


def numbers(case: Case) -> Numbers:
    """Return the band."""
    if case.scope is None:
        return ()
    return (
        ("price_min", decimals.text(case.scope.price_min)),
        ("price_max", decimals.text(case.scope.price_max)),
    )
