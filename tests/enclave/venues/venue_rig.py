"""Sites of every venue with keys made for these tests, and orders to give them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from enclave_signer.decimals import Amount, parse
from enclave_signer.model import (
    Instrument,
    Kind,
    MarginMode,
    Order,
    OrderType,
    Placement,
    Side,
    Stamp,
    TimeInForce,
)
from enclave_signer.venues.registry import VENUES

if TYPE_CHECKING:
    from enclave_signer.venues.base import Site, Venue
    from enclave_signer.venues.declaration import Declaration

NOW_MS: Final = 1_700_000_000_123
SEED: Final = base64.b64encode(bytes(range(32))).decode()
CREDENTIALS: Final = {
    "binance": {"secret": "made-for-tests"},
    "binanceusdm": {"secret": "made-for-tests"},
    "bybit": {"secret": "made-for-tests"},
    "okx": {"secret": "made-for-tests", "password": "phrase"},
    "kraken": {"secret": base64.b64encode(bytes(range(64))).decode()},
    "coinbase": {"secret": SEED},
    "backpack": {"secret": SEED},
}
SYMBOLS: Final = {
    ("binance", Kind.SPOT): "BTCUSDT",
    ("binance", Kind.SWAP): "BTCUSDT",
    ("binanceusdm", Kind.SWAP): "BTCUSDT",
    ("bybit", Kind.SPOT): "BTCUSDT",
    ("bybit", Kind.SWAP): "BTCUSDT",
    ("okx", Kind.SPOT): "BTC-USDT",
    ("okx", Kind.SWAP): "BTC-USDT-SWAP",
    ("kraken", Kind.SPOT): "XBTUSDT",
    ("coinbase", Kind.SPOT): "BTC-USDT",
    ("backpack", Kind.SPOT): "BTC_USDT",
    ("backpack", Kind.SWAP): "BTC_USDT_PERP",
}
ORDER_IDS: Final = {"kraken": "OABCDE-FGHIJ-KLMNOP"}


def exact(text: str) -> Amount:
    """A decimal that is one."""
    found = parse(text)
    assert found is not None
    return found


@dataclass(frozen=True)
class Market:
    """One venue and one kind of instrument."""

    venue: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.venue}-{self.kind.value}"

    @property
    def file(self) -> Venue:
        """The venue file."""
        return VENUES[self.venue]

    @property
    def declared(self) -> Declaration:
        """What it declares."""
        return self.file.declaration

    @property
    def order_id(self) -> str:
        """An order id of the venue's own form."""
        return ORDER_IDS.get(self.venue, "1234567890")

    def site(self, *, hedged: bool = False, margin_mode: MarginMode = MarginMode.CASH) -> Site:
        """A site of a new credential."""
        credential = self.file.credential({"apiKey": "key", **CREDENTIALS[self.venue]})
        return self.file.site(Placement(margin_mode=margin_mode, hedged=hedged), credential)

    @property
    def instrument(self) -> Instrument:
        """BTC against USDT."""
        swap = self.kind is Kind.SWAP
        step = exact("0.00000001")
        return Instrument(
            symbol="BTC/USDT:USDT" if swap else "BTC/USDT",
            venue_symbol=SYMBOLS[self.venue, self.kind],
            base="BTC",
            quote="USDT",
            settle="USDT",
            kind=self.kind,
            tick_size=step,
            lot_size=step,
            contract_size=exact("1"),
        )

    def order(self, **changes: Any) -> Order:
        """A limit buy; ``changes`` name its fields."""
        plain = Order(
            account="main",
            venue=self.venue,
            symbol=self.instrument.symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=exact("0.5"),
            quote_quantity=None,
            price=exact("50000.5"),
            stop_price=None,
            trigger_by=None,
            post_only=False,
            reduce_only=False,
            position_side=None,
            self_trade_prevention=None,
            client_order_id="4242",
            created_at=NOW_MS * 1_000_000,
            valid_until=(NOW_MS + 5_000) * 1_000_000,
            expire_at=0,
            reference_price=None,
            reference_time=0,
            tag="",
        )
        return plain._replace(**changes)


def stamp(valid_ms: int = 5_000, now_ms: int = NOW_MS) -> Stamp:
    """The enclave's part, with random bytes that are always the same."""
    return Stamp(now_ms, now_ms, now_ms + valid_ms, lambda count: b"\x07" * count)


MARKETS: Final = tuple(Market(venue, kind) for venue, kind in SYMBOLS)
