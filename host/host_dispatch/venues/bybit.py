"""Bybit v5: what replies mean and what requests cost.

Every answer is ``{"retCode": 0, "retMsg": "OK", "result": {...}, "time": ...}``, errors too and mostly with
HTTP 200. The answer to a create, amend or cancel only says that the request was taken; the order's fate is
asked for.
Sources: bybit-exchange.github.io/docs/v5 (`error`, `enum`, `rate-limit`, `order/*`,
`account/wallet-balance`); ccxt 4.5.90 maps the same codes. Marks in comments: D documentation, C ccxt, M
recalled and not checked.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from host_dispatch.outcome import BalanceView, ErrorClass, Operation, OrderState, Reading, VenueOrderView
from host_dispatch.venues.base import (
    Bucket,
    Cost,
    Reader,
    Reply,
    Usage,
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
    difference,
    first_of,
    identifier,
    number,
    objects,
    parse,
    positive,
    required_identifier,
    state_of,
    text,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

# `orderStatus` (D: enum page). Deactivated is a conditional order that was canceled before it triggered.
_STATES: Final = {
    "Created": OrderState.OPEN,
    "New": OrderState.OPEN,
    "Active": OrderState.OPEN,
    "Untriggered": OrderState.OPEN,
    "Triggered": OrderState.OPEN,
    "PendingCancel": OrderState.OPEN,
    "PartiallyFilled": OrderState.PARTIALLY_FILLED,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELED,
    "PartiallyFilledCanceled": OrderState.CANCELED,
    "Deactivated": OrderState.CANCELED,
    "Rejected": OrderState.REJECTED,
}

CODES: Final[Mapping[str, ErrorClass]] = MappingProxyType(
    {
        **coded(ErrorClass.RATE_LIMITED, "10006 10018 10429 170222"),
        **coded(
            ErrorClass.INSUFFICIENT_FUNDS,
            """
            110004 110006 110007 110012 110014 110044 110045 110051 110052 110053 170033 170034 170131
            170223 170226
            """,
        ),
        "170121": ErrorClass.BAD_SYMBOL,
        **coded(ErrorClass.BAD_SIGNATURE, "10003 10004 10007 33004"),
        "10002": ErrorClass.CLOCK_OR_NONCE,
        # "OrderLinkedID is duplicate" and "Duplicate clientOrderId" (D); ccxt calls both InvalidOrder.
        **coded(ErrorClass.DUPLICATE_CLIENT_ID, "110072 170141"),
        # Not there, or there and done: filled, canceled, no longer on the book (D).
        **coded(ErrorClass.UNKNOWN_ORDER, "110001 110008 110010 170139 170142 170143 170213"),
        "170218": ErrorClass.WOULD_TAKE,
        **coded(
            ErrorClass.PERMISSION,
            """
            10005 10008 10009 10010 10020 10024 10027 10028 10029 100028 110065 110066 110067 110068
            110069 170201 170209 170224 170234 170241
            """,
        ),
        **coded(ErrorClass.MAINTENANCE, "170031 170149 170150"),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            10001 10017 110003 110005 110009 110011 110013 110015 110016 110017 110018 110019 110020
            110021 110022 110023 110024 110025 110026 110027 110028 110029 110030 110031 110032 110033
            110034 110035 110036 110037 110038 110039 110040 110041 110042 110043 110046 110047 110048
            110049 110050 110054 110055 110056 110057 110058 110059 110060 110061 110062 110064 110070
            110092 110093 110094
            """,
        ),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            170005 170010 170011 170019 170035 170036 170037 170105 170115 170116 170117 170124 170130
            170132 170133 170134 170135 170136 170137 170140 170148 170151 170157 170159 170190 170191
            170192 170193 170194 170195 170196 170197 170198 170199 170200 170202 170203 170204 170206
            170210 170217 170221 170228 170229 170371 170372
            """,
        ),
    },
)
# Left out on purpose, so that they read as UNKNOWN: 10000 and 170007 (timeouts), 10014 (duplicate request),
# 10016 and 170001 (internal errors), 170032 (network error), 170146 and 170147 (timeouts of a create and of a
# cancel).

# 10001 is every malformed parameter; only its text tells a symbol from the rest (D, C).
_TEXTS: Final = (("symbol", ErrorClass.BAD_SYMBOL),)

# 403 "access too frequent": stop all requests for at least ten minutes (D: rate-limit page).
_BANNED_MS: Final = 600_000


def classify(code: str, message: str) -> ErrorClass:
    """Class of a retCode with its text; UNKNOWN for one that is not listed."""
    if code == "10001":
        return first_of(_TEXTS, message) or ErrorClass.INVALID_ORDER
    return CODES.get(code, ErrorClass.UNKNOWN)


class BybitReader(Reader):
    """Reads replies of all categories; they share their shapes."""

    name = "bybit"
    buckets = (
        # For each UID and endpoint; these are the default tier of futures (10/s), the lower of the two (D).
        Bucket("create-1s", 10, 1_000, "account"),
        Bucket("amend-1s", 10, 1_000, "account"),
        Bucket("cancel-1s", 10, 1_000, "account"),
        Bucket("cancel-all-1s", 10, 1_000, "account"),
        Bucket("query-1s", 50, 1_000, "account"),
        Bucket("balances-1s", 50, 1_000, "account"),
        Bucket("ip-5s", 600, 5_000, "ip"),  # D
    )
    costs = MappingProxyType(
        {
            Operation.CREATE: (Cost("create-1s", 1), Cost("ip-5s", 1)),
            Operation.AMEND: (Cost("amend-1s", 1), Cost("ip-5s", 1)),
            Operation.CANCEL: (Cost("cancel-1s", 1), Cost("ip-5s", 1)),
            Operation.CANCEL_ALL: (Cost("cancel-all-1s", 1), Cost("ip-5s", 1)),
            Operation.QUERY: (Cost("query-1s", 1), Cost("ip-5s", 1)),
            Operation.OPEN_ORDERS: (Cost("query-1s", 1), Cost("ip-5s", 1)),
            Operation.BALANCES: (Cost("balances-1s", 1), Cost("ip-5s", 1)),
        },
    )

    def usage(self, headers: Mapping[str, str]) -> tuple[Usage, ...]:
        """Read X-Bapi-Limit, -Limit-Status (what remains) and -Limit-Reset-Timestamp (D).

        They speak of the endpoint that was called, which the headers do not name: the bucket is "".
        """
        lower = {name.lower(): value for name, value in headers.items()}
        remaining, limit = whole(lower.get("x-bapi-limit-status")), whole(lower.get("x-bapi-limit"))
        if remaining is None:
            return ()
        used = None if limit is None else max(limit - remaining, 0)
        return (Usage("", used, remaining, limit, whole(lower.get("x-bapi-limit-reset-timestamp"))),)

    def interpret(self, reply: Reply) -> Reading:
        """Judge by retCode; a 403 without one is the limit for each IP."""
        try:
            body = as_object(parse(reply.body))
        except UnreadableError:
            return _without_body(reply)
        code, message = text(body.get("retCode")), text(body.get("retMsg"))
        if code == "0" and is_success(reply.status):
            return _ANSWERS[reply.operation](reply, as_object(body.get("result")))
        error = ErrorClass.UNKNOWN if code == "0" else classify(code, message)
        wait = _until_reset(reply.headers, body) if error is ErrorClass.RATE_LIMITED else None
        reading = judged(reply, error, code, message)
        return reading if wait is None else replace(reading, retry_after_ms=wait)


def _without_body(reply: Reply) -> Reading:
    if reply.status == 403 and b"too frequent" in reply.body[:1000]:  # noqa: PLR2004 - HTTP's own number
        reading = refusal(reply, ErrorClass.RATE_LIMITED, "HTTP 403", "access too frequent")
        return replace(reading, retry_after_ms=_BANNED_MS)
    return unread(reply)


def _until_reset(headers: Mapping[str, str], body: dict[str, Json]) -> int | None:
    """Milliseconds from the reply's own time to the reset in its header: so no clock is needed."""
    reset, now = whole(headers.get("x-bapi-limit-reset-timestamp")), whole(text(body.get("time")))
    if reset is None or now is None:
        return None
    return min(max(reset - now, 0), _BANNED_MS)


def _taken(reply: Reply, result: dict[str, Json]) -> Reading:
    return acknowledged(reply.operation, required_identifier(result.get("orderId")))


def _all_canceled(_reply: Reply, result: dict[str, Json]) -> Reading:
    """Read the ids whose cancel was taken; futures also say `"success": "1"`."""
    if text(result.get("success")) == "0":
        message = "a cancel-all that neither failed nor succeeded"
        raise UnreadableError(message)
    objects(result.get("list"))
    return Reading()


def _order(order: dict[str, Json]) -> VenueOrderView:
    filled = number(order.get("cumExecQty"))
    return VenueOrderView(
        client_order_id=identifier(order.get("orderLinkId")),
        venue_order_id=required_identifier(order.get("orderId")),
        symbol=identifier(order.get("symbol")),
        state=state_of(order.get("orderStatus"), _STATES, filled),
        quantity=number(order.get("qty")),
        filled_quantity=filled,
        price=positive(order.get("price")),
        average_price=positive(order.get("avgPrice")),
    )


def _queried(reply: Reply, result: dict[str, Json]) -> Reading:
    found = [_order(order) for order in objects(result.get("list"))]
    if not found:
        return refusal(reply, ErrorClass.UNKNOWN_ORDER, "0", "the list of orders is empty")
    if len(found) > 1:
        message = "more than one order for one id"
        raise UnreadableError(message)
    return accepted(reply.operation, found[0])


def _open_orders(_reply: Reply, result: dict[str, Json]) -> Reading:
    return Reading(orders=tuple(_order(order) for order in objects(result.get("list"))))


def _balances(_reply: Reply, result: dict[str, Json]) -> Reading:
    return Reading(
        balances=tuple(_coin(coin) for account in objects(result.get("list")) for coin in objects(account.get("coin"))),
    )


def _coin(coin: dict[str, Json]) -> BalanceView:
    """Read a coin; `availableToWithdraw` is empty for unified accounts: then it is wallet less locked."""
    locked = number(coin.get("locked"))
    free = number(coin.get("availableToWithdraw"), signed=True)
    return BalanceView(
        identifier(coin.get("coin")), free or difference(number(coin.get("walletBalance")), locked), locked
    )


def _nothing(reply: Reply, result: dict[str, Json]) -> Reading:
    return nothing(reply, result)


_ANSWERS: Final = MappingProxyType(
    {
        Operation.CREATE: _taken,
        Operation.CANCEL: _taken,
        Operation.CANCEL_ALL: _all_canceled,
        Operation.AMEND: _taken,
        Operation.QUERY: _queried,
        Operation.OPEN_ORDERS: _open_orders,
        Operation.BALANCES: _balances,
        Operation.ORDER_CLOSED: _nothing,
        Operation.HALT: _nothing,
        Operation.LOGON: _nothing,
    },
)

BYBIT: Final = BybitReader()
