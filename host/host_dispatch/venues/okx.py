"""OKX v5: what replies mean and what requests cost.

Every answer is ``{"code": "0", "msg": "", "data": [...]}``. An order request that failed says ``code`` 1 and
tells the cause in its item's ``sCode`` and ``sMsg``; a reply may also say ``code`` 0 beside an item that
failed. The answer to a create, amend or cancel only says that the request was taken.
Sources: okx.com/docs-v5 (`rest-api-trade`, `error-code`); ccxt 4.5.90 maps the same codes. Marks in comments:
D documentation, C ccxt, S constants of public trading engines, M recalled and not checked.
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

# `state` of orders, then of conditional ("algo") orders (D). "effective" has become an order of its own,
# whose fate it does not tell.
_STATES: Final = {
    "live": OrderState.OPEN,
    "partially_filled": OrderState.PARTIALLY_FILLED,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "mmp_canceled": OrderState.CANCELED,
}
_CONDITIONAL_STATES: Final = {
    "live": OrderState.OPEN,
    "pause": OrderState.OPEN,
    "partially_effective": OrderState.OPEN,
    "effective": OrderState.UNKNOWN,
    "canceled": OrderState.CANCELED,
    "order_failed": OrderState.REJECTED,
    "partially_failed": OrderState.UNKNOWN,
}

CODES: Final[Mapping[str, ErrorClass]] = MappingProxyType(
    {
        **coded(ErrorClass.RATE_LIMITED, "50011 50040 50061 51113"),
        **coded(ErrorClass.INSUFFICIENT_FUNDS, "51008 51119 51127 51131 51502 51736 51764 51772"),
        **coded(ErrorClass.BAD_SYMBOL, "51001 51002 51012 51014 51015 51026 51130"),
        **coded(ErrorClass.BAD_SIGNATURE, "50101 50103 50104 50105 50106 50107 50111 50113 50114 50119"),
        **coded(ErrorClass.CLOCK_OR_NONCE, "50036 50102 50112"),
        # "Client order ID already exists" (D); ccxt calls it InvalidOrder.
        "51016": ErrorClass.DUPLICATE_CLIENT_ID,
        # Not there, or there and done: cancels 514xx, amends 515xx, queries 516xx (D).
        **coded(ErrorClass.UNKNOWN_ORDER, "51400 51401 51402 51405 51410 51503 51509 51510 51511 51603"),
        **coded(
            ErrorClass.PERMISSION,
            """
            50007 50009 50027 50030 50100 50110 50120 51009 51010 51024 51155 51763 51773
            """,
        ),
        **coded(
            ErrorClass.MAINTENANCE,
            """
            50001 50013 50026 51021 51022 51027 51028 51029 51030 51767 51774
            """,
        ),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            50000 50002 50006 50010 50012 50014 50015 50016 50024 50025 50115 50404 51000 51003 51004 51005
            51006 51007 51011 51017 51018 51019 51020 51023 51025 51031 51046 51047 51051 51072 51073
            51074 51090 51091 51092 51093 51094 51095 51096 51098 51099 51100 51101 51102 51103 51104
            51105 51106 51107 51108 51109 51110 51111 51112 51115 51116 51117 51118 51120 51121 51122
            51124 51125 51126 51128 51129 51132 51133 51134 51135 51136 51137 51138 51139 51156 51159
            51162 51163 51166 51169 51174 51185
            """,
        ),
        **coded(
            ErrorClass.INVALID_ORDER,
            """
            51201 51202 51203 51204 51205 51250 51251 51252 51253 51254 51255 51256 51257 51258 51259
            51260 51261 51262 51263 51264 51265 51267 51268 51269 51270 51271 51272 51273 51274 51275
            51276 51277 51278 51279 51280 51321 51322 51323 51324 51325 51327 51328 51329 51330 51403
            51404 51406 51407 51408 51409 51500 51501 51506 51508
            """,
        ),
    },
)
# Left out on purpose, so that they read as UNKNOWN: 50004 and 51149, which the venue documents as "does not
# mean that the request succeeded or failed", and 50005, 50008 and the bare 1 and 2, which name no cause.

# 50013 "systems are busy" and 50001 with a 503 come before the matching engine; of the second only the first
# is sure.
_BEFORE_MATCHING: Final = frozenset({"50011", "50013", "50061"})

# 51000 is every malformed parameter; its text names the parameter (D).
_TEXTS: Final = (("instid", ErrorClass.BAD_SYMBOL),)


def classify(code: str, message: str) -> ErrorClass:
    """Class of a code or sCode with its text; UNKNOWN for one that is not listed."""
    if code == "51000":
        return first_of(_TEXTS, message) or ErrorClass.INVALID_ORDER
    return CODES.get(code, ErrorClass.UNKNOWN)


class OkxReader(Reader):
    """Reads replies of spot and swaps, orders and conditional orders; they share their shapes."""

    name = "okx"
    buckets = (
        # 60 / 2 s for each user and instrument (M); create, amend and cancel are counted apart (D).
        Bucket("create-2s", 60, 2_000, "instrument"),
        Bucket("amend-2s", 60, 2_000, "instrument"),
        Bucket("cancel-2s", 60, 2_000, "instrument"),
        Bucket("query-2s", 60, 2_000, "instrument"),
        # New and amended orders of one sub-account (S).
        Bucket("sub-account-2s", 1_000, 2_000, "account"),
        Bucket("open-orders-2s", 60, 2_000, "account"),
        Bucket("balances-2s", 10, 2_000, "account"),  # S
    )
    costs = MappingProxyType(
        {
            Operation.CREATE: (Cost("create-2s", 1), Cost("sub-account-2s", 1)),
            Operation.AMEND: (Cost("amend-2s", 1), Cost("sub-account-2s", 1)),
            Operation.CANCEL: (Cost("cancel-2s", 1),),
            Operation.CANCEL_ALL: (Cost("cancel-2s", 1),),
            Operation.QUERY: (Cost("query-2s", 1),),
            Operation.OPEN_ORDERS: (Cost("open-orders-2s", 1),),
            Operation.BALANCES: (Cost("balances-2s", 1),),
        },
    )

    def interpret(self, reply: Reply) -> Reading:
        """Judge by the item's sCode where there is one, else by code."""
        body = as_object(parse(reply.body))
        code, message = text(body.get("code")), text(body.get("msg"))
        failed = _failed_item(body)
        if failed is not None and reply.operation is not Operation.CANCEL_ALL:
            code, message = failed
        if code != "0" or not is_success(reply.status):
            error = ErrorClass.UNKNOWN if code == "0" else classify(code, message)
            return judged(reply, error, code, message, definite=code in _BEFORE_MATCHING)
        return _ANSWERS[reply.operation](reply, objects(body.get("data")))


def _failed_item(body: dict[str, Json]) -> tuple[str, str] | None:
    """Return (sCode, sMsg) of the one item of a reply to a single order, if it failed."""
    data = body.get("data")
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict) or "sCode" not in data[0]:
        return None
    code = text(data[0]["sCode"])
    return None if code == "0" else (code, text(data[0].get("sMsg")))


def _single(data: list[dict[str, Json]]) -> dict[str, Json]:
    if len(data) != 1:
        message = "expected one item"
        raise UnreadableError(message)
    return data[0]


def _taken(reply: Reply, data: list[dict[str, Json]]) -> Reading:
    item = _single(data)
    return acknowledged(reply.operation, required_identifier(item.get("ordId") or item.get("algoId")))


def _all_canceled(_reply: Reply, data: list[dict[str, Json]]) -> Reading:
    """Read the answers to a list of cancels; which of them failed shows in the open orders."""
    for item in data:
        if "sCode" not in item:
            message = "an item without its result"
            raise UnreadableError(message)
        if text(item["sCode"]) == "0":
            required_identifier(item.get("ordId") or item.get("algoId"))
    return Reading()


def _order(order: dict[str, Json]) -> VenueOrderView:
    conditional = "algoClOrdId" in order and not text(order.get("accFillSz"))
    filled = number(order.get("actualSz" if conditional else "accFillSz"))
    return VenueOrderView(
        client_order_id=identifier(order.get("algoClOrdId") if conditional else order.get("clOrdId")),
        venue_order_id=required_identifier(order.get("algoId") if conditional else order.get("ordId")),
        symbol=identifier(order.get("instId")),
        state=state_of(order.get("state"), _CONDITIONAL_STATES if conditional else _STATES, filled),
        quantity=number(order.get("sz")),
        filled_quantity=filled,
        price=positive(order.get("ordPx") if conditional else order.get("px")),
        average_price=positive(order.get("actualPx") if conditional else order.get("avgPx")),
    )


def _queried(reply: Reply, data: list[dict[str, Json]]) -> Reading:
    if not data:
        return refusal(reply, ErrorClass.UNKNOWN_ORDER, "0", "the list of orders is empty")
    return accepted(reply.operation, _order(_single(data)))


def _open_orders(_reply: Reply, data: list[dict[str, Json]]) -> Reading:
    return Reading(orders=tuple(map(_order, data)))


def _balances(_reply: Reply, data: list[dict[str, Json]]) -> Reading:
    return Reading(
        balances=tuple(
            BalanceView(
                identifier(detail.get("ccy")),
                number(detail.get("availBal"), signed=True),
                number(detail.get("frozenBal")),
            )
            for account in data
            for detail in objects(account.get("details"))
        ),
    )


def _nothing(reply: Reply, _data: list[dict[str, Json]]) -> Reading:
    return nothing(reply, None)


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

OKX: Final = OkxReader()
