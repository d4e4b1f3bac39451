"""Binance, spot and USD-M in one place: which product a request addresses, public endpoints, usage headers.

The production host chooses the product (`api.binance.com`, `fapi.binance.com`); any other Host (a test's
127.0.0.1) leaves the choice to the path. The signature covers neither host nor path nor method, as at the
venue.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

from casemate_mock.exchange import ClientIdRule, ExchangeRules, Refused
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.binance_algo import BinanceAlgo
from casemate_mock.venues.binance_auth import fail, key_of, signed_params, unsigned_params
from casemate_mock.venues.binance_futures import BinanceFutures
from casemate_mock.venues.binance_markets import book_ticker, exchange_info, futures_symbol, spot_symbol
from casemate_mock.venues.binance_orders import Caller, read_instrument
from casemate_mock.venues.binance_spot import BinanceSpot
from casemate_mock.venues.config import VenueSettings
from casemate_mock.venues.wire import VenueRequest, VenueResponse, json_reply

Handler = Callable[[Caller], VenueResponse]
_PREFIXES = {
    "api.binance.com": ("/api/", "/sapi/"),
    "fapi.binance.com": ("/fapi/",),
    "dapi.binance.com": ("/dapi/",),
}
_FIRST_ID = 1_000_000
_ORDER_WINDOW_MS = 10_000


class Binance(SimulatedVenue):
    """Both products over one set of keys and balances."""

    name: ClassVar[str] = "binance"
    hosts: ClassVar[tuple[str, ...]] = ("api.binance.com", "fapi.binance.com")

    def prepare(self) -> None:
        """Lay out the endpoints."""
        self._placed_ms: deque[int] = deque()
        self._spot = BinanceSpot(self)
        self._futures = BinanceFutures(self)
        self._signed: Mapping[tuple[str, str], Handler] = (
            self._spot.routes() | self._futures.routes() | BinanceAlgo(self).routes()
        )

    def rules(self, settings: VenueSettings) -> ExchangeRules:
        """Client ids are unique among open orders of a symbol only."""
        return ExchangeRules(
            client_ids=ClientIdRule.OPEN_IN_SYMBOL,
            refuse_triggered_stops=True,
            leverage=settings.leverage,
            maker_fee=settings.maker_fee,
            taker_fee=settings.taker_fee,
        )

    def make_id(self, number: int) -> str:
        """Return a plain integer."""
        return str(_FIRST_ID + number)

    def route(self, request: VenueRequest) -> VenueResponse:
        """Public endpoints first, then signed ones."""
        prefixes = _PREFIXES.get(request.host)
        if prefixes is not None and not request.path.startswith(prefixes):
            return VenueResponse(status=404, body=b"<html><body><h2>404 Not found</h2></body></html>")
        public = self._public(request)
        if public is not None:
            return public
        if (request.method, request.path) == ("POST", "/fapi/v1/listenKey"):
            return self._listen_key(request)
        handler = self._signed.get((request.method, request.path))
        if handler is None:
            return VenueResponse(status=404, body=b"<html><body><h2>404 Not found</h2></body></html>")
        return self._run_signed(request, handler)

    def refused(self, refused: Refused, request: VenueRequest) -> VenueResponse:
        """Codes differ between the products."""
        product = self._futures if request.path.startswith("/fapi/") else self._spot
        return product.refusal(refused.reason).response

    def malformed(self, message: str) -> VenueResponse:
        """-1101 covers repeats; the venue's other parse errors are of no use to anybody."""
        return fail(-1101, f"Too many parameters sent for this endpoint: {message}.").response

    def _run_signed(self, request: VenueRequest, handler: Handler) -> VenueResponse:
        key = key_of(request, self.keys)
        wait_ms = self.over_limit(key.api_key)
        if wait_ms is not None:
            seconds = str(-(-wait_ms // 1000))
            raise fail(-1003, "Too many requests; current limit is exceeded.", 429, {"Retry-After": seconds})
        now = self.clock_ms()
        params, count = signed_params(request, key, now), self.exchange.order_count
        reply = handler(Caller(key.account, params, now))
        self._placed_ms.extend([now] * (self.exchange.order_count - count))
        return replace(reply, headers={**reply.headers, **self._usage(key.api_key)})

    def _listen_key(self, request: VenueRequest) -> VenueResponse:
        """The API key alone is enough, and every call within an hour answers the same; there are no streams here."""
        key = key_of(request, self.keys)
        digest = hashlib.sha512(f"listen {key.api_key} {self.clock_ms() // 3_600_000}".encode())
        return json_reply({"listenKey": digest.hexdigest()[:64]})

    def _usage(self, api_key: str) -> dict[str, str]:
        while self._placed_ms and self._placed_ms[0] <= self.clock_ms() - _ORDER_WINDOW_MS:
            self._placed_ms.popleft()
        return {
            "X-MBX-USED-WEIGHT-1M": str(self.used(api_key)),
            "X-MBX-ORDER-COUNT-10S": str(len(self._placed_ms)),
            "X-MBX-ORDER-COUNT-1D": str(self.exchange.order_count),
        }

    def _public(self, request: VenueRequest) -> VenueResponse | None:
        if request.method != "GET":
            return None
        now = self.clock_ms()
        match request.path:
            case "/api/v3/ping" | "/fapi/v1/ping":
                return json_reply({})
            case "/api/v3/time" | "/fapi/v1/time" | "/dapi/v1/time":
                return json_reply({"serverTime": now})
            case "/api/v3/exchangeInfo":
                return json_reply(exchange_info([spot_symbol(i) for i in self.listed("spot")], now))
            case "/fapi/v1/exchangeInfo":
                return json_reply(exchange_info([futures_symbol(i) for i in self.listed("swap")], now))
            case "/dapi/v1/exchangeInfo":
                return json_reply(exchange_info([], now))
            case "/sapi/v1/margin/allPairs" | "/sapi/v1/margin/isolated/allPairs":
                return json_reply([])
            case "/api/v3/ticker/bookTicker" | "/fapi/v1/ticker/bookTicker":
                return self._book_ticker(request)
            case _:
                return None

    def _book_ticker(self, request: VenueRequest) -> VenueResponse:
        params = unsigned_params(request)
        kind = "swap" if request.path.startswith("/fapi/") else "spot"
        instrument = read_instrument(params.required("symbol"), self.listed(kind))
        params.finish()
        book = self.exchange.book(instrument.symbol)
        return json_reply(book_ticker(instrument.venue_symbol, plain(book.bid), plain(book.ask)))
