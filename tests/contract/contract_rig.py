"""Both halves of a venue around its simulated venue: build and sign, verify and execute, read the reply.

Everything runs in one process on a clock that the test moves. Credentials are made anew for each bench.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from casemate_mock.exchange import VenueInstrument
from casemate_mock.venues.config import VenueKey, VenueSettings
from casemate_mock.venues.registry import create_venue
from casemate_mock.venues.wire import VenueRequest
from enclave_signer import decimals, model
from enclave_signer.venues.declaration import ValidityKind
from enclave_signer.venues.registry import VENUES
from host_dispatch.outcome import Operation, narrow
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from casemate_mock.exchange import Order
    from casemate_mock.venues.base import SimulatedVenue
    from casemate_mock.venues.wire import VenueResponse
    from enclave_signer.venues.declaration import Declaration
    from host_dispatch.outcome import Reading

KeyKind = Literal["hmac", "ed25519", "es256"]
ACCOUNT: Final = "main"
START_MS: Final = 1_763_700_000_000
REFERENCE: Final = Decimal(50_000)
MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One venue with one kind of instrument and one kind of key. Two instruments are listed, a third is not."""

    name: str
    venue: str
    kind: Literal["spot", "swap"]
    key: KeyKind
    quote: str
    symbols: tuple[str, str]
    unlisted: str


CASES: Final = (
    Case("binance-spot", "binance", "spot", "hmac", "USDT", ("BTCUSDT", "ETHUSDT"), "NONEUSDT"),
    Case("binance-spot-ed25519", "binance", "spot", "ed25519", "USDT", ("BTCUSDT", "ETHUSDT"), "NONEUSDT"),
    Case("binance-swap", "binance", "swap", "hmac", "USDT", ("BTCUSDT", "ETHUSDT"), "NONEUSDT"),
    Case("binanceusdm-swap", "binanceusdm", "swap", "hmac", "USDT", ("BTCUSDT", "ETHUSDT"), "NONEUSDT"),
    Case("bybit-spot", "bybit", "spot", "hmac", "USDT", ("BTCUSDT", "ETHUSDT"), "NONEUSDT"),
    Case("bybit-swap", "bybit", "swap", "hmac", "USDT", ("BTCUSDT", "ETHUSDT"), "NONEUSDT"),
    Case("okx-spot", "okx", "spot", "hmac", "USDT", ("BTC-USDT", "ETH-USDT"), "NONE-USDT"),
    Case("okx-swap", "okx", "swap", "hmac", "USDT", ("BTC-USDT-SWAP", "ETH-USDT-SWAP"), "NONE-USDT-SWAP"),
    Case("kraken-spot", "kraken", "spot", "hmac", "USD", ("XXBTZUSD", "XETHZUSD"), "NONEUSD"),
    Case("coinbase-spot-es256", "coinbase", "spot", "es256", "USD", ("BTC-USD", "ETH-USD"), "NONE-USD"),
    Case("coinbase-spot-eddsa", "coinbase", "spot", "ed25519", "USD", ("BTC-USD", "ETH-USD"), "NONE-USD"),
    Case("backpack-spot", "backpack", "spot", "ed25519", "USDC", ("BTC_USDC", "ETH_USDC"), "NONE_USDC"),
    Case(
        "backpack-swap",
        "backpack",
        "swap",
        "ed25519",
        "USDC",
        ("BTC_USDC_PERP", "ETH_USDC_PERP"),
        "NONE_USDC_PERP",
    ),
)
BASES: Final = ("BTC", "ETH", "NONE")
TICK, LOT = Decimal("0.1"), Decimal("0.001")


def amount(text: str | Decimal | None) -> decimals.Amount | None:
    """A decimal of the enclave's."""
    if text is None:
        return None
    found = decimals.parse(str(text))
    assert found is not None
    return found


def exact(text: str | Decimal) -> decimals.Amount:
    """A decimal of the enclave's that is there."""
    found = amount(text)
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class Keys:
    """A credential as its user has it (ccxt's field names), and as the venue knows it."""

    fields: Mapping[str, str] = field(repr=False)
    known: VenueKey = field(repr=False)


def make_keys(case: Case, api_key: str | None = None) -> Keys:
    """Make a new credential of the case's kind."""
    name = api_key or f"key-{case.name}"
    match case.venue, case.key:
        case "coinbase", "es256":
            private = ec.generate_private_key(ec.SECP256R1())
            return Keys({"apiKey": name, "secret": _pem(private)}, _public(name, private, "es256"))
        case "coinbase", "ed25519":
            edwards = ed25519.Ed25519PrivateKey.generate()
            seed = base64.b64encode(edwards.private_bytes_raw()).decode()
            return Keys({"apiKey": name, "secret": seed}, _public(name, edwards, "ed25519"))
        case "binance", "ed25519":
            edwards = ed25519.Ed25519PrivateKey.generate()
            return Keys({"apiKey": name, "secret": _pem(edwards)}, _public(name, edwards, "ed25519"))
        case "backpack", _:
            return _backpack_keys(api_key)
        case _:
            return _hmac_keys(case, name)


def _hmac_keys(case: Case, name: str) -> Keys:
    secret = base64.b64encode(Random().randbytes(64 if case.venue == "kraken" else 30)).decode()
    phrase = "phrase-1" if case.venue == "okx" else None
    fields = {"apiKey": name, "secret": secret} | ({"password": phrase} if phrase else {})
    return Keys(fields, VenueKey(api_key=name, secret=secret, passphrase=phrase, account=ACCOUNT))


def _backpack_keys(api_key: str | None) -> Keys:
    private = ed25519.Ed25519PrivateKey.generate()
    seed = base64.b64encode(private.private_bytes_raw()).decode()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    name = api_key or public
    known = VenueKey(api_key=name, public_key_pem=public, kind="ed25519", account=ACCOUNT)
    return Keys({"apiKey": name, "secret": seed}, known)


def _pem(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _public(name: str, private: Any, kind: KeyKind) -> VenueKey:
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return VenueKey(api_key=name, public_key_pem=pem.decode(), kind=kind, account=ACCOUNT)


class Bench:
    """One venue, its account, and both of our halves, on one clock."""

    def __init__(
        self,
        case: Case,
        keys: Keys,
        *,
        balances: Mapping[str, str] | None = None,
        environment: model.Environment = model.Environment.PRODUCTION,
        siblings: tuple[Case, ...] = (),
    ) -> None:
        """``balances`` replaces the generous ones; instruments of ``siblings`` are listed besides the case's own."""
        self.case = case
        self.keys = keys
        self.now_ms = START_MS
        self.random = Random(20)
        self.nonce = START_MS * 1_000
        own = {} if balances is None else {ACCOUNT: {a: Decimal(v) for a, v in balances.items()}}
        self.venue: SimulatedVenue = create_venue(
            case.venue,
            [keys.known],
            [venue_instrument(each, index) for each in (case, *siblings) for index in (0, 1)],
            clock_ms=lambda: self.now_ms,
            rng=Random(7),
            settings=VenueSettings(balances=own),
        )
        self.half = VENUES[case.venue]
        self.reader = READERS[case.venue]
        margin = model.MarginMode.CASH if case.kind == "spot" else model.MarginMode.CROSS
        self.placement = model.Placement(environment, margin)
        self.site = self.half.site(self.placement, self.half.credential(keys.fields))
        self.btc, self.eth, self.none = (instrument(case, index) for index in range(3))

    @property
    def declared(self) -> Declaration:
        """What the enclave's half declares."""
        return self.half.declaration

    def stamp(self, valid_ms: int | None = None) -> model.Stamp:
        """The enclave's contribution now; by default valid for 5 s or what the venue fixes."""
        validity = self.declared.validity
        if valid_ms is None:
            fixed = validity.kind is ValidityKind.FIXED
            valid_ms = validity.longest_ms if fixed else min(max(5_000, validity.shortest_ms), validity.longest_ms)
        self.nonce += 1_000
        return model.Stamp(self.now_ms, self.nonce, self.now_ms + valid_ms, self.random.randbytes)

    def send(self, request: model.WireRequest) -> VenueResponse:
        """Hand the signed bytes to the venue as an HTTP server would."""
        return self.venue.handle(as_received(request))

    def ask(self, operation: Operation, request: model.WireRequest) -> Reading:
        """Send, and read the reply."""
        response = self.send(request)
        return self.reader.read(operation, response.status, response.headers, response.body)

    def create(self, order: model.Order, symbol: model.Instrument | None = None) -> Reading:
        """Build, sign, execute and read a create."""
        return self.ask(Operation.CREATE, self.site.create(order, symbol or self.btc, self.stamp()))

    def order(self, client_id: str) -> Order:
        """The venue's own record of an order."""
        found = self.venue.exchange.order(ACCOUNT, client_id=client_id)
        assert found is not None
        return found

    # -- intents -----------------------------------------------------------------------------------------------

    def limit(self, client_id: str, **changes: Any) -> model.Order:
        """A limit buy of 0.5 far below the market; ``changes`` name fields of the order."""
        order = model.Order(
            account=ACCOUNT,
            venue=self.case.venue,
            symbol=self.btc.symbol,
            side=model.Side.BUY,
            type=model.OrderType.LIMIT,
            time_in_force=model.TimeInForce.GTC,
            quantity=exact("0.5"),
            quote_quantity=None,
            price=exact("40000.5"),
            stop_price=None,
            trigger_by=None,
            post_only=False,
            reduce_only=False,
            position_side=None,
            self_trade_prevention=None,
            client_order_id=client_id,
            created_at=self.now_ms * MS,
            valid_until=(self.now_ms + 5_000) * MS,
            expire_at=0,
            reference_price=None,
            reference_time=0,
            tag="",
        )
        return order._replace(**changes)

    def market(self, client_id: str, **changes: Any) -> model.Order:
        """A market buy of 0.5."""
        plain: dict[str, Any] = {"type": model.OrderType.MARKET, "time_in_force": None, "price": None}
        return self.limit(client_id, **(plain | changes))

    def cancel(self, client_id: str = "", venue_id: str = "", *, conditional: bool = False) -> model.Cancel:
        """A cancel of one order."""
        return model.Cancel(**self._named(client_id, venue_id), conditional=conditional)

    def query(
        self, client_id: str = "", venue_id: str = "", *, conditional: bool = False, closed: bool = False
    ) -> model.Query:
        """A read of one order."""
        return model.Query(**self._named(client_id, venue_id), conditional=conditional, closed=closed)

    def look(
        self, client_id: str = "", venue_id: str = "", *, conditional: bool = False, closed: bool = False
    ) -> Reading:
        """Ask for one order and pick it out of what the venue shows."""
        query = self.query(client_id, venue_id, conditional=conditional, closed=closed)
        asked = self.site.query(query, self.btc, self.stamp())
        return narrow(self.ask(Operation.QUERY, asked), client_order_id=client_id, venue_order_id=venue_id)

    def cancel_all(self, side: model.Side | None = None) -> model.CancelAll:
        """A cancel of the open orders of the first symbol."""
        return model.CancelAll(**self._head(), side=side)

    def open_orders(self) -> model.OpenOrders:
        """A read of the open orders of the first symbol."""
        return model.OpenOrders(**self._head())

    def balances(self) -> model.Balances:
        """A read of the balances."""
        head = self._head()
        head.pop("symbol")
        return model.Balances(**head)

    def amend(self, client_id: str, venue_id: str = "", **changes: Any) -> model.Amend:
        """A change; ``changes`` name quantity, price and so on."""
        plain: dict[str, Any] = {
            "new_client_order_id": "",
            "quantity": None,
            "price": None,
            "reference_price": None,
            "reference_time": 0,
        }
        return model.Amend(**self._named(client_id, venue_id), **(plain | changes))

    def _head(self) -> dict[str, Any]:
        return {
            "account": ACCOUNT,
            "venue": self.case.venue,
            "symbol": self.btc.symbol,
            "created_at": self.now_ms * MS,
            "valid_until": (self.now_ms + 5_000) * MS,
        }

    def _named(self, client_id: str, venue_id: str) -> dict[str, Any]:
        return self._head() | {"client_order_id": client_id, "venue_order_id": venue_id}


def instrument(case: Case, index: int) -> model.Instrument:
    """An instrument as a policy has it: the two that are listed, and one that is not."""
    swap = case.kind == "swap"
    base = BASES[index]
    return model.Instrument(
        symbol=f"{base}/{case.quote}:{case.quote}" if swap else f"{base}/{case.quote}",
        venue_symbol=(*case.symbols, case.unlisted)[index],
        base=base,
        quote=case.quote,
        settle=case.quote if swap else "",
        kind=model.Kind.SWAP if swap else model.Kind.SPOT,
        tick_size=exact(TICK),
        lot_size=exact(LOT),
        contract_size=exact("1"),
    )


def venue_instrument(case: Case, index: int) -> VenueInstrument:
    """The same instrument as the venue lists it."""
    ours = instrument(case, index)
    return VenueInstrument(
        symbol=ours.symbol,
        venue_symbol=ours.venue_symbol,
        base=ours.base,
        quote=ours.quote,
        settle=ours.settle or None,
        kind=case.kind,
        tick=TICK,
        lot=LOT,
        reference_price=REFERENCE,
    )


def as_received(request: model.WireRequest) -> VenueRequest:
    """Cut a signed request into what an HTTP server sees: the Host header is the signed URL's."""
    parts = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers}
    return VenueRequest(
        method=request.method,
        path=parts.path,
        query=parts.query,
        headers={"host": parts.netloc} | headers,
        body=request.body or b"",
    )


def another_secret(case: Case, keys: Keys) -> Keys:
    """The same API key with a secret that the venue does not know."""
    return replace(keys, fields=dict(make_keys(case, keys.fields["apiKey"]).fields))
