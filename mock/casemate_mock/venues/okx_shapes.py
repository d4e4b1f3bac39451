"""OKX's instruments, currencies and balances."""

from collections.abc import Mapping
from typing import Any

from casemate_mock.exchange import Balance, VenueInstrument
from casemate_mock.exchange.arithmetic import plain

Json = dict[str, Any]
_LARGEST = "9000000000"


def instrument_view(instrument: VenueInstrument) -> Json:
    """Return an entry of /public/instruments."""
    spot = instrument.kind == "spot"
    pair = f"{instrument.base}-{instrument.quote}"
    return {
        "instId": instrument.venue_symbol,
        "instType": "SPOT" if spot else "SWAP",
        "baseCcy": instrument.base if spot else "",
        "quoteCcy": instrument.quote if spot else "",
        "settleCcy": "" if spot else instrument.settle_asset,
        "uly": "" if spot else pair,
        "instFamily": "" if spot else pair,
        "ctVal": "" if spot else plain(instrument.contract_size),
        "ctMult": "" if spot else "1",
        "ctValCcy": "" if spot else instrument.base,
        "ctType": "" if spot else "linear",
        "tickSz": plain(instrument.tick),
        "lotSz": plain(instrument.lot),
        "minSz": plain(instrument.smallest),
        "maxLmtSz": _LARGEST,
        "maxMktSz": _LARGEST,
        "lever": "" if spot else "100",
        "state": "live",
        "listTime": "1548133413000",
        "expTime": "",
        "alias": "",
        "stk": "",
        "optType": "",
    }


def currency_view(asset: str) -> Json:
    """Return an entry of /asset/currencies."""
    return {
        "ccy": asset,
        "name": asset,
        "chain": f"{asset}-{asset}",
        "canDep": True,
        "canWd": False,
        "canInternal": False,
        "minFee": "0",
        "maxFee": "0",
        "minWd": "0",
        "maxWd": "0",
        "wdTickSz": "8",
        "mainNet": True,
    }


def balance_view(balances: Mapping[str, Balance], coins: str | None, now_ms: int) -> Json:
    """Return the one entry of /account/balance."""
    wanted = None if coins is None else set(coins.split(","))
    details = [_detail(a, held, now_ms) for a, held in balances.items() if wanted is None or a in wanted]
    empty = dict.fromkeys(("adjEq", "imr", "mmr", "mgnRatio", "notionalUsd", "ordFroz", "upl"), "")
    return empty | {"uTime": str(now_ms), "totalEq": "0", "isoEq": "0", "details": details}


def _detail(asset: str, held: Balance, now_ms: int) -> Json:
    return {
        "ccy": asset,
        "eq": plain(held.total),
        "cashBal": plain(held.total),
        "availBal": plain(held.available),
        "availEq": plain(held.available),
        "frozenBal": plain(held.locked),
        "ordFrozen": plain(held.locked),
        "uTime": str(now_ms),
        "disEq": "0",
        "eqUsd": "0",
        "liab": "",
        "upl": "0",
        "interest": "",
    }
