"""Coinbase Advanced Trade (docs.cdp.coinbase.com): spot orders under a JWT that does not cover the body.

A repeated client_order_id is no second order: the answer is the first order's, whatever the second body says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from casemate_mock.exchange import ClientIdRule, ExchangeRules, Order, Refused, VenueInstrument
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.coinbase_auth import authenticate
from casemate_mock.venues.coinbase_orders import (
    configuration_of,
    draft_order,
    invalid,
    iso_time,
    order_view,
    refusal_name,
)
from casemate_mock.venues.coinbase_shapes import (
    account_v2,
    account_v3,
    crypto_view,
    fiat_view,
    is_fiat,
    product_view,
)
from casemate_mock.venues.config import VenueSettings
from casemate_mock.venues.fields import decimal_or_none, text_or_none
from casemate_mock.venues.wire import (
    VenueFault,
    VenueRequest,
    VenueResponse,
    form_pairs,
    json_object,
    json_reply,
)

Json = dict[str, Any]
_V3 = "/api/v3/brokerage"
_HISTORICAL = f"{_V3}/orders/historical/"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and with what; a name may repeat in a query."""

    account: str
    query: list[tuple[str, str]]
    body: Mapping[str, Any]

    def every(self, *names: str) -> set[str]:
        """Collect the values of these query parameters."""
        return {value for name, value in self.query if name in names}


class Coinbase(SimulatedVenue):
    """The default portfolio."""

    name: ClassVar[str] = "coinbase"
    hosts: ClassVar[tuple[str, ...]] = ("api.coinbase.com",)

    def prepare(self) -> None:
        """Lay out the endpoints."""
        self._signed: dict[tuple[str, str], Callable[[Caller], object]] = {
            ("POST", f"{_V3}/orders"): self._create,
            ("POST", f"{_V3}/orders/batch_cancel"): self._batch_cancel,
            ("POST", f"{_V3}/orders/edit"): self._edit,
            ("GET", f"{_V3}/orders/historical/batch"): self._batch,
            ("GET", f"{_V3}/accounts"): self._accounts_v3,
            ("GET", "/v2/accounts"): self._accounts_v2,
            ("GET", f"{_V3}/products"): self._products,
            ("GET", f"{_V3}/transaction_summary"): lambda _: {"total_volume": 0, "fee_tier": {}},
        }

    def rules(self, settings: VenueSettings) -> ExchangeRules:
        """See the module's rules; repeats never reach the exchange."""
        return ExchangeRules(
            client_ids=ClientIdRule.FOREVER,
            refuse_triggered_stops=True,
            leverage=settings.leverage,
            maker_fee=settings.maker_fee,
            taker_fee=settings.taker_fee,
        )

    def make_id(self, number: int) -> str:
        """Return a UUID."""
        del number
        return self.uuid()

    def route(self, request: VenueRequest) -> VenueResponse:
        """Public endpoints first, then signed ones."""
        query = form_pairs(request.query)
        public = self._public(request, query) if request.method == "GET" else None
        if public is not None:
            return json_reply(public)
        handler = self._signed.get((request.method, request.path)) or self._by_id(request)
        if handler is None:
            return VenueResponse(status=404, body=b"404 page not found\n")
        key = authenticate(request, self.keys, self.clock_ms())
        if self.over_limit(key.api_key) is not None:
            refusal = {"error": "rate_limit_exceeded", "message": "Too many requests"}
            raise VenueFault(json_reply(refusal, 429, {"Retry-After": "1"}))
        values = json_object(request.body) if request.method == "POST" else {}
        return json_reply(handler(Caller(key.account, query, values)), headers=self._usage(key.api_key))

    def refused(self, refused: Refused, request: VenueRequest) -> VenueResponse:
        """Coinbase answers a failed instruction with HTTP 200."""
        error, message, preview = refusal_name(refused.reason)
        if request.path == f"{_V3}/orders/edit":
            return json_reply({"success": False, "errors": [{"edit_failure_reason": error}]})
        details = {"error": error, "message": message, "error_details": "", "preview_failure_reason": preview}
        return json_reply({"success": False, "error_response": details})

    def malformed(self, message: str) -> VenueResponse:
        """Answer a body that cannot be read."""
        return invalid(message).response

    def _usage(self, api_key: str) -> dict[str, str]:
        allowed = 30 if self.settings.rate_limit is None else self.settings.rate_limit.requests
        left = max(allowed - self.used(api_key), 0)
        return {
            "x-ratelimit-limit": str(allowed),
            "x-ratelimit-remaining": str(left),
            "x-ratelimit-reset": "1",
        }

    def _public(self, request: VenueRequest, query: list[tuple[str, str]]) -> Json | None:
        now = self.clock_ms()
        assets = dict.fromkeys(a for i in self.listed("spot") for a in (i.base, i.quote))
        match request.path:
            case "/api/v3/brokerage/time":
                return {"iso": iso_time(now), "epochSeconds": str(now // 1000), "epochMillis": str(now)}
            case "/v2/time":
                return {"data": {"iso": iso_time(now), "epoch": now // 1000}}
            case "/api/v3/brokerage/market/products":
                return self._products(Caller("", query, {}))
            case "/v2/currencies":
                return {"data": [fiat_view(asset) for asset in assets if is_fiat(asset)]}
            case "/v2/currencies/crypto":
                return {"data": [crypto_view(asset) for asset in assets if not is_fiat(asset)]}
            case "/v2/exchange-rates":
                return {"data": {"currency": "USD", "rates": dict.fromkeys(assets, "1")}}
            case _:
                return None

    def _products(self, caller: Caller) -> Json:
        spot = not caller.every("product_type") or caller.every("product_type") == {"SPOT"}
        listed = [product_view(i) for i in self.listed("spot")] if spot else []
        return {"products": listed, "num_products": len(listed)}

    def _create(self, caller: Caller) -> Json:
        client_id = text_or_none(caller.body, "client_order_id")
        if client_id is None:
            raise invalid("client_order_id is missing")
        first = self.exchange.order(caller.account, client_id=client_id)
        if first is not None:
            return self._created(first)
        instrument = self.find(caller.body.get("product_id"), "spot")
        if instrument is None:
            raise invalid("ProductID is invalid")
        return self._created(self.exchange.place(caller.account, draft_order(caller.body, instrument)))

    def _batch_cancel(self, caller: Caller) -> Json:
        ids = caller.body.get("order_ids")
        if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
            raise invalid("order_ids must be a list of order ids")
        return {"results": [self._cancel(caller.account, venue_id) for venue_id in ids]}

    def _cancel(self, account: str, venue_id: str) -> Json:
        try:
            self.exchange.cancel(account, venue_id)
        except Refused:
            return {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": venue_id}
        return {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": venue_id}

    def _edit(self, caller: Caller) -> Json:
        values = [caller.body.get(name) for name in ("price", "size", "stop_price")]
        price, size, stop = (decimal_or_none(value) for value in values)
        order = self.exchange.order(caller.account, venue_id=str(caller.body.get("order_id", "")))
        if order is None or not order.is_open:
            return {"success": False, "errors": [{"edit_failure_reason": "ORDER_NOT_FOUND"}]}
        if (price is None and size is None) or any(
            value is not None and decimal_or_none(value) is None for value in values
        ):
            return {"success": False, "errors": [{"edit_failure_reason": "INVALID_EDITED_PRICE"}]}
        self.exchange.amend(caller.account, order.venue_id, price=price, quantity=size, stop_price=stop)
        return {"success": True, "errors": []}

    def _by_id(self, request: VenueRequest) -> Callable[[Caller], object] | None:
        venue_id = request.path.removeprefix(_HISTORICAL)
        if request.method != "GET" or venue_id == request.path or "/" in venue_id:
            return None
        return lambda caller: self._one(caller, venue_id)

    def _one(self, caller: Caller, venue_id: str) -> Json:
        order = self.exchange.order(caller.account, venue_id=venue_id)
        if order is None:
            message = "order with this orderID was not found"
            raise VenueFault(json_reply({"error": "NOT_FOUND", "error_details": message, "message": message}, 404))
        return {"order": order_view(order, self._of(order))}

    def _batch(self, caller: Caller) -> Json:
        symbols, statuses = caller.every("product_id", "product_ids"), caller.every("order_status")
        ids, sides = caller.every("order_ids"), caller.every("order_side")
        mine = (order for order in reversed(self.exchange.orders()) if order.account == caller.account)
        views = [order_view(order, self._of(order)) for order in mine]
        wanted = [
            view
            for view in views
            if (not symbols or view["product_id"] in symbols)
            and (not statuses or view["status"] in statuses)
            and (not ids or view["order_id"] in ids)
            and (not sides or view["side"] in sides)
        ]
        return {"orders": wanted, "sequence": "0", "has_next": False, "cursor": ""}

    def _accounts_v3(self, caller: Caller) -> Json:
        held = self.exchange.balances(caller.account)
        accounts = [account_v3(asset, balance) for asset, balance in held.items()]
        return {"accounts": accounts, "has_next": False, "cursor": "", "size": len(accounts)}

    def _accounts_v2(self, caller: Caller) -> Json:
        held = self.exchange.balances(caller.account)
        page = {
            "ending_before": None,
            "starting_after": None,
            "limit": 250,
            "order": "desc",
            "next_uri": None,
        }
        return {"pagination": page, "data": [account_v2(asset, balance) for asset, balance in held.items()]}

    def _created(self, order: Order) -> Json:
        success = {
            "order_id": order.venue_id,
            "product_id": self._of(order).venue_symbol,
            "side": order.side.name,
            "client_order_id": order.client_id,
            "attached_order_id": "",
        }
        return {"success": True, "success_response": success, "order_configuration": configuration_of(order)}

    def _of(self, order: Order) -> VenueInstrument:
        return self.exchange.instruments[order.symbol]
