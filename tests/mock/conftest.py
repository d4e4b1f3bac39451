"""Fixtures of the simulated venues: one account per venue with keys made here, never anywhere near production."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from casemate_mock.venues import SimulatedVenue, VenueInstrument, VenueKey, VenueSettings, create_venue

NOW_MS = 1_700_000_000_123
SEED = bytes(range(32))
BASE64_SECRET = base64.b64encode(bytes(range(64))).decode()
COINBASE_KEY = "organizations/11111111-2222-4333-8444-555555555555/apiKeys/66666666-7777-4888-8999-000000000000"


@dataclass(slots=True)
class Clock:
    """A clock that moves when told to."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        """Milliseconds UTC."""
        return self.now_ms


@dataclass(frozen=True, slots=True)
class World:
    """A venue with its clock, and what a ccxt client needs to trade there."""

    venue: SimulatedVenue
    clock: Callable[[], int]
    credentials: dict[str, str]
    symbols: tuple[str, ...]


def _instrument(symbol: str, venue_symbol: str, quote: str, contract: str | None = None) -> VenueInstrument:
    return VenueInstrument(
        symbol=symbol,
        venue_symbol=venue_symbol,
        base="BTC",
        quote=quote,
        settle=None if contract is None else quote,
        kind="spot" if contract is None else "swap",
        tick=Decimal("0.1"),
        lot=Decimal("0.00001") if contract is None else Decimal("0.001"),
        contract_size=Decimal(contract or 1),
        reference_price=Decimal(50000),
    )


def _p256() -> tuple[str, str]:
    key = ec.derive_private_key(int("0123456789abcdef" * 4, 16), ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public


def _ed25519() -> tuple[str, str]:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    return base64.b64encode(SEED).decode(), base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _hmac(secret: str, passphrase: str | None = None) -> tuple[VenueKey, dict[str, str]]:
    key = VenueKey(api_key="test-api-key", secret=secret, passphrase=passphrase)
    credentials = {"apiKey": "test-api-key", "secret": secret}
    return key, credentials if passphrase is None else credentials | {"password": passphrase}


def _keys(name: str) -> tuple[VenueKey, dict[str, str]]:
    match name:
        case "okx":
            return _hmac("test-api-secret", "test-passphrase")
        case "kraken":
            return _hmac(BASE64_SECRET)
        case "coinbase":
            private, public = _p256()
            key = VenueKey(api_key=COINBASE_KEY, public_key_pem=public, kind="es256")
            return key, {"apiKey": COINBASE_KEY, "secret": private}
        case "backpack":
            seed, public = _ed25519()
            key = VenueKey(api_key="test-api-key", public_key_pem=public, kind="ed25519")
            return key, {"apiKey": "test-api-key", "secret": seed}
        case _:
            return _hmac("test-api-secret")


def _instruments(name: str) -> list[VenueInstrument]:
    usdt, swap = "BTC/USDT", "BTC/USDT:USDT"
    match name:
        case "okx":
            return [_instrument(usdt, "BTC-USDT", "USDT"), _instrument(swap, "BTC-USDT-SWAP", "USDT", "0.01")]
        case "kraken":
            return [_instrument(usdt, "XBTUSDT", "USDT")]
        case "coinbase":
            return [_instrument("BTC/USD", "BTC-USD", "USD")]
        case "backpack":
            spot = _instrument("BTC/USDC", "BTC_USDC", "USDC")
            return [spot, _instrument("BTC/USDC:USDC", "BTC_USDC_PERP", "USDC", "1")]
        case "binanceusdm":
            return [_instrument(swap, "BTCUSDT", "USDT", "1")]
        case _:
            return [_instrument(usdt, "BTCUSDT", "USDT"), _instrument(swap, "BTCUSDT", "USDT", "1")]


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world() -> MakeWorld:
    """Build a venue by name, with a still clock unless another is given."""

    def make(name: str, clock: Callable[[], int] | None = None, settings: VenueSettings | None = None) -> World:
        key, credentials = _keys(name)
        instruments, ticking = _instruments(name), clock or Clock()
        venue = create_venue(name, [key], instruments, clock_ms=ticking, rng=Random(7), settings=settings)
        return World(venue, ticking, credentials, tuple(i.symbol for i in instruments))

    return make
