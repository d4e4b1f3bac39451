"""Kraken spot (docs.kraken.com/api): orders, cancels, amends, queries, balances; errors come with HTTP 200.

cl_ord_id is unique among the open orders of the account. A post-only order that would take is accepted and
cancelled with the reason "Post only order". QueryOrders knows transaction ids only; OpenOrders and
ClosedOrders can be restricted to a cl_ord_id.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from casemate_mock.exchange import ClientIdRule, ExchangeRules, Order, PostOnlyRule, Refused, VenueInstrument
from casemate_mock.exchange.arithmetic import fixed, plain
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.config import VenueSettings
from casemate_mock.venues.kraken_orders import describe, draft_order, order_view, refusal_text
from casemate_mock.venues.kraken_shapes import asset_id, asset_view, pair_matches, pair_view
from casemate_mock.venues.kraken_wire import Caller, authenticate, check_deadline, fault, reply
from casemate_mock.venues.wire import VenueRequest, VenueResponse

Json = dict[str, Any]
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BALANCE_PLACES = 10
_MAX_QUERY = 50
_TOKEN_CHARACTERS = 43


class Kraken(SimulatedVenue):
    """The spot account."""

    name: ClassVar[str] = "kraken"
    hosts: ClassVar[tuple[str, ...]] = ("api.kraken.com",)

    def prepare(self) -> None:
        """Lay out the endpoints."""
        self._nonces: dict[str, int] = {}
        self._signed: dict[str, Callable[[Caller], object]] = {
            "/0/private/AddOrder": self._add,
            "/0/private/CancelOrder": self._cancel,
            "/0/private/CancelAll": self._cancel_all,
            "/0/private/AmendOrder": self._amend,
            "/0/private/EditOrder": self._edit,
            "/0/private/QueryOrders": self._query,
            "/0/private/OpenOrders": self._open,
            "/0/private/ClosedOrders": self._closed,
            "/0/private/Balance": self._balance,
            "/0/private/BalanceEx": self._balance_ex,
            "/0/private/GetWebSocketsToken": self._stream_token,
        }

    def rules(self, settings: VenueSettings) -> ExchangeRules:
        """See the module's rules."""
        return ExchangeRules(
            client_ids=ClientIdRule.OPEN,
            post_only=PostOnlyRule.CANCEL,
            leverage=settings.leverage,
            maker_fee=settings.maker_fee,
            taker_fee=settings.taker_fee,
        )

    def make_id(self, number: int) -> str:
        """Return a transaction id like OUF4EM-FRGI2-MQMWZD."""
        del number
        text = "".join(self.rng.choice(_ALPHABET) for _ in range(16))
        return f"O{text[:5]}-{text[5:10]}-{text[10:]}"

    def route(self, request: VenueRequest) -> VenueResponse:
        """Public endpoints first, then signed ones."""
        if request.path.startswith("/0/public/"):
            return self._public(request.path.removeprefix("/0/public/"))
        handler = self._signed.get(request.path)
        if handler is None:
            raise fault("EGeneral:Unknown method", 404)
        if request.method != "POST":
            raise fault("EAPI:Invalid key")
        key, values = authenticate(request, self.keys, self._nonces)
        if self.over_limit(key.api_key) is not None:
            raise fault("EAPI:Rate limit exceeded")
        return reply(handler(Caller(key.account, values, self.clock_ms())))

    def refused(self, refused: Refused, request: VenueRequest) -> VenueResponse:
        """One text per reason."""
        del request
        return fault(refusal_text(refused.reason)).response

    def malformed(self, message: str) -> VenueResponse:
        """Answer parameters that cannot be read."""
        return fault(f"EGeneral:Invalid arguments:{message}").response

    def _public(self, name: str) -> VenueResponse:
        instruments = self.listed("spot")
        match name:
            case "Time":
                return reply({"unixtime": self.clock_ms() // 1000, "rfc1123": ""})
            case "SystemStatus":
                return reply({"status": "online"})
            case "Assets":
                assets = dict.fromkeys(a for i in instruments for a in (i.base, i.quote))
                return reply({asset_id(asset): asset_view(asset) for asset in assets})
            case "AssetPairs":
                return reply({i.venue_symbol: pair_view(i) for i in instruments})
            case _:
                raise fault("EGeneral:Unknown method", 404)

    def _add(self, caller: Caller) -> Json:
        instrument = self._instrument(caller)
        check_deadline(caller)
        request = draft_order(caller, instrument)
        if caller.flag("validate"):
            return {"descr": {"order": ""}}
        order = self.exchange.place(caller.account, request)
        return {"descr": {"order": describe(order, instrument)}, "txid": [order.venue_id]}

    def _cancel(self, caller: Caller) -> Json:
        self.exchange.cancel(caller.account, self._own(caller).venue_id)
        return {"count": 1}

    def _cancel_all(self, caller: Caller) -> Json:
        return {"count": len(self.exchange.cancel_all(caller.account))}

    def _amend(self, caller: Caller) -> Json:
        check_deadline(caller)
        order = self._own(caller)
        if not order.is_open:
            raise fault("EOrder:Unknown order")
        new = [caller.decimal(name) for name in ("limit_price", "order_qty", "trigger_price")]
        if new == [None, None, None]:
            raise fault("EGeneral:Invalid arguments")
        self.exchange.amend(caller.account, order.venue_id, price=new[0], quantity=new[1], stop_price=new[2])
        return {"amend_id": self.make_id(0).replace("O", "T", 1)}

    def _edit(self, caller: Caller) -> Json:
        """Cancel and replace under a new transaction id; what the request leaves out stays."""
        check_deadline(caller)
        old = self._own(caller)
        instrument = self._instrument(caller)
        if old.symbol != instrument.symbol or not old.is_open:
            raise fault("EOrder:Unknown order")
        values = {
            "type": old.side.value,
            "ordertype": old.request.tag.partition("/")[0],
            "volume": plain(old.remaining),
            "price": plain(old.stop_price or old.price or old.quantity),
            "price2": "" if old.stop_price is None or old.price is None else plain(old.price),
        } | {name: value for name, value in caller.values.items() if name not in {"txid", "nonce"}}
        request = draft_order(Caller(caller.account, values, caller.now_ms), instrument)
        self.exchange.cancel(caller.account, old.venue_id)
        new = self.exchange.place(caller.account, request)
        ids = {"txid": new.venue_id, "originaltxid": old.venue_id, "orders_cancelled": 1, "status": "ok"}
        return ids | {
            "volume": plain(new.quantity),
            "price": "",
            "descr": {"order": describe(new, instrument)},
        }

    def _query(self, caller: Caller) -> Json:
        ids = (caller.text("txid") or "").split(",")
        if not ids[0] or len(ids) > _MAX_QUERY:
            raise fault("EGeneral:Invalid arguments")
        found = [self.exchange.order(caller.account, venue_id=venue_id) for venue_id in ids]
        if not any(found):
            raise fault("EOrder:Unknown order")
        return self._views(order for order in found if order is not None)

    def _open(self, caller: Caller) -> Json:
        return {"open": self._views(o for o in self.exchange.open_orders(caller.account) if _wanted(o, caller))}

    def _closed(self, caller: Caller) -> Json:
        done = (o for o in reversed(self.exchange.orders()) if o.account == caller.account and not o.is_open)
        views = self._views(order for order in done if _wanted(order, caller))
        return {"closed": views, "count": len(views)}

    def _balance(self, caller: Caller) -> Json:
        held = self.exchange.balances(caller.account)
        return {asset_id(asset): fixed(balance.total, _BALANCE_PLACES) for asset, balance in held.items()}

    def _stream_token(self, caller: Caller) -> Json:
        """A token for the private streams, to be used within 15 minutes; there are no streams here."""
        del caller
        return {"token": "".join(self.rng.choice(_ALPHABET) for _ in range(_TOKEN_CHARACTERS)), "expires": 900}

    def _balance_ex(self, caller: Caller) -> Json:
        held = self.exchange.balances(caller.account)
        return {
            asset_id(asset): {
                "balance": fixed(balance.total, _BALANCE_PLACES),
                "hold_trade": fixed(balance.locked, _BALANCE_PLACES),
            }
            for asset, balance in held.items()
        }

    def _views(self, orders: Iterable[Order]) -> Json:
        return {o.venue_id: order_view(o, self.exchange.instruments[o.symbol]) for o in orders}

    def _instrument(self, caller: Caller) -> VenueInstrument:
        pair = caller.text("pair")
        for instrument in self.listed("spot"):
            if pair is not None and pair_matches(instrument, pair):
                return instrument
        raise fault("EQuery:Unknown asset pair")

    def _own(self, caller: Caller) -> Order:
        venue_id, client_id = caller.text("txid"), caller.text("cl_ord_id")
        if venue_id is None and client_id is None:
            raise fault("EGeneral:Invalid arguments:txid")
        if venue_id is not None:
            order = self.exchange.order(caller.account, venue_id=venue_id)
        else:
            order = self.exchange.order(caller.account, client_id=client_id)
        if order is None:
            raise fault("EOrder:Unknown order")
        return order


def _wanted(order: Order, caller: Caller) -> bool:
    return caller.text("cl_ord_id") in {None, order.client_id}
