"""From trades to orders: scaled onto each venue's ticks, lots and rate limits; a few break the policy on purpose.

Pure, given its random source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from casemate.intents import OrderIntent
from casemate.models import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from casemate.demo.stack import Market
    from casemate.demo.tape import Trade


class Pace(NamedTuple):
    """What one account of a venue is offered: a burst, then a steady rate, within the venue's own limits.

    ``resting`` is the share of orders priced to rest; they are cancelled at the end, which some venues make dear.
    """

    burst: int
    per_s: float
    resting: float


# Below the venues' published order limits, which the host enforces whatever we send.
PACES: Final = {
    "binance": Pace(6, 4.0, 0.4),
    "binanceusdm": Pace(20, 18, 0.4),
    "bybit": Pace(1, 8, 0.4),
    "okx": Pace(20, 24, 0.4),
    # Each cancel of a fresh order costs eight of a counter of sixty that drains by one a second.
    "kraken": Pace(60, 2.5, 0.05),
    "coinbase": Pace(4, 22, 0.4),
    "backpack": Pace(20, 26, 0.4),
}
_DEFAULT_PACE: Final = Pace(10, 5, 0.4)
_VIOLATIONS_SHARE: Final = 0.08
_TOP_NOTIONAL: Final = Decimal(15_000)
_SHORTEST_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One order to send ``at_s`` seconds after the start; ``rule`` is what must refuse it, None if it must pass.

    ``by_reader`` has it sent by the engine that may not trade.
    """

    at_s: float
    order: OrderIntent
    rule: str | None = None
    by_reader: bool = False


def pace_of(venue: str) -> Pace:
    """How fast an account of this venue is used."""
    return PACES.get(venue, _DEFAULT_PACE)


def plan_orders(trades: Sequence[Trade], markets: Sequence[Market], count: int, random: Random) -> list[Planned]:
    """Make ``count`` orders of the trades (which repeat if there are fewer), spread over all accounts.

    Times keep the trades' bursts, stretched to what the venues' limits bear.
    """
    venues = {market.account: market.venue for market in markets}
    accounts, duration = _spread(venues, count, random)
    first = trades[0].price
    span = max(trades[min(count, len(trades)) - 1].at_s, 1e-9)
    by_account = {name: [market for market in markets if market.account == name] for name in venues}
    planned = []
    for index, account in enumerate(accounts):
        trade = trades[index % len(trades)]
        laps, at_s = index // len(trades), min(trade.at_s, span) / span
        market = random.choice(by_account[account])
        made = _order(trade, market, first, random)
        at_s = (laps + at_s) * duration / (1 + (count - 1) // len(trades))
        planned.append(_spoiled(made, market, at_s, random))
    return sorted(planned, key=lambda item: item.at_s)


def _spread(venues: dict[str, str], count: int, random: Random) -> tuple[list[str], float]:
    """Choose an account for each order in proportion to what its venue bears, and the seconds that this takes."""
    paces = {account: pace_of(venue) for account, venue in venues.items()}
    burst, rate = sum(pace.burst for pace in paces.values()), sum(pace.per_s for pace in paces.values())
    duration = max((count - burst / 2) / rate, _SHORTEST_S)
    weights = {account: pace.burst / 2 + pace.per_s * duration for account, pace in paces.items()}
    chosen = random.choices(list(weights), list(weights.values()), k=count)
    # Every account gets at least one order.
    chosen[: len(weights)] = list(weights)[:count]
    random.shuffle(chosen)
    return chosen, duration


def _order(trade: Trade, market: Market, first: Decimal, random: Random) -> OrderIntent:
    pace = pace_of(market.venue)
    # The tape's moves, damped: a simulated market stands where it is put.
    drift = 1 + (trade.price / first - 1) / 10
    resting = random.random() < pace.resting
    away = random.randrange(5, 200) * market.tick * (1 if resting else -1)
    price = _on_tick(market.reference * (drift if resting else 1) + (-away if trade.buy else away), market)
    if resting:
        # Never across the market, or it would not rest.
        limit = market.reference - 5 * market.tick if trade.buy else market.reference + 5 * market.tick
        price = min(price, limit) if trade.buy else max(price, limit)
    # Half of those that take, and a few of those that do not, say that they would not rest.
    immediate = random.random() < (0.1 if resting else 0.5)
    passive = resting and not immediate and random.random() < 0.2  # noqa: PLR2004 - a fifth says post_only
    return OrderIntent.limit(
        market.account,
        market.venue,
        market.symbol,
        Side.BUY if trade.buy else Side.SELL,
        quantity=_size(trade, market, first),
        price=price,
        time_in_force=TimeInForce.IOC if immediate else TimeInForce.GTC,
        post_only=passive,
        tag="demo",
    )


def _on_tick(price: Decimal, market: Market) -> Decimal:
    low, high = market.band
    ticks = (min(max(price, low), high) / market.tick).quantize(Decimal(1), ROUND_HALF_EVEN)
    return ticks * market.tick


def _size(trade: Trade, market: Market, first: Decimal) -> Decimal:
    """Same value as the trade had, in whole lots, at least one and at most what the policy bears."""
    wanted = trade.quantity * first / (market.reference * market.contract_size)
    largest = _TOP_NOTIONAL / (market.band[1] * market.contract_size)
    # Below ten units of quote currency many real venues refuse.
    smallest = Decimal(10) / (market.reference * market.contract_size)
    lots = (min(max(wanted, smallest), largest) / market.lot).quantize(Decimal(1), ROUND_DOWN)
    return max(lots, Decimal(1)) * market.lot


def _spoiled(order: OrderIntent, market: Market, at_s: float, random: Random) -> Planned:
    if random.random() >= _VIOLATIONS_SHARE:
        return Planned(at_s=at_s, order=order)
    kind = random.choice(("max_notional", "band", "precision", "instrument", "type", "operation"))
    return Planned(at_s=at_s, order=_spoil(order, market, kind), rule=kind, by_reader=kind == "operation")


def _spoil(order: OrderIntent, market: Market, kind: str) -> OrderIntent:
    match kind:
        case "max_notional":
            size = Decimal(1_000_000) / (market.reference * market.contract_size)
            lots = (size / market.lot).quantize(Decimal(1), ROUND_DOWN)
            return replace(order, quantity=format(lots * market.lot, "f"))
        case "band":
            return replace(order, price=format(market.band[1] * 2, "f"))
        case "precision":
            return replace(order, price=format(Decimal(order.price) + market.tick / 2, "f"))
        case "instrument":
            return replace(order, symbol="DOGE/USDT")
        case "type":
            return replace(order, type=OrderType.MARKET, price="", time_in_force=None, post_only=False)
        case _:
            return order
