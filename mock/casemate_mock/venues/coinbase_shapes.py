"""Coinbase's products, currencies and accounts."""

from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from casemate_mock.exchange import Balance, VenueInstrument
from casemate_mock.exchange.arithmetic import plain

Json = dict[str, Any]
_LARGEST = "9000000000"
_FIAT = {"USD", "EUR", "GBP"}


def product_view(instrument: VenueInstrument) -> Json:
    """Return an entry of /brokerage/market/products."""
    return {
        "product_id": instrument.venue_symbol,
        "price": plain(instrument.reference_price),
        "base_increment": plain(instrument.lot),
        "quote_increment": plain(instrument.tick),
        "price_increment": plain(instrument.tick),
        "base_min_size": plain(instrument.smallest),
        "base_max_size": _LARGEST,
        "quote_min_size": plain(instrument.min_notional),
        "quote_max_size": _LARGEST,
        "base_name": instrument.base,
        "quote_name": instrument.quote,
        "base_currency_id": instrument.base,
        "quote_currency_id": instrument.quote,
        "status": "online",
        "product_type": "SPOT",
        "trading_disabled": False,
        "is_disabled": False,
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "auction_mode": False,
        "product_venue": "CBE",
        "alias": "",
    }


def fiat_view(asset: str) -> Json:
    """Return an entry of /v2/currencies."""
    return {"id": asset, "name": asset, "min_size": "0.01"}


def crypto_view(asset: str) -> Json:
    """Return an entry of /v2/currencies/crypto."""
    return {"asset_id": account_id(asset), "code": asset, "name": asset, "type": "crypto", "exponent": 8}


def is_fiat(asset: str) -> bool:
    """Whether an asset is money of a state."""
    return asset in _FIAT


def account_id(asset: str) -> str:
    """Return a stable UUID of an asset's account."""
    return str(uuid5(NAMESPACE_DNS, f"{asset}.simulated.coinbase"))


def account_v3(asset: str, held: Balance) -> Json:
    """Return an entry of /api/v3/brokerage/accounts."""
    return {
        "uuid": account_id(asset),
        "name": f"{asset} Wallet",
        "currency": asset,
        "available_balance": {"value": plain(held.available), "currency": asset},
        "hold": {"value": plain(held.locked), "currency": asset},
        "default": True,
        "active": True,
        "ready": True,
        "type": "ACCOUNT_TYPE_FIAT" if is_fiat(asset) else "ACCOUNT_TYPE_CRYPTO",
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }


def account_v2(asset: str, held: Balance) -> Json:
    """Return an entry of /v2/accounts; it shows the whole balance, held parts too."""
    return {
        "id": account_id(asset),
        "name": f"{asset} Wallet",
        "primary": False,
        "type": "fiat" if is_fiat(asset) else "wallet",
        "currency": {
            "code": asset,
            "name": asset,
            "exponent": 8,
            "type": "fiat" if is_fiat(asset) else "crypto",
        },
        "balance": {"amount": plain(held.total), "currency": asset},
        "resource": "account",
    }
