"""Binance USD-M conditional orders: /fapi/v1/algoOrder and its neighbours (change log of 2025-11-06)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, assert_never

from casemate_mock.exchange import Order, OrderRequest, OrderStatus, OrderType, Refused, Side, VenueInstrument
from casemate_mock.exchange.arithmetic import ZERO, fixed
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.binance_auth import Params, fail, missing
from casemate_mock.venues.binance_futures import ALGO, TIMES
from casemate_mock.venues.binance_orders import (
    FUTURES_CLIENT_ID,
    Caller,
    check_places,
    read_client_id,
    read_decimal,
    read_expiry,
    read_instrument,
    read_side,
    read_time_in_force,
    time_in_force,
)
from casemate_mock.venues.fields import places
from casemate_mock.venues.wire import VenueResponse, json_reply

Json = dict[str, Any]
_LIMITED = {"STOP", "TAKE_PROFIT"}
_KINDS = _LIMITED | {"STOP_MARKET", "TAKE_PROFIT_MARKET"}
_UNUSED = (
    "newOrderRespType",
    "selfTradePreventionMode",
    "priceMatch",
    "workingType",
    "priceProtect",
    "closePosition",
)


class BinanceAlgo:
    """Handlers of conditional orders."""

    def __init__(self, venue: SimulatedVenue) -> None:
        """Work on the venue's exchange."""
        self._venue = venue
        self._exchange = venue.exchange

    def routes(self) -> dict[tuple[str, str], Callable[[Caller], VenueResponse]]:
        """Signed endpoints."""
        return {
            ("POST", "/fapi/v1/algoOrder"): self.new_order,
            ("DELETE", "/fapi/v1/algoOrder"): self.cancel_order,
            ("GET", "/fapi/v1/algoOrder"): self.query_order,
            ("GET", "/fapi/v1/openAlgoOrders"): self.open_orders,
            ("DELETE", "/fapi/v1/algoOpenOrders"): self.cancel_all,
        }

    def new_order(self, caller: Caller) -> VenueResponse:
        """POST /fapi/v1/algoOrder."""
        request = self._draft(caller.params)
        caller.params.finish()
        return json_reply(self._algo(self._exchange.place(caller.account, request)))

    def cancel_order(self, caller: Caller) -> VenueResponse:
        """DELETE /fapi/v1/algoOrder."""
        order = self._find(caller)
        if order is None or not order.is_open:
            raise fail(-2011, "Unknown order sent.")
        try:
            self._exchange.cancel(caller.account, order.venue_id)
        except Refused as refused:
            raise fail(-2011, "Unknown order sent.") from refused
        ids = {"algoId": int(order.venue_id), "clientAlgoId": order.client_id}
        return json_reply(ids | {"code": "200", "msg": "success"})

    def query_order(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v1/algoOrder."""
        order = self._find(caller)
        if order is None:
            raise fail(-2013, "Order does not exist.")
        return json_reply(self._algo(order))

    def open_orders(self, caller: Caller) -> VenueResponse:
        """GET /fapi/v1/openAlgoOrders."""
        symbol = caller.params.optional("symbol")
        caller.params.ignore("algoType", "algoId")
        caller.params.finish()
        wanted = None if symbol is None else read_instrument(symbol, self._venue.listed("swap")).symbol
        return json_reply([self._algo(order) for order in self._open(caller, wanted)])

    def cancel_all(self, caller: Caller) -> VenueResponse:
        """DELETE /fapi/v1/algoOpenOrders."""
        instrument = read_instrument(caller.params.required("symbol"), self._venue.listed("swap"))
        caller.params.finish()
        for order in self._open(caller, instrument.symbol):
            self._exchange.cancel(caller.account, order.venue_id)
        return json_reply({"code": 200, "msg": "The operation of cancel all open order is done."})

    def _open(self, caller: Caller, symbol: str | None) -> list[Order]:
        found = self._exchange.open_orders(caller.account, symbol)
        return [order for order in found if order.request.tag.startswith(ALGO)]

    def _find(self, caller: Caller) -> Order | None:
        number, client_id = caller.params.integer("algoId"), caller.params.optional("clientAlgoId")
        caller.params.ignore("symbol", "algoType")
        caller.params.finish()
        if number is None and not client_id:
            raise missing("algoId")
        venue_id = None if number is None else str(number)
        order = self._exchange.order(caller.account, venue_id=venue_id, client_id=client_id)
        return order if order is not None and order.request.tag.startswith(ALGO) else None

    def _draft(self, params: Params) -> OrderRequest:
        if params.required("algoType") != "CONDITIONAL":
            raise missing("algoType")
        instrument = read_instrument(params.required("symbol"), self._venue.listed("swap"))
        side, kind = read_side(params), params.required("type")
        if kind not in _KINDS:
            raise fail(-1116, "Invalid orderType.")
        tif = self._time_in_force(params, kind)
        price = read_decimal(params, "price") if kind in _LIMITED else None
        stop, quantity = read_decimal(params, "triggerPrice"), read_decimal(params, "quantity")
        self._check_precision(instrument, quantity, (price, stop))
        params.ignore("positionSide", *_UNUSED)
        return OrderRequest(
            symbol=instrument.symbol,
            side=side,
            type=OrderType.STOP_LIMIT if kind in _LIMITED else OrderType.STOP_MARKET,
            quantity=quantity,
            price=price,
            stop_price=stop,
            trigger_above=(side is Side.BUY) == kind.startswith("STOP"),
            time_in_force=time_in_force(tif),
            post_only=tif == "GTX",
            reduce_only=params.boolean("reduceOnly"),
            expire_ms=read_expiry(params, tif),
            client_id=read_client_id(params, "clientAlgoId", FUTURES_CLIENT_ID, self._venue.rng),
            tag=f"{ALGO}{kind}/{tif}",
        )

    @staticmethod
    def _time_in_force(params: Params, kind: str) -> str:
        if kind in _LIMITED and params.optional("timeInForce") is not None:
            return read_time_in_force(params, TIMES)
        return params.optional("timeInForce") or "GTC"

    @staticmethod
    def _check_precision(
        instrument: VenueInstrument, quantity: Decimal, prices: tuple[Decimal | None, Decimal | None]
    ) -> None:
        check_places("quantity", quantity, places(instrument.lot))
        check_places("price", prices[0], places(instrument.tick))
        check_places("triggerPrice", prices[1], places(instrument.tick))

    def _algo(self, order: Order) -> Json:
        instrument = self._exchange.instruments[order.symbol]
        kind, _, tif = order.request.tag.removeprefix(ALGO).partition("/")
        price = places(instrument.tick)
        return {
            "algoId": int(order.venue_id),
            "clientAlgoId": order.client_id,
            "algoType": "CONDITIONAL",
            "orderType": kind,
            "symbol": instrument.venue_symbol,
            "side": order.side.name,
            "positionSide": "BOTH",
            "timeInForce": tif,
            "quantity": fixed(order.quantity, places(instrument.lot)),
            "algoStatus": _status(order),
            "triggerPrice": fixed(order.stop_price or ZERO, price),
            "price": fixed(order.price or ZERO, price),
            "selfTradePreventionMode": "NONE",
            "workingType": "CONTRACT_PRICE",
            "priceMatch": "NONE",
            "closePosition": False,
            "priceProtect": False,
            "reduceOnly": order.request.reduce_only,
            "createTime": order.created_ms,
            "updateTime": order.updated_ms,
            "triggerTime": 0,
            "goodTillDate": order.request.expire_ms or 0,
        }


def _status(order: Order) -> str:
    match order.status:
        case OrderStatus.UNTRIGGERED:
            return "NEW"
        case OrderStatus.NEW | OrderStatus.PARTIALLY_FILLED:
            return "TRIGGERED"
        case OrderStatus.FILLED:
            return "FINISHED"
        case OrderStatus.CANCELED:
            return "CANCELED"
        case OrderStatus.EXPIRED:
            return "EXPIRED"
        case _:
            assert_never(order.status)
