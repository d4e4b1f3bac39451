"""Bybit v5: spot and linear contracts of a unified account.

Signed is ``timestamp + key + recv_window + payload`` with the query of a GET or the JSON body of a POST
(bybit-exchange.github.io/docs/v5/guide). Bybit takes it while ``server - recv_window <= timestamp < server + 1000``.

*What that leaves open.* Neither method nor path nor host is signed, and Bybit ignores JSON fields that an
endpoint does not know. So at every other POST endpoint a signed body is good for whatever its fields name:

- ``category`` and ``symbol`` are all that cancel-all needs: a create, a cancel and an amend can each become a
  cancel of the whole symbol (and confirm a pending risk limit, ``/v5/position/confirm-pending-mmr``).
- with an ``orderLinkId`` or ``orderId`` they can become a cancel of that order;
- a create with price and quantity is also an amend of its own order, back to what it was signed with;
- a body without a match for mandatory fields is refused; ``/v5/user/delete-api`` has none, so any POST body can
  delete the key that signed it, if the key may do that. That stops trading; it cannot move money.

GET payloads are no JSON, so a read cannot become an instruction, only another read of the same symbol or account.

*Single use.* ``orderLinkId`` is always unique: a second order with the same one is refused (110072, 170141).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from enclave_signer.credentials import Credential, required
from enclave_signer.errors import Unsupported
from enclave_signer.model import (
    Environment,
    Kind,
    Operation,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerBy,
    WireRequest,
)
from enclave_signer.venues.declaration import Abilities, Declaration, Gap, Part, Validity, ValidityKind
from enclave_signer.venues.keys import hmac_key
from enclave_signer.venues.shapes import Plans, check_change, check_kind, check_listed, check_shape, checked, window_ms
from enclave_signer.venues.templates import (
    CLIENT_ORDER_ID,
    PRICE,
    QUANTITY,
    QUOTE_QUANTITY,
    STOP_PRICE,
    compact,
    json_plan,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.model import (
        Amend,
        Balances,
        Cancel,
        CancelAll,
        Instrument,
        OpenOrders,
        Order,
        Placement,
        Query,
        Stamp,
    )
    from enclave_signer.venues.shapes import Plan

_SYMBOL: Final = re.compile(r"[A-Z0-9-]{1,30}")
# A UUID or a number, by product.
_ORDER_ID: Final = re.compile(r"[0-9A-Za-z-]{1,36}")
_HOSTS: Final = {
    Environment.PRODUCTION: "https://api.bybit.com",
    Environment.TESTNET: "https://api-testnet.bybit.com",
}
_STREAMS: Final = {
    Environment.PRODUCTION: "wss://stream.bybit.com/v5/private",
    Environment.TESTNET: "wss://stream-testnet.bybit.com/v5/private",
}
_CATEGORIES: Final = {Kind.SPOT: "spot", Kind.SWAP: "linear"}
_TIMES: Final = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})
_TYPES: Final = frozenset(OrderType)
_SELF_TRADE: Final = {
    SelfTradePrevention.NONE: "None",
    SelfTradePrevention.CANCEL_TAKER: "CancelTaker",
    SelfTradePrevention.CANCEL_MAKER: "CancelMaker",
    SelfTradePrevention.CANCEL_BOTH: "CancelBoth",
}
_SPOT: Final = Abilities(
    quote_quantity=True,
    reduce_only=False,
    hedge=False,
    # Spot stops watch the last price and know no other: LAST says what happens anyway.
    triggers={TriggerBy.LAST: ""},
    self_trade=_SELF_TRADE,
    post_only_times=frozenset({TimeInForce.GTC}),
    stop_times=_TIMES,
    stop_post_only=True,
)
_SWAP: Final = Abilities(
    quote_quantity=False,
    reduce_only=True,
    hedge=True,
    triggers={TriggerBy.LAST: "LastPrice", TriggerBy.MARK: "MarkPrice", TriggerBy.INDEX: "IndexPrice"},
    self_trade=_SELF_TRADE,
    post_only_times=frozenset({TimeInForce.GTC}),
    stop_times=_TIMES,
    stop_post_only=True,
)
_OPERATIONS: Final = frozenset(
    {
        Operation.CREATE,
        Operation.CANCEL,
        Operation.CANCEL_ALL,
        Operation.AMEND,
        Operation.QUERY,
        Operation.OPEN_ORDERS,
        Operation.BALANCES,
    }
)
DECLARATION: Final = Declaration(
    scheme="hex HMAC-SHA256 of timestamp, key, window and query or body",
    covers=frozenset({Part.QUERY, Part.BODY}),
    gaps=dict.fromkeys(_OPERATIONS, frozenset({Gap.METHOD_UNSIGNED, Gap.HOST_UNSIGNED, Gap.PATH_UNSIGNED})),
    # The documentation states no maximum; a minute is the longest that any policy allows.
    validity=Validity(ValidityKind.WINDOW, "X-BAPI-RECV-WINDOW", shortest_ms=1, longest_ms=60_000),
    single_use="orderLinkId: a second order with the same one is refused (110072, 170141)",
    uses=1,
    also={
        Operation.CREATE: frozenset({Operation.AMEND, Operation.CANCEL, Operation.CANCEL_ALL}),
        Operation.AMEND: frozenset({Operation.CANCEL, Operation.CANCEL_ALL}),
        Operation.CANCEL: frozenset({Operation.CANCEL_ALL}),
    },
    operations=_OPERATIONS,
    kinds=frozenset(_CATEGORIES),
    order_types=dict.fromkeys(_CATEGORIES, _TYPES),
    times_in_force=dict.fromkeys(_CATEGORIES, _TIMES),
    client_order_id=r"[A-Za-z0-9_-]{1,36}",
    credential_fields=("apiKey", "secret"),
    limits="per UID and endpoint: linear 10/s, spot 20/s; 600 requests/5 s per IP",
    notes=("a stop buys when the price rises to stop_price and sells when it falls to it",),
    abilities={Kind.SPOT: _SPOT, Kind.SWAP: _SWAP},
)
_CLIENT_ID: Final = re.compile(DECLARATION.client_order_id)


class Bybit:
    """The venue."""

    __slots__ = ()

    name = "bybit"
    declaration = DECLARATION

    def credential(self, fields: Mapping[str, str]) -> Credential:
        """Take ``apiKey`` and an HMAC ``secret``."""
        return Credential(required(fields, "apiKey"), hmac_key(fields))

    def check_instrument(self, instrument: Instrument) -> None:
        """Refuse symbols that are not Bybit's."""
        check_listed(instrument, DECLARATION, _SYMBOL)

    def site(self, placement: Placement, credential: Credential) -> BybitSite:
        """Bind to one account."""
        return BybitSite(placement, credential)


class BybitSite:
    """One account at Bybit."""

    __slots__ = ("_api_key", "_host", "_key", "_placement", "_plans", "_stream")

    def __init__(self, placement: Placement, credential: Credential) -> None:
        """Prepare the parts that every request repeats."""
        self._placement = placement
        self._api_key = credential.api_key
        self._key = credential.key
        self._host = _HOSTS[placement.environment]
        self._stream = _STREAMS[placement.environment]
        self._plans = Plans(self._plan)

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /v5/order/create."""
        checked(order.client_order_id, _CLIENT_ID, "client_order_id")
        return self._post("/v5/order/create", self._plans.of(order, instrument).fill(order), stamp)

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /v5/order/cancel; spot asks which of its order books is meant."""
        shelf = ("StopOrder" if cancel.conditional else "Order") if instrument.kind is Kind.SPOT else None
        body = self._named(instrument) | _one(cancel)
        if shelf is not None:
            body["orderFilter"] = shelf
        return self._post("/v5/order/cancel", compact(body), stamp)

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /v5/order/cancel-all for one symbol; Bybit cannot narrow it to one side."""
        if cancel.side is not None:
            raise Unsupported("side", "side: Bybit cancels both sides of a symbol")
        body = self._named(instrument)
        if cancel.conditional:
            body["orderFilter"] = "StopOrder"
        return self._post("/v5/order/cancel-all", compact(body), stamp)

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002 - Bybit keeps what is not named
        """POST /v5/order/amend with the quantity and price after the change."""
        if amend.new_client_order_id:
            raise Unsupported("new_client_order_id", "new_client_order_id: a Bybit order keeps its id")
        check_change(amend)
        checked(amend.client_order_id, _CLIENT_ID, "client_order_id")
        body = self._named(instrument) | {"orderLinkId": amend.client_order_id}
        if amend.quantity is not None:
            body["qty"] = amend.quantity.text
        if amend.price is not None:
            body["price"] = amend.price.text
        return self._post("/v5/order/amend", compact(body), stamp)

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET /v5/order/realtime: open orders and the latest 500 that are done."""
        (name, value), *_ = _one(query).items()
        return self._get("/v5/order/realtime", f"{self._in_query(instrument, query.conditional)}&{name}={value}", stamp)

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET /v5/order/realtime of one symbol."""
        return self._get("/v5/order/realtime", self._in_query(instrument, read.conditional), stamp)

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:  # noqa: ARG002 - nothing in it is sent
        """GET /v5/account/wallet-balance of the unified account."""
        return self._get("/v5/account/wallet-balance", "accountType=UNIFIED", stamp)

    def logon(self, stamp: Stamp) -> WireRequest:
        """``auth`` on the private stream; it ends with the intent."""
        window_ms(stamp, DECLARATION.validity)
        ends = str(stamp.valid_until_ms)
        signature = self._key.sign(f"GET/realtime{ends}".encode()).hex()
        message = compact({"op": "auth", "args": [self._api_key, ends, signature]})
        return WireRequest("WEBSOCKET", self._stream, (), message.encode())

    def _named(self, instrument: Instrument) -> dict[str, str]:
        check_kind(instrument, self._placement, DECLARATION)
        return {"symbol": instrument.venue_symbol, "category": _CATEGORIES[instrument.kind]}

    def _in_query(self, instrument: Instrument, conditional: bool) -> str:  # noqa: FBT001 - an intent's own field
        query = "&".join(f"{name}={value}" for name, value in self._named(instrument).items())
        return f"{query}&orderFilter=StopOrder" if conditional else query

    def _plan(self, order: Order, instrument: Instrument) -> Plan:
        check_shape(order, instrument, self._placement, DECLARATION)
        return _order_plan(order, instrument)

    def _post(self, path: str, body: str, stamp: Stamp) -> WireRequest:
        return WireRequest("POST", self._host + path, self._headers(body, stamp), body.encode())

    def _get(self, path: str, query: str, stamp: Stamp) -> WireRequest:
        return WireRequest("GET", f"{self._host}{path}?{query}", self._headers(query, stamp), None)

    def _headers(self, payload: str, stamp: Stamp) -> tuple[tuple[str, str], ...]:
        window = window_ms(stamp, DECLARATION.validity)
        signature = self._key.sign(f"{stamp.now_ms}{self._api_key}{window}{payload}".encode()).hex()
        return (
            ("Content-Type", "application/json"),
            ("X-BAPI-API-KEY", self._api_key),
            ("X-BAPI-TIMESTAMP", str(stamp.now_ms)),
            ("X-BAPI-RECV-WINDOW", str(window)),
            ("X-BAPI-SIGN", signature),
        )


def _one(target: Cancel | Query) -> dict[str, str]:
    """Name one order, by client order id if there is one."""
    if target.client_order_id:
        return {"orderLinkId": checked(target.client_order_id, _CLIENT_ID, "client_order_id")}
    return {"orderId": checked(target.venue_order_id, _ORDER_ID, "venue_order_id")}


def _order_plan(order: Order, instrument: Instrument) -> Plan:
    stop = order.type is OrderType.STOP_LIMIT
    spot = instrument.kind is Kind.SPOT
    market = order.type is OrderType.MARKET
    mode = order.self_trade_prevention
    # GTC is what Bybit takes an order without timeInForce for.
    time = None if order.time_in_force in {None, TimeInForce.GTC} else order.time_in_force
    watched = None if spot or order.trigger_by is None else _SWAP.triggers[order.trigger_by]
    return json_plan(
        {
            "category": _CATEGORIES[instrument.kind],
            "symbol": instrument.venue_symbol,
            "side": "Buy" if order.side is Side.BUY else "Sell",
            "orderType": "Market" if market else "Limit",
            "qty": QUOTE_QUANTITY if order.quantity is None else QUANTITY,
            "price": None if market else PRICE,
            "marketUnit": _market_unit(order) if spot and market else None,
            "timeInForce": "PostOnly" if order.post_only else time.name if time else None,
            "orderFilter": "StopOrder" if stop and spot else None,
            # 1: triggered by a rise to triggerPrice, 2: by a fall.
            "triggerDirection": (1 if order.side is Side.BUY else 2) if stop and not spot else None,
            "triggerPrice": STOP_PRICE if stop else None,
            "triggerBy": watched,
            "positionIdx": _leg(order),
            # A hedged leg's closing side can only reduce it.
            "reduceOnly": True if order.reduce_only and order.position_side is None else None,
            "smpType": None if mode is None else _SELF_TRADE[mode],
            "orderLinkId": CLIENT_ORDER_ID,
        }
    )


def _market_unit(order: Order) -> str | None:
    if order.quantity is not None:
        return "baseCoin"
    # A market buy is in quote units unless it says otherwise.
    return None if order.side is Side.BUY else "quoteCoin"


def _leg(order: Order) -> int | None:
    if order.position_side is None:
        return None
    return 1 if order.position_side is PositionSide.LONG else 2


VENUE: Final = Bybit()
