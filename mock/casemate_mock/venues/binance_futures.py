"""Binance USD-M, /fapi: orders, amends, cancels, queries, balances (developers.binance.com, USDS-M futures).

Conditional orders live at :mod:`binance_algo`; on `/fapi/v1/order` they are refused with -4120 since
2025-12-09.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from casemate_mock.exchange import Order, OrderRequest, OrderType, Refusal, VenueInstrument
from casemate_mock.exchange.arithmetic import ZERO, fixed
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.binance_auth import Params, fail
from casemate_mock.venues.binance_futures_views import (
    MONEY_PLACES,
    REFUSALS,
    asset_view,
    balance_view,
    position_view,
    totals,
)
from casemate_mock.venues.binance_orders import (
    FUTURES_CLIENT_ID,
    STATUS,
    Caller,
    cancel_or_unknown,
    check_places,
    find_order,
    read_client_id,
    read_decimal,
    read_expiry,
    read_instrument,
    read_side,
    read_time_in_force,
    time_in_force,
)
from casemate_mock.venues.fields import places
from casemate_mock.venues.wire import VenueFault, VenueResponse, json_reply

Json = dict[str, Any]
ALGO = "ALGO:"
TIMES = ("GTC", "IOC", "FOK", "GTX", "GTD")
_CONDITIONAL = {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}


class BinanceFutures:
    """Handlers of the USD-M product."""

    def __init__(self, venue: SimulatedVenue) -> None:
        """Work on the venue's exchange."""
        self._venue = venue
        self._exchange = venue.exchange

    def routes(self) -> dict[tuple[str, str], Callable[[Caller], VenueResponse]]:
        """Signed endpoints."""
        return {
            ("POST", "/fapi/v1/order"): self.new_order,
            ("PUT", "/fapi/v1/order"): self.amend_order,
            ("DELETE", "/fapi/v1/order"): self.cancel_order,
            ("GET", "/fapi/v1/order"): self.query_order,
            ("GET", "/fapi/v1/openOrder"): self.query_open_order,
            ("GET", "/fapi/v1/openOrders"): self.open_orders,
            ("DELETE", "/fapi/v1/allOpenOrders"): self.cancel_all,
            ("GET", "/fapi/v2/balance"): self.balance,
            ("GET", "/fapi/v3/balance"): self.balance,
            ("GET", "/fapi/v2/account"): self.account,
            ("GET", "/fapi/v3/account"): self.account,
            ("GET", "/fapi/v2/positionRisk"): self.positions,
            ("GET", "/fapi/v3/positionRisk"): self.positions,
        }

    def new_order(self, caller: Caller) -> VenueResponse:
        """POST /fapi/v1/order."""
        request = self._draft(caller.params)
        caller.params.finish()
        return json_reply(self._order(self._exchange.place(caller.account, request)))

    def amend_order(self, caller: Caller) -> VenueResponse:
        """PUT /fapi/v1/order: price and quantity of an open limit order."""
        instrument = self._instrument(caller)
        side, quantity = read_side(caller.params), read_decimal(caller.params, "quantity")
        price = read_decimal(caller.params, "price")
        self._check_precision(instrument, quantity, price)
        caller.params.ignore("priceMatch", "positionSide")
        order = find_order(self._exchange, caller, instrument, ("orderId", "origClientOrderId"))
        if order is None or not order.is_open or order.side is not side or _is_algo(order):
            raise fail(-2013, "Order does not exist.")
        if (price, quantity) == (order.price, order.quantity):
            raise fail(-5027, "No need to modify the order.")
        amended = self._exchange.amend(caller.account, order.venue_id, price=price, quantity=quantity)
        return json_reply(self._order(amended))

    def cancel_order(self, caller: Caller) -> VenueResponse:
        """DELETE /fapi/v1/order."""
        return json_reply(self._order(cancel_or_unknown(self._exchange, caller, self._find(caller))))

    def query_order(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v1/order."""
        order = self._find(caller)
        if order is None:
            raise fail(-2013, "Order does not exist.")
        return json_reply(self._order(order))

    def query_open_order(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v1/openOrder."""
        order = self._find(caller)
        if order is None or not order.is_open:
            raise fail(-2013, "Order does not exist.")
        return json_reply(self._order(order))

    def open_orders(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v1/openOrders."""
        symbol = caller.params.optional("symbol")
        caller.params.finish()
        wanted = None if symbol is None else read_instrument(symbol, self._venue.listed("swap")).symbol
        return json_reply([self._order(order) for order in self._plain_open(caller, wanted)])

    def cancel_all(self, caller: Caller) -> VenueResponse:
        """DELETE /fapi/v1/allOpenOrders: succeeds also when nothing was open."""
        instrument = self._instrument(caller)
        caller.params.finish()
        for order in self._plain_open(caller, instrument.symbol):
            self._exchange.cancel(caller.account, order.venue_id)
        return json_reply({"code": 200, "msg": "The operation of cancel all open order is done."})

    def balance(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v3/balance."""
        caller.params.finish()
        return json_reply([balance_view(asset) for asset in self._assets(caller)])

    def account(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v3/account."""
        caller.params.finish()
        assets, positions = self._assets(caller), self._positions(caller)
        return json_reply({**totals(assets), "assets": assets, "positions": positions})

    def positions(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v3/positionRisk."""
        symbol = caller.params.optional("symbol")
        caller.params.finish()
        return json_reply([p for p in self._positions(caller) if symbol in {None, p["symbol"]}])

    def refusal(self, reason: Refusal) -> VenueFault:
        """USD-M's code of a refusal."""
        return fail(*REFUSALS[reason])

    def _find(self, caller: Caller) -> Order | None:
        order = find_order(self._exchange, caller, self._instrument(caller), ("orderId", "origClientOrderId"))
        return None if order is None or _is_algo(order) else order

    def _instrument(self, caller: Caller) -> VenueInstrument:
        return read_instrument(caller.params.required("symbol"), self._venue.listed("swap"))

    def _plain_open(self, caller: Caller, symbol: str | None) -> list[Order]:
        swaps = {instrument.symbol for instrument in self._venue.listed("swap")}
        found = self._exchange.open_orders(caller.account, symbol)
        return [order for order in found if order.symbol in swaps and not _is_algo(order)]

    def _draft(self, params: Params) -> OrderRequest:
        instrument = read_instrument(params.required("symbol"), self._venue.listed("swap"))
        side, kind = read_side(params), params.required("type")
        if kind in _CONDITIONAL:
            message = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            raise fail(-4120, message)
        if kind not in {"LIMIT", "MARKET"}:
            raise fail(-1116, "Invalid orderType.")
        limit = kind == "LIMIT"
        tif = read_time_in_force(params, TIMES) if limit else None
        price = read_decimal(params, "price") if limit else None
        if not limit and (params.optional("price") or params.optional("timeInForce")):
            raise fail(-1106, "Parameter 'price' or 'timeInForce' sent when not required.")
        quantity = read_decimal(params, "quantity")
        self._check_precision(instrument, quantity, price)
        _check_one_way(params)
        params.ignore("newOrderRespType", "selfTradePreventionMode", "priceMatch", "workingType", "priceProtect")
        return OrderRequest(
            symbol=instrument.symbol,
            side=side,
            type=OrderType.LIMIT if limit else OrderType.MARKET,
            quantity=quantity,
            price=price,
            time_in_force=time_in_force(tif),
            post_only=tif == "GTX",
            reduce_only=params.boolean("reduceOnly"),
            expire_ms=read_expiry(params, tif),
            client_id=read_client_id(params, "newClientOrderId", FUTURES_CLIENT_ID, self._venue.rng),
            tag=f"{kind}/{tif or 'GTC'}",
        )

    @staticmethod
    def _check_precision(instrument: VenueInstrument, quantity: Decimal, price: Decimal | None) -> None:
        check_places("quantity", quantity, places(instrument.lot))
        check_places("price", price, places(instrument.tick))

    def _order(self, order: Order) -> Json:
        instrument = self._exchange.instruments[order.symbol]
        kind, _, tif = order.request.tag.partition("/")
        price, size = places(instrument.tick), places(instrument.lot)
        return {
            "orderId": int(order.venue_id),
            "symbol": instrument.venue_symbol,
            "status": STATUS[order.status],
            "clientOrderId": order.client_id,
            "price": fixed(order.price or ZERO, price),
            "avgPrice": fixed(order.average, price),
            "origQty": fixed(order.quantity, size),
            "executedQty": fixed(order.filled, size),
            "cumQty": fixed(order.filled, size),
            "cumQuote": fixed(order.cost * instrument.contract_size, MONEY_PLACES),
            "timeInForce": tif,
            "type": kind,
            "reduceOnly": order.request.reduce_only,
            "closePosition": False,
            "side": order.side.name,
            "positionSide": "BOTH",
            "stopPrice": fixed(ZERO, price),
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": kind,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "NONE",
            "goodTillDate": order.request.expire_ms or 0,
            "time": order.created_ms,
            "updateTime": order.updated_ms,
        }

    def _assets(self, caller: Caller) -> list[Json]:
        settle = {instrument.settle_asset for instrument in self._venue.listed("swap")}
        held = self._exchange.balances(caller.account)
        return [asset_view(name, held[name].total, held[name].available, caller) for name in held if name in settle]

    def _positions(self, caller: Caller) -> list[Json]:
        return [
            position_view(i, self._exchange.position(caller.account, i.symbol), caller)
            for i in self._venue.listed("swap")
        ]


def _is_algo(order: Order) -> bool:
    return order.request.tag.startswith(ALGO)


def _check_one_way(params: Params) -> None:
    if params.optional("positionSide") not in {None, "BOTH"}:
        raise fail(-4061, "Order's position side does not match user's setting.")
