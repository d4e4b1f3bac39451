"""OKX v5: spot and linear swaps in one trading account (okx.com/docs-v5).

Rules: OK-ACCESS-SIGN is the base64 HMAC-SHA256 of timestamp + method + path with query + body; a timestamp
is valid for 30 s on either side; the host is not covered. Instructions are answered one by one with an
`sCode`. A post-only order that would take is accepted and cancelled at once. clOrdId is unique among open
orders ("if the clOrdId is associated with multiple orders, only the latest one is returned").
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from casemate_mock.exchange import (
    ClientIdRule,
    ExchangeRules,
    Order,
    PostOnlyRule,
    Refusal,
    Refused,
    VenueInstrument,
)
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.config import VenueSettings
from casemate_mock.venues.fields import text_or_none
from casemate_mock.venues.okx_orders import (
    ALGO,
    InstructionError,
    algo_view,
    amended,
    bad,
    draft_algo,
    draft_order,
    order_view,
    read_client_id,
    refusal_code,
)
from casemate_mock.venues.okx_shapes import balance_view, currency_view, instrument_view
from casemate_mock.venues.okx_wire import Caller, authenticate, fault, instruction_reply, reply
from casemate_mock.venues.wire import VenueRequest, VenueResponse, form_dict, json_value

Json = dict[str, Any]
Handler = Callable[[Caller], VenueResponse]
Instruction = Callable[[str, Mapping[str, object]], Json]
MAX_BATCH = 20
_FIRST_ID = 2_000_000_000_000_000_000


class Okx(SimulatedVenue):
    """The trading account."""

    name: ClassVar[str] = "okx"
    hosts: ClassVar[tuple[str, ...]] = ("www.okx.com",)

    def prepare(self) -> None:
        """Lay out the endpoints."""
        self._signed: dict[tuple[str, str], Handler] = {
            ("POST", "/api/v5/trade/order"): self._single(self._place),
            ("POST", "/api/v5/trade/batch-orders"): self._several(self._place),
            ("POST", "/api/v5/trade/cancel-order"): self._single(self._cancel),
            ("POST", "/api/v5/trade/cancel-batch-orders"): self._several(self._cancel),
            ("POST", "/api/v5/trade/amend-order"): self._single(self._amend),
            ("POST", "/api/v5/trade/amend-batch-orders"): self._several(self._amend),
            ("GET", "/api/v5/trade/order"): self._query,
            ("GET", "/api/v5/trade/orders-pending"): self._pending,
            ("GET", "/api/v5/trade/orders-history"): self._history,
            ("POST", "/api/v5/trade/order-algo"): self._single(self._place_algo),
            ("POST", "/api/v5/trade/cancel-algos"): self._several(self._cancel_algo),
            ("POST", "/api/v5/trade/amend-algos"): self._single(self._amend_algo),
            ("GET", "/api/v5/trade/order-algo"): self._query_algo,
            ("GET", "/api/v5/trade/orders-algo-pending"): self._pending_algos,
            ("GET", "/api/v5/account/balance"): self._balance,
            ("GET", "/api/v5/asset/currencies"): self._currencies,
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
        """Return a long integer, as text."""
        return str(_FIRST_ID + number)

    def route(self, request: VenueRequest) -> VenueResponse:
        """Public endpoints first, then signed ones."""
        if request.method == "GET" and request.path == "/api/v5/public/time":
            return reply([{"ts": str(self.clock_ms())}])
        if request.method == "GET" and request.path == "/api/v5/public/instruments":
            return self._instruments(form_dict(request.query))
        handler = self._signed.get((request.method, request.path))
        if handler is None:
            return reply([], "50404", "Not Found") if request.path.startswith("/api/") else VenueResponse(status=404)
        key = authenticate(request, self.keys, self.clock_ms)
        if self.over_limit(key.api_key) is not None:
            raise fault("50011", "Too Many Requests", 429)
        body = json_value(request.body) if request.method == "POST" else None
        return handler(Caller(key.account, form_dict(request.query), body, self.clock_ms()))

    def refused(self, refused: Refused, request: VenueRequest) -> VenueResponse:
        """Only questions get here: instructions answer one by one."""
        del request
        code, message = refusal_code(refused.reason)
        return reply([], code, message)

    def malformed(self, message: str) -> VenueResponse:
        """Answer a body or query that cannot be read."""
        return fault("50002", f"JSON syntax error: {message}", 400).response

    # -- instructions ----------------------------------------------------------------------------------------

    def _single(self, instruction: Instruction) -> Handler:
        def handle(caller: Caller) -> VenueResponse:
            if not isinstance(caller.body, dict):
                raise fault("50002", "JSON syntax error", 400)
            return instruction_reply([self._attempt(instruction, caller, caller.body)])

        return handle

    def _several(self, instruction: Instruction) -> Handler:
        def handle(caller: Caller) -> VenueResponse:
            if not isinstance(caller.body, list) or not all(isinstance(one, dict) for one in caller.body):
                raise fault("50002", "JSON syntax error", 400)
            if not 0 < len(caller.body) <= MAX_BATCH:
                raise fault("51000", "Parameter batch size error")
            return instruction_reply([self._attempt(instruction, caller, one) for one in caller.body])

        return handle

    def _attempt(self, instruction: Instruction, caller: Caller, values: Mapping[str, object]) -> Json:
        try:
            found = instruction(caller.account, values)
            return found | {"ts": str(caller.now_ms), "sCode": "0", "sMsg": ""}
        except InstructionError as error:
            code, message = error.code, error.message
        except Refused as refused:
            code, message = refusal_code(refused.reason)
        ids = {name: text_or_none(values, name) or "" for name in ("ordId", "clOrdId", "tag", "algoId", "algoClOrdId")}
        return ids | {"ts": str(caller.now_ms), "sCode": code, "sMsg": message}

    def _place(self, account: str, values: Mapping[str, object]) -> Json:
        order = self.exchange.place(account, draft_order(values, self._instrument(values)))
        return _ids(order) | {"tag": text_or_none(values, "tag") or ""}

    def _cancel(self, account: str, values: Mapping[str, object]) -> Json:
        order = self._find(account, values, ("ordId", "clOrdId"))
        if order is None or not order.is_open or _is_algo(order):
            raise Refused(Refusal.UNKNOWN_ORDER)
        return _ids(self.exchange.cancel(account, order.venue_id))

    def _amend(self, account: str, values: Mapping[str, object]) -> Json:
        order = self._find(account, values, ("ordId", "clOrdId"))
        if order is None or _is_algo(order):
            raise InstructionError("51503", "Order modification failed as the order does not exist.")
        if not order.is_open:
            raise InstructionError("51509", "Modification failed as the order has been canceled or filled.")
        price, size = amended(values, "newPx"), amended(values, "newSz")
        if price is None and size is None:
            raise bad("newPx or newSz")
        changed = self.exchange.amend(account, order.venue_id, price=price, quantity=size)
        return _ids(changed) | {"reqId": text_or_none(values, "reqId") or ""}

    def _place_algo(self, account: str, values: Mapping[str, object]) -> Json:
        instrument = self._instrument(values)
        reference = self.exchange.book(instrument.symbol).reference
        order = self.exchange.place(account, draft_algo(values, instrument, reference))
        return {"algoId": order.venue_id, "algoClOrdId": order.client_id, "clOrdId": "", "tag": ""}

    def _cancel_algo(self, account: str, values: Mapping[str, object]) -> Json:
        order = self._find(account, values, ("algoId", "algoClOrdId"))
        if order is None or not order.is_open or not _is_algo(order):
            raise Refused(Refusal.UNKNOWN_ORDER)
        self.exchange.cancel(account, order.venue_id)
        return {"algoId": order.venue_id, "algoClOrdId": order.client_id}

    def _amend_algo(self, account: str, values: Mapping[str, object]) -> Json:
        order = self._find(account, values, ("algoId", "algoClOrdId"))
        if order is None or not order.is_open or not _is_algo(order):
            raise InstructionError("51503", "Order modification failed as the order does not exist.")
        changed = self.exchange.amend(
            account,
            order.venue_id,
            quantity=amended(values, "newSz"),
            stop_price=amended(values, "newTriggerPx"),
            price=amended(values, "newOrdPx"),
        )
        return {"algoId": changed.venue_id, "algoClOrdId": changed.client_id, "reqId": ""}

    # -- questions -------------------------------------------------------------------------------------------

    def _query(self, caller: Caller) -> VenueResponse:
        order = self._asked(caller, ("ordId", "clOrdId"))
        if order is None or _is_algo(order):
            raise fault("51603", "Order does not exist")
        return reply([order_view(order, self._of(order))])

    def _query_algo(self, caller: Caller) -> VenueResponse:
        order = self._asked(caller, ("algoId", "algoClOrdId"))
        if order is None or not _is_algo(order):
            raise fault("51603", "Order does not exist")
        return reply([algo_view(order, self._of(order))])

    def _pending(self, caller: Caller) -> VenueResponse:
        found = self.exchange.open_orders(caller.account)
        return reply([order_view(o, self._of(o)) for o in found if self._wanted(o, caller) and not _is_algo(o)])

    def _history(self, caller: Caller) -> VenueResponse:
        done = (o for o in reversed(self.exchange.orders()) if o.account == caller.account and not o.is_open)
        return reply([order_view(o, self._of(o)) for o in done if self._wanted(o, caller) and not _is_algo(o)])

    def _pending_algos(self, caller: Caller) -> VenueResponse:
        kind = caller.query.get("ordType")
        if not kind:
            raise fault("51000", "Parameter ordType error")
        found = (o for o in self.exchange.open_orders(caller.account) if o.request.tag == f"{ALGO}{kind}")
        return reply([algo_view(o, self._of(o)) for o in found if self._wanted(o, caller)])

    def _balance(self, caller: Caller) -> VenueResponse:
        balances = self.exchange.balances(caller.account)
        return reply([balance_view(balances, text_or_none(caller.query, "ccy"), caller.now_ms)])

    def _currencies(self, caller: Caller) -> VenueResponse:
        return reply([currency_view(asset) for asset in self.exchange.balances(caller.account)])

    def _instruments(self, query: dict[str, str]) -> VenueResponse:
        kind = {"SPOT": "spot", "SWAP": "swap"}.get(query.get("instType", ""), "none")
        listed = self.listed(kind)
        return reply([instrument_view(i) for i in listed if query.get("instId") in {None, i.venue_symbol}])

    def _asked(self, caller: Caller, names: tuple[str, str]) -> Order | None:
        try:
            return self._find(caller.account, caller.query, names, symbol="instId" in caller.query)
        except InstructionError as error:
            raise fault(error.code, error.message) from error

    def _instrument(self, values: Mapping[str, object]) -> VenueInstrument:
        found = self.find(values.get("instId"))
        if found is None:
            raise InstructionError("51001", "Instrument ID does not exist.")
        return found

    def _find(
        self, account: str, values: Mapping[str, object], names: tuple[str, str], *, symbol: bool = True
    ) -> Order | None:
        instrument = self._instrument(values) if symbol else None
        venue_id, client_id = text_or_none(values, names[0]), read_client_id(values, names[1])
        if venue_id is None and client_id is None:
            raise InstructionError("51000", f"Parameter {names[0]} or {names[1]} error")
        order = self.exchange.order(account, venue_id=venue_id, client_id=client_id)
        if order is None or (instrument is not None and order.symbol != instrument.symbol):
            return None
        return order

    def _wanted(self, order: Order, caller: Caller) -> bool:
        instrument = self._of(order)
        kind = "SPOT" if instrument.kind == "spot" else "SWAP"
        return caller.query.get("instId") in {None, instrument.venue_symbol} and caller.query.get("instType") in {
            None,
            kind,
        }

    def _of(self, order: Order) -> VenueInstrument:
        return self.exchange.instruments[order.symbol]


def _is_algo(order: Order) -> bool:
    return order.request.tag.startswith(ALGO)


def _ids(order: Order) -> Json:
    return {"ordId": order.venue_id, "clOrdId": order.client_id}
