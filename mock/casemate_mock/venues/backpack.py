"""Backpack (docs.backpack.exchange): spot and perpetuals, Ed25519 over named instructions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from casemate_mock.exchange import (
    ClientIdRule,
    ExchangeRules,
    Order,
    OrderStatus,
    Refusal,
    Refused,
    VenueInstrument,
)
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.venues.backpack_auth import authenticate, fault
from casemate_mock.venues.backpack_orders import client_id, draft_order, market_view, order_view, refusal_code
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.config import VenueSettings
from casemate_mock.venues.fields import text_or_none
from casemate_mock.venues.wire import VenueRequest, VenueResponse, json_reply

Json = dict[str, Any]
_FIRST_ID = 4_000_000_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and with what."""

    account: str
    values: Mapping[str, object]


class Backpack(SimulatedVenue):
    """One sub-account."""

    name: ClassVar[str] = "backpack"
    hosts: ClassVar[tuple[str, ...]] = ("api.backpack.exchange",)

    def prepare(self) -> None:
        """Lay out the endpoints."""
        self._signed: dict[tuple[str, str], Callable[[Caller], object]] = {
            ("POST", "/api/v1/order"): self._execute,
            ("DELETE", "/api/v1/order"): self._cancel,
            ("GET", "/api/v1/order"): self._query,
            ("GET", "/api/v1/orders"): self._query_all,
            ("DELETE", "/api/v1/orders"): self._cancel_all,
            ("GET", "/wapi/v1/history/orders"): self._history,
            ("GET", "/api/v1/capital"): self._capital,
        }

    def rules(self, settings: VenueSettings) -> ExchangeRules:
        """Client ids are taken to be unique among open orders (the documentation does not say)."""
        return ExchangeRules(
            client_ids=ClientIdRule.OPEN,
            leverage=settings.leverage,
            maker_fee=settings.maker_fee,
            taker_fee=settings.taker_fee,
        )

    def make_id(self, number: int) -> str:
        """Return a plain integer, as text."""
        return str(_FIRST_ID + number)

    def route(self, request: VenueRequest) -> VenueResponse:
        """Public endpoints first, then signed ones."""
        if request.method == "GET":
            public = self._public(request.path)
            if public is not None:
                return public
        handler = self._signed.get((request.method, request.path))
        if handler is None:
            return VenueResponse(status=404)
        key, values = authenticate(request, self.keys, self.clock_ms())
        if self.over_limit(key.api_key) is not None:
            raise fault("TOO_MANY_REQUESTS", "Too many requests", 429)
        return json_reply(handler(Caller(key.account, values)))

    def refused(self, refused: Refused, request: VenueRequest) -> VenueResponse:
        """404 for an order that is not there, 400 for the rest."""
        del request
        code, message = refusal_code(refused.reason)
        return fault(code, message, 404 if code == "RESOURCE_NOT_FOUND" else 400).response

    def malformed(self, message: str) -> VenueResponse:
        """Answer a body or query that cannot be read."""
        return fault("INVALID_CLIENT_REQUEST", message).response

    def _public(self, path: str) -> VenueResponse | None:
        match path:
            case "/api/v1/time":
                return VenueResponse(body=str(self.clock_ms()).encode(), headers={"Content-Type": "text/plain"})
            case "/api/v1/status":
                return json_reply({"status": "Ok", "message": None})
            case "/api/v1/markets":
                return json_reply([market_view(i) for i in self.exchange.instruments.values()])
            case "/api/v1/assets":
                assets = dict.fromkeys(a for i in self.exchange.instruments.values() for a in (i.base, i.quote))
                return json_reply([{"symbol": asset, "displayName": asset, "tokens": []} for asset in assets])
            case "/api/v1/securities":
                return json_reply([])
            case _:
                return None

    def _execute(self, caller: Caller) -> Json:
        instrument = self._instrument(caller)
        reference = self.exchange.book(instrument.symbol).reference
        return self._view(self.exchange.place(caller.account, draft_order(caller.values, instrument, reference)))

    def _cancel(self, caller: Caller) -> Json:
        return self._view(self.exchange.cancel(caller.account, self._one(caller).venue_id))

    def _query(self, caller: Caller) -> Json:
        return self._view(self._one(caller))

    def _query_all(self, caller: Caller) -> list[Json]:
        wanted = caller.values.get("symbol")
        found = self.exchange.open_orders(caller.account)
        return [self._view(order) for order in found if wanted in {None, self._of(order).venue_symbol}]

    def _cancel_all(self, caller: Caller) -> list[Json]:
        """`orderType` may narrow it to RestingLimitOrder or ConditionalOrder."""
        wanted = {"ConditionalOrder": {True}, "RestingLimitOrder": {False}}.get(str(caller.values.get("orderType")))
        found = self.exchange.open_orders(caller.account, self._instrument(caller).symbol)
        chosen = [o for o in found if wanted is None or (o.status is OrderStatus.UNTRIGGERED) in wanted]
        return [self._view(self.exchange.cancel(caller.account, order.venue_id)) for order in chosen]

    def _history(self, caller: Caller) -> list[Json]:
        venue_id, wanted = text_or_none(caller.values, "orderId"), caller.values.get("symbol")
        mine = (order for order in reversed(self.exchange.orders()) if order.account == caller.account)
        chosen = [o for o in mine if venue_id in {None, o.venue_id} and wanted in {None, self._of(o).venue_symbol}]
        return [order_view(order, self._of(order), history=True) for order in chosen]

    def _capital(self, caller: Caller) -> Json:
        held = self.exchange.balances(caller.account)
        return {
            asset: {"available": plain(balance.available), "locked": plain(balance.locked), "staked": "0"}
            for asset, balance in held.items()
        }

    def _instrument(self, caller: Caller) -> VenueInstrument:
        found = self.find(caller.values.get("symbol"))
        if found is None:
            raise fault("INVALID_MARKET", "Invalid market")
        return found

    def _one(self, caller: Caller) -> Order:
        """Open order by `orderId` or `clientId`, in its symbol."""
        instrument, venue_id = self._instrument(caller), text_or_none(caller.values, "orderId")
        client = client_id(caller.values)
        if (venue_id is None) == (client is None):
            raise fault("INVALID_CLIENT_REQUEST", "Must specify either `orderId` or `clientId`")
        order = self.exchange.order(caller.account, venue_id=venue_id, client_id=client)
        if order is None or order.symbol != instrument.symbol or not order.is_open:
            raise Refused(Refusal.UNKNOWN_ORDER)
        return order

    def _view(self, order: Order) -> Json:
        return order_view(order, self._of(order))

    def _of(self, order: Order) -> VenueInstrument:
        return self.exchange.instruments[order.symbol]
