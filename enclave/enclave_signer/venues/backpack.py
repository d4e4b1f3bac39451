"""Backpack, spot and perpetuals.

Signed, with Ed25519, is ``instruction=NAME&sorted parameters&timestamp=..&window=..`` (docs.backpack.exchange,
"Signing requests"); parameters are those of a GET's query or of the JSON body. Backpack takes it for ``window``
milliseconds after the timestamp, 60,000 at most.

*What that leaves open.* The instruction's name stands for method and path: one name is one endpoint, except
that ``orderExecute`` is also the batch endpoint's, where a batch of this one order has the very same signature and
means the same. The host is not signed. What the signed text does not tell is a parameter's JSON type, and whether
it came in the query or the body; neither changes a meaning.

*Uses.* ``clientId`` is the client's own number; the documentation does not say that it must be unique, so a signed
create counts as ``replayable``. The documentation states no order rate either. 2,000 requests a minute for an
account is what the venue was known to allow; a window touches two minutes: 4,000.

There is no amend. A query by id reads the history of orders; by client id it reads the open order, or lists the
history of the symbol if asked for orders that are done (the history cannot be narrowed to a client id).
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from enclave_signer.credentials import Credential, ed25519_from_text, required
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
from enclave_signer.venues.shapes import Plans, check_kind, check_listed, check_shape, checked, window_ms
from enclave_signer.venues.templates import (
    PRICE,
    QUANTITY,
    QUOTE_QUANTITY,
    STOP_PRICE,
    Slot,
    Value,
    compact,
    form_plan,
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

_STREAM: Final = "wss://ws.backpack.exchange"
_SYMBOL: Final = re.compile(r"[A-Za-z0-9]{1,20}(?:_[A-Za-z0-9]{1,20}){1,3}")
_ORDER_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_HOST: Final = "https://api.backpack.exchange"
_KINDS: Final = (Kind.SPOT, Kind.SWAP)
_TIMES: Final = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})
_SELF_TRADE: Final = {
    SelfTradePrevention.CANCEL_TAKER: "RejectTaker",
    SelfTradePrevention.CANCEL_MAKER: "RejectMaker",
    SelfTradePrevention.CANCEL_BOTH: "RejectBoth",
}
_TRIGGERS: Final = {TriggerBy.LAST: "LastPrice", TriggerBy.MARK: "MarkPrice", TriggerBy.INDEX: "IndexPrice"}


def _abilities(*, reduce_only: bool) -> Abilities:
    return Abilities(
        quote_quantity=True,
        reduce_only=reduce_only,
        hedge=False,
        triggers=_TRIGGERS,
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
        Operation.QUERY,
        Operation.OPEN_ORDERS,
        Operation.BALANCES,
    }
)
DECLARATION: Final = Declaration(
    scheme="base64 Ed25519 of instruction, sorted parameters, timestamp and window",
    # Method and path by way of the instruction's name.
    covers=frozenset({Part.METHOD, Part.PATH, Part.QUERY, Part.BODY}),
    gaps={
        operation: frozenset({Gap.HOST_UNSIGNED, Gap.REPLAYABLE})
        if operation is Operation.CREATE
        else frozenset({Gap.HOST_UNSIGNED})
        for operation in _OPERATIONS
    },
    validity=Validity(ValidityKind.WINDOW, "X-Window", shortest_ms=1, longest_ms=60_000),
    single_use="",
    uses=4_000,
    also={},
    operations=_OPERATIONS,
    kinds=frozenset(_KINDS),
    order_types=dict.fromkeys(_KINDS, frozenset(OrderType)),
    times_in_force=dict.fromkeys(_KINDS, _TIMES),
    # clientId is an unsigned number of 32 bits, written without leading zeros.
    client_order_id=(
        r"0|[1-9][0-9]{0,8}|[1-3][0-9]{9}|4[01][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}|4294[0-8][0-9]{5}"
        r"|42949[0-5][0-9]{4}|429496[0-6][0-9]{3}|4294967[01][0-9]{2}|42949672[0-8][0-9]|429496729[0-5]"
    ),
    credential_fields=("apiKey", "secret"),
    limits="not stated by the venue",
    notes=(
        "secret: the base64 Ed25519 seed; apiKey: the base64 public key",
        "client order ids are numbers below 2^32",
        "no amend: cancel and create",
    ),
    abilities={Kind.SPOT: _abilities(reduce_only=False), Kind.SWAP: _abilities(reduce_only=True)},
)
_CLIENT_ID: Final = re.compile(DECLARATION.client_order_id)
_CLIENT_ID_SLOT: Final = Slot("client_order_id", quoted=False)


class Backpack:
    """The venue."""

    __slots__ = ()

    name = "backpack"
    declaration = DECLARATION

    def credential(self, fields: Mapping[str, str]) -> Credential:
        """Take ``apiKey`` and the base64 Ed25519 seed as ``secret``."""
        return Credential(required(fields, "apiKey"), ed25519_from_text(required(fields, "secret")))

    def check_instrument(self, instrument: Instrument) -> None:
        """Refuse symbols that are not Backpack's, e.g. BTC_USDC or BTC_USDC_PERP."""
        check_listed(instrument, DECLARATION, _SYMBOL)

    def site(self, placement: Placement, credential: Credential) -> BackpackSite:
        """Bind to one account; Backpack has no test network."""
        if placement.environment is not Environment.PRODUCTION:
            message = "Backpack has no test network"
            raise BadCredential(message, field="environment")
        return BackpackSite(placement, credential)


class BackpackSite:
    """One account at Backpack."""

    __slots__ = ("_api_key", "_key", "_placement", "_plans", "_signed")

    def __init__(self, placement: Placement, credential: Credential) -> None:
        """Prepare the parts that every request repeats."""
        self._placement = placement
        self._api_key = credential.api_key
        self._key = credential.key
        self._plans = Plans(self._plan)
        self._signed = Plans(self._signed_plan)

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """POST /api/v1/order."""
        checked(order.client_order_id, _CLIENT_ID, "client_order_id")
        body = self._plans.of(order, instrument).fill(order)
        signed = self._signed.of(order, instrument).fill(order)
        return self._send("POST", "/api/v1/order", "orderExecute", signed, body, stamp)

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """DELETE /api/v1/order."""
        self._check(instrument)
        return self._delete("/api/v1/order", "orderCancel", _one(cancel) | _symbol(instrument), stamp)

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """DELETE /api/v1/orders of one symbol; Backpack cannot narrow it to one side."""
        self._check(instrument)
        if cancel.side is not None:
            raise Unsupported("side", "side: Backpack cancels both sides of a symbol")
        kind = {"orderType": "ConditionalOrder"} if cancel.conditional else {}
        return self._delete("/api/v1/orders", "orderCancelAll", kind | _symbol(instrument), stamp)

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002
        """Refuse: Backpack has no amend."""
        raise Unsupported("amend", "amend: Backpack has none; cancel and create instead")

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        """GET the order from the history, the open order by client id, or the symbol's history."""
        self._check(instrument)
        if not query.client_order_id:
            found = _one(query) | _symbol(instrument)
            return self._get("/wapi/v1/history/orders", "orderHistoryQueryAll", found, stamp)
        if query.closed:
            checked(query.client_order_id, _CLIENT_ID, "client_order_id")
            return self._get("/wapi/v1/history/orders", "orderHistoryQueryAll", _symbol(instrument), stamp)
        return self._get("/api/v1/order", "orderQuery", _one(query) | _symbol(instrument), stamp)

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:  # noqa: ARG002
        """GET /api/v1/orders of one symbol."""
        self._check(instrument)
        return self._get("/api/v1/orders", "orderQueryAll", _symbol(instrument), stamp)

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:  # noqa: ARG002 - nothing in it is sent
        """GET /api/v1/capital."""
        return self._get("/api/v1/capital", "balanceQuery", {}, stamp)

    def logon(self, stamp: Stamp) -> WireRequest:
        """Subscribe to the account's order updates."""
        window = str(window_ms(stamp, DECLARATION.validity))
        time = str(stamp.now_ms)
        signed = f"instruction=subscribe&timestamp={time}&window={window}"
        signature = base64.b64encode(self._key.sign(signed.encode())).decode()
        proof = [self._api_key, signature, time, window]
        message = compact({"method": "SUBSCRIBE", "params": ["account.orderUpdate"], "signature": proof})
        return WireRequest("WEBSOCKET", _STREAM, (), message.encode())

    def _check(self, instrument: Instrument) -> None:
        check_kind(instrument, self._placement, DECLARATION)

    def _plan(self, order: Order, instrument: Instrument) -> Plan:
        check_shape(order, instrument, self._placement, DECLARATION)
        return json_plan(_order_fields(order, instrument))

    def _signed_plan(self, order: Order, instrument: Instrument) -> Plan:
        # The same fields in the order that is signed, which is why the body's are in it too.
        return form_plan(_order_fields(order, instrument).items())

    def _delete(self, path: str, instruction: str, fields: Mapping[str, str | int], stamp: Stamp) -> WireRequest:
        ordered = dict(sorted(fields.items()))
        return self._send("DELETE", path, instruction, _form(ordered), compact(ordered), stamp)

    def _get(self, path: str, instruction: str, fields: Mapping[str, str | int], stamp: Stamp) -> WireRequest:
        query = _form(dict(sorted(fields.items())))
        return self._send("GET", f"{path}?{query}" if query else path, instruction, query, None, stamp)

    def _send(
        self, method: str, path: str, instruction: str, signed: str, body: str | None, stamp: Stamp
    ) -> WireRequest:
        window = window_ms(stamp, DECLARATION.validity)
        glue = "&" if signed else ""
        text = f"instruction={instruction}&{signed}{glue}timestamp={stamp.now_ms}&window={window}"
        headers: tuple[tuple[str, str], ...] = (
            ("X-Timestamp", str(stamp.now_ms)),
            ("X-Window", str(window)),
            ("X-API-Key", self._api_key),
            ("X-Signature", base64.b64encode(self._key.sign(text.encode())).decode()),
        )
        if body is None:
            return WireRequest(method, _HOST + path, headers, None)
        return WireRequest(method, _HOST + path, (*headers, ("Content-Type", "application/json")), body.encode())


def _symbol(instrument: Instrument) -> dict[str, str | int]:
    return {"symbol": instrument.venue_symbol}


def _one(target: Cancel | Query) -> dict[str, str | int]:
    """Name one order, by client order id if there is one."""
    if target.client_order_id:
        return {"clientId": int(checked(target.client_order_id, _CLIENT_ID, "client_order_id"))}
    return {"orderId": checked(target.venue_order_id, _ORDER_ID, "venue_order_id")}


def _form(fields: Mapping[str, str | int]) -> str:
    """Join fields that need no escape: symbols, ids and words."""
    return "&".join(f"{name}={value}" for name, value in fields.items())


def _order_fields(order: Order, instrument: Instrument) -> dict[str, Value]:
    """The order's fields, sorted by name."""
    stop = order.type is OrderType.STOP_LIMIT
    mode = order.self_trade_prevention
    # GTC is what Backpack takes an order without timeInForce for.
    time = None if order.time_in_force in {None, TimeInForce.GTC} else order.time_in_force
    fields: dict[str, Value] = {
        "clientId": _CLIENT_ID_SLOT,
        "orderType": "Market" if order.type is OrderType.MARKET else "Limit",
        "postOnly": True if order.post_only else None,
        "price": None if order.type is OrderType.MARKET else PRICE,
        "quantity": None if stop or order.quantity is None else QUANTITY,
        "quoteQuantity": QUOTE_QUANTITY if order.quantity is None else None,
        "reduceOnly": True if order.reduce_only else None,
        "selfTradePrevention": None if mode is None else _SELF_TRADE[mode],
        "side": "Bid" if order.side is Side.BUY else "Ask",
        "symbol": instrument.venue_symbol,
        "timeInForce": time.name if time else None,
        "triggerBy": None if order.trigger_by is None else _TRIGGERS[order.trigger_by],
        "triggerPrice": STOP_PRICE if stop else None,
        "triggerQuantity": QUANTITY if stop else None,
    }
    return fields


VENUE: Final = Backpack()
