"""What a venue's reply says, in one closed vocabulary.

The integer values are those of ``dispatch_api/v1/dispatch.proto`` (`OrderState`, `ErrorClass`) and
``signer_api/v1/signer.proto`` (`Operation`), so that a value goes onto the wire as it is.

How to read a :class:`Reading`:

* ``error is None``: the venue accepted. ``state`` is what it said of the order; ``None`` where it said
  nothing, as in the reply to a cancel that the venue carries out later, to a cancel-all, or to a read of many
  orders.
* ``error is ErrorClass.UNKNOWN``: nobody knows what happened. For a create, amend, cancel or cancel-all
  ``state`` is ``UNKNOWN``: ask the venue, never send again.
* A query that the venue answers with a list says nothing by itself: :func:`narrow` picks the order that was
  asked for. Not to be found is ``UNKNOWN_ORDER`` only where the venue would have shown the order in every state
  of its life; a question that reaches open orders only proves nothing by silence: ``error`` and ``state`` None.
* any other error: the venue definitely did not do as asked. A create is then ``REJECTED``; the order that a
  cancel, amend or query named is as it was, and ``state`` is ``None``. One reply is both: where a venue
  replaces an order in two steps and only the second failed, ``state`` is ``CANCELED`` beside the error of the
  second.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

#: Longest text of a venue that is kept.
MESSAGE_CHARACTERS: Final = 256


class Operation(IntEnum):
    """What was asked of the venue; values of ``signer_api/v1/signer.proto``."""

    CREATE = 1
    CANCEL = 2
    CANCEL_ALL = 3
    AMEND = 4
    QUERY = 5
    OPEN_ORDERS = 6
    BALANCES = 7
    ORDER_CLOSED = 8
    HALT = 9
    LOGON = 10


#: Operations that change something at the venue: a failure of unknown outcome leaves them UNKNOWN.
WRITES: Final = frozenset({Operation.CREATE, Operation.CANCEL, Operation.CANCEL_ALL, Operation.AMEND})


class OrderState(IntEnum):
    """Life cycle of one order as the host sees it."""

    PENDING = 1
    REFUSED = 2
    SIGNED = 3
    SENDING = 4
    OPEN = 5
    PARTIALLY_FILLED = 6
    FILLED = 7
    CANCELED = 8
    EXPIRED = 9
    REJECTED = 10
    UNKNOWN = 11


class ErrorClass(IntEnum):
    """Why a venue did not do as asked; an unknown failure is UNKNOWN, never "retry"."""

    RATE_LIMITED = 1
    INSUFFICIENT_FUNDS = 2
    BAD_SYMBOL = 3
    BAD_SIGNATURE = 4
    CLOCK_OR_NONCE = 5
    DUPLICATE_CLIENT_ID = 6
    UNKNOWN_ORDER = 7
    INVALID_ORDER = 8
    WOULD_TAKE = 9
    PERMISSION = 10
    MAINTENANCE = 11
    NOT_SENT = 12
    UNKNOWN = 13


@dataclass(frozen=True, slots=True)
class VenueOrderView:
    """One order as the venue shows it. Numbers are decimal texts, empty where the venue did not say."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    state: OrderState
    quantity: str = ""
    filled_quantity: str = ""
    price: str = ""
    average_price: str = ""


@dataclass(frozen=True, slots=True)
class BalanceView:
    """One asset of an account: decimal texts, ``locked`` is what orders or positions hold back."""

    asset: str
    available: str
    locked: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply, read. See the module's text for how the fields go together.

    ``code`` and ``message`` are the venue's own, the message trimmed and freed of control characters.
    ``retry_after_ms`` is how long the venue asks to be left alone.
    """

    state: OrderState | None = None
    venue_order_id: str = ""
    filled_quantity: str = ""
    average_price: str = ""
    error: ErrorClass | None = None
    code: str = ""
    message: str = ""
    retry_after_ms: int | None = None
    orders: tuple[VenueOrderView, ...] = ()
    balances: tuple[BalanceView, ...] = ()
    #: What opens the private stream, as the answer to a logon said: a secret, so it is in no repr.
    token: str = field(default="", repr=False)
    #: ``orders`` of a query holds every order, in every state, that the one asked for could be among.
    exhaustive: bool = False


def narrow(reading: Reading, *, client_order_id: str = "", venue_order_id: str = "") -> Reading:
    """Narrow the reading of a query to the order that was asked for, by either id; the other may be empty.

    Without that order among ``orders``: UNKNOWN_ORDER if the list is exhaustive, else a reading that proves
    nothing. Several orders under one client id: the open one, if there is just one. Without either id, or where
    the reading is an error or of a single order, it is returned as it is.
    """
    if reading.error is not None or reading.state is not None or not (client_order_id or venue_order_id):
        return reading
    named = [order for order in reading.orders if _is_named(order, client_order_id, venue_order_id)]
    if len(named) > 1:
        named = [order for order in named if order.state in _ALIVE]
    if not named and reading.exhaustive:
        return Reading(error=ErrorClass.UNKNOWN_ORDER, message="not among the orders that the venue listed")
    if len(named) != 1:
        return Reading()
    (order,) = named
    return replace(
        reading,
        state=order.state,
        venue_order_id=order.venue_order_id,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        orders=(order,),
    )


_ALIVE: Final = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})


def _is_named(order: VenueOrderView, client_order_id: str, venue_order_id: str) -> bool:
    if client_order_id:
        return order.client_order_id == client_order_id
    return order.venue_order_id == venue_order_id
