"""The venues and markets that are compared, and keys made for these tests alone."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

SEED: Final = bytes(range(32))
_EDWARDS: Final = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
_P256: Final = ec.derive_private_key(0xC0FFEE_0123_4567_89AB_CDEF, ec.SECP256R1())
_KEPT: Final = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

EDWARDS_PEM: Final = _EDWARDS.private_bytes(*_KEPT).decode()
EDWARDS_PUBLIC: Final = _EDWARDS.public_key()
# Coinbase's Ed25519 secrets are the seed and the public key, in base64.
EDWARDS_PAIR: Final = base64.b64encode(SEED + EDWARDS_PUBLIC.public_bytes_raw()).decode()
P256_PEM: Final = _P256.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
P256_PUBLIC: Final = _P256.public_key()
HMAC_SECRET: Final = "not-a-secret-of-anybody"  # noqa: S105 - made for these tests
KRAKEN_SECRET: Final = base64.b64encode(bytes(range(64))).decode()
COINBASE_NAME: Final = "organizations/11111111-2222-4333-8444-555555555555/apiKeys/66666666-7777-4888-8999-000000000000"


@dataclass(frozen=True, slots=True)
class Subject:
    """One venue, one market, one kind of key."""

    name: str
    venue: str
    kind: str
    symbol: str
    venue_symbol: str
    credentials: tuple[tuple[str, str], ...]

    @property
    def instrument(self) -> dict[str, str]:
        """The instrument as dry-run takes it, as fine as ccxt goes."""
        base, _, rest = self.symbol.partition("/")
        return {
            "symbol": self.symbol,
            "venue_symbol": self.venue_symbol,
            "base": base,
            "quote": rest.partition(":")[0],
            "kind": self.kind,
            "tick_size": "0.00000001",
            "lot_size": "0.00000001",
            "contract_size": "1",
        }

    def line(self, op: str, intent: dict[str, Any], now_ms: int) -> dict[str, Any]:
        """A line of dry-run's input."""
        return {
            "op": op,
            "venue": self.venue,
            "credentials": dict(self.credentials),
            "instrument": self.instrument,
            "intent": intent,
            "now_ms": now_ms,
        }


PHRASE: Final = "phrase"


def _keys(secret: str, api_key: str = "test-api-key", phrase: str = "") -> tuple[tuple[str, str], ...]:
    extra = (("password", phrase),) if phrase else ()
    return (("apiKey", api_key), ("secret", secret), *extra)


_SPOT, _SWAP = "BTC/USDT", "BTC/USDT:USDT"
SUBJECTS: Final = (
    Subject("binance-spot", "binance", "spot", _SPOT, "BTCUSDT", _keys(HMAC_SECRET)),
    Subject("binance-spot-ed25519", "binance", "spot", _SPOT, "BTCUSDT", _keys(EDWARDS_PEM)),
    Subject("binance-swap", "binance", "swap", _SWAP, "BTCUSDT", _keys(HMAC_SECRET)),
    Subject("binanceusdm-swap", "binanceusdm", "swap", _SWAP, "BTCUSDT", _keys(HMAC_SECRET)),
    Subject("bybit-spot", "bybit", "spot", _SPOT, "BTCUSDT", _keys(HMAC_SECRET)),
    Subject("bybit-swap", "bybit", "swap", _SWAP, "BTCUSDT", _keys(HMAC_SECRET)),
    Subject("okx-spot", "okx", "spot", _SPOT, "BTC-USDT", _keys(HMAC_SECRET, phrase=PHRASE)),
    Subject("okx-swap", "okx", "swap", _SWAP, "BTC-USDT-SWAP", _keys(HMAC_SECRET, phrase=PHRASE)),
    Subject("kraken-spot", "kraken", "spot", _SPOT, "XBTUSDT", _keys(KRAKEN_SECRET)),
    Subject("coinbase-spot", "coinbase", "spot", "BTC/USD", "BTC-USD", _keys(P256_PEM, COINBASE_NAME)),
    Subject("coinbase-spot-eddsa", "coinbase", "spot", "BTC/USD", "BTC-USD", _keys(EDWARDS_PAIR, "key-name")),
    Subject("backpack-spot", "backpack", "spot", "BTC/USDC", "BTC_USDC", _keys(base64.b64encode(SEED).decode())),
    Subject(
        "backpack-swap",
        "backpack",
        "swap",
        "BTC/USDC:USDC",
        "BTC_USDC_PERP",
        _keys(base64.b64encode(SEED).decode()),
    ),
)
BY_NAME: Final = {subject.name: subject for subject in SUBJECTS}
