"""Binance USD-M's views: assets, positions, and the codes of refusals."""

from decimal import Decimal
from typing import Any

from casemate_mock.exchange import Position, Refusal, VenueInstrument
from casemate_mock.exchange.arithmetic import ZERO, fixed
from casemate_mock.venues.binance_orders import Caller
from casemate_mock.venues.fields import places

Json = dict[str, Any]
MONEY_PLACES = 8


def asset_view(name: str, total: Decimal, available: Decimal, caller: Caller) -> Json:
    """Return one asset of /fapi/v3/account."""
    whole, free, used = (fixed(v, MONEY_PLACES) for v in (total, available, total - available))
    zero = fixed(ZERO, MONEY_PLACES)
    return {
        "asset": name,
        "walletBalance": whole,
        "unrealizedProfit": zero,
        "marginBalance": whole,
        "maintMargin": zero,
        "initialMargin": used,
        "positionInitialMargin": used,
        "openOrderInitialMargin": zero,
        "crossWalletBalance": whole,
        "crossUnPnl": zero,
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "marginAvailable": True,
        "updateTime": caller.now_ms,
    }


def balance_view(asset: Json) -> Json:
    """Return one entry of /fapi/v3/balance, from an asset of the account."""
    names = (
        "asset",
        "crossWalletBalance",
        "crossUnPnl",
        "availableBalance",
        "maxWithdrawAmount",
        "marginAvailable",
        "updateTime",
    )
    return {"accountAlias": "SgsR", "balance": asset["walletBalance"]} | {name: asset[name] for name in names}


def totals(assets: list[Json]) -> Json:
    """Return the sums of the account."""
    names = {
        "totalInitialMargin": "initialMargin",
        "totalMaintMargin": "maintMargin",
        "totalWalletBalance": "walletBalance",
        "totalUnrealizedProfit": "unrealizedProfit",
        "totalMarginBalance": "marginBalance",
        "availableBalance": "availableBalance",
        "maxWithdrawAmount": "maxWithdrawAmount",
    }
    return {
        total: fixed(sum((Decimal(asset[part]) for asset in assets), ZERO), MONEY_PLACES)
        for total, part in names.items()
    }


def position_view(instrument: VenueInstrument, position: Position, caller: Caller) -> Json:
    """Return one position."""
    price = places(instrument.tick)
    return {
        "symbol": instrument.venue_symbol,
        "positionSide": "BOTH",
        "positionAmt": fixed(position.size, places(instrument.lot)),
        "entryPrice": fixed(position.entry, price),
        "breakEvenPrice": fixed(position.entry, price),
        "markPrice": fixed(position.entry, price),
        "unRealizedProfit": fixed(ZERO, MONEY_PLACES),
        "unrealizedProfit": fixed(ZERO, MONEY_PLACES),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": fixed(instrument.notional(position.entry, position.size), MONEY_PLACES),
        "isolatedWallet": "0",
        "initialMargin": fixed(position.margin, MONEY_PLACES),
        "maintMargin": "0",
        "leverage": "10",
        "updateTime": caller.now_ms,
    }


_POST_ONLY = (
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history"
)
REFUSALS: dict[Refusal, tuple[int, str]] = {
    Refusal.TICK: (-4014, "Price not increased by tick size."),
    Refusal.LOT: (-4023, "Qty not increased by step size."),
    Refusal.MIN_QUANTITY: (-4003, "Quantity less than or equal to zero."),
    Refusal.MIN_NOTIONAL: (
        -4164,
        "Order's notional must be no smaller than 5 (unless you choose reduce only).",
    ),
    Refusal.INSUFFICIENT_BALANCE: (-2019, "Margin is insufficient."),
    Refusal.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    Refusal.POST_ONLY_WOULD_TAKE: (-5022, _POST_ONLY),
    Refusal.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Refusal.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
    Refusal.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Refusal.NOT_OPEN: (-2011, "Unknown order sent."),
    Refusal.BELOW_FILLED: (-5026, "Exceed maximum modify order limit."),
}
