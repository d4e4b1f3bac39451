"""[[account.instrument]]: what may be traded, and between which absolute prices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from casemate.policy import fields
from casemate.policy.mistakes import wrong

if TYPE_CHECKING:
    from casemate.policy.table import Table

_SYMBOL: Final = re.compile(r"([A-Za-z0-9]{1,20})/([A-Za-z0-9]{1,20})(?::([A-Za-z0-9]{1,20}))?", re.ASCII)
_SYMBOL_EXPECTED: Final = 'a unified symbol, "BTC/USDT" for spot or "BTC/USDT:USDT" for a swap'
_VENUE_SYMBOL: Final = "the venue's own name of it, 1 to 64 characters of A-Z a-z 0-9 _ . : / -"


def symbol(value: object) -> str:
    """A unified symbol of a spot pair or of a linear perpetual swap."""
    match = _SYMBOL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(value, _SYMBOL_EXPECTED)
    if match[3] == match[1]:
        raise wrong(value, "a contract settled in its quote currency: inverse contracts are not supported yet")
    return match[0]


def settle_of(unified: str) -> str:
    """Return the settle currency of a valid unified symbol."""
    return re.split("[/:]", unified)[-1]


def read_instrument(table: Table, margin_mode: str | None) -> dict[str, object]:
    """Read one instrument; base, quote, settle and kind follow from the unified symbol."""
    unified = table.required("symbol", symbol, _SYMBOL_EXPECTED)
    steps = {
        name: table.required(name, fields.decimal, 'a decimal in quotes, such as "0.01"')
        for name in ("tick_size", "lot_size")
    }
    low, high = table.required("price_band", fields.band, '["LOWEST", "HIGHEST"]: no symbol without a band') or ("", "")
    instrument = {
        "symbol": unified,
        "venue_symbol": table.required(
            "venue_symbol", fields.matching(r"[A-Za-z0-9_.:/-]{1,64}", _VENUE_SYMBOL), _VENUE_SYMBOL
        ),
        **steps,
        "contract_size": table.default("contract_size", fields.decimal, "1"),
        "price_min": low,
        "price_max": high,
        **_derived(unified),
    }
    _check_kind(table, instrument, margin_mode)
    table.close()
    return instrument


def _derived(unified: str | None) -> dict[str, object]:
    match = _SYMBOL.fullmatch(unified or "")
    base, quote, settle = match.groups() if match else ("", "", None)
    return {"base": base, "quote": quote, "settle": settle or quote, "kind": "swap" if settle else "spot"}


def _check_kind(table: Table, instrument: dict[str, object], margin_mode: str | None) -> None:
    if not instrument["symbol"]:
        return
    if instrument["kind"] == "spot" and instrument["contract_size"] != "1":
        table.complain("contract_size", instrument["contract_size"], '"1" for spot')
    if instrument["kind"] == "spot" and margin_mode not in {None, "cash"}:
        table.complain("symbol", instrument["symbol"], f"a swap: the account's margin_mode is {margin_mode}")
    if instrument["kind"] == "swap" and margin_mode == "cash":
        table.complain("symbol", instrument["symbol"], 'a spot pair: the account\'s margin_mode is "cash"')
