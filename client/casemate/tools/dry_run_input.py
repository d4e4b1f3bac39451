"""One line of dry-run input, read strictly: unknown keys, wrong types and bad values name their field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from casemate.tools.proto_json import fill
from enclave_signer.decimals import Amount, parse
from enclave_signer.decode import decode_intent
from enclave_signer.errors import BadPolicy, Malformed, Refused
from enclave_signer.model import (
    Amend,
    Environment,
    Instrument,
    Intent,
    Kind,
    MarginMode,
    Order,
    Placement,
    Stamp,
)
from enclave_signer.venues.registry import VENUES
from signer_api.v1.intent_pb2 import Intent as IntentMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from enclave_signer.venues.base import Site, Venue

_KEYS: Final = frozenset(
    {"op", "venue", "credentials", "instrument", "intent", "now_ms", "nonce", "original", "placement"}
)
# op of a line -> field of the Intent message.
_OPS: Final = {
    "create": "order",
    "cancel": "cancel",
    "cancel_all": "cancel_all",
    "amend": "amend",
    "query": "query",
    "open_orders": "open_orders",
    "balance": "balances",
}
# These intents say nothing beyond the instrument.
_NEED_NOTHING: Final = frozenset({"balances", "open_orders", "cancel_all"})
_CREDENTIALS: Final = frozenset({"apiKey", "secret", "password", "uid", "privateKey", "walletAddress", "twofa"})
_INSTRUMENT: Final = (
    "symbol",
    "venue_symbol",
    "base",
    "quote",
    "settle",
    "kind",
    "tick_size",
    "lot_size",
    "contract_size",
)
_VALID_FOR_MS: Final = 5_000
_NS_IN_MS: Final = 1_000_000
_MOST_NONCE: Final = 1 << 64
_LATEST_MS: Final = (1 << 63) // _NS_IN_MS - _VALID_FOR_MS
_NO_INSTRUMENT: Final = Instrument("", "", "", "", "", Kind.SPOT, Amount(0, "0"), Amount(0, "0"), Amount(0, "0"))
_Member = TypeVar("_Member", bound=Enum)


@dataclass(frozen=True, slots=True)
class Line:
    """What a venue's site needs to build one request."""

    site: Site
    intent: Intent
    # What is traded; empty for balances.
    traded: Instrument
    # The order that an amend changes; absent otherwise.
    original: Order | None
    stamp: Stamp

    @property
    def changed(self) -> Order:
        """The order that an amend changes."""
        if self.original is None:
            message = "original is missing: an amend needs the order that it changes"
            raise Malformed(message, field="original")
        return self.original


def read_line(text: str, randomness: Callable[[int], bytes]) -> Line:
    """Read one line; raises an enclave error that names the field at fault."""
    line = _object(_parsed(text), "line", _KEYS)
    field = _op(line)
    venue = _venue(line)
    now_ms = _integer(line, "now_ms", _LATEST_MS)
    instrument = _NO_INSTRUMENT if field == "balances" else _instrument(line, venue)
    place = _placement(line)
    intent = _intent(line, "intent", field, instrument, now_ms)
    original = _intent(line, "original", "order", instrument, now_ms) if "original" in line else None
    _check_precision(intent, instrument)
    stamp = Stamp(now_ms, _integer(line, "nonce", _MOST_NONCE, now_ms), intent.valid_until // _NS_IN_MS, randomness)
    site = venue.site(place, venue.credential(_credentials(line)))
    return Line(site, intent, instrument, original if isinstance(original, Order) else None, stamp)


def _parsed(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        message = "the line is not JSON"
        raise Malformed(message, field="line") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        message = "a key occurs twice"
        raise Malformed(message, field="line")
    return made


def _object(value: object, where: str, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"{where} must be an object"
        raise Malformed(message, field=where)
    for key in value:
        if key not in keys:
            path = key if where == "line" else f"{where}.{key}"
            message = f"{path} is not a key; there are {', '.join(sorted(keys))}"
            raise Malformed(message, field=path)
    return value


def _op(line: Mapping[str, Any]) -> str:
    op = _text(line, "op", "op")
    if op not in _OPS:
        message = f"op must be one of {', '.join(_OPS)}"
        raise Malformed(message, field="op")
    return _OPS[op]


def _venue(line: Mapping[str, Any]) -> Venue:
    name = _text(line, "venue", "venue")
    if name not in VENUES:
        message = f"venue must be one of {', '.join(sorted(VENUES))}"
        raise Malformed(message, field="venue")
    return VENUES[name]


def _credentials(line: Mapping[str, Any]) -> dict[str, str]:
    given = _object(line.get("credentials"), "credentials", _CREDENTIALS)
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            message = f"credentials.{name} must be a string"
            raise Malformed(message, field=f"credentials.{name}")
    return {name: value for name, value in given.items() if value is not None}


def _instrument(line: Mapping[str, Any], venue: Venue) -> Instrument:
    given = _object(line.get("instrument"), "instrument", frozenset(_INSTRUMENT))
    symbol = _text(given, "symbol", "instrument.symbol")
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    made = Instrument(
        symbol=symbol,
        venue_symbol=_text(given, "venue_symbol", "instrument.venue_symbol"),
        base=_text(given, "base", "instrument.base", base),
        quote=_text(given, "quote", "instrument.quote", quote),
        settle=_text(given, "settle", "instrument.settle", settle or quote),
        kind=_member(given, "instrument", "kind", Kind, Kind.SWAP if settle else Kind.SPOT),
        tick_size=_amount(given, "tick_size"),
        lot_size=_amount(given, "lot_size"),
        contract_size=_amount(given, "contract_size"),
    )
    try:
        venue.check_instrument(made)
    except BadPolicy as error:
        raise Malformed(error.message, field=f"instrument.{error.field}") from None
    return made


def _amount(given: Mapping[str, Any], name: str) -> Amount:
    """Steps that are not given are the finest there are, so that nothing is off them."""
    path = f"instrument.{name}"
    amount = parse(_text(given, name, path, "1" if name == "contract_size" else "0.000000000000000001"))
    if amount is None or not amount.units:
        message = f"{path} must be a decimal above zero"
        raise Malformed(message, field=path)
    return amount


def _placement(line: Mapping[str, Any]) -> Placement:
    given = _object(line.get("placement", {}), "placement", frozenset({"environment", "margin_mode", "hedged"}))
    hedged = given.get("hedged", False)
    if not isinstance(hedged, bool):
        message = "placement.hedged must be true or false"
        raise Malformed(message, field="placement.hedged")
    return Placement(
        _member(given, "placement", "environment", Environment, Environment.PRODUCTION),
        _member(given, "placement", "margin_mode", MarginMode, MarginMode.CASH),
        hedged,
    )


def _intent(line: Mapping[str, Any], key: str, field: str, instrument: Instrument, now_ms: int) -> Intent:
    given = line.get(key, {} if field in _NEED_NOTHING else None)
    if not isinstance(given, dict):
        message = f"{key} must be an object"
        raise Malformed(message, field=key)
    message_ = IntentMessage()
    inner = getattr(message_, field)
    inner.SetInParent()
    inner.account = "dry-run"
    inner.venue = line["venue"]
    inner.created_at = now_ms * _NS_IN_MS
    inner.valid_until = (now_ms + _VALID_FOR_MS) * _NS_IN_MS
    if field != "balances":
        inner.symbol = instrument.symbol
    fill(inner, given, key)
    return decode_intent(message_.SerializeToString())


def _check_precision(intent: Intent, instrument: Instrument) -> None:
    """Refuse what is off the instrument's steps, as the enclave does: nothing is ever rounded."""
    if not isinstance(intent, Order | Amend):
        return
    steps = [
        ("price", intent.price, instrument.tick_size),
        ("quantity", intent.quantity, instrument.lot_size),
    ]
    if isinstance(intent, Order):
        steps.append(("stop_price", intent.stop_price, instrument.tick_size))
    for name, amount, step in steps:
        if amount is not None and amount.units % step.units:
            message = f"intent.{name} {amount.text} is not a multiple of {step.text}"
            raise Refused("precision", message, (("field", f"intent.{name}"),))


def _text(given: Mapping[str, Any], name: str, path: str, default: str | None = None) -> str:
    value = given.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not value:
        message = f"{path} must be a string that is not empty"
        raise Malformed(message, field=path)
    return value


def _integer(line: Mapping[str, Any], name: str, limit: int, default: int | None = None) -> int:
    value = line.get(name)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < limit:
        message = f"{name} must be an integer between 0 and {limit}"
        raise Malformed(message, field=name)
    return value


def _member(given: Mapping[str, Any], where: str, name: str, members: type[_Member], default: _Member) -> _Member:
    value = given.get(name)
    if value is None:
        return default
    for member in members:
        if member.value == value:
            return member
    path = f"{where}.{name}"
    message = f"{path} must be one of {', '.join(str(member.value) for member in members)}"
    raise Malformed(message, field=path)
