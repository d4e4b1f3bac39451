"""What spot and USD-M share in reading orders: enumerations, client ids, precision, finding an order."""

import re
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from casemate_mock.exchange import (
    Exchange,
    Order,
    OrderStatus,
    Refusal,
    Refused,
    Side,
    TimeInForce,
    VenueInstrument,
)
from casemate_mock.venues.binance_auth import Params, fail, missing
from casemate_mock.venues.fields import places

STATUS = {
    OrderStatus.UNTRIGGERED: "NEW",
    OrderStatus.NEW: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}
SPOT_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
FUTURES_CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and with what."""

    account: str
    params: Params
    now_ms: int


def read_side(params: Params) -> Side:
    """Parameter `side`."""
    value = params.required("side")
    if value not in {"BUY", "SELL"}:
        raise fail(-1117, "Invalid side.")
    return Side[value]


def read_time_in_force(params: Params, allowed: tuple[str, ...]) -> str:
    """Parameter `timeInForce`, mandatory."""
    value = params.required("timeInForce")
    if value not in allowed:
        raise fail(-1115, "Invalid timeInForce.")
    return value


def read_expiry(params: Params, value: str | None) -> int | None:
    """Parameter `goodTillDate` in milliseconds, whole seconds kept: mandatory with GTD, unread otherwise."""
    if value != "GTD":
        return None
    at_ms = params.integer("goodTillDate")
    if at_ms is None:
        raise missing("goodTillDate")
    return at_ms // 1000 * 1000


def time_in_force(value: str | None) -> TimeInForce:
    """Return the engine's value; GTX rests like GTC."""
    return TimeInForce[value] if value in {"GTC", "IOC", "FOK"} else TimeInForce.GTC


def read_client_id(params: Params, name: str, legal: str, rng: Random) -> str:
    """Client id as sent, or one that the venue makes up."""
    value = params.optional(name)
    if value is None:
        return "".join(rng.choice(_ALPHABET) for _ in range(22))
    if not re.fullmatch(legal.strip("^$"), value):
        raise fail(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
    return value


def read_decimal(params: Params, name: str) -> Decimal:
    """Mandatory decimal."""
    value = params.decimal(name)
    if value is None:
        raise missing(name)
    return value


def check_places(name: str, value: Decimal | None, most: int) -> None:
    """Refuse more decimals than the asset has: -1111."""
    if value is not None and places(value) > most:
        raise fail(-1111, f"Parameter '{name}' has too much precision.")


def read_instrument(venue_symbol: str, listed: list[VenueInstrument]) -> VenueInstrument:
    """Instrument of a symbol; -1121 when there is none."""
    for instrument in listed:
        if instrument.venue_symbol == venue_symbol:
            return instrument
    raise fail(-1121, "Invalid symbol.")


def find_order(exchange: Exchange, caller: Caller, instrument: VenueInstrument, names: tuple[str, str]) -> Order | None:
    """Order by the venue's id or the client's; `names` are their parameters. -1102 when neither was sent."""
    number, client_id = caller.params.integer(names[0]), caller.params.optional(names[1])
    if number is None and not client_id:
        raise fail(-1102, f"Param '{names[1]}' or '{names[0]}' must be sent, but both were empty/null!")
    caller.params.finish()
    if number is not None:
        order = exchange.order(caller.account, venue_id=str(number))
    else:
        order = exchange.order(caller.account, client_id=client_id)
    if order is None or order.symbol != instrument.symbol:
        return None
    # With both ids sent, both must match (rest-api.md, "Cancel order").
    return None if number is not None and client_id not in {None, order.client_id} else order


def cancel_or_unknown(exchange: Exchange, caller: Caller, order: Order | None) -> Order:
    """Cancel; -2011 for an order that does not exist or is done."""
    if order is None:
        raise fail(-2011, "Unknown order sent.")
    try:
        return exchange.cancel(caller.account, order.venue_id)
    except Refused as refused:
        if refused.reason in {Refusal.UNKNOWN_ORDER, Refusal.NOT_OPEN}:
            raise fail(-2011, "Unknown order sent.") from refused
        raise
