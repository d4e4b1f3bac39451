"""Binance's public endpoints: what a client reads before it can trade."""

from typing import Any

from casemate_mock.exchange import VenueInstrument
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.venues.fields import places

Json = dict[str, Any]
_LARGEST = "9000000000"
_PERPETUAL_DELIVERY = 4133404800000
_RATE_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
]
_SPOT_TYPES = [
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
]  # fmt: skip


def exchange_info(symbols: list[Json], now_ms: int) -> Json:
    """Body of exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": _RATE_LIMITS,
        "exchangeFilters": [],
        "symbols": symbols,
    }


def spot_symbol(instrument: VenueInstrument) -> Json:
    """One entry of /api/v3/exchangeInfo."""
    return {
        "symbol": instrument.venue_symbol,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": _SPOT_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(instrument),
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def futures_symbol(instrument: VenueInstrument) -> Json:
    """One entry of /fapi/v1/exchangeInfo."""
    return {
        "symbol": instrument.venue_symbol,
        "pair": instrument.venue_symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _PERPETUAL_DELIVERY,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle_asset,
        "pricePrecision": places(instrument.tick),
        "quantityPrecision": places(instrument.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": _filters(instrument),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def book_ticker(venue_symbol: str, bid: str, ask: str) -> Json:
    """Body of bookTicker."""
    return {"symbol": venue_symbol, "bidPrice": bid, "bidQty": "1", "askPrice": ask, "askQty": "1"}


def _filters(instrument: VenueInstrument) -> list[Json]:
    tick, lot, least = plain(instrument.tick), plain(instrument.lot), plain(instrument.smallest)
    notional = plain(instrument.min_notional)
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": _LARGEST, "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": least, "maxQty": _LARGEST, "stepSize": lot},
        {"filterType": "MARKET_LOT_SIZE", "minQty": least, "maxQty": _LARGEST, "stepSize": lot},
        {"filterType": "MIN_NOTIONAL", "minNotional": notional, "notional": notional},
    ]
