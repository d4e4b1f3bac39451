"""Kraken spot.

Signed is ``path + SHA-256(nonce + form body)`` under the base64-decoded secret
(docs.kraken.com/api/docs/guides/spot-rest-auth); the method and the host are not, but private endpoints take POST
only and one path is one instruction, so a request is good for nothing else.

*Validity.* A create and an amend carry a signed ``deadline`` (RFC 3339, half a second to a minute ahead): the
matching engine refuses them after it. Other requests end only when a higher nonce has been used, which the host
decides: it can keep a cancel or a read back, and lose every request that was signed after it. ``fixed-validity``
says so for them.

*Single use.* The nonce must be higher than any that Kraken has seen from the key; with a nonce window of zero (the
default of a key) a request works once. Keep the window at zero.

Orders are cancelled one by one or all at once for every symbol: cancel-all of a symbol is refused. QueryOrders
knows transaction ids only; a client order id is looked up among the open orders, or the closed ones if asked.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final

from enclave_signer.credentials import Credential, required
from enclave_signer.errors import BadCredential, Unsupported
from enclave_signer.model import (
    Environment,
    Kind,
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
    form_plan,
)
from enclave_signer.venues.times import iso_milliseconds

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

_SYMBOL: Final = re.compile(r"[A-Z0-9.]{1,30}")
_ORDER_ID: Final = re.compile(r"[A-Z0-9-]{1,30}")
_HOST: Final = "https://api.kraken.com"
_TIMES: Final = frozenset(TimeInForce)
_SELF_TRADE: Final = {
    SelfTradePrevention.CANCEL_TAKER: "cancel-newest",
    SelfTradePrevention.CANCEL_MAKER: "cancel-oldest",
    SelfTradePrevention.CANCEL_BOTH: "cancel-both",
}
_SPOT: Final = Abilities(
    quote_quantity=True,
    reduce_only=False,
    hedge=False,
    triggers={TriggerBy.LAST: "last", TriggerBy.INDEX: "index"},
    self_trade=_SELF_TRADE,
    post_only_times=frozenset({TimeInForce.GTC, TimeInForce.GTD}),
    stop_times=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD}),
    stop_post_only=False,
)
_BOUNDED: Final = frozenset({Gap.METHOD_UNSIGNED, Gap.HOST_UNSIGNED})
_UNBOUNDED: Final = _BOUNDED | {Gap.FIXED_VALIDITY}
DECLARATION: Final = Declaration(
    scheme="base64 HMAC-SHA512 of path and SHA-256 of nonce and body",
    covers=frozenset({Part.PATH, Part.BODY}),
    gaps={
        Operation.CREATE: _BOUNDED,
        Operation.AMEND: _BOUNDED,
        Operation.CANCEL: _UNBOUNDED,
        Operation.QUERY: _UNBOUNDED,
        Operation.OPEN_ORDERS: _UNBOUNDED,
        Operation.BALANCES: _UNBOUNDED,
    },
    validity=Validity(ValidityKind.WINDOW, "deadline", shortest_ms=500, longest_ms=60_000),
    single_use="nonce: Kraken refuses one that is not higher than every earlier one",
    uses=1,
    also={},
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
    times_in_force={Kind.SPOT: _TIMES},
    # docs.kraken.com, "Client Order Identifiers": a UUID with or without dashes, or up to 18 characters of one's own.
    client_order_id=(
        r"[A-Za-z0-9_-]{1,18}|[0-9a-fA-F]{32}"
        r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    ),
    credential_fields=("apiKey", "secret"),
    limits="per pair a counter: add 1, cancel 8..1 by age, amend 1..3; threshold 60/125/180 by tier, decaying",
    notes=(
        "keep the API key's nonce window at zero",
        "quote_quantity: market buys only",
        "a query by client order id reads the open orders; set `closed` for those that are done",
    ),
    abilities={Kind.SPOT: _SPOT},
)
_CLIENT_ID: Final = re.compile(DECLARATION.client_order_id)


class Kraken:
    """The venue."""

    __slots__ = ()

    name = "kraken"
    declaration = DECLARATION

    def credential(self, fields: Mapping[str, str]) -> Credential:
        """Take ``apiKey`` and the base64 ``secret``; a key with two-factor passwords cannot trade unattended."""
        if fields.get("twofa"):
            message = "twofa: keys with a one-time password are not supported"
            raise BadCredential(message, field="twofa")
        return Credential(required(fields, "apiKey"), hmac_key(fields, "sha512", base64_secret=True))

    def check_instrument(self, instrument: Instrument) -> None:
        """Refuse symbols that are not Kraken's (``altname``, e.g. XBTUSDT)."""
        check_listed(instrument, DECLARATION, _SYMBOL)

    def site(self, placement: Placement, credential: Credential) -> KrakenSite:
        """Bind to one account; Kraken spot has no test network."""
        if placement.environment is not Environment.PRODUCTION:
            message = "Kraken spot has no test network"
            raise BadCredential(message, field="environment")
        return KrakenSite(placement, credential)


class KrakenSite:
    """One account at Kraken."""

    __slots__ = ("_headers", "_key", "_placement", "_plans")

    def __init__(self, placement: Placement, credential: Credential) -> None:
        """Prepare the headers that every request repeats."""
        self._placement = placement
        self._key = credential.key
        self._headers = (
            ("API-Key", credential.api_key),
            ("Content-Type", "application/x-www-form-urlencoded"),
        )
        self._plans = Plans(self._plan)

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST AddOrder."""
        checked(order.client_order_id, _CLIENT_ID, "client_order_id")
        text = self._plans.of(order, instrument).fill(order)
        return self._post("/0/private/AddOrder", f"{text}&deadline={_deadline(stamp)}", stamp)

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST CancelOrder."""
        self._check(instrument)
        return self._post("/0/private/CancelOrder", _one(cancel), stamp)

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002
        """Refuse: Kraken's CancelAll takes every symbol."""
        raise Unsupported("cancel_all", "cancel_all: Kraken cancels the orders of all symbols or none")

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST AmendOrder, in place; an order that was post-only stays so."""
        self._check(instrument)
        if amend.new_client_order_id:
            raise Unsupported("new_client_order_id", "new_client_order_id: a Kraken order keeps its id")
        check_change(amend)
        parts = [f"cl_ord_id={checked(amend.client_order_id, _CLIENT_ID, 'client_order_id')}"]
        if amend.quantity is not None:
            parts.append(f"order_qty={amend.quantity.text}")
        if amend.price is not None:
            parts.append(f"limit_price={amend.price.text}")
        if original.post_only:
            parts.append("post_only=true")
        parts.append(f"deadline={_deadline(stamp)}")
        return self._post("/0/private/AmendOrder", "&".join(parts), stamp)

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST QueryOrders by transaction id; OpenOrders or ClosedOrders by client order id."""
        self._check(instrument)
        if not query.client_order_id:
            return self._post("/0/private/QueryOrders", f"trades=true&{_one(query)}", stamp)
        path = "/0/private/ClosedOrders" if query.closed else "/0/private/OpenOrders"
        return self._post(path, _one(query), stamp)

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002
        """POST OpenOrders: Kraken answers with every symbol's, the reader picks."""
        self._check(instrument)
        return self._post("/0/private/OpenOrders", "", stamp)

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:  # noqa: ARG002 - nothing in it is sent
        """POST BalanceEx: balances with what open orders hold."""
        return self._post("/0/private/BalanceEx", "", stamp)

    def logon(self, stamp: Stamp) -> WireRequest:
        """POST GetWebSocketsToken: the answer's token opens the private streams."""
        return self._post("/0/private/GetWebSocketsToken", "", stamp)

    def _check(self, instrument: Instrument) -> None:
        check_kind(instrument, self._placement, DECLARATION)

    def _plan(self, order: Order, instrument: Instrument) -> Plan:
        check_shape(order, instrument, self._placement, DECLARATION)
        if order.quantity is None and order.side is Side.SELL:
            raise Unsupported("quote_quantity", "quote_quantity: Kraken takes it for market buys only")
        return _order_plan(order, instrument)

    def _post(self, path: str, text: str, stamp: Stamp) -> WireRequest:
        check_alive(stamp)
        nonce = str(stamp.nonce)
        body = f"nonce={nonce}&{text}" if text else f"nonce={nonce}"
        signature = sign(self._key, path, nonce, body)
        return WireRequest("POST", _HOST + path, (*self._headers, ("API-Sign", signature)), body.encode())


def sign(key: SigningKey, path: str, nonce: str, body: str) -> str:
    """Return API-Sign of a request whose body carries ``nonce``."""
    return base64.b64encode(key.sign(path.encode() + hashlib.sha256(f"{nonce}{body}".encode()).digest())).decode()


def _deadline(stamp: Stamp) -> str:
    moment = stamp.now_ms + window_ms(stamp, DECLARATION.validity)
    # A colon needs no escape in a form, but clients escape it, and the signature is over what is sent.
    return iso_milliseconds(moment).replace(":", "%3A")


def _one(target: Cancel | Query) -> str:
    """Name one order, by client order id if there is one."""
    if target.client_order_id:
        return f"cl_ord_id={checked(target.client_order_id, _CLIENT_ID, 'client_order_id')}"
    return f"txid={checked(target.venue_order_id, _ORDER_ID, 'venue_order_id')}"


def _order_plan(order: Order, instrument: Instrument) -> Plan:
    stop = order.type is OrderType.STOP_LIMIT
    mode, time = order.self_trade_prevention, order.time_in_force
    return form_plan(
        (
            ("pair", instrument.venue_symbol),
            ("type", "buy" if order.side is Side.BUY else "sell"),
            ("ordertype", _ORDER_TYPES[order.type]),
            ("volume", QUOTE_QUANTITY if order.quantity is None else QUANTITY),
            # A stop's `price` is its trigger, `price2` the limit.
            ("price", STOP_PRICE if stop else PRICE if order.type is OrderType.LIMIT else None),
            ("price2", PRICE if stop else None),
            ("trigger", None if order.trigger_by is None else _SPOT.triggers[order.trigger_by]),
            # GTC is what Kraken takes an order without timeinforce for.
            ("timeinforce", None if time in {None, TimeInForce.GTC} else time.name),
            ("oflags", "viqc" if order.quantity is None else "post" if order.post_only else None),
            ("stptype", None if mode is None else _SELF_TRADE[mode]),
            ("cl_ord_id", CLIENT_ORDER_ID),
            ("expiretm", Expiry(_expiry) if time is TimeInForce.GTD else None),
        )
    )


_ORDER_TYPES: Final = {
    OrderType.LIMIT: "limit",
    OrderType.MARKET: "market",
    OrderType.STOP_LIMIT: "stop-loss-limit",
}


def _expiry(expire_at: int) -> str:
    return str(whole_seconds(expire_at))


VENUE: Final = Kraken()
