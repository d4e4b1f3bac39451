"""Binance spot, /api/v3: orders, cancels, cancel-replace, queries (binance-spot-api-docs, rest-api.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from casemate_mock.exchange import (
    Order,
    OrderRequest,
    OrderType,
    Refusal,
    Refused,
    Side,
    VenueInstrument,
)
from casemate_mock.exchange.arithmetic import ZERO, fixed
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.binance_auth import Params, fail
from casemate_mock.venues.binance_orders import (
    SPOT_CLIENT_ID,
    Caller,
    cancel_or_unknown,
    check_places,
    find_order,
    read_client_id,
    read_decimal,
    read_instrument,
    read_side,
    read_time_in_force,
    time_in_force,
)
from casemate_mock.venues.binance_spot_views import (
    ACCOUNT,
    PLACES,
    REFUSALS,
    coin_view,
    error_of,
    fill_view,
    numbers,
    replaced,
)
from casemate_mock.venues.wire import VenueFault, VenueResponse, json_reply

Json = dict[str, Any]
_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP_MARKET,
    "TAKE_PROFIT": OrderType.STOP_MARKET,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT_LIMIT": OrderType.STOP_LIMIT,
}
_TIMED = {"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"}
_PRICED = _TIMED | {"LIMIT_MAKER"}
_STOPPED = {"STOP_LOSS", "TAKE_PROFIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"}
_UNUSED = ("strategyId", "strategyType", "icebergQty", "selfTradePreventionMode")


@dataclass(frozen=True, slots=True)
class _Draft:
    request: OrderRequest
    answer: str


class BinanceSpot:
    """Handlers of the spot product."""

    def __init__(self, venue: SimulatedVenue) -> None:
        """Work on the venue's exchange."""
        self._venue = venue
        self._exchange = venue.exchange

    def routes(self) -> dict[tuple[str, str], Callable[[Caller], VenueResponse]]:
        """Signed endpoints."""
        return {
            ("POST", "/api/v3/order"): self.new_order,
            ("POST", "/api/v3/order/test"): self.test_order,
            ("DELETE", "/api/v3/order"): self.cancel_order,
            ("GET", "/api/v3/order"): self.query_order,
            ("POST", "/api/v3/order/cancelReplace"): self.cancel_replace,
            ("PUT", "/api/v3/order/amend/keepPriority"): self.amend,
            ("GET", "/api/v3/openOrders"): self.open_orders,
            ("DELETE", "/api/v3/openOrders"): self.cancel_all,
            ("GET", "/api/v3/allOrders"): self.all_orders,
            ("GET", "/api/v3/account"): self.account,
            ("GET", "/sapi/v1/capital/config/getall"): self.coins,
        }

    def new_order(self, caller: Caller) -> VenueResponse:
        """POST /api/v3/order."""
        draft = self._draft(caller.params)
        caller.params.finish()
        order = self._exchange.place(caller.account, draft.request)
        return json_reply(self._placed(order, draft.answer))

    def test_order(self, caller: Caller) -> VenueResponse:
        """POST /api/v3/order/test: everything but the matching engine."""
        self._draft(caller.params)
        caller.params.ignore("computeCommissionRates")
        caller.params.finish()
        return json_reply({})

    def cancel_order(self, caller: Caller) -> VenueResponse:
        """DELETE /api/v3/order."""
        caller.params.ignore("newClientOrderId", "cancelRestrictions")
        order = find_order(self._exchange, caller, self._instrument(caller), ("orderId", "origClientOrderId"))
        return json_reply(self._canceled(cancel_or_unknown(self._exchange, caller, order)))

    def query_order(self, caller: Caller) -> VenueResponse:
        """GET /api/v3/order."""
        order = find_order(self._exchange, caller, self._instrument(caller), ("orderId", "origClientOrderId"))
        if order is None:
            raise fail(-2013, "Order does not exist.")
        return json_reply(self._queried(order))

    def open_orders(self, caller: Caller) -> VenueResponse:
        """GET /api/v3/openOrders; without a symbol all of them."""
        symbol = caller.params.optional("symbol")
        caller.params.finish()
        wanted = None if symbol is None else read_instrument(symbol, self._venue.listed("spot")).symbol
        return json_reply([self._queried(order) for order in self._spot_open(caller, wanted)])

    def cancel_all(self, caller: Caller) -> VenueResponse:
        """DELETE /api/v3/openOrders."""
        instrument = self._instrument(caller)
        caller.params.finish()
        canceled = self._exchange.cancel_all(caller.account, instrument.symbol)
        if not canceled:
            raise fail(-2011, "Unknown order sent.")
        return json_reply([self._canceled(order) for order in canceled])

    def all_orders(self, caller: Caller) -> VenueResponse:
        """GET /api/v3/allOrders."""
        instrument = self._instrument(caller)
        caller.params.ignore("orderId", "startTime", "endTime", "limit")
        caller.params.finish()
        orders = (order for order in self._exchange.orders() if order.account == caller.account)
        return json_reply([self._queried(order) for order in orders if order.symbol == instrument.symbol])

    def amend(self, caller: Caller) -> VenueResponse:
        """PUT /api/v3/order/amend/keepPriority: a smaller quantity in place."""
        quantity = read_decimal(caller.params, "newQty")
        client_id = caller.params.optional("newClientOrderId")
        order = find_order(self._exchange, caller, self._instrument(caller), ("orderId", "origClientOrderId"))
        if order is None or not order.is_open:
            raise fail(-2013, "Order does not exist.")
        if not ZERO < quantity < order.quantity:
            raise fail(-2038, "The requested action would change no state; rejecting.")
        amended = self._exchange.amend(caller.account, order.venue_id, quantity=quantity, client_id=client_id)
        return json_reply(
            {
                "transactTime": caller.now_ms,
                "executionId": order.number,
                "amendedOrder": self._queried(amended),
            }
        )

    def cancel_replace(self, caller: Caller) -> VenueResponse:
        """POST /api/v3/order/cancelReplace: cancel, then place; the answer says which of the two happened."""
        params = caller.params
        stop_on_failure = params.required("cancelReplaceMode") == "STOP_ON_FAILURE"
        params.ignore("cancelNewClientOrderId", "cancelRestrictions", "orderRateLimitExceededMode")
        draft = self._draft(params)
        old = find_order(self._exchange, caller, self._instrument(caller), ("cancelOrderId", "cancelOrigClientOrderId"))
        canceled = self._attempt(lambda: self._canceled(cancel_or_unknown(self._exchange, caller, old)))
        if "code" in canceled and stop_on_failure:
            return replaced(canceled, None)
        return replaced(canceled, self._attempt(lambda: self._place(caller, draft)))

    def account(self, caller: Caller) -> VenueResponse:
        """GET /api/v3/account."""
        hide_empty = caller.params.boolean("omitZeroBalances")
        caller.params.finish()
        balances = [
            {"asset": asset, "free": fixed(held.available, PLACES), "locked": fixed(held.locked, PLACES)}
            for asset, held in self._exchange.balances(caller.account).items()
            if held.total or not hide_empty
        ]
        return json_reply(ACCOUNT | {"updateTime": caller.now_ms, "balances": balances})

    def coins(self, caller: Caller) -> VenueResponse:
        """GET /sapi/v1/capital/config/getall: what ccxt reads currencies from."""
        caller.params.finish()
        held = self._exchange.balances(caller.account)
        return json_reply([coin_view(asset, held[asset].available) for asset in held])

    def refusal(self, reason: Refusal) -> VenueFault:
        """Spot's code of a refusal."""
        return fail(*REFUSALS[reason])

    def _attempt(self, action: Callable[[], Json]) -> Json:
        try:
            return action()
        except Refused as refused:
            return error_of(self.refusal(refused.reason))
        except VenueFault as fault:
            return error_of(fault)

    def _place(self, caller: Caller, draft: _Draft) -> Json:
        return self._placed(self._exchange.place(caller.account, draft.request), draft.answer)

    def _instrument(self, caller: Caller) -> VenueInstrument:
        return read_instrument(caller.params.required("symbol"), self._venue.listed("spot"))

    def _spot_open(self, caller: Caller, symbol: str | None) -> list[Order]:
        spot = {instrument.symbol for instrument in self._venue.listed("spot")}
        return [o for o in self._exchange.open_orders(caller.account, symbol) if o.symbol in spot]

    def _draft(self, params: Params) -> _Draft:
        instrument = read_instrument(params.required("symbol"), self._venue.listed("spot"))
        side, kind = read_side(params), params.required("type")
        if kind not in _TYPES:
            raise fail(-1116, "Invalid orderType.")
        tif = read_time_in_force(params, ("GTC", "IOC", "FOK")) if kind in _TIMED else None
        price = read_decimal(params, "price") if kind in _PRICED else None
        stop = read_decimal(params, "stopPrice") if kind in _STOPPED else None
        quantity, quote = self._sizes(params, kind)
        self._not_required(params, kind)
        answer = params.optional("newOrderRespType") or ("FULL" if kind in {"LIMIT", "MARKET"} else "ACK")
        if answer not in {"ACK", "RESULT", "FULL"}:
            raise fail(-1122, "Invalid newOrderRespType.")
        params.ignore(*_UNUSED)
        for name, value in (
            ("price", price),
            ("stopPrice", stop),
            ("quantity", quantity),
            ("quoteOrderQty", quote),
        ):
            check_places(name, value, PLACES)
        request = OrderRequest(
            symbol=instrument.symbol,
            side=side,
            type=_TYPES[kind],
            quantity=quantity,
            quote_quantity=quote,
            price=price,
            stop_price=stop,
            trigger_above=(side is Side.BUY) == kind.startswith("STOP_LOSS"),
            time_in_force=time_in_force(tif),
            post_only=kind == "LIMIT_MAKER",
            client_id=read_client_id(params, "newClientOrderId", SPOT_CLIENT_ID, self._venue.rng),
            tag=kind,
        )
        return _Draft(request, answer)

    @staticmethod
    def _sizes(params: Params, kind: str) -> tuple[Decimal | None, Decimal | None]:
        if kind != "MARKET":
            return read_decimal(params, "quantity"), None
        quantity, quote = params.decimal("quantity"), params.decimal("quoteOrderQty")
        if (quantity is None) == (quote is None):
            raise fail(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
        return quantity, quote

    @staticmethod
    def _not_required(params: Params, kind: str) -> None:
        unwanted = {"timeInForce": _TIMED, "price": _PRICED, "stopPrice": _STOPPED}
        for name, kinds in unwanted.items():
            if kind not in kinds and params.optional(name) is not None:
                raise fail(-1106, f"Parameter '{name}' sent when not required.")

    def _placed(self, order: Order, answer: str) -> Json:
        instrument = self._exchange.instruments[order.symbol]
        head = {
            "symbol": instrument.venue_symbol,
            "orderId": int(order.venue_id),
            "orderListId": -1,
            "clientOrderId": order.client_id,
            "transactTime": order.created_ms,
        }
        if answer == "ACK":
            return head
        body = head | numbers(order) | {"workingTime": order.created_ms, "selfTradePreventionMode": "NONE"}
        return body if answer == "RESULT" else body | {"fills": [fill_view(fill) for fill in order.fills]}

    def _canceled(self, order: Order) -> Json:
        instrument = self._exchange.instruments[order.symbol]
        return {
            "symbol": instrument.venue_symbol,
            "origClientOrderId": order.client_id,
            "orderId": int(order.venue_id),
            "orderListId": -1,
            "clientOrderId": f"cancel{order.number}",
            "transactTime": order.updated_ms,
            **numbers(order),
            "selfTradePreventionMode": "NONE",
        }

    def _queried(self, order: Order) -> Json:
        instrument = self._exchange.instruments[order.symbol]
        return {
            "symbol": instrument.venue_symbol,
            "orderId": int(order.venue_id),
            "orderListId": -1,
            "clientOrderId": order.client_id,
            **numbers(order),
            "stopPrice": fixed(order.stop_price or ZERO, PLACES),
            "icebergQty": fixed(ZERO, PLACES),
            "time": order.created_ms,
            "updateTime": order.updated_ms,
            "isWorking": order.is_open,
            "workingTime": order.created_ms,
            "selfTradePreventionMode": "NONE",
        }
