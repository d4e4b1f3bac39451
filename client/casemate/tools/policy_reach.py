"""Bounds so tight that no order can ever pass them: one create counts for more than the whole bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from enclave_signer import decimals
from enclave_signer.model import Kind
from enclave_signer.venues.registry import VENUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# A notional is a product of three decimals, each in units of 10**-18.
_PLACES: Final = 3 * decimals.PLACES
_TO_NOTIONAL: Final = 10 ** (_PLACES - decimals.PLACES)


def unreachable(account: Mapping[str, Any]) -> Iterator[str]:
    """Yield a warning for each limit, exposure and grant that refuses every create of a symbol."""
    items = {item["symbol"]: item for item in account["instruments"]}
    creatable = {symbol for grant in _creating(account) for symbol in grant["symbols"]}
    uses = account["count_uses"]
    for limit in account["limits"]:
        covered, orders, most = creatable & set(limit["symbols"]), limit["max_orders"], limit["max_notional"]
        if covered and orders is not None and uses > orders:
            allowed = f"limit {limit['name']} allows {orders} orders"
            yield f"every CREATE{_which(covered, creatable)} will be refused: one create counts {uses} times, {allowed}"
        values = {symbol: _lot_value(items[symbol]) * uses for symbol in covered} if most is not None else {}
        over = {symbol for symbol, value in values.items() if value > _units(most) * _TO_NOTIONAL}
        if over:
            least = decimals.text(min(values[symbol] for symbol in over), _PLACES)
            allowed = f"limit {limit['name']} allows {most} notional"
            yield _sized(account, over, _which(over, creatable), f"{least} notional", allowed)
    for exposure in account["exposures"]:
        if exposure["symbol"] in creatable:
            yield from _exposure(account, creatable, exposure, items[exposure["symbol"]])
    yield from _grants(account, items)


def _creating(account: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [grant for grant in account["grants"] if "CREATE" in grant["operations"]]


def _which(symbols: set[str], creatable: set[str]) -> str:
    """Name the symbols, unless they are all that can be created."""
    return "" if symbols == creatable else f" of {', '.join(sorted(symbols))}"


def _exposure(
    account: Mapping[str, Any], creatable: set[str], exposure: Mapping[str, Any], item: Mapping[str, Any]
) -> Iterator[str]:
    uses, symbol = account["count_uses"], exposure["symbol"]
    what = _which({symbol}, creatable)
    least, value = _units(item["lot_size"]) * uses, _lot_value(item) * uses
    quantity, notional = exposure["max_quantity"], exposure["max_notional"]
    if quantity is not None and least > _units(quantity):
        allowed = f"exposure {exposure['name']} allows {quantity} quantity"
        yield _sized(account, {symbol}, what, f"{decimals.text(least)} quantity", allowed)
    if notional is not None and value > _units(notional) * _TO_NOTIONAL:
        allowed = f"exposure {exposure['name']} allows {notional} notional"
        yield _sized(account, {symbol}, what, f"{decimals.text(value, _PLACES)} notional", allowed)


def _grants(account: Mapping[str, Any], items: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for grant in _creating(account):
        for symbol in grant["symbols"]:
            lot, value = _units(items[symbol]["lot_size"]), _lot_value(items[symbol])
            quantity, notional = grant["max_quantity"], grant["max_notional"]
            if (quantity is not None and lot > _units(quantity)) or (
                notional is not None and value > _units(notional) * _TO_NOTIONAL
            ):
                worth = decimals.text(value, _PLACES)
                yield f"grant {grant['name']} permits no CREATE of {symbol}: one lot is {worth} notional at price_max"


def _sized(account: Mapping[str, Any], symbols: Iterable[str], what: str, least: str, allowed: str) -> str:
    """One lot is the least that an order by quantity can count; an order by quote quantity has no lot."""
    by = " by quantity" if _takes_quote_quantity(account, set(symbols)) else ""
    times = f"one create counts {account['count_uses']} times, one lot at price_max {least} at least"
    return f"every CREATE{what}{by} will be refused: {times}, {allowed}"


def _takes_quote_quantity(account: Mapping[str, Any], symbols: set[str]) -> bool:
    abilities = VENUES[account["venue"]].declaration.abilities
    kinds = {Kind(item["kind"]) for item in account["instruments"] if item["symbol"] in symbols}
    market = any("MARKET" in grant["types"] and symbols & set(grant["symbols"]) for grant in _creating(account))
    return market and any(kind in abilities and abilities[kind].quote_quantity for kind in kinds)


def _lot_value(item: Mapping[str, Any]) -> int:
    """One lot at the top of the band, in units of 10**-54: what the enclave values the smallest order at."""
    return _units(item["lot_size"]) * _units(item["contract_size"]) * _units(item["price_max"])


def _units(text: str) -> int:
    amount = decimals.parse(text)
    if amount is None:
        message = f"a compiled policy holds {text!r}"
        raise AssertionError(message)
    return amount.units
