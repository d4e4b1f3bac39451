"""Coinbase Advanced Trade, spot.

Signed is a JWT whose claims name the method, host and path, and a time to live: ES256 for keys of a PEM, EdDSA for
Ed25519 keys (docs.cdp.coinbase.com, "API key authentication").

*What that leaves open.* Neither query nor body is in any claim. Until the token ends, whoever holds it can put any
body under it, as often as the rate limit allows: a token for a create is good for any order of the key's portfolio,
one for a cancel for any cancel, one for an edit for any edit. That is ``body-unsigned``, and no limit of a policy
means anything against a hostile host then but the portfolio's balance: give such a key a portfolio of its own.
``client_order_id`` makes an honest create usable once (a repeat answers with the first order); a changed body
has another. Uses: 30 requests a second for one user, 121 s: 3,630.

The token ends when the intent does, in whole seconds, at most 120 s after the stamp.

Reads: a query by client order id lists the product's orders, which is also how open orders are read, so each is
good for the other. Cancels and edits name Coinbase's own order id only. Nothing cancels all orders of a product.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final

from enclave_signer.credentials import (
    Credential,
    Ed25519Key,
    p256_or_ed25519_from_text,
    required,
)
from enclave_signer.errors import BadCredential, Unsupported
from enclave_signer.model import (
    Environment,
    Kind,
    Operation,
    OrderType,
    Side,
    TimeInForce,
    TriggerBy,
    WireRequest,
)
from enclave_signer.venues.declaration import Abilities, Declaration, Gap, Part, Validity, ValidityKind
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
    json_plan,
)
from enclave_signer.venues.times import iso_seconds

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
    from enclave_signer.venues.shapes import Plan

_STREAM: Final = "wss://advanced-trade-ws.coinbase.com"
_SYMBOL: Final = re.compile(r"[A-Z0-9]{1,20}-[A-Z0-9]{1,20}")
_ORDER_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_NAME: Final = "api.coinbase.com"
_ORDERS: Final = "/api/v3/brokerage/orders"
_NONCE_BYTES: Final = 16
_SPOT: Final = Abilities(
    # Market orders: a buy by quote or base size, a sell by base size.
    quote_quantity=True,
    reduce_only=False,
    hedge=False,
    # Stops watch the last price and know no other: LAST says what happens anyway.
    triggers={TriggerBy.LAST: ""},
    # Coinbase groups orders by a self_trade_prevention_id; it has no modes.
    self_trade={},
    post_only_times=frozenset({TimeInForce.GTC, TimeInForce.GTD}),
    stop_times=frozenset({TimeInForce.GTC, TimeInForce.GTD}),
    stop_post_only=False,
)
_TOKEN: Final = frozenset({Gap.QUERY_UNSIGNED, Gap.BODY_UNSIGNED})
DECLARATION: Final = Declaration(
    scheme="JWT over method, host and path; ES256 or EdDSA",
    covers=frozenset({Part.METHOD, Part.HOST, Part.PATH}),
    gaps={
        Operation.CREATE: _TOKEN | {Gap.REPLAYABLE},
        Operation.CANCEL: _TOKEN,
        Operation.AMEND: _TOKEN,
        Operation.QUERY: frozenset({Gap.QUERY_UNSIGNED}),
        Operation.OPEN_ORDERS: frozenset({Gap.QUERY_UNSIGNED}),
        Operation.BALANCES: frozenset({Gap.QUERY_UNSIGNED}),
    },
    # Whole seconds: a second is the shortest that is sure to last at all.
    validity=Validity(ValidityKind.WINDOW, "exp", shortest_ms=1_000, longest_ms=120_000),
    single_use="",
    uses=3_630,
    also={
        Operation.QUERY: frozenset({Operation.OPEN_ORDERS}),
        Operation.OPEN_ORDERS: frozenset({Operation.QUERY}),
    },
    operations=frozenset(
        {
            Operation.CREATE,
            Operation.CANCEL,
            Operation.AMEND,
            Operation.QUERY,
            Operation.OPEN_ORDERS,
            Operation.BALANCES,
        }
    ),
    kinds=frozenset({Kind.SPOT}),
    order_types={Kind.SPOT: frozenset(OrderType)},
    times_in_force={Kind.SPOT: frozenset(TimeInForce)},
    client_order_id=r"[A-Za-z0-9_-]{1,64}",
    credential_fields=("apiKey", "secret"),
    limits="30 requests/s per user",
    notes=(
        "the body is not signed: give the key a portfolio of its own, whose balance is the bound",
        "secret: a private key as PEM (P-256 or Ed25519), or a base64 Ed25519 key",
        "cancel and amend by venue_order_id only",
        "a stop buys when the price rises to stop_price and sells when it falls to it",
    ),
    abilities={Kind.SPOT: _SPOT},
)
_CLIENT_ID: Final = re.compile(DECLARATION.client_order_id)


class Coinbase:
    """The venue."""

    __slots__ = ()

    name = "coinbase"
    declaration = DECLARATION

    def credential(self, fields: Mapping[str, str]) -> Credential:
        """Take the key's name as ``apiKey``; ``secret`` is a PEM (P-256 or Ed25519) or a base64 Ed25519 key."""
        return Credential(required(fields, "apiKey"), p256_or_ed25519_from_text(required(fields, "secret")))

    def check_instrument(self, instrument: Instrument) -> None:
        """Refuse symbols that are not Coinbase's product ids."""
        check_listed(instrument, DECLARATION, _SYMBOL)

    def site(self, placement: Placement, credential: Credential) -> CoinbaseSite:
        """Bind to one account; Coinbase's sandbox is a fixed answer, not a market."""
        if placement.environment is not Environment.PRODUCTION:
            message = "Coinbase Advanced has no test network"
            raise BadCredential(message, field="environment")
        return CoinbaseSite(placement, credential)


class CoinbaseSite:
    """One account at Coinbase."""

    __slots__ = ("_placement", "_plans", "_tokens")

    def __init__(self, placement: Placement, credential: Credential) -> None:
        """Prepare what every token repeats."""
        self._placement = placement
        self._tokens = Tokens(credential.api_key, credential.key)
        self._plans = Plans(self._plan)

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST orders."""
        checked(order.client_order_id, _CLIENT_ID, "client_order_id")
        return self._send("POST", _ORDERS, "", self._plans.of(order, instrument).fill(order), stamp)

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST orders/batch_cancel with Coinbase's id; it knows no other."""
        self._check(instrument)
        body = compact({"order_ids": [_venue_id(cancel.venue_order_id)]})
        return self._send("POST", f"{_ORDERS}/batch_cancel", "", body, stamp)

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002
        """Refuse: Coinbase has no such request."""
        raise Unsupported("cancel_all", "cancel_all: Coinbase has no request that cancels a product's orders")

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST orders/edit: Coinbase edits limit orders that are good till cancelled, by its own id."""
        self._check(instrument)
        if original.type is not OrderType.LIMIT or original.time_in_force is not TimeInForce.GTC:
            raise Unsupported("client_order_id", "client_order_id: Coinbase edits LIMIT orders with GTC only")
        if amend.new_client_order_id:
            raise Unsupported("new_client_order_id", "new_client_order_id: a Coinbase order keeps its id")
        check_change(amend)
        body = {"order_id": _venue_id(amend.venue_order_id)}
        if amend.quantity is not None:
            body["size"] = amend.quantity.text
        if amend.price is not None:
            body["price"] = amend.price.text
        return self._send("POST", f"{_ORDERS}/edit", "", compact(body), stamp)

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET orders/historical/ID, or the product's latest orders to find a client order id among."""
        self._check(instrument)
        if query.venue_order_id:
            return self._send("GET", f"{_ORDERS}/historical/{_venue_id(query.venue_order_id)}", "", None, stamp)
        checked(query.client_order_id, _CLIENT_ID, "client_order_id")
        listed = f"?product_id={instrument.venue_symbol}&limit=100"
        return self._send("GET", f"{_ORDERS}/historical/batch", listed, None, stamp)

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002
        """GET orders/historical/batch of the product's open orders."""
        self._check(instrument)
        listed = f"?order_status=OPEN&product_id={instrument.venue_symbol}&limit=100"
        return self._send("GET", f"{_ORDERS}/historical/batch", listed, None, stamp)

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:  # noqa: ARG002 - nothing in it is sent
        """GET /v2/accounts, which is what ccxt sends by default (the agreement tests hold this to it)."""
        return self._send("GET", "/v2/accounts", "?limit=250", None, stamp)

    def logon(self, stamp: Stamp) -> WireRequest:
        """Subscribe to the ``user`` channel of every product, with a token for no path."""
        token = self._tokens.make("", stamp)
        message = compact({"type": "subscribe", "product_ids": [], "channel": "user", "jwt": token})
        return WireRequest("WEBSOCKET", _STREAM, (), message.encode())

    def _check(self, instrument: Instrument) -> None:
        check_kind(instrument, self._placement, DECLARATION)

    def _plan(self, order: Order, instrument: Instrument) -> Plan:
        check_shape(order, instrument, self._placement, DECLARATION)
        if order.quantity is None and order.side is Side.SELL:
            raise Unsupported("quote_quantity", "quote_quantity: Coinbase takes it for market buys only")
        return json_plan(
            {
                "client_order_id": CLIENT_ORDER_ID,
                "product_id": instrument.venue_symbol,
                "side": order.side.name,
                "order_configuration": _configuration(order),
            }
        )

    def _send(self, method: str, path: str, query: str, body: str | None, stamp: Stamp) -> WireRequest:
        headers = (
            ("Authorization", f"Bearer {self._tokens.make(f'{method} {_NAME}{path}', stamp)}"),
            ("Content-Type", "application/json"),
        )
        return WireRequest(method, f"https://{_NAME}{path}{query}", headers, body.encode() if body else None)


class Tokens:
    """Makes the JWTs of one key (RFC 7519); claims as ccxt and Coinbase's SDKs send them for either algorithm."""

    __slots__ = ("_api_key", "_eddsa", "_key")

    def __init__(self, api_key: str, key: SigningKey) -> None:
        """``api_key`` is the key's name."""
        self._api_key = api_key
        self._key = key
        self._eddsa = isinstance(key, Ed25519Key)

    def make(self, uri: str, stamp: Stamp) -> str:
        """Sign a token for ``METHOD host/path``, or for none, that ends no later than the intent."""
        header = {
            "alg": "EdDSA" if self._eddsa else "ES256",
            "typ": "JWT",
            "kid": self._api_key,
            "nonce": stamp.random(_NONCE_BYTES).hex(),
        }
        signed = f"{_part(header)}.{_part(self._claims(uri, stamp))}"
        return f"{signed}.{_base64url(self._key.sign(signed.encode()))}"

    def _claims(self, uri: str, stamp: Stamp) -> dict[str, object]:
        start = stamp.now_ms // 1000
        claims: dict[str, object] = {
            "aud": ["cdp_service" if self._eddsa else "retail_rest_api_proxy"],
            "iss": "cdp" if self._eddsa else "coinbase-cloud",
            "nbf": start,
            "exp": _end(stamp),
            "sub": self._api_key,
            "iat": start,
        }
        if not uri:
            return claims
        return claims | ({"uris": [uri]} if self._eddsa else {"uri": uri})


def _end(stamp: Stamp) -> int:
    """The last whole second within the intent's validity and the venue's 120 s; always after the first."""
    return (stamp.now_ms + window_ms(stamp, DECLARATION.validity)) // 1000


def _part(value: Mapping[str, object]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _venue_id(text: str) -> str:
    if not text:
        raise Unsupported("venue_order_id", "venue_order_id: Coinbase names orders by its own id here")
    return checked(text, _ORDER_ID, "venue_order_id")


def _configuration(order: Order) -> dict[str, Value]:
    """Name the kind of order by the key, as Coinbase does."""
    if order.type is OrderType.MARKET:
        by_quote = order.quantity is None
        return {"market_market_ioc": {"quote_size": QUOTE_QUANTITY} if by_quote else {"base_size": QUANTITY}}
    fields: dict[str, Value] = {"base_size": QUANTITY, "limit_price": PRICE}
    until_date = order.time_in_force is TimeInForce.GTD
    # Last, as every plan's expiry is.
    end: dict[str, Value] = {"end_time": Expiry(_end_time)} if until_date else {}
    if order.type is OrderType.STOP_LIMIT:
        direction = "STOP_DIRECTION_STOP_UP" if order.side is Side.BUY else "STOP_DIRECTION_STOP_DOWN"
        stop: dict[str, Value] = {"stop_price": STOP_PRICE, "stop_direction": direction}
        return {"stop_limit_stop_limit_gtd" if until_date else "stop_limit_stop_limit_gtc": fields | stop | end}
    match order.time_in_force:
        case TimeInForce.IOC:
            return {"sor_limit_ioc": fields}
        case TimeInForce.FOK:
            return {"limit_limit_fok": fields}
        case _:
            rest: dict[str, Value] = {"post_only": order.post_only}
            return {"limit_limit_gtd" if until_date else "limit_limit_gtc": fields | rest | end}


def _end_time(expire_at: int) -> str:
    return iso_seconds(whole_seconds(expire_at))


VENUE: Final = Coinbase()
