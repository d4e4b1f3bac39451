"""Bybit v5: spot and linear under one set of keys (bybit-exchange.github.io/docs/v5).

Rules: X-BAPI-SIGN is the hex HMAC-SHA256 of timestamp + key + recv window + (query | body); `server_time -
recv_window <= timestamp < server_time + 1000`. Neither path nor method nor host is covered. Errors come with
HTTP 200 and a `retCode`. A post-only order that would take is accepted and cancelled at once. orderLinkId is
unique for ever.
"""

from collections.abc import Callable
from typing import Any, ClassVar, assert_never

from casemate_mock.exchange import (
    ClientIdRule,
    ExchangeRules,
    Order,
    OrderStatus,
    PostOnlyRule,
    Refusal,
    Refused,
    VenueInstrument,
)
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.bybit_orders import amended_values, draft_order, order_view
from casemate_mock.venues.bybit_shapes import coin_info, instrument_view, wallet
from casemate_mock.venues.bybit_wire import Caller, authenticate, category_kind, fault, reply
from casemate_mock.venues.config import VenueSettings
from casemate_mock.venues.fields import text_or_none
from casemate_mock.venues.wire import VenueRequest, VenueResponse, form_dict, json_object

Json = dict[str, Any]
Handler = Callable[[Caller], object]
_ACCOUNT_INFO = {
    "unifiedMarginStatus": 6,
    "marginMode": "REGULAR_MARGIN",
    "dcpStatus": "OFF",
    "isMasterTrader": False,
}


class Bybit(SimulatedVenue):
    """The unified trading account."""

    name: ClassVar[str] = "bybit"
    hosts: ClassVar[tuple[str, ...]] = ("api.bybit.com",)

    def prepare(self) -> None:
        """Lay out the endpoints."""
        self._signed: dict[tuple[str, str], Handler] = {
            ("POST", "/v5/order/create"): self._create,
            ("POST", "/v5/order/amend"): self._amend,
            ("POST", "/v5/order/cancel"): self._cancel,
            ("POST", "/v5/order/cancel-all"): self._cancel_all,
            ("GET", "/v5/order/realtime"): self._realtime,
            ("GET", "/v5/order/history"): self._history,
            ("GET", "/v5/account/wallet-balance"): self._wallet,
            ("GET", "/v5/account/info"): lambda _: _ACCOUNT_INFO,
            ("GET", "/v5/user/query-api"): lambda _: {
                "readOnly": 0,
                "unified": 0,
                "uta": 1,
                "permissions": {},
            },
            ("GET", "/v5/asset/coin/query-info"): self._coins,
        }

    def rules(self, settings: VenueSettings) -> ExchangeRules:
        """See the module's rules."""
        return ExchangeRules(
            client_ids=ClientIdRule.FOREVER,
            post_only=PostOnlyRule.CANCEL,
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
        now = self.clock_ms()
        if request.method == "GET" and request.path == "/v5/market/time":
            return reply(now, {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)})
        if request.method == "GET" and request.path == "/v5/market/instruments-info":
            return reply(now, self._instruments(form_dict(request.query)))
        handler = self._signed.get((request.method, request.path))
        if handler is None:
            return VenueResponse(status=404)
        key = authenticate(request, self.keys, now)
        wait_ms = self.over_limit(key.api_key)
        if wait_ms is not None:
            raise fault(now, 10006, "Too many visits. Exceeded the API Rate Limit.", headers=self._usage(key.api_key))
        values = json_object(request.body) if request.method == "POST" else form_dict(request.query)
        return reply(now, handler(Caller(key.account, values, now)), headers=self._usage(key.api_key))

    def refused(self, refused: Refused, request: VenueRequest) -> VenueResponse:
        """Spot has its own codes."""
        try:
            values = json_object(request.body) if request.body else form_dict(request.query)
        except ValueError:
            values = {}
        code, message = refusal_code(refused.reason, spot=values.get("category") == "spot")
        return reply(self.clock_ms(), {}, code, message)

    def malformed(self, message: str) -> VenueResponse:
        """Return a parameter error."""
        return reply(self.clock_ms(), {}, 10001, f"params error: {message}")

    def _usage(self, api_key: str) -> dict[str, str]:
        limit = self.settings.rate_limit
        allowed = 20 if limit is None else limit.requests
        reset = self.clock_ms() + (1000 if limit is None else limit.window_ms)
        left = max(allowed - self.used(api_key), 0)
        return {
            "X-Bapi-Limit": str(allowed),
            "X-Bapi-Limit-Status": str(left),
            "X-Bapi-Limit-Reset-Timestamp": str(reset),
        }

    def _instruments(self, query: dict[str, str]) -> Json:
        category = query.get("category", "")
        kind = {"spot": "spot", "linear": "swap"}.get(category, "none")
        listed = [instrument_view(i) for i in self.listed(kind) if query.get("symbol") in {None, i.venue_symbol}]
        return {"category": category, "list": listed, "nextPageCursor": ""}

    def _create(self, caller: Caller) -> Json:
        instrument = self._instrument(caller)
        reference = self.exchange.book(instrument.symbol).reference
        order = self.exchange.place(caller.account, draft_order(caller, instrument, reference))
        return _ids(order)

    def _amend(self, caller: Caller) -> Json:
        order = self._open_order(caller)
        price, quantity, stop = amended_values(caller)
        amended = self.exchange.amend(caller.account, order.venue_id, price=price, quantity=quantity, stop_price=stop)
        return _ids(amended)

    def _cancel(self, caller: Caller) -> Json:
        return _ids(self.exchange.cancel(caller.account, self._open_order(caller).venue_id))

    def _cancel_all(self, caller: Caller) -> Json:
        canceled = [self.exchange.cancel(caller.account, o.venue_id) for o in self._selected_open(caller)]
        return {"list": [_ids(order) for order in canceled], "success": "1"}

    def _realtime(self, caller: Caller) -> Json:
        """Open orders; by an id also one that is done (the venue keeps the last 500)."""
        if text_or_none(caller.values, "orderId") or text_or_none(caller.values, "orderLinkId"):
            found = self._one(caller)
            orders = [] if found is None else [found]
        else:
            orders = self._selected_open(caller)
        return self._listing(caller, orders)

    def _history(self, caller: Caller) -> Json:
        kind = category_kind(caller)
        orders = [o for o in self.exchange.orders() if o.account == caller.account and self._kind(o) == kind]
        symbol = text_or_none(caller.values, "symbol")
        chosen = [o for o in orders if symbol in {None, self._of(o).venue_symbol} and _matches(o, caller)]
        return self._listing(caller, [o for o in reversed(chosen) if not o.is_open])

    def _wallet(self, caller: Caller) -> Json:
        if caller.values.get("accountType") != "UNIFIED":
            raise fault(caller.now_ms, 10001, "accountType only support UNIFIED.")
        return wallet(self.exchange.balances(caller.account), text_or_none(caller.values, "coin"))

    def _coins(self, caller: Caller) -> Json:
        return {"rows": [coin_info(asset) for asset in self.exchange.balances(caller.account)]}

    def _listing(self, caller: Caller, orders: list[Order]) -> Json:
        views = [order_view(order, self._of(order)) for order in orders]
        return {"list": views, "nextPageCursor": "", "category": caller.values.get("category")}

    def _instrument(self, caller: Caller) -> VenueInstrument:
        found = self.find(caller.values.get("symbol"), category_kind(caller))
        if found is None:
            raise fault(caller.now_ms, 10001, "Not supported symbols")
        return found

    def _of(self, order: Order) -> VenueInstrument:
        return self.exchange.instruments[order.symbol]

    def _kind(self, order: Order) -> str:
        return self._of(order).kind

    def _one(self, caller: Caller) -> Order | None:
        kind = category_kind(caller)
        venue_id, client_id = (text_or_none(caller.values, name) for name in ("orderId", "orderLinkId"))
        order = self.exchange.order(caller.account, venue_id=venue_id, client_id=client_id)
        symbol = text_or_none(caller.values, "symbol")
        if order is None or self._kind(order) != kind or symbol not in {None, self._of(order).venue_symbol}:
            return None
        return order

    def _open_order(self, caller: Caller) -> Order:
        self._instrument(caller)
        if not (text_or_none(caller.values, "orderId") or text_or_none(caller.values, "orderLinkId")):
            raise fault(caller.now_ms, 10001, "params error: orderId or orderLinkId is required")
        order = self._one(caller)
        if order is None:
            raise Refused(Refusal.UNKNOWN_ORDER)
        return order

    def _selected_open(self, caller: Caller) -> list[Order]:
        kind, symbol = category_kind(caller), text_or_none(caller.values, "symbol")
        found = [o for o in self.exchange.open_orders(caller.account) if _in_filter(o, caller)]
        return [o for o in found if self._kind(o) == kind and symbol in {None, self._of(o).venue_symbol}]


def _ids(order: Order) -> Json:
    return {"orderId": order.venue_id, "orderLinkId": order.client_id}


def _in_filter(order: Order, caller: Caller) -> bool:
    """`orderFilter`: Order, StopOrder (not yet triggered), or both when it is absent."""
    wanted = text_or_none(caller.values, "orderFilter")
    untriggered = order.status is OrderStatus.UNTRIGGERED
    return wanted is None or (wanted == "Order") != untriggered


def _matches(order: Order, caller: Caller) -> bool:
    wanted = (text_or_none(caller.values, "orderId"), text_or_none(caller.values, "orderLinkId"))
    return wanted[0] in {None, order.venue_id} and wanted[1] in {None, order.client_id}


def refusal_code(reason: Refusal, *, spot: bool) -> tuple[int, str]:  # noqa: PLR0911 - one arm a reason
    """Bybit's retCode and retMsg of a refusal."""
    match reason:
        case Refusal.TICK:
            return (170134, "Order price decimal too long.") if spot else (10001, "params error: price invalid")
        case Refusal.LOT:
            return (170137, "Order quantity decimal too long.") if spot else (10001, "Qty invalid")
        case Refusal.MIN_QUANTITY:
            return (170136, "Order quantity below the lower limit.") if spot else (10001, "Qty invalid")
        case Refusal.MIN_NOTIONAL:
            spot_code, linear = (
                (170140, "Order value exceeded lower limit."),
                (110094, "Order notional below the limit"),
            )
            return spot_code if spot else linear
        case Refusal.INSUFFICIENT_BALANCE:
            return (170131, "Insufficient balance.") if spot else (110007, "ab not enough for new order")
        case Refusal.DUPLICATE_CLIENT_ID:
            return (170141, "Duplicate clientOrderId") if spot else (110072, "OrderLinkedID is duplicate")
        case Refusal.POST_ONLY_WOULD_TAKE:
            return (170218, "The LIMIT-MAKER order is rejected due to invalid price.") if spot else (10001, "PostOnly")
        case Refusal.REDUCE_ONLY:
            return 110017, "current position is zero, cannot fix reduce-only order qty"
        case Refusal.WOULD_TRIGGER:
            return 110092, "expect Rising, but trigger_price <= current price"
        case Refusal.UNKNOWN_ORDER | Refusal.NOT_OPEN:
            return (170213, "Order does not exist.") if spot else (110001, "order not exists or too late to cancel")
        case Refusal.BELOW_FILLED:
            return (170137, "Order quantity invalid.") if spot else (10001, "Qty invalid")
        case _:
            assert_never(reason)
