"""Kraken's assets and pairs, with its own names for old assets (XXBT, ZUSD)."""

from typing import Any

from casemate_mock.exchange import VenueInstrument
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.venues.fields import places

Json = dict[str, Any]
_ALTNAMES = {"BTC": "XBT", "DOGE": "XDG"}
_OLD_CRYPTO = {"XBT", "ETH", "LTC", "XRP", "XLM", "XMR", "ZEC", "ETC", "REP", "MLN", "XDG"}
_OLD_FIAT = {"USD", "EUR", "GBP", "CAD", "JPY", "AUD"}


def altname(asset: str) -> str:
    """Kraken's short name: XBT for BTC."""
    return _ALTNAMES.get(asset, asset)


def asset_id(asset: str) -> str:
    """Kraken's id: XXBT for BTC, ZUSD for USD, USDT for USDT."""
    short = altname(asset)
    if short in _OLD_CRYPTO:
        return f"X{short}"
    return f"Z{short}" if short in _OLD_FIAT else short


def asset_view(asset: str) -> Json:
    """Return an entry of /0/public/Assets."""
    return {
        "aclass": "currency",
        "altname": altname(asset),
        "decimals": 10,
        "display_decimals": 5,
        "status": "enabled",
    }


def pair_altname(instrument: VenueInstrument) -> str:
    """Name of the pair without prefixes: XBTUSDT."""
    return altname(instrument.base) + altname(instrument.quote)


def pair_matches(instrument: VenueInstrument, pair: str) -> bool:
    """Whether a request's `pair` means this instrument: its id, altname or wsname."""
    wsname = f"{altname(instrument.base)}/{altname(instrument.quote)}"
    return pair in {instrument.venue_symbol, pair_altname(instrument), wsname}


def pair_view(instrument: VenueInstrument) -> Json:
    """Return an entry of /0/public/AssetPairs."""
    return {
        "altname": pair_altname(instrument),
        "wsname": f"{altname(instrument.base)}/{altname(instrument.quote)}",
        "aclass_base": "currency",
        "base": asset_id(instrument.base),
        "aclass_quote": "currency",
        "quote": asset_id(instrument.quote),
        "pair_decimals": places(instrument.tick),
        "cost_decimals": 5,
        "lot_decimals": places(instrument.lot),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "ordermin": plain(instrument.smallest),
        "costmin": plain(instrument.min_notional),
        "tick_size": plain(instrument.tick),
        "status": "online",
    }
