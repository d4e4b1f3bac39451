"""Seeded random orders: the same order as an intent of ours and as a call of ccxt's.

Every type, time in force and flag that a venue file declares comes up; numbers run from 1e-8 to 1e9 with up to
eight places.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from enclave_signer.model import Kind, OrderType, SelfTradePrevention, Side, TimeInForce, TriggerBy
from enclave_signer.venues.registry import VENUES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.agreement.subjects import Subject

_MANTISSA: Final = 10**17
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# 2033 and whole seconds, as every venue that has GTD keeps them.
_EXPIRY_S: Final = 2_000_000_000


@dataclass(slots=True)
class RandomOrder:
    """One order in both languages."""

    intent: dict[str, Any]
    placement: dict[str, Any]
    # Arguments of ccxt's create_order after the symbol.
    type: str
    side: str
    amount: str
    price: str | None
    params: dict[str, Any] = field(default_factory=dict)


def orders(subject: Subject, count: int, seed: str) -> list[RandomOrder]:
    """Make ``count`` orders that the venue declares it can express."""
    random = Random(f"{seed} {subject.name}")
    return [_order(subject, random, number) for number in range(count)]


def _order(subject: Subject, random: Random, number: int) -> RandomOrder:
    declared = VENUES[subject.venue].declaration
    kind = Kind(subject.kind)
    can = declared.abilities[kind]
    side = random.choice(list(Side))
    order_type = random.choice(sorted(declared.order_types[kind]))
    made = RandomOrder(
        intent={"side": side.name, "type": order_type.name, "client_order_id": _client_id(subject, random, number)},
        placement={},
        type="market" if order_type is OrderType.MARKET else "limit",
        side=side.name.lower(),
        amount=_number(random),
        price=None,
    )
    made.params["clientOrderId"] = _ccxt_id(subject, made.intent["client_order_id"])
    if order_type is OrderType.MARKET:
        _market(subject, made, side, random, by_quote=can.quote_quantity and random.random() < 0.5)
    else:
        made.intent |= {"quantity": made.amount, "price": _number(random)}
        made.price = made.intent["price"]
        times = can.stop_times if order_type is OrderType.STOP_LIMIT else declared.times_in_force[kind]
        _time(subject, made, random.choice(sorted(times)), order_type)
        posts = order_type is OrderType.LIMIT or can.stop_post_only
        fits = TimeInForce[made.intent["time_in_force"]] in can.post_only_times
        if posts and fits and random.random() < 0.4:
            made.intent["post_only"] = made.params["postOnly"] = True
    if order_type is OrderType.STOP_LIMIT:
        watched = random.choice([None, *sorted(can.triggers)])
        _stop(subject, made, side, watched, can.triggers)
    _position(made, side, random, hedge=can.hedge, reduces=can.reduce_only)
    modes = sorted(can.self_trade) if _has_self_trade(subject, made) else []
    if modes and random.random() < 0.4:
        _self_trade(subject, made, random.choice(modes))
    return made


def _number(random: Random, digits: int = 17) -> str:
    """A decimal between 1e-8 and 1e9, of up to ``digits`` significant digits and eight places."""
    digits = random.randint(1, digits)
    scale = random.randint(-8, 8)
    units = random.randint(10 ** (digits - 1), 10**digits - 1) * 10 ** (scale + 8) // 10 ** (digits - 1)
    whole, places = divmod(max(units, 1), 10**8)
    return f"{whole}.{places:08d}".rstrip("0").rstrip(".")


def _client_id(subject: Subject, random: Random, number: int) -> str:
    if subject.venue == "backpack":
        return str(random.randint(0, 2**32 - 1))
    return f"{number}" + "".join(random.choice(_LETTERS) for _ in range(random.randint(1, 12)))


def _ccxt_id(subject: Subject, text: str) -> str | int:
    return int(text) if subject.venue == "backpack" else text


def _market(subject: Subject, made: RandomOrder, side: Side, random: Random, *, by_quote: bool) -> None:
    # Coinbase and Kraken take quote units for buys only; ccxt can say a Coinbase buy in no other way.
    if subject.venue in {"kraken", "coinbase"}:
        by_quote = side is Side.BUY and (by_quote or subject.venue == "coinbase")
    if not by_quote:
        made.intent["quantity"] = made.amount
        return
    # ccxt passes a cost through a float in places: 15 digits survive that (see test_known_disagreements).
    made.intent["quote_quantity"] = cost = _number(random, digits=15)
    made.params["cost"] = cost
    if subject.venue == "okx":
        made.params["tgtCcy"] = "quote_ccy"
        made.params["createMarketBuyOrderRequiresPrice"] = False
        if side is Side.SELL:
            made.amount = made.params.pop("cost")
            made.params.pop("createMarketBuyOrderRequiresPrice")


def _time(subject: Subject, made: RandomOrder, time: TimeInForce, order_type: OrderType) -> None:
    made.intent["time_in_force"] = time.name
    # ccxt's stop orders at Binance USD-M have no time in force unless one is given.
    if time is not TimeInForce.GTC or (
        subject.kind == "swap" and order_type is OrderType.STOP_LIMIT and "binance" in subject.venue
    ):
        made.params["timeInForce"] = time.name
    if time is not TimeInForce.GTD:
        return
    made.intent["expire_at"] = str(_EXPIRY_S * 10**9)
    match subject.venue:
        case "kraken":
            made.params["expiretm"] = _EXPIRY_S
        case "coinbase":
            made.params["end_time"] = "2033-05-18T03:33:20Z"
        case _:
            made.params["goodTillDate"] = _EXPIRY_S * 1000


def _stop(
    subject: Subject, made: RandomOrder, side: Side, watched: TriggerBy | None, words: Mapping[TriggerBy, str]
) -> None:
    price = made.intent["stop_price"] = _number(Random(made.amount))
    if watched is not None:
        made.intent["trigger_by"] = watched.name
    made.params["stopLossPrice" if subject.venue == "kraken" else "triggerPrice"] = price
    if subject.venue == "bybit" and subject.kind == "swap":
        made.params["triggerDirection"] = "ascending" if side is Side.BUY else "descending"
    if subject.venue == "coinbase":
        made.params["stop_direction"] = f"STOP_DIRECTION_STOP_{'UP' if side is Side.BUY else 'DOWN'}"
    word = words[watched] if watched else ""
    if word:
        made.params[_TRIGGER_FIELDS[subject.venue]] = word


_TRIGGER_FIELDS: Final = {
    "binance": "workingType",
    "binanceusdm": "workingType",
    "bybit": "triggerBy",
    "okx": "triggerPxType",
    "kraken": "trigger",
    "backpack": "triggerBy",
}


def _position(made: RandomOrder, side: Side, random: Random, *, hedge: bool, reduces: bool) -> None:
    reduce = reduces and random.random() < 0.4
    if reduce:
        made.intent["reduce_only"] = made.params["reduceOnly"] = True
    if not (hedge and random.random() < 0.5):
        return
    made.placement["hedged"] = made.params["hedged"] = True
    # ccxt's unified flag names the leg by what the order does to it.
    long = (side is Side.BUY) is not reduce
    made.intent["position_side"] = "LONG" if long else "SHORT"


def _has_self_trade(subject: Subject, made: RandomOrder) -> bool:
    return not (subject.venue == "okx" and made.intent["type"] == "STOP_LIMIT")


def _self_trade(subject: Subject, made: RandomOrder, mode: SelfTradePrevention) -> None:
    if subject.venue == "okx" and mode is SelfTradePrevention.CANCEL_BOTH and made.intent.get("time_in_force") == "FOK":
        return
    made.intent["self_trade_prevention"] = mode.name
    words = VENUES[subject.venue].declaration.abilities[Kind(subject.kind)].self_trade
    if subject.venue in {"bybit", "kraken"}:
        made.params["smpType" if subject.venue == "bybit" else "stptype"] = words[mode]
        return
    made.params["selfTradePrevention"] = mode.name.replace("CANCEL", "EXPIRE")
