"""Backpack: what replies mean and what requests cost.

An order comes back whole (HTTP 200); 202 means that the request was taken and is carried out later. Errors
are ``{"code": "INVALID_ORDER", "message": "..."}`` with a 4xx or 5xx.
Sources: docs.backpack.exchange (`order`, `capital`, `ApiErrorCode`); ccxt 4.5.90 maps the same codes. Marks
in comments: D documentation, C ccxt, M recalled and not checked.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from host_dispatch.outcome import BalanceView, ErrorClass, Operation, OrderState, Reading, VenueOrderView
from host_dispatch.venues.base import (
    Bucket,
    Cost,
    Reader,
    Reply,
    accepted,
    acknowledged,
    is_success,
    judged,
    nothing,
)
from host_dispatch.venues.fields import (
    Json,
    UnreadableError,
    as_object,
    average,
    clean,
    coded,
    first_of,
    identifier,
    number,
    objects,
    parse,
    positive,
    required_identifier,
    state_of,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# `status` of an order (D). TriggerFailed is a conditional order that could not become an order.
_STATES: Final = {
    "New": OrderState.OPEN,
    "TriggerPending": OrderState.OPEN,
    "PartiallyFilled": OrderState.PARTIALLY_FILLED,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELED,
    "Expired": OrderState.EXPIRED,
    "TriggerFailed": OrderState.REJECTED,
}

CODES: Final[Mapping[str, ErrorClass]] = MappingProxyType(
    {
        "TOO_MANY_REQUESTS": ErrorClass.RATE_LIMITED,
        **coded(
            ErrorClass.INSUFFICIENT_FUNDS,
            """
            INSUFFICIENT_FUNDS INSUFFICIENT_MARGIN INSUFFICIENT_SUPPLY BORROW_LIMIT
            BORROW_REQUIRES_LEND_REDEEM LEND_REQUIRES_BORROW_REPAY MAX_LEVERAGE_REACHED
            """,
        ),
        **coded(ErrorClass.BAD_SYMBOL, "INVALID_MARKET INVALID_SYMBOL INVALID_ASSET"),
        **coded(ErrorClass.BAD_SIGNATURE, "INVALID_SIGNATURE UNAUTHORIZED"),
        "RESOURCE_NOT_FOUND": ErrorClass.UNKNOWN_ORDER,
        **coded(
            ErrorClass.PERMISSION,
            """
            ACCOUNT_LIQUIDATING FORBIDDEN INVALID_TWO_FACTOR_CODE INVALID_SOURCE
            """,
        ),
        **coded(ErrorClass.MAINTENANCE, "MAINTENANCE TRADING_PAUSED"),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            INVALID_CLIENT_REQUEST INVALID_ORDER INVALID_PRICE INVALID_QUANTITY INVALID_RANGE
            INVALID_POSITION_ID ORDER_LIMIT POSITION_LIMIT LEND_LIMIT NOT_IMPLEMENTED
            PRECONDITION_FAILED
            """,
        ),
    },
)
# Left out on purpose, so that they read as UNKNOWN: SERVER_ERROR, TIMEOUT.

# What these two say is in their text only (M).
_TEXTS: Final = (
    ("immediately match", ErrorClass.WOULD_TAKE),
    ("would take", ErrorClass.WOULD_TAKE),
    ("duplicate", ErrorClass.DUPLICATE_CLIENT_ID),
    ("client id already", ErrorClass.DUPLICATE_CLIENT_ID),
    ("clientid already", ErrorClass.DUPLICATE_CLIENT_ID),
    ("request has expired", ErrorClass.CLOCK_OR_NONCE),
    ("timestamp", ErrorClass.CLOCK_OR_NONCE),
    ("invalid signature", ErrorClass.BAD_SIGNATURE),
    ("order not found", ErrorClass.UNKNOWN_ORDER),
    ("insufficient", ErrorClass.INSUFFICIENT_FUNDS),
)
_BY_TEXT: Final = frozenset({"INVALID_CLIENT_REQUEST", "INVALID_ORDER", "UNAUTHORIZED", "PRECONDITION_FAILED"})

_ACCEPTED: Final = 202


def classify(code: str, message: str) -> ErrorClass:
    """Class of a code with its text; UNKNOWN for one that is not listed."""
    if code in _BY_TEXT:
        return first_of(_TEXTS, message) or CODES[code]
    return CODES.get(code, ErrorClass.UNKNOWN)


class BackpackReader(Reader):
    """Reads replies of spot and perpetuals; they share their shapes."""

    name = "backpack"
    # 2,000 requests a minute for each account (M).
    buckets = (Bucket("requests-1m", 2_000, 60_000, "account"),)
    costs = MappingProxyType(
        {
            operation: (Cost("requests-1m", 1),)
            for operation in Operation
            if operation not in {Operation.ORDER_CLOSED, Operation.HALT, Operation.LOGON}
        },
    )

    def interpret(self, reply: Reply) -> Reading:
        """Judge by the status."""
        if reply.status == _ACCEPTED and reply.operation in {Operation.CANCEL, Operation.CANCEL_ALL}:
            # Taken, carried out later (D); the body is not specified.
            return Reading()
        value = parse(reply.body)
        if is_success(reply.status):
            return _ANSWERS[reply.operation](reply, value)
        body = as_object(value)
        code, message = text(body.get("code")), text(body.get("message"))
        if reply.operation is Operation.QUERY and code == "RESOURCE_NOT_FOUND":
            # The query finds open orders only (D): what is not among them may be done.
            return Reading(code=code, message=clean(message))
        return judged(reply, classify(code, message), code, message)


def _order(order: dict[str, Json]) -> VenueOrderView:
    filled = number(order.get("executedQuantity"))
    return VenueOrderView(
        client_order_id=identifier(order.get("clientId")),
        venue_order_id=required_identifier(order.get("id")),
        symbol=identifier(order.get("symbol")),
        state=state_of(order.get("status"), _STATES, filled),
        quantity=number(order.get("quantity")),
        filled_quantity=filled,
        price=positive(order.get("price")),
        average_price=average(number(order.get("executedQuoteQuantity")), filled),
    )


def _one(reply: Reply, value: Json) -> Reading:
    order = as_object(value)
    if "status" not in order:
        return acknowledged(reply.operation, required_identifier(order.get("id")))
    return accepted(reply.operation, _order(order))


def _queried(reply: Reply, value: Json) -> Reading:
    """Read the open order, or a list of the history, to be narrowed; it is never exhaustive."""
    if isinstance(value, list):
        return Reading(orders=tuple(map(_order, objects(value))))
    return accepted(reply.operation, _order(as_object(value)))


def _all_canceled(_reply: Reply, value: Json) -> Reading:
    return Reading(orders=tuple(map(_order, objects(value))))


def _balances(_reply: Reply, value: Json) -> Reading:
    return Reading(
        balances=tuple(
            BalanceView(identifier(asset), number(held.get("available"), signed=True), number(held.get("locked")))
            for asset, held in ((asset, as_object(held)) for asset, held in as_object(value).items())
        ),
    )


def _unsupported(_reply: Reply, _value: Json) -> Reading:
    message = "the venue changes no orders"
    raise UnreadableError(message)


_ANSWERS: Final = MappingProxyType(
    {
        Operation.CREATE: _one,
        Operation.CANCEL: _one,
        Operation.CANCEL_ALL: _all_canceled,
        Operation.AMEND: _unsupported,
        Operation.QUERY: _queried,
        Operation.OPEN_ORDERS: _all_canceled,
        Operation.BALANCES: _balances,
        Operation.ORDER_CLOSED: nothing,
        Operation.HALT: nothing,
        Operation.LOGON: nothing,
    },
)

BACKPACK: Final = BackpackReader()
