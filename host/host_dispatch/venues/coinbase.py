"""Coinbase Advanced Trade: what replies mean and what requests cost.

A create answers HTTP 200 with ``success`` true and the order's id, or ``success`` false and an
``error_response``; what never reached the order path answers 4xx with ``{"error": ..., "message": ...}``, and
a 401 often with the bare word "Unauthorized". A client order id that is used again answers with the first
order (M).
Sources: docs.cdp.coinbase.com (Advanced Trade REST reference: create, edit, cancel, get order, list orders,
accounts; `NewOrderFailureReason`, `CancelFailureReason`); ccxt 4.5.90 maps some of the same. Marks in
comments: D documentation, C ccxt, S constants of public trading engines, M recalled and not checked.
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
    refusal,
    unread,
)
from host_dispatch.venues.fields import (
    Json,
    UnreadableError,
    as_object,
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

# `status` of an order (D). FAILED never came to the book.
_STATES: Final = {
    "PENDING": OrderState.OPEN,
    "QUEUED": OrderState.OPEN,
    "OPEN": OrderState.OPEN,
    "CANCEL_QUEUED": OrderState.OPEN,
    "EDIT_QUEUED": OrderState.OPEN,
    "FILLED": OrderState.FILLED,
    "CANCELLED": OrderState.CANCELED,
    "EXPIRED": OrderState.EXPIRED,
    "FAILED": OrderState.REJECTED,
}

# Failure reasons without the PREVIEW_ that some of them carry (D, M where marked in the venue's enum only).
CODES: Final[Mapping[str, ErrorClass]] = MappingProxyType(
    {
        **coded(ErrorClass.RATE_LIMITED, "RATE_LIMIT_EXCEEDED RESOURCE_EXHAUSTED"),
        **coded(
            ErrorClass.INSUFFICIENT_FUNDS,
            """
            INSUFFICIENT_FUND INSUFFICIENT_FUNDS INVALID_LEDGER_BALANCE INSUFFICIENT_FUNDS_FOR_FUTURES
            """,
        ),
        **coded(ErrorClass.BAD_SYMBOL, "INVALID_PRODUCT_ID UNKNOWN_PRODUCT_ID"),
        **coded(
            ErrorClass.BAD_SIGNATURE,
            """
            UNAUTHORIZED UNAUTHENTICATED INVALID_TOKEN REVOKED_TOKEN EXPIRED_TOKEN
            AUTHENTICATION_ERROR INVALID_AUTHENTICATION_METHOD
            """,
        ),
        "REQUEST TIMESTAMP EXPIRED": ErrorClass.CLOCK_OR_NONCE,
        **coded(
            ErrorClass.DUPLICATE_CLIENT_ID,
            """
            DUPLICATE_CLIENT_ORDER_ID DUPLICATE_ORDER CLIENT_ORDER_ID_ALREADY_EXISTS
            """,
        ),
        **coded(
            ErrorClass.UNKNOWN_ORDER,
            """
            UNKNOWN_CANCEL_ORDER NOT_FOUND ORDER_NOT_FOUND ORDER_IS_FULLY_FILLED
            ORDER_ALREADY_CANCELED DUPLICATE_CANCEL_REQUEST CANNOT_EDIT_NON_OPEN_ORDER
            ONLY_OPEN_ORDERS_CAN_BE_EDITED
            """,
        ),
        **coded(ErrorClass.WOULD_TAKE, "INVALID_LIMIT_PRICE_POST_ONLY POST_ONLY_NOT_ALLOWED"),
        **coded(
            ErrorClass.PERMISSION,
            """
            PERMISSION_DENIED INVALID_SCOPE INELIGIBLE_PAIR TWO_FACTOR_REQUIRED UNVERIFIED_EMAIL
            PERSONAL_DETAILS_REQUIRED IDENTITY_VERIFICATION_REQUIRED
            """,
        ),
        **coded(ErrorClass.MAINTENANCE, "ORDER_ENTRY_DISABLED TRADING_DISABLED UNAVAILABLE"),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            UNSUPPORTED_ORDER_CONFIGURATION INVALID_ARGUMENT INVALID_REQUEST VALIDATION_ERROR
            PARAM_REQUIRED INVALID_SIDE INVALID_SIZE_PRECISION INVALID_PRICE_PRECISION
            INVALID_LIMIT_PRICE INVALID_NO_LIQUIDITY INVALID_BASE_SIZE INVALID_QUOTE_SIZE
            INVALID_BASE_SIZE_TOO_SMALL INVALID_BASE_SIZE_TOO_LARGE INVALID_QUOTE_SIZE_TOO_SMALL
            INVALID_QUOTE_SIZE_TOO_LARGE INVALID_QUOTE_SIZE_PRECISION INVALID_BASE_SIZE_PRECISION
            BASE_SIZE_TOO_SMALL BASE_SIZE_TOO_LARGE QUOTE_SIZE_TOO_SMALL QUOTE_SIZE_TOO_LARGE
            INVALID_STOP_PRICE STOP_PRICE_ABOVE_LAST_TRADE_PRICE STOP_PRICE_BELOW_LAST_TRADE_PRICE
            STOP_PRICE_ABOVE_LIMIT_PRICE STOP_PRICE_BELOW_LIMIT_PRICE LIMIT_PRICE_TOO_FAR_FROM_MARKET
            INVALID_ORDER_TYPE INVALID_ORDER_CONFIG INVALID_CLIENT_ORDER_ID INVALID_CANCEL_REQUEST
            COMMANDER_REJECTED_CANCEL_ORDER COMMANDER_REJECTED_NEW_ORDER INVALID_EDITED_PRICE
            INVALID_EDITED_SIZE INVALID_PRICE INVALID_ORIGINATING_ORDER
            CANNOT_EDIT_TO_BELOW_FILLED_SIZE ORIGINAL_ORDER_ALREADY_HAS_PENDING_EDIT
            """,
        ),
    },
)
# Left out on purpose, so that they read as UNKNOWN: UNKNOWN_FAILURE_REASON, UNKNOWN_CANCEL_FAILURE_REASON,
# UNKNOWN_EDIT_ORDER_FAILURE_REASON, INTERNAL, INTERNAL_SERVER_ERROR.

# An INVALID_ARGUMENT tells its cause in its text only (M).
_TEXTS: Final = (
    ("product_id", ErrorClass.BAD_SYMBOL),
    ("productid", ErrorClass.BAD_SYMBOL),
    ("invalid product", ErrorClass.BAD_SYMBOL),
    ("order with this orderid was not found", ErrorClass.UNKNOWN_ORDER),
    ("order not found", ErrorClass.UNKNOWN_ORDER),
    ("timestamp expired", ErrorClass.CLOCK_OR_NONCE),
)

_NOT_FOUND: Final = 404
_UNAUTHORIZED: Final = 401


def classify(code: str, message: str) -> ErrorClass:
    """Class of a failure reason or error word with its text; UNKNOWN for one that is not listed."""
    error = CODES.get(code.upper().removeprefix("PREVIEW_"), ErrorClass.UNKNOWN)
    if error in {ErrorClass.UNKNOWN, ErrorClass.INVALID_ORDER}:
        return first_of(_TEXTS, message) or error
    return error


class CoinbaseReader(Reader):
    """Reads replies of Advanced Trade."""

    name = "coinbase"
    # 30 requests a second for each user, orders included (S).
    buckets = (Bucket("requests-1s", 30, 1_000, "account"),)
    costs = MappingProxyType(
        {
            operation: (Cost("requests-1s", 1),)
            for operation in Operation
            if operation not in {Operation.ORDER_CLOSED, Operation.HALT, Operation.LOGON}
        },
    )

    def interpret(self, reply: Reply) -> Reading:
        """Judge by the status, then by what the answer of the operation says of success."""
        try:
            body = as_object(parse(reply.body))
        except UnreadableError:
            if reply.status == _UNAUTHORIZED:
                # The gateway's plain text; it looks at the token before anything else.
                return refusal(reply, ErrorClass.BAD_SIGNATURE, "HTTP 401", "unauthorized")
            return unread(reply)
        if not is_success(reply.status):
            return _http_error(reply, body)
        return _ANSWERS[reply.operation](reply, body)


def _http_error(reply: Reply, body: dict[str, Json]) -> Reading:
    code = text(body.get("error")) or text(body.get("code"))
    message = text(body.get("message")) or text(body.get("error_details"))
    error = classify(code, message)
    if error is ErrorClass.UNKNOWN and reply.status == _UNAUTHORIZED:
        error = ErrorClass.BAD_SIGNATURE
    if error is ErrorClass.UNKNOWN and reply.status == _NOT_FOUND and reply.operation is Operation.QUERY:
        error = ErrorClass.UNKNOWN_ORDER
    return judged(reply, error, code, message)


def _failed(reply: Reply, body: dict[str, Json]) -> Reading:
    """Read the cause of `success: false`: the most telling of the places that may name it."""
    response = body.get("error_response")
    response = response if isinstance(response, dict) else {}
    message = text(response.get("message")) or text(response.get("error_details"))
    words = (
        response.get("error"),
        response.get("new_order_failure_reason"),
        response.get("preview_failure_reason"),
        body.get("failure_reason"),
    )
    named = [text(word) for word in words if text(word)]
    code = next((word for word in named if classify(word, message) is not ErrorClass.UNKNOWN), (named or [""])[0])
    return judged(reply, classify(code, message), code, message)


def _created(reply: Reply, body: dict[str, Json]) -> Reading:
    if body.get("success") is False:
        return _failed(reply, body)
    if body.get("success") is not True:
        message = "a create that neither failed nor succeeded"
        raise UnreadableError(message)
    response = as_object(body.get("success_response"))
    return acknowledged(reply.operation, required_identifier(response.get("order_id")))


def _canceled(reply: Reply, body: dict[str, Json]) -> Reading:
    """Read batch_cancel's one result: success says that the cancel was submitted (D)."""
    results = objects(body.get("results"))
    if len(results) != 1:
        message = "expected one result"
        raise UnreadableError(message)
    if results[0].get("success") is True:
        return acknowledged(reply.operation, identifier(results[0].get("order_id")))
    code = text(results[0].get("failure_reason"))
    return judged(reply, classify(code, ""), code, "")


def _amended(reply: Reply, body: dict[str, Json]) -> Reading:
    """Read the edit's answer: the cause in `errors`, or in `error_response` in the newer form."""
    if body.get("success") is True:
        response = body.get("success_response")
        return acknowledged(reply.operation, identifier(response.get("order_id")) if isinstance(response, dict) else "")
    if body.get("success") is not False:
        message = "an edit that neither failed nor succeeded"
        raise UnreadableError(message)
    errors = body.get("errors")
    if not isinstance(errors, list) or not errors:
        return _failed(reply, body)
    first = as_object(errors[0])
    code = text(first.get("edit_failure_reason")) or text(first.get("preview_failure_reason"))
    return judged(reply, classify(code, ""), code, "")


def _order(order: dict[str, Json]) -> VenueOrderView:
    filled = number(order.get("filled_size"))
    configuration = as_object(order.get("order_configuration") or {})
    terms = next((terms for terms in configuration.values() if isinstance(terms, dict)), {})
    return VenueOrderView(
        client_order_id=identifier(order.get("client_order_id")),
        venue_order_id=required_identifier(order.get("order_id")),
        symbol=identifier(order.get("product_id")),
        state=state_of(order.get("status"), _STATES, filled),
        quantity=number(terms.get("base_size")),
        filled_quantity=filled,
        price=positive(terms.get("limit_price")),
        average_price=positive(order.get("average_filled_price")),
    )


def _queried(reply: Reply, body: dict[str, Json]) -> Reading:
    """Read one order, or the product's latest orders in every state, to be narrowed."""
    if "order" in body:
        return accepted(reply.operation, _order(as_object(body["order"])))
    found = tuple(_order(order) for order in objects(body.get("orders")))
    return Reading(orders=found, exhaustive=body.get("has_next") is False)


def _open_orders(_reply: Reply, body: dict[str, Json]) -> Reading:
    return Reading(orders=tuple(_order(order) for order in objects(body.get("orders"))))


def _balances(_reply: Reply, body: dict[str, Json]) -> Reading:
    """Read Advanced Trade's accounts, or those of /v2, which tell the whole and not what of it is free."""
    if "data" in body:
        return Reading(balances=tuple(_whole(account) for account in objects(body["data"])))
    return Reading(
        balances=tuple(
            BalanceView(
                identifier(account.get("currency")),
                number(as_object(account.get("available_balance")).get("value"), signed=True),
                number(as_object(account.get("hold") or {}).get("value")),
            )
            for account in objects(body.get("accounts"))
        ),
    )


def _whole(account: dict[str, Json]) -> BalanceView:
    currency = account.get("currency")
    code = currency.get("code") if isinstance(currency, dict) else currency
    return BalanceView(identifier(code), available="", locked="")


def _nothing(reply: Reply, body: dict[str, Json]) -> Reading:
    return nothing(reply, body)


_ANSWERS: Final = MappingProxyType(
    {
        Operation.CREATE: _created,
        Operation.CANCEL: _canceled,
        Operation.CANCEL_ALL: _nothing,
        Operation.AMEND: _amended,
        Operation.QUERY: _queried,
        Operation.OPEN_ORDERS: _open_orders,
        Operation.BALANCES: _balances,
        Operation.ORDER_CLOSED: _nothing,
        Operation.HALT: _nothing,
        Operation.LOGON: _nothing,
    },
)

COINBASE: Final = CoinbaseReader()
