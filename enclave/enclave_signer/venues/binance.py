"""Binance spot and USD-M futures: ``binance`` trades both, ``binanceusdm`` the futures alone.

Parameters go into the query for GET and DELETE and into a form body for POST and PUT, as ccxt sends them;
``timestamp`` and ``recvWindow`` close the list, and the signature follows them. Binance takes a request while
``serverTime - timestamp <= recvWindow``, so the window is what is left until ``valid_until``.

USD-M keeps stop orders in its algo service, with paths and ids of its own (New-Algo-Order): a cancel or a read
of one must say ``conditional``.

Amends: spot has *keep priority*, which only reduces the quantity, and *cancel-replace*, which makes a second
order and can end with the old one gone and the new one refused. Only the first leaves one order one order,
so it is what an amend means here; another price is a cancel and a create. USD-M changes price and quantity
of a limit order in place.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from enclave_signer.credentials import Credential, HmacKey, ed25519_from_text, required
from enclave_signer.errors import Unsupported
from enclave_signer.model import (
    Environment,
    Kind,
    OrderType,
    TimeInForce,
    WireRequest,
)
from enclave_signer.venues.binance_terms import BINANCE, BINANCEUSDM
from enclave_signer.venues.keys import hmac_key
from enclave_signer.venues.shapes import (
    Plans,
    check_change,
    check_kind,
    check_listed,
    check_shape,
    checked,
    whole_seconds,
    window_ms,
)
from enclave_signer.venues.templates import (
    CLIENT_ORDER_ID,
    PRICE,
    QUANTITY,
    QUOTE_QUANTITY,
    STOP_PRICE,
    Expiry,
    Value,
    compact,
    form_plan,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.credentials import SigningKey
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
    from enclave_signer.venues.declaration import Declaration
    from enclave_signer.venues.shapes import Plan

_SYMBOL: Final = re.compile(r"[A-Z0-9_.-]{1,30}")
_ORDER_ID: Final = re.compile(r"[0-9]{1,20}")
_CLIENT_ID: Final = re.compile(BINANCE.client_order_id)


class _Product(NamedTuple):
    """One product's hosts and paths, and the reply that a create asks for."""

    hosts: Mapping[Environment, str]
    order: str
    stop_order: str
    open_orders: str
    open_stops: str
    cancel_all: str
    cancel_stops: str
    amend: str
    reply: str


_SPOT: Final = _Product(
    {Environment.PRODUCTION: "https://api.binance.com", Environment.TESTNET: "https://testnet.binance.vision"},
    order="/api/v3/order",
    stop_order="/api/v3/order",
    open_orders="/api/v3/openOrders",
    open_stops="/api/v3/openOrders",
    cancel_all="/api/v3/openOrders",
    cancel_stops="/api/v3/openOrders",
    amend="/api/v3/order/amend/keepPriority",
    reply="FULL",
)
_SWAP: Final = _Product(
    {
        Environment.PRODUCTION: "https://fapi.binance.com",
        Environment.TESTNET: "https://testnet.binancefuture.com",
    },
    order="/fapi/v1/order",
    stop_order="/fapi/v1/algoOrder",
    open_orders="/fapi/v1/openOrders",
    open_stops="/fapi/v1/openAlgoOrders",
    cancel_all="/fapi/v1/allOpenOrders",
    cancel_stops="/fapi/v1/algoOpenOrders",
    amend="/fapi/v1/order",
    reply="RESULT",
)
_STREAMS: Final = {
    Environment.PRODUCTION: "wss://ws-api.binance.com:443/ws-api/v3",
    Environment.TESTNET: "wss://ws-api.testnet.binance.vision/ws-api/v3",
}
_PRODUCTS: Final = {Kind.SPOT: _SPOT, Kind.SWAP: _SWAP}


class Binance:
    """Either of the two venues; they differ in what they trade and where balances are read."""

    __slots__ = ("_balances", "declaration", "name")

    def __init__(self, name: str, declaration: Declaration, balances: tuple[_Product, str]) -> None:
        """Name one of the two venues and where its balances are read."""
        self.name = name
        self.declaration = declaration
        self._balances = balances

    def credential(self, fields: Mapping[str, str]) -> Credential:
        """Take an HMAC secret, or an Ed25519 PEM: the secret's form tells (faqs/api_key_types.md)."""
        secret = required(fields, "secret")
        key: SigningKey = ed25519_from_text(secret) if "-----BEGIN" in secret else hmac_key(fields)
        return Credential(required(fields, "apiKey"), key)

    def check_instrument(self, instrument: Instrument) -> None:
        """Refuse symbols that are not Binance's, and kinds that this venue does not trade."""
        check_listed(instrument, self.declaration, _SYMBOL)

    def site(self, placement: Placement, credential: Credential) -> BinanceSite:
        """Bind to one account."""
        return BinanceSite(self.declaration, self._balances, placement, credential)


class BinanceSite:
    """One account at Binance."""

    __slots__ = (
        "_balances_url",
        "_declared",
        "_form_headers",
        "_headers",
        "_key",
        "_listen_url",
        "_placement",
        "_plans",
        "_stream",
        "_urls",
    )

    def __init__(
        self,
        declared: Declaration,
        balances: tuple[_Product, str],
        placement: Placement,
        credential: Credential,
    ) -> None:
        """Prepare headers and addresses."""
        self._declared = declared
        self._placement = placement
        self._key = credential.key
        self._headers = (("X-MBX-APIKEY", credential.api_key),)
        self._form_headers = (*self._headers, ("Content-Type", "application/x-www-form-urlencoded"))
        self._urls = {kind: product.hosts[placement.environment] for kind, product in _PRODUCTS.items()}
        self._balances_url = balances[0].hosts[placement.environment] + balances[1]
        # USD-M has listen keys in its place.
        self._stream = _STREAMS[placement.environment] if balances[0] is _SPOT else ""
        self._listen_url = balances[0].hosts[placement.environment] + "/fapi/v1/listenKey"
        self._plans = Plans(self._plan)

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /api/v3/order, /fapi/v1/order, or /fapi/v1/algoOrder for a USD-M stop."""
        checked(order.client_order_id, _CLIENT_ID, "client_order_id")
        text = self._plans.of(order, instrument).fill(order)
        product = _PRODUCTS[instrument.kind]
        path = product.stop_order if order.type is OrderType.STOP_LIMIT else product.order
        return self._post("POST", self._urls[instrument.kind] + path, text, stamp)

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """DELETE the order, by client order id if there is one."""
        path, text = self._one(cancel, instrument)
        return self._query("DELETE", self._urls[instrument.kind] + path, text, stamp)

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """DELETE every open order of the symbol; Binance cannot narrow it to one side."""
        if cancel.side is not None:
            raise Unsupported("side", "side: Binance cancels both sides of a symbol")
        product = self._product(instrument)
        path = product.cancel_stops if cancel.conditional else product.cancel_all
        return self._query("DELETE", self._urls[instrument.kind] + path, f"symbol={instrument.venue_symbol}", stamp)

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """PUT: less quantity in place on spot, another price and quantity in place on USD-M."""
        product = self._product(instrument)
        checked(amend.client_order_id, _CLIENT_ID, "client_order_id")
        check_change(amend)
        change = _reduce if instrument.kind is Kind.SPOT else _modify
        text = change(amend, original, instrument.venue_symbol)
        return self._post("PUT", self._urls[instrument.kind] + product.amend, text, stamp)

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET the order, by client order id if there is one."""
        path, text = self._one(query, instrument)
        return self._query("GET", self._urls[instrument.kind] + path, text, stamp)

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET the open orders of the symbol."""
        product = self._product(instrument)
        path = product.open_stops if read.conditional else product.open_orders
        return self._query("GET", self._urls[instrument.kind] + path, f"symbol={instrument.venue_symbol}", stamp)

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:  # noqa: ARG002 - nothing in it is sent
        """GET the account: spot for ``binance``, futures for ``binanceusdm``."""
        return self._query("GET", self._balances_url, "", stamp)

    def logon(self, stamp: Stamp) -> WireRequest:
        """Subscribe to the user data stream by signature (spot), or ask for a listen key (USD-M)."""
        window = window_ms(stamp, self._declared.validity)
        if not self._stream:
            return WireRequest("POST", self._listen_url, self._headers, None)
        (_, api_key), *_ = self._headers
        said: dict[str, str | int] = {"apiKey": api_key, "recvWindow": window, "timestamp": stamp.now_ms}
        text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in said.items())
        signature = self._key.sign(text.encode())
        said["signature"] = signature.hex() if isinstance(self._key, HmacKey) else base64.b64encode(signature).decode()
        message = {"id": str(stamp.now_ms), "method": "userDataStream.subscribe.signature", "params": said}
        return WireRequest("WEBSOCKET", self._stream, (), compact(message).encode())

    def _product(self, instrument: Instrument) -> _Product:
        check_kind(instrument, self._placement, self._declared)
        return _PRODUCTS[instrument.kind]

    def _plan(self, order: Order, instrument: Instrument) -> Plan:
        check_shape(order, instrument, self._placement, self._declared)
        return _spot_plan(order, instrument) if instrument.kind is Kind.SPOT else _swap_plan(order, instrument)

    def _one(self, target: Cancel | Query, instrument: Instrument) -> tuple[str, str]:
        """Path and parameters that name one order."""
        product = self._product(instrument)
        stop = target.conditional and instrument.kind is Kind.SWAP
        if target.client_order_id:
            name = "clientAlgoId" if stop else "origClientOrderId"
            value = checked(target.client_order_id, _CLIENT_ID, "client_order_id")
        else:
            name = "algoId" if stop else "orderId"
            value = checked(target.venue_order_id, _ORDER_ID, "venue_order_id")
        text = f"symbol={instrument.venue_symbol}&{name}={value}"
        return (product.stop_order if stop else product.order), text

    def _post(self, method: str, url: str, text: str, stamp: Stamp) -> WireRequest:
        window = window_ms(stamp, self._declared.validity)
        body = seal(self._key, f"{text}&recvWindow={window}&timestamp={stamp.now_ms}")
        return WireRequest(method, url, self._form_headers, body.encode())

    def _query(self, method: str, url: str, text: str, stamp: Stamp) -> WireRequest:
        window = window_ms(stamp, self._declared.validity)
        glue = "&" if text else ""
        query = seal(self._key, f"{text}{glue}recvWindow={window}&timestamp={stamp.now_ms}")
        return WireRequest(method, f"{url}?{query}", self._headers, None)


def seal(key: SigningKey, parameters: str) -> str:
    """Append the signature of ``parameters``, which are percent-encoded already (rest-api.md, SIGNED examples)."""
    signature = key.sign(parameters.encode())
    if isinstance(key, HmacKey):
        return f"{parameters}&signature={signature.hex()}"
    return f"{parameters}&signature={quote(base64.b64encode(signature), safe='')}"


def _spot_plan(order: Order, instrument: Instrument) -> Plan:
    maker = order.post_only
    time = None if maker or order.time_in_force is None else order.time_in_force.name
    return form_plan(
        (
            ("symbol", instrument.venue_symbol),
            ("side", order.side.name),
            ("type", "LIMIT_MAKER" if maker else _SPOT_TYPES[order.type]),
            ("timeInForce", time),
            *_sizes(order),
            ("stopPrice", STOP_PRICE if order.type is OrderType.STOP_LIMIT else None),
            ("newClientOrderId", CLIENT_ORDER_ID),
            ("newOrderRespType", _SPOT.reply),
            ("selfTradePreventionMode", _self_trade(order)),
        )
    )


def _swap_plan(order: Order, instrument: Instrument) -> Plan:
    stop = order.type is OrderType.STOP_LIMIT
    time = order.time_in_force
    expiry: Value = Expiry(_good_till_date) if time is TimeInForce.GTD else None
    # In hedge mode reduceOnly may not be sent, and a closing side of a leg can only reduce it.
    reduce = True if order.reduce_only and order.position_side is None else None
    watched = BINANCEUSDM.abilities[Kind.SWAP].triggers[order.trigger_by] if order.trigger_by else None
    return form_plan(
        (
            ("algoType", "CONDITIONAL" if stop else None),
            ("symbol", instrument.venue_symbol),
            ("side", order.side.name),
            ("type", _SWAP_TYPES[order.type]),
            ("timeInForce", "GTX" if order.post_only else time.name if time else None),
            *_sizes(order),
            ("triggerPrice", STOP_PRICE if stop else None),
            ("workingType", watched),
            ("positionSide", order.position_side.name if order.position_side else None),
            ("reduceOnly", reduce),
            ("clientAlgoId" if stop else "newClientOrderId", CLIENT_ORDER_ID),
            ("newOrderRespType", _SWAP.reply),
            ("selfTradePreventionMode", _self_trade(order)),
            ("goodTillDate", expiry),
        )
    )


_SPOT_TYPES: Final = {
    OrderType.LIMIT: "LIMIT",
    OrderType.MARKET: "MARKET",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
}
_SWAP_TYPES: Final = {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET", OrderType.STOP_LIMIT: "STOP"}


def _sizes(order: Order) -> tuple[tuple[str, Value], ...]:
    price: Value = None if order.type is OrderType.MARKET else PRICE
    if order.quantity is None:
        return (("quoteOrderQty", QUOTE_QUANTITY),)
    return (("quantity", QUANTITY), ("price", price))


def _self_trade(order: Order) -> str | None:
    mode = order.self_trade_prevention
    return None if mode is None else BINANCE.abilities[Kind.SPOT].self_trade[mode]


def _good_till_date(expire_at: int) -> str:
    """Milliseconds, of which the venue keeps whole seconds."""
    return f"{whole_seconds(expire_at)}000"


def _reduce(amend: Amend, original: Order, symbol: str) -> str:
    if amend.price is not None and amend.price != original.price:
        raise Unsupported("price", "price: Binance spot amends the quantity only; cancel and create instead")
    if amend.quantity is None:
        raise Unsupported("quantity", "quantity: Binance spot amends nothing else")
    if original.quantity is None or amend.quantity.units >= original.quantity.units:
        raise Unsupported("quantity", "quantity: Binance spot only reduces the quantity")
    # Without it the venue would make up an id; the order keeps its own unless the intent names another.
    renamed = checked(amend.new_client_order_id or amend.client_order_id, _CLIENT_ID, "new_client_order_id")
    return (
        f"symbol={symbol}&origClientOrderId={amend.client_order_id}"
        f"&newClientOrderId={renamed}&newQty={amend.quantity.text}"
    )


def _modify(amend: Amend, original: Order, symbol: str) -> str:
    if original.type is not OrderType.LIMIT:
        raise Unsupported("client_order_id", "client_order_id: USD-M modifies LIMIT orders only")
    if amend.new_client_order_id:
        raise Unsupported("new_client_order_id", "new_client_order_id: a USD-M order keeps its id")
    quantity, price = amend.quantity or original.quantity, amend.price or original.price
    if quantity is None or price is None:
        raise Unsupported("quantity", "quantity: USD-M needs quantity and price of the changed order")
    return (
        f"symbol={symbol}&side={original.side.name}&origClientOrderId={amend.client_order_id}"
        f"&quantity={quantity.text}&price={price.text}"
    )


VENUE: Final = Binance("binance", BINANCE, (_SPOT, "/api/v3/account"))
USDM: Final = Binance("binanceusdm", BINANCEUSDM, (_SWAP, "/fapi/v3/account"))
