"""OKX v5: spot and linear swaps of one trading account.

Signed is ``timestamp + method + path with query + body`` (okx.com/docs-v5, "Making Requests"); the host is not.
The timestamp is ISO 8601 with milliseconds. OKX takes a request until 30 s after it, and nothing signed shortens
that (``expTime`` is a header outside the signature): ``fixed-validity``.

*What that leaves open.* One request fits one endpoint, so it is good for nothing else. Query and body are joined
without a separator, though, so the end of a read's query can be cut off into a body that nobody reads: a read of
one instrument becomes one of all (``query-body-joined``; a POST here has no query to cut). And a client order id is
unique among open orders only: of several orders with one ``clOrdId`` a query answers with the latest, says the
documentation. An order that is filled or cancelled can be sent again until its 30 s are over: ``replayable``.
Place order allows 60 requests in 2 s for one user and instrument; 30 s touch at most 16 such intervals, so one
signature makes 960 orders at worst.

ccxt places one order through ``batch-orders``; this file uses the documented single form, ``order``, whose body is
that batch's only element. Stop orders are ``trigger`` orders of the algo service, with ids and paths of their own.
OKX cannot cancel all orders of a symbol in one request (mass-cancel is for options).
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from enclave_signer.credentials import Credential, required
from enclave_signer.errors import Unsupported
from enclave_signer.model import (
    Environment,
    Kind,
    MarginMode,
    Operation,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    TriggerBy,
    WireRequest,
)
from enclave_signer.venues.declaration import Abilities, Declaration, Gap, Part, Validity, ValidityKind
from enclave_signer.venues.keys import hmac_key
from enclave_signer.venues.shapes import (
    Plans,
    check_alive,
    check_change,
    check_kind,
    check_listed,
    check_shape,
    checked,
)
from enclave_signer.venues.templates import (
    CLIENT_ORDER_ID,
    PRICE,
    QUANTITY,
    QUOTE_QUANTITY,
    STOP_PRICE,
    compact,
    json_plan,
)
from enclave_signer.venues.times import iso_milliseconds

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

_SYMBOL: Final = re.compile(r"[A-Z0-9-]{1,40}")
_ORDER_ID: Final = re.compile(r"[0-9]{1,20}")
_HOST: Final = "https://www.okx.com"
_STREAMS: Final = {
    Environment.PRODUCTION: "wss://ws.okx.com:8443/ws/v5/private",
    Environment.TESTNET: "wss://wspap.okx.com:8443/ws/v5/private",
}
_KINDS: Final = (Kind.SPOT, Kind.SWAP)
_TIMES: Final = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})
# OKX enforces self-trade prevention for the account; NONE cannot be said.
_SELF_TRADE: Final = {
    SelfTradePrevention.CANCEL_TAKER: "cancel_taker",
    SelfTradePrevention.CANCEL_MAKER: "cancel_maker",
    SelfTradePrevention.CANCEL_BOTH: "cancel_both",
}
_TRIGGERS: Final = {TriggerBy.LAST: "last", TriggerBy.MARK: "mark", TriggerBy.INDEX: "index"}
_SPOT: Final = Abilities(
    quote_quantity=True,
    reduce_only=False,
    hedge=False,
    # Spot has no mark price.
    triggers={TriggerBy.LAST: "last", TriggerBy.INDEX: "index"},
    self_trade=_SELF_TRADE,
    post_only_times=frozenset({TimeInForce.GTC}),
    stop_times=frozenset({TimeInForce.GTC}),
    stop_post_only=False,
)
_SWAP: Final = Abilities(
    quote_quantity=False,
    reduce_only=True,
    hedge=True,
    triggers=_TRIGGERS,
    self_trade=_SELF_TRADE,
    post_only_times=frozenset({TimeInForce.GTC}),
    stop_times=frozenset({TimeInForce.GTC}),
    stop_post_only=False,
)
_OPERATIONS: Final = frozenset(
    {
        Operation.CREATE,
        Operation.CANCEL,
        Operation.AMEND,
        Operation.QUERY,
        Operation.OPEN_ORDERS,
        Operation.BALANCES,
    }
)
_ALWAYS: Final = frozenset({Gap.HOST_UNSIGNED, Gap.FIXED_VALIDITY})
# Reads with a query: its end can be moved into a body, which a GET does not read.
_CUTTABLE: Final = frozenset({Operation.QUERY, Operation.OPEN_ORDERS})
DECLARATION: Final = Declaration(
    scheme="base64 HMAC-SHA256 of timestamp, method, path with query and body",
    covers=frozenset({Part.METHOD, Part.PATH, Part.QUERY, Part.BODY}),
    gaps={
        operation: _ALWAYS | {Gap.REPLAYABLE}
        if operation is Operation.CREATE
        else _ALWAYS | {Gap.QUERY_BODY_JOINED}
        if operation in _CUTTABLE
        else _ALWAYS
        for operation in _OPERATIONS
    },
    validity=Validity(ValidityKind.FIXED, "OK-ACCESS-TIMESTAMP", shortest_ms=30_000, longest_ms=30_000),
    single_use="",
    uses=960,
    also={},
    operations=_OPERATIONS,
    kinds=frozenset(_KINDS),
    order_types=dict.fromkeys(_KINDS, frozenset(OrderType)),
    times_in_force=dict.fromkeys(_KINDS, _TIMES),
    client_order_id=r"[A-Za-z0-9]{1,32}",
    credential_fields=("apiKey", "secret", "password"),
    limits="place and cancel 60/2 s per user and instrument; 1000 orders/2 s per sub-account",
    notes=(
        "stop orders live in the algo service: set `conditional` to cancel, query or list them",
        "password is the passphrase, which travels in a header in clear",
        "swaps trade with tdMode cross unless the account's margin mode is isolated",
    ),
    abilities={Kind.SPOT: _SPOT, Kind.SWAP: _SWAP},
)
_CLIENT_ID: Final = re.compile(DECLARATION.client_order_id)


class Okx:
    """The venue."""

    __slots__ = ()

    name = "okx"
    declaration = DECLARATION

    def credential(self, fields: Mapping[str, str]) -> Credential:
        """Take ``apiKey``, an HMAC ``secret`` and the passphrase, ``password``."""
        return Credential(required(fields, "apiKey"), hmac_key(fields), required(fields, "password"))

    def check_instrument(self, instrument: Instrument) -> None:
        """Refuse symbols that are not OKX's."""
        check_listed(instrument, DECLARATION, _SYMBOL)

    def site(self, placement: Placement, credential: Credential) -> OkxSite:
        """Bind to one account."""
        return OkxSite(placement, credential)


class OkxSite:
    """One account at OKX."""

    __slots__ = ("_after", "_before", "_key", "_placement", "_plans")

    def __init__(self, placement: Placement, credential: Credential) -> None:
        """Prepare the headers; demo trading is the same host with keys of its own and one header more."""
        self._placement = placement
        self._key = credential.key
        self._before = (("OK-ACCESS-KEY", credential.api_key), ("OK-ACCESS-PASSPHRASE", credential.passphrase))
        demo = placement.environment is Environment.TESTNET
        self._after = (("x-simulated-trading", "1"),) if demo else ()
        self._plans = Plans(self._plan)

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /api/v5/trade/order, or order-algo for a stop."""
        checked(order.client_order_id, _CLIENT_ID, "client_order_id")
        body = self._plans.of(order, instrument).fill(order)
        stop = order.type is OrderType.STOP_LIMIT
        return self._post("/api/v5/trade/order-algo" if stop else "/api/v5/trade/order", body, stamp)

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /api/v5/trade/cancel-order, or cancel-algos, which takes a list."""
        body = compact(self._named(instrument) | _one(cancel))
        if cancel.conditional:
            return self._post("/api/v5/trade/cancel-algos", f"[{body}]", stamp)
        return self._post("/api/v5/trade/cancel-order", body, stamp)

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002
        """Refuse: OKX has no such request."""
        raise Unsupported("cancel_all", "cancel_all: OKX has no request that cancels a symbol's orders")

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /api/v5/trade/amend-order with the total quantity and price after the change."""
        if original.type is OrderType.STOP_LIMIT:
            raise Unsupported("client_order_id", "client_order_id: stop orders are not amended, cancel and create")
        if amend.new_client_order_id:
            raise Unsupported("new_client_order_id", "new_client_order_id: an OKX order keeps its id")
        check_change(amend)
        checked(amend.client_order_id, _CLIENT_ID, "client_order_id")
        body = self._named(instrument) | {"clOrdId": amend.client_order_id}
        if amend.quantity is not None:
            body["newSz"] = amend.quantity.text
        if amend.price is not None:
            body["newPx"] = amend.price.text
        return self._post("/api/v5/trade/amend-order", compact(body), stamp)

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET /api/v5/trade/order or order-algo; both also know orders that are done."""
        named = self._named(instrument) | _one(query)
        text = "&".join(f"{name}={value}" for name, value in named.items())
        path = "/api/v5/trade/order-algo" if query.conditional else "/api/v5/trade/order"
        return self._sign("GET", f"{path}?{text}", "", (), stamp)

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET /api/v5/trade/orders-pending or orders-algo-pending of one instrument."""
        text = f"instId={self._named(instrument)['instId']}"
        if read.conditional:
            return self._sign("GET", f"/api/v5/trade/orders-algo-pending?{text}&ordType=trigger", "", (), stamp)
        return self._sign("GET", f"/api/v5/trade/orders-pending?{text}", "", (), stamp)

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:  # noqa: ARG002 - nothing in it is sent
        """GET /api/v5/account/balance."""
        return self._sign("GET", "/api/v5/account/balance", "", (), stamp)

    def logon(self, stamp: Stamp) -> WireRequest:
        """``login`` on the private stream; the time is in whole seconds, and the venue fixes how long it holds."""
        check_alive(stamp)
        time = str(stamp.now_ms // 1000)
        signature = base64.b64encode(self._key.sign(f"{time}GET/users/self/verify".encode())).decode()
        (_, api_key), (_, passphrase) = self._before
        said = {"apiKey": api_key, "passphrase": passphrase, "timestamp": time, "sign": signature}
        message = compact({"op": "login", "args": [said]})
        return WireRequest("WEBSOCKET", _STREAMS[self._placement.environment], (), message.encode())

    def _named(self, instrument: Instrument) -> dict[str, str]:
        check_kind(instrument, self._placement, DECLARATION)
        return {"instId": instrument.venue_symbol}

    def _plan(self, order: Order, instrument: Instrument) -> Plan:
        check_shape(order, instrument, self._placement, DECLARATION)
        _check_self_trade(order)
        return _order_plan(order, instrument, self._placement)

    def _post(self, path: str, body: str, stamp: Stamp) -> WireRequest:
        return self._sign("POST", path, body, (("Content-Type", "application/json"),), stamp)

    def _sign(self, method: str, path: str, body: str, extra: tuple[tuple[str, str], ...], stamp: Stamp) -> WireRequest:
        check_alive(stamp)
        time = iso_milliseconds(stamp.now_ms)
        signature = base64.b64encode(self._key.sign(f"{time}{method}{path}{body}".encode())).decode()
        headers = (
            *self._before,
            ("OK-ACCESS-TIMESTAMP", time),
            ("OK-ACCESS-SIGN", signature),
            *extra,
            *self._after,
        )
        return WireRequest(method, _HOST + path, headers, body.encode() if body else None)


def _one(target: Cancel | Query) -> dict[str, str]:
    """Name one order, by client order id if there is one; the algo service has names of its own."""
    if target.client_order_id:
        name = "algoClOrdId" if target.conditional else "clOrdId"
        return {name: checked(target.client_order_id, _CLIENT_ID, "client_order_id")}
    name = "algoId" if target.conditional else "ordId"
    return {name: checked(target.venue_order_id, _ORDER_ID, "venue_order_id")}


def _check_self_trade(order: Order) -> None:
    mode = order.self_trade_prevention
    if mode is None:
        return
    if order.type is OrderType.STOP_LIMIT:
        raise Unsupported("self_trade_prevention", "self_trade_prevention: the algo service has none")
    if mode is SelfTradePrevention.CANCEL_BOTH and order.time_in_force is TimeInForce.FOK:
        raise Unsupported("self_trade_prevention", "self_trade_prevention: CANCEL_BOTH does not go with FOK")


def _order_plan(order: Order, instrument: Instrument, placement: Placement) -> Plan:
    stop = order.type is OrderType.STOP_LIMIT
    spot = instrument.kind is Kind.SPOT
    mode, leg = order.self_trade_prevention, order.position_side
    contracts = "isolated" if placement.margin_mode is MarginMode.ISOLATED else "cross"
    return json_plan(
        {
            "instId": instrument.venue_symbol,
            "tdMode": "cash" if spot else contracts,
            "side": "buy" if order.side is Side.BUY else "sell",
            "ordType": _order_type(order),
            "sz": QUOTE_QUANTITY if order.quantity is None else QUANTITY,
            "px": PRICE if order.type is OrderType.LIMIT else None,
            "triggerPx": STOP_PRICE if stop else None,
            "orderPx": PRICE if stop else None,
            "triggerPxType": None if order.trigger_by is None else _TRIGGERS[order.trigger_by],
            # A market buy would be in quote units by default: the unit is always said.
            "tgtCcy": ("quote_ccy" if order.quantity is None else "base_ccy") if spot else None,
            "posSide": None if leg is None else leg.name.lower(),
            # Net mode only; a hedged leg's closing side can only reduce it.
            "reduceOnly": True if order.reduce_only and leg is None else None,
            "stpMode": None if mode is None else _SELF_TRADE[mode],
            "algoClOrdId" if stop else "clOrdId": CLIENT_ORDER_ID,
        }
    )


def _order_type(order: Order) -> str:
    if order.type is OrderType.STOP_LIMIT:
        return "trigger"
    if order.type is OrderType.MARKET:
        return "market"
    if order.post_only:
        return "post_only"
    match order.time_in_force:
        case TimeInForce.IOC:
            return "ioc"
        case TimeInForce.FOK:
            return "fok"
        case _:
            # GTC: check_shape lets nothing else through.
            return "limit"


VENUE: Final = Okx()
