"""What the stand-ins are given: the demonstration accounts, random keys, and a venue's file format.

Nothing here is a real key, and none is ever the same twice: every start makes new ones.
"""

import base64
import secrets
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from casemate_mock.exchange import VenueInstrument
from casemate_mock.venues.config import RateLimit, VenueKey, VenueSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAccount:
    """One account of the demonstration: the policy's name, its venue, and what it trades there.

    `server` is the simulated venue that serves it (both Binance products share one).
    """

    name: str
    venue: str
    server: str
    instruments: tuple[VenueInstrument, ...]
    margin_mode: str = "cash"


def _spot(symbol: str, venue_symbol: str, tick: str, lot: str, reference: str) -> VenueInstrument:
    base, quote = symbol.split("/")
    return VenueInstrument(
        symbol=symbol,
        venue_symbol=venue_symbol,
        base=base,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        reference_price=Decimal(reference),
    )


def _swap(
    symbol: str, venue_symbol: str, tick: str, lot: str, reference: str, contract_size: str = "1"
) -> VenueInstrument:
    pair, settle = symbol.split(":")
    base, quote = pair.split("/")
    return VenueInstrument(
        symbol=symbol,
        venue_symbol=venue_symbol,
        base=base,
        quote=quote,
        settle=settle,
        kind="swap",
        tick=Decimal(tick),
        lot=Decimal(lot),
        contract_size=Decimal(contract_size),
        reference_price=Decimal(reference),
    )


DEMO_ACCOUNTS: tuple[DemoAccount, ...] = (
    DemoAccount(
        name="binance-spot",
        venue="binance",
        server="binance",
        instruments=(
            _spot("BTC/USDT", "BTCUSDT", "0.01", "0.00001", "60000"),
            _spot("ETH/USDT", "ETHUSDT", "0.01", "0.0001", "3000"),
        ),
    ),
    DemoAccount(
        name="binance-usdm",
        venue="binanceusdm",
        server="binance",
        instruments=(_swap("BTC/USDT:USDT", "BTCUSDT", "0.1", "0.001", "60000"),),
        margin_mode="cross",
    ),
    DemoAccount(
        name="bybit-linear",
        venue="bybit",
        server="bybit",
        instruments=(_swap("BTC/USDT:USDT", "BTCUSDT", "0.1", "0.001", "60000"),),
        margin_mode="cross",
    ),
    DemoAccount(
        name="okx-spot",
        venue="okx",
        server="okx",
        instruments=(
            _spot("BTC/USDT", "BTC-USDT", "0.1", "0.00000001", "60000"),
            _spot("ETH/USDT", "ETH-USDT", "0.01", "0.000001", "3000"),
        ),
    ),
    DemoAccount(
        name="kraken-spot",
        venue="kraken",
        server="kraken",
        instruments=(
            _spot("BTC/USDT", "XBTUSDT", "0.1", "0.00000001", "60000"),
            _spot("ETH/USDT", "ETHUSDT", "0.01", "0.00000001", "3000"),
            _spot("SOL/USDT", "SOLUSDT", "0.01", "0.00000001", "150"),
        ),
    ),
    DemoAccount(
        name="coinbase-spot",
        venue="coinbase",
        server="coinbase",
        instruments=(_spot("BTC/USD", "BTC-USD", "0.01", "0.00000001", "60000"),),
    ),
    DemoAccount(
        name="backpack-spot",
        venue="backpack",
        server="backpack",
        instruments=(_spot("BTC/USDC", "BTC_USDC", "0.1", "0.00001", "60000"),),
    ),
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One key seen from both ends: what the venue knows, and the credential in ccxt's field names."""

    venue: VenueKey
    credential: Mapping[str, str]

    def __repr__(self) -> str:
        """Show no key."""
        return f"<KeyPair {self.venue.account}>"


def random_key(server: str, account: str = "main") -> KeyPair:
    """Make a fresh key of the kind that the venue hands out. Raises KeyError for a strange venue."""
    return _MAKERS[server](account)


def _hmac_key(account: str) -> KeyPair:
    api_key, secret = secrets.token_hex(32), secrets.token_hex(32)
    return KeyPair(VenueKey(api_key=api_key, secret=secret, account=account), {"apiKey": api_key, "secret": secret})


def _okx_key(account: str) -> KeyPair:
    api_key, secret, passphrase = str(uuid.uuid4()), secrets.token_hex(16), secrets.token_urlsafe(12)
    venue = VenueKey(api_key=api_key, secret=secret, passphrase=passphrase, account=account)
    return KeyPair(venue, {"apiKey": api_key, "secret": secret, "password": passphrase})


def _kraken_key(account: str) -> KeyPair:
    api_key, secret = secrets.token_hex(28), base64.b64encode(secrets.token_bytes(64)).decode()
    return KeyPair(VenueKey(api_key=api_key, secret=secret, account=account), {"apiKey": api_key, "secret": secret})


def _coinbase_key(account: str) -> KeyPair:
    api_key = f"organizations/{uuid.uuid4()}/apiKeys/{uuid.uuid4()}"
    key = ec.generate_private_key(ec.SECP256R1())
    # Coinbase's key files hold SEC1 PEMs.
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    venue = VenueKey(api_key=api_key, public_key_pem=public.decode(), kind="es256", account=account)
    return KeyPair(venue, {"apiKey": api_key, "secret": secret})


def _backpack_key(account: str) -> KeyPair:
    seed = secrets.token_bytes(32)
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    api_key = base64.b64encode(public).decode()
    venue = VenueKey(api_key=api_key, public_key_pem=api_key, kind="ed25519", account=account)
    return KeyPair(venue, {"apiKey": api_key, "secret": base64.b64encode(seed).decode()})


_MAKERS = {
    "binance": _hmac_key,
    "binanceusdm": _hmac_key,
    "bybit": _hmac_key,
    "okx": _okx_key,
    "kraken": _kraken_key,
    "coinbase": _coinbase_key,
    "backpack": _backpack_key,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueConfig:
    """Everything that one simulated venue starts with."""

    keys: tuple[VenueKey, ...]
    instruments: tuple[VenueInstrument, ...]
    settings: VenueSettings


def read_venue_config(path: Path) -> VenueConfig:
    """Read a venue's TOML file: [[key]], [[instrument]], [settings]; decimals as text.

    Raises ValueError that names the file and what is wrong, OSError if it cannot be read.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return VenueConfig(
            keys=tuple(VenueKey(**item) for item in raw.get("key", ())),
            instruments=tuple(_read_instrument(item) for item in raw["instrument"]),
            settings=_read_settings(raw.get("settings", {})),
        )
    except (TypeError, KeyError, ValueError, ArithmeticError) as error:
        # A TypeError of a constructor names the field that it does not know.
        message = f"{path}: {type(error).__name__}: {error}"
        raise ValueError(message) from None


def _read_instrument(item: Mapping[str, Any]) -> VenueInstrument:
    decimals = {"tick", "lot", "contract_size", "reference_price", "min_quantity", "min_notional"}
    fields: dict[str, Any] = {name: Decimal(value) if name in decimals else value for name, value in item.items()}
    return VenueInstrument(**fields)


def _read_settings(item: Mapping[str, Any]) -> VenueSettings:
    decimals = {"depth", "leverage", "maker_fee", "taker_fee"}
    fields: dict[str, Any] = {name: Decimal(value) if name in decimals else value for name, value in item.items()}
    if "rate_limit" in fields:
        fields["rate_limit"] = RateLimit(**fields["rate_limit"])
    if "balances" in fields:
        fields["balances"] = {
            account: {asset: Decimal(amount) for asset, amount in assets.items()}
            for account, assets in fields["balances"].items()
        }
    return VenueSettings(**fields)


def demo_venue_config(server: str) -> tuple[VenueConfig, dict[str, Mapping[str, str]]]:
    """One simulated venue of the demonstration with fresh keys, and the credential of each account it serves."""
    accounts = [account for account in DEMO_ACCOUNTS if account.server == server]
    pairs = {account.name: random_key(account.venue, account.name) for account in accounts}
    config = VenueConfig(
        keys=tuple(pair.venue for pair in pairs.values()),
        instruments=tuple(instrument for account in accounts for instrument in account.instruments),
        settings=VenueSettings(),
    )
    return config, {name: pair.credential for name, pair in pairs.items()}


def with_spare_keys(config: VenueConfig, server: str) -> tuple[VenueConfig, dict[str, Mapping[str, str]]]:
    """The same venue with a second fresh key of each account, and these credentials."""
    accounts = [account for account in DEMO_ACCOUNTS if account.server == server]
    pairs = {account.name: random_key(account.venue, account.name) for account in accounts}
    spared = replace(config, keys=(*config.keys, *(pair.venue for pair in pairs.values())))
    return spared, {name: pair.credential for name, pair in pairs.items()}


def demo_servers() -> tuple[str, ...]:
    """The simulated venues of the demonstration, each once."""
    return tuple(dict.fromkeys(account.server for account in DEMO_ACCOUNTS))
