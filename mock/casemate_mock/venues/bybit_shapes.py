"""Bybit's instruments, coins and wallet."""

from collections.abc import Mapping
from typing import Any

from casemate_mock.exchange import Balance, VenueInstrument
from casemate_mock.exchange.arithmetic import plain

Json = dict[str, Any]
_LARGEST = "9000000000"


def instrument_view(instrument: VenueInstrument) -> Json:
    """Return an entry of /v5/market/instruments-info."""
    head = {
        "symbol": instrument.venue_symbol,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "status": "Trading",
    }
    return head | (_linear(instrument) if instrument.kind == "swap" else _spot(instrument))


def coin_info(asset: str) -> Json:
    """Return a row of /v5/asset/coin/query-info."""
    chain = {
        "chain": asset,
        "chainType": asset,
        "chainDeposit": "1",
        "chainWithdraw": "0",
        "minAccuracy": "8",
    }
    return {"name": asset, "coin": asset, "remainAmount": "0", "chains": [chain]}


def wallet(balances: Mapping[str, Balance], coins: str | None) -> Json:
    """Return the result of /v5/account/wallet-balance."""
    wanted = None if coins is None else set(coins.split(","))
    rows = [_coin(asset, held) for asset, held in balances.items() if wanted is None or asset in wanted]
    account = {"accountType": "UNIFIED", "accountLTV": "", "accountIMRate": "0", "accountMMRate": "0"}
    return {"list": [account | {"totalEquity": "0", "totalWalletBalance": "0", "coin": rows}]}


def _coin(asset: str, held: Balance) -> Json:
    return {
        "coin": asset,
        "equity": plain(held.total),
        "usdValue": "0",
        "walletBalance": plain(held.total),
        "locked": plain(held.locked),
        "availableToWithdraw": plain(held.available),
        "borrowAmount": "0",
        "spotBorrow": "0",
        "accruedInterest": "0",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
    }


def _spot(instrument: VenueInstrument) -> Json:
    lots = {"basePrecision": plain(instrument.lot), "quotePrecision": "0.00000001"}
    sizes = {"minOrderQty": plain(instrument.smallest), "maxOrderQty": _LARGEST}
    values = {"minOrderAmt": plain(instrument.min_notional), "maxOrderAmt": _LARGEST}
    return {
        "innovation": "0",
        "marginTrading": "none",
        "lotSizeFilter": lots | sizes | values,
        "priceFilter": {"tickSize": plain(instrument.tick)},
    }


def _linear(instrument: VenueInstrument) -> Json:
    tick = plain(instrument.tick)
    sizes = {
        "minOrderQty": plain(instrument.smallest),
        "maxOrderQty": _LARGEST,
        "qtyStep": plain(instrument.lot),
    }
    return {
        "contractType": "LinearPerpetual",
        "settleCoin": instrument.settle_asset,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": _LARGEST, "tickSize": tick},
        "lotSizeFilter": sizes | {"minNotionalValue": plain(instrument.min_notional)},
        "fundingInterval": 480,
    }
