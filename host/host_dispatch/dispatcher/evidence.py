"""What a query's reply proves about an order whose reply was lost. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from host_dispatch.outcome import ErrorClass, OrderState

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

_UNDECIDED: Final = frozenset({None, OrderState.UNKNOWN, OrderState.PENDING, OrderState.SIGNED, OrderState.SENDING})


class Evidence(NamedTuple):
    """The order's state, proven. ``found`` False: the venue does not have it and can no longer take it."""

    state: OrderState
    found: bool


def weigh(reading: Reading, *, asked_at: int, horizon: int) -> Evidence | None:
    """Return what a reply to a query proves, None if it proves nothing.

    ``asked_at``: when the query was sent; ``horizon``: when the signature has ended at the venue, with a margin
    (both ns UTC). Before the horizon "not found" proves nothing: the request may still be on its way.
    """
    if reading.error is None:
        return None if reading.state in _UNDECIDED else Evidence(reading.state, found=True)  # type: ignore[arg-type]
    if reading.error is ErrorClass.UNKNOWN_ORDER and asked_at >= horizon:
        return Evidence(OrderState.EXPIRED, found=False)
    return None
