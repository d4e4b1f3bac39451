"""Kraken spot: what replies mean and what requests cost.

Every answer is ``{"error": [...], "result": {...}}`` with HTTP 200; an error is a text
``E<Category>:<what>[:<more>]``, a warning begins with W. The answer to AddOrder lists transaction ids and
says nothing of fills.
Sources: docs.kraken.com (`api/docs/guides/spot-errors`, `spot-ratelimits`, REST reference of the calls named
below); ccxt 4.5.90 maps the same texts. Marks in comments: D documentation, C ccxt, S constants of public
trading engines, M recalled and not checked.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from host_dispatch.outcome import (
    WRITES,
    BalanceView,
    ErrorClass,
    Operation,
    OrderState,
    Reading,
    VenueOrderView,
)
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
    refusal,
    unread,
)
from host_dispatch.venues.fields import (
    Json,
    UnreadableError,
    as_list,
    as_object,
    difference,
    identifier,
    number,
    parse,
    positive,
    required_identifier,
    state_of,
    text,
    whole,
)

# `status` of OpenOrders, ClosedOrders and QueryOrders (D). "closed" is filled in full.
_STATES: Final = {
    "pending": OrderState.OPEN,
    "open": OrderState.OPEN,
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
}

# Beginnings of error texts, folded; the first that fits decides, so the narrower stand first.
ERRORS: Final = (
    ("eapi:rate limit exceeded", ErrorClass.RATE_LIMITED),
    ("eorder:rate limit exceeded", ErrorClass.RATE_LIMITED),
    ("eorder:domain rate limit exceeded", ErrorClass.RATE_LIMITED),
    ("egeneral:temporary lockout", ErrorClass.RATE_LIMITED),
    ("egeneral:too many requests", ErrorClass.RATE_LIMITED),
    ("eservice:throttled", ErrorClass.RATE_LIMITED),
    ("eservice: throttled", ErrorClass.RATE_LIMITED),
    ("eorder:insufficient", ErrorClass.INSUFFICIENT_FUNDS),
    ("eorder:margin allowance exceeded", ErrorClass.INSUFFICIENT_FUNDS),
    ("eorder:margin level too low", ErrorClass.INSUFFICIENT_FUNDS),
    ("equery:", ErrorClass.BAD_SYMBOL),
    ("eapi:invalid key", ErrorClass.BAD_SIGNATURE),
    ("eapi:invalid signature", ErrorClass.BAD_SIGNATURE),
    ("esession:invalid session", ErrorClass.BAD_SIGNATURE),
    ("eapi:invalid nonce", ErrorClass.CLOCK_OR_NONCE),
    ("eorder:unknown order", ErrorClass.UNKNOWN_ORDER),
    ("eorder:post only", ErrorClass.WOULD_TAKE),
    ("eorder:trading agreement required", ErrorClass.PERMISSION),
    ("egeneral:permission denied", ErrorClass.PERMISSION),
    ("eapi:feature disabled", ErrorClass.PERMISSION),
    ("eapi:invalid permissions", ErrorClass.PERMISSION),
    ("eaccount:", ErrorClass.PERMISSION),
    ("etrade:", ErrorClass.PERMISSION),
    ("eservice:market in", ErrorClass.MAINTENANCE),
    ("eservice:unavailable", ErrorClass.MAINTENANCE),
    ("eservice:busy", ErrorClass.MAINTENANCE),
    ("egeneral:invalid arguments", ErrorClass.INVALID_ORDER),
    ("egeneral:unknown method", ErrorClass.INVALID_ORDER),
    ("eorder:invalid", ErrorClass.INVALID_ORDER),
    ("eorder:cannot open", ErrorClass.INVALID_ORDER),
    ("eorder:order minimum not met", ErrorClass.INVALID_ORDER),
    ("eorder:cost minimum not met", ErrorClass.INVALID_ORDER),
    ("eorder:tick size check failed", ErrorClass.INVALID_ORDER),
    ("eorder:orders limit exceeded", ErrorClass.INVALID_ORDER),
    ("eorder:positions limit exceeded", ErrorClass.INVALID_ORDER),
    ("eorder:scheduled orders limit exceeded", ErrorClass.INVALID_ORDER),
    ("eorder:reduce only", ErrorClass.INVALID_ORDER),
    ("eorder:no order changes", ErrorClass.INVALID_ORDER),
)
# Left out on purpose, so that they read as UNKNOWN: EGeneral:Internal error, EDatabase:Internal error,
# EService:Timeout, EService:Deadline elapsed.

# A used client id, whatever the category (M: the documentation names no text).
_DUPLICATES: Final = ("duplicate", "already in use", "not unique", "already exists")

# The engine or the gateway was out of reach: orders sent in such a minute have been seen to exist (M), so
# ask.
_LEAVES_WRITES_OPEN: Final = ("eservice:unavailable", "eservice:busy")


def classify(error: str, operation: Operation) -> ErrorClass:
    """Class of an error text; UNKNOWN for one that is not listed."""
    folded = error.casefold()
    if operation in WRITES and folded.startswith(_LEAVES_WRITES_OPEN):
        return ErrorClass.UNKNOWN
    if folded.startswith(("eorder:", "egeneral:invalid arguments")) and any(word in folded for word in _DUPLICATES):
        return ErrorClass.DUPLICATE_CLIENT_ID
    return next((found for start, found in ERRORS if folded.startswith(start)), ErrorClass.UNKNOWN)


class KrakenReader(Reader):
    """Reads replies of the spot REST interface."""

    name = "kraken"
    buckets = (
        # The trading counter of each account and pair: Starter's threshold 60 (S) and decay of 1 a second
        # (M).
        Bucket("pair-counter", 60, 60_000, "instrument", "leaky"),
        # The REST counter of each key: 15, decay 0.33 a second (D). AddOrder and CancelOrder are not counted
        # (D).
        Bucket("rest-counter", 15, 45_000, "account", "leaky"),
    )
    costs = MappingProxyType(
        {
            # Add costs 1; a cancel 8 within 5 s of the order's making, an amend at most 1 + 3 (D): the worst
            # is counted.
            Operation.CREATE: (Cost("pair-counter", 1),),
            Operation.CANCEL: (Cost("pair-counter", 8),),
            Operation.CANCEL_ALL: (Cost("pair-counter", 8), Cost("rest-counter", 1)),
            Operation.AMEND: (Cost("pair-counter", 4),),
            Operation.QUERY: (Cost("rest-counter", 1),),
            Operation.OPEN_ORDERS: (Cost("rest-counter", 1),),
            Operation.BALANCES: (Cost("rest-counter", 1),),
            Operation.LOGON: (Cost("rest-counter", 1),),
        },
    )

    def interpret(self, reply: Reply) -> Reading:
        """Judge by the first error text; warnings do not count."""
        body = as_object(parse(reply.body))
        errors = [text(item) for item in as_list(body.get("error"))]
        failed = [error for error in errors if not error.startswith("W")]
        if failed:
            code = failed[0].split(":", 2)[:2]
            return judged(reply, classify(failed[0], reply.operation), ":".join(code), "; ".join(failed[:4]))
        if not is_success(reply.status):
            return unread(reply)
        return _ANSWERS[reply.operation](reply, as_object(body.get("result")))


def _created(reply: Reply, result: dict[str, Json]) -> Reading:
    ids = as_list(result.get("txid"))
    if len(ids) != 1:
        message = "expected one transaction id"
        raise UnreadableError(message)
    return acknowledged(reply.operation, required_identifier(ids[0]))


def _canceled(reply: Reply, result: dict[str, Json]) -> Reading:
    """Read CancelOrder's `count`; with `pending` the cancel is taken and not yet done (D)."""
    count = whole(text(result.get("count")))
    if count is None:
        message = "a cancel without its count"
        raise UnreadableError(message)
    if count == 0 and result.get("pending") is not True:
        return refusal(reply, ErrorClass.UNKNOWN_ORDER, "count", "the venue canceled no order")
    return Reading(state=None if result.get("pending") is True else OrderState.CANCELED)


def _all_canceled(_reply: Reply, result: dict[str, Json]) -> Reading:
    if whole(text(result.get("count"))) is None:
        message = "a cancel-all without its count"
        raise UnreadableError(message)
    return Reading()


def _amended(_reply: Reply, result: dict[str, Json]) -> Reading:
    """Read AmendOrder's `amend_id`, or EditOrder's new `txid`."""
    if "amend_id" in result:
        required_identifier(result["amend_id"])
        return Reading()
    return Reading(venue_order_id=required_identifier(result.get("txid")))


def _order(venue_order_id: str, order: dict[str, Json]) -> VenueOrderView:
    filled, quantity = number(order.get("vol_exec")), number(order.get("vol"))
    described = as_object(order.get("descr"))
    return VenueOrderView(
        client_order_id=identifier(order.get("cl_ord_id")),
        venue_order_id=required_identifier(venue_order_id),
        symbol=identifier(described.get("pair")),
        state=state_of(order.get("status"), _STATES, filled),
        quantity=quantity,
        filled_quantity=filled,
        price=positive(described.get("price")),
        average_price=positive(order.get("price")),
    )


def _orders(result: dict[str, Json]) -> list[VenueOrderView]:
    """Read a map of transaction id to order, under `open`, under `closed`, or bare (QueryOrders)."""
    found = result.get("open", result.get("closed", result))
    return [_order(name, as_object(order)) for name, order in as_object(found).items()]


def _queried(reply: Reply, result: dict[str, Json]) -> Reading:
    """Read QueryOrders' one order, or a list of open or of closed ones to be narrowed.

    Neither list is exhaustive: an order that is not open may be closed, and the other way round.
    """
    found = _orders(result)
    if "open" in result or "closed" in result:
        return Reading(orders=tuple(found))
    if not found:
        return refusal(reply, ErrorClass.UNKNOWN_ORDER, "empty", "the list of orders is empty")
    if len(found) > 1:
        message = "more than one order for one id"
        raise UnreadableError(message)
    return accepted(reply.operation, found[0])


def _open_orders(_reply: Reply, result: dict[str, Json]) -> Reading:
    return Reading(orders=tuple(_orders(result)))


def _balances(_reply: Reply, result: dict[str, Json]) -> Reading:
    """Read BalanceEx (balance and hold_trade of each asset) or Balance (one text each)."""
    return Reading(balances=tuple(_balance(asset, held) for asset, held in result.items()))


def _balance(asset: str, held: Json) -> BalanceView:
    if not isinstance(held, dict):
        return BalanceView(identifier(asset), number(held), "")
    locked = number(held.get("hold_trade"))
    return BalanceView(identifier(asset), difference(number(held.get("balance")), locked), locked)


def _token(_reply: Reply, result: dict[str, Json]) -> Reading:
    """Read GetWebSocketsToken."""
    return Reading(token=required_identifier(result.get("token")))


def _nothing(reply: Reply, result: dict[str, Json]) -> Reading:
    return nothing(reply, result)


_ANSWERS: Final = MappingProxyType(
    {
        Operation.CREATE: _created,
        Operation.CANCEL: _canceled,
        Operation.CANCEL_ALL: _all_canceled,
        Operation.AMEND: _amended,
        Operation.QUERY: _queried,
        Operation.OPEN_ORDERS: _open_orders,
        Operation.BALANCES: _balances,
        Operation.ORDER_CLOSED: _nothing,
        Operation.HALT: _nothing,
        Operation.LOGON: _token,
    },
)

KRAKEN: Final = KrakenReader()
