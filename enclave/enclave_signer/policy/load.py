"""Canonical policy bytes to a checked :class:`~enclave_signer.policy.model.Policy`, or one report of every mistake.

The compiler on the engine's side checked all of this already; the enclave believes no compiler.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.errors import BadPolicy
from enclave_signer.model import (
    Environment,
    Instrument,
    Kind,
    MarginMode,
    Operation,
    OrderType,
    Placement,
    Side,
    TimeInForce,
)
from enclave_signer.points import is_sound
from enclave_signer.policy.duty_field import read_duty
from enclave_signer.policy.fields import Fields, Mistakes
from enclave_signer.policy.model import Account, Denial, Exposure, Grant, Hours, Limit, Listing, Policy
from enclave_signer.venues.declaration import Gap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.venues.base import Venue

FORMAT: Final = "casemate.policy.v1"
MAX_AGE_MS: Final = 60_000
_MAX_VERSION: Final = (1 << 63) - 1
_MAX_ORDERS: Final = 1_000_000
_MAX_COUNT: Final = 1_000_000_000
_BPS: Final = 10_000
_SECOND_MS: Final = 1_000
_DAY_MS: Final = 86_400_000
_ASSET: Final = re.compile(r"[A-Za-z0-9]{1,20}", re.ASCII)
_PUBLIC_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VENUE_SYMBOL: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}", re.ASCII)
_SYMBOL: Final = re.compile(r"[A-Za-z0-9]{1,20}/[A-Za-z0-9]{1,20}(?::[A-Za-z0-9]{1,20})?", re.ASCII)

_TRADING: Final = frozenset({Operation.CREATE, Operation.AMEND})
_OPERATIONS: Final = {each.name: each for each in Operation if each not in {Operation.ORDER_CLOSED, Operation.HALT}}
_SIDES: Final = {each.name: each for each in Side}
_TYPES: Final = {each.name: each for each in OrderType}
_TIMES: Final = {each.name: each for each in TimeInForce}
_GAPS: Final = {each.value: each for each in Gap}
_KINDS: Final = {each.value: each for each in Kind}
_ENVIRONMENTS: Final = {each.value: each for each in Environment}
_MARGINS: Final = {each.value: each for each in MarginMode}


def load(data: bytes, venues: Mapping[str, Venue]) -> Policy:
    """Check everything; raises BadPolicy with all mistakes, one a line."""
    try:
        document = decode(data)
    except NotCanonical as error:
        raise BadPolicy(str(error), field="policy") from None
    mistakes = Mistakes()
    policy = _policy(Fields(document, "", mistakes), hashlib.sha256(data).digest(), venues)
    if mistakes.count:
        raise BadPolicy(mistakes.report(), field="policy")
    return policy


def _policy(fields: Fields, digest: bytes, venues: Mapping[str, Venue]) -> Policy:
    fields.member("format", {FORMAT: None})
    engines = {each.text("name"): each for each in fields.maps("engines", "name", least=1)}
    readers = {each.text("name"): each for each in fields.maps("accounts", "name", least=1)}
    rights = {name: each.names("accounts", readers) for name, each in engines.items()}
    keys = _engine_keys(fields, engines)
    policy = Policy(
        deployment=fields.text("deployment"),
        version=fields.whole("version", 1, _MAX_VERSION),
        digest=digest,
        max_age_ms=fields.whole("max_age_ms", 1, MAX_AGE_MS),
        engines=rights,
        engine_keys=keys,
        accounts={
            name: _account(name, each, [engine for engine, own in rights.items() if name in own], venues)
            for name, each in readers.items()
        },
        duty=read_duty(fields.map("duty"), keys.values()),
    )
    for each in (*engines.values(), fields):
        each.close()
    return policy


def _engine_keys(fields: Fields, engines: Mapping[str, Fields]) -> dict[str, bytes]:
    """Read the optional public keys. Two engines with one key would be one engine with two names."""
    keys: dict[str, bytes] = {}
    for name, each in engines.items():
        if each.has("public_key"):
            text = each.text("public_key", _PUBLIC_KEY, "an Ed25519 public key, 64 hexadecimal digits in lower case")
            key = bytes.fromhex(text)
            if key in keys.values():
                fields.wrong("engines", text, "each public_key once")
            if not is_sound(key):
                # Everybody can sign for a point of small order.
                fields.wrong("engines", text, "an Ed25519 public key of prime order in canonical form")
            keys[name] = key
    return keys


def _account(name: str, fields: Fields, engines: list[str], venues: Mapping[str, Venue]) -> Account:
    venue = fields.member("venue", venues)
    accept = fields.members("accept", _GAPS)
    read_only = fields.flag("read_only")
    placement = Placement(
        fields.member("environment", _ENVIRONMENTS), fields.member("margin_mode", _MARGINS), fields.flag("hedged")
    )
    listings = {
        listing.instrument.symbol: listing
        for listing in (_listing(each, venue, placement) for each in fields.maps("instruments", "symbol"))
    }
    account = Account(
        name=name,
        venue=venue,
        placement=placement,
        read_only=read_only,
        accept=accept,
        count_uses=fields.whole("count_uses", 1, venue.declaration.uses),
        max_open_orders=fields.whole("max_open_orders", 1, _MAX_ORDERS),
        listings=listings,
        grants=tuple(_grant(each, engines, listings, read_only=read_only) for each in fields.maps("grants", "name")),
        denials=tuple(_denial(each, engines, listings) for each in fields.maps("denials", "name")),
        limits=tuple(_limit(each, listings) for each in fields.maps("limits", "name")),
        exposures=tuple(_exposure(each, listings) for each in fields.maps("exposures", "name")),
    )
    _check_account(fields, account)
    fields.close()
    return account


def _check_account(fields: Fields, account: Account) -> None:
    uses = account.venue.declaration.uses
    if account.count_uses < uses and Gap.REPLAYABLE not in account.accept:
        fields.wrong("count_uses", account.count_uses, f"{uses}, or 'replayable' among what the account accepts")
    covered = {symbol for limit in account.limits if limit.max_notional for symbol in limit.symbols}
    for symbol in account.listings:
        if symbol not in covered:
            fields.wrong("limits", symbol, "a limit with max_notional for every instrument")
    names = [listing.instrument.venue_symbol for listing in account.listings.values()]
    if len(set(names)) != len(names):
        fields.wrong("instruments", sorted(names), "each venue_symbol once")


def _listing(fields: Fields, venue: Venue, placement: Placement) -> Listing:
    instrument = Instrument(
        symbol=fields.text("symbol", _SYMBOL, "a unified symbol such as BTC/USDT"),
        venue_symbol=fields.text("venue_symbol", _VENUE_SYMBOL, "1 to 64 characters of A-Z a-z 0-9 _ . : / -"),
        base=fields.text("base", _ASSET, "a currency"),
        quote=fields.text("quote", _ASSET, "a currency"),
        settle=fields.text("settle", _ASSET, "a currency"),
        kind=fields.member("kind", _KINDS),
        tick_size=fields.amount("tick_size"),
        lot_size=fields.amount("lot_size"),
        contract_size=fields.amount("contract_size"),
    )
    listing = Listing(instrument, fields.amount("price_min"), fields.amount("price_max"))
    if listing.price_min.units >= listing.price_max.units:
        fields.wrong("price_max", listing.price_max.text, f"more than price_min, {listing.price_min.text}")
    _check_instrument(fields, instrument, placement)
    try:
        venue.check_instrument(instrument)
    except BadPolicy as error:
        fields.wrong(error.field, getattr(instrument, error.field, None), error.message)
    fields.close()
    return listing


def _check_instrument(fields: Fields, instrument: Instrument, placement: Placement) -> None:
    spot = instrument.kind is Kind.SPOT
    pair = f"{instrument.base}/{instrument.quote}"
    expected = pair if spot else f"{pair}:{instrument.settle}"
    if instrument.symbol != expected:
        fields.wrong("symbol", instrument.symbol, f"{expected}, of base, quote, settle and kind")
    if instrument.settle == instrument.base:
        fields.wrong("settle", instrument.settle, "no inverse contract: they are not supported yet")
    elif instrument.settle != instrument.quote:
        # The notional is in quote units: counted in another currency it would be another number.
        fields.wrong("settle", instrument.settle, f"the quote currency, {instrument.quote}")
    if spot and instrument.contract_size.text != "1":
        fields.wrong("contract_size", instrument.contract_size.text, "1 for spot")
    if spot is not (placement.margin_mode is MarginMode.CASH):
        fields.wrong("kind", instrument.kind.value, "spot with margin_mode cash, swap with cross or isolated")


def _grant(fields: Fields, engines: list[str], symbols: Mapping[str, Listing], *, read_only: bool) -> Grant:
    grant = Grant(
        name=fields.text("name"),
        engines=fields.names("engines", engines),
        symbols=fields.names("symbols", symbols),
        operations=fields.members("operations", _OPERATIONS, least=1),
        sides=fields.members("sides", _SIDES, least=1),
        types=fields.members("types", _TYPES, least=1),
        times_in_force=fields.members("times_in_force", _TIMES, least=1),
        require_post_only=fields.flag("require_post_only"),
        require_reduce_only=fields.flag("require_reduce_only"),
        max_quantity=fields.amount_or_none("max_quantity"),
        max_notional=fields.amount_or_none("max_notional"),
        max_deviation_bps=fields.whole_or_none("max_deviation_bps", 1, _BPS),
        reference_max_age_ms=fields.whole_or_none("reference_max_age_ms", 1, MAX_AGE_MS),
        hours=_hours(fields),
    )
    if grant.operations & _TRADING and grant.max_notional is None:
        fields.wrong("max_notional", None, "a bound, because CREATE or AMEND is granted")
    if (grant.max_deviation_bps is None) is not (grant.reference_max_age_ms is None):
        fields.wrong("reference_max_age_ms", grant.reference_max_age_ms, "both this and max_deviation_bps, or neither")
    if Operation.LOGON in grant.operations and not read_only:
        fields.wrong("operations", "LOGON", "no LOGON: only a read_only account logs a connection on")
    fields.close()
    return grant


def _denial(fields: Fields, engines: list[str], symbols: Mapping[str, Listing]) -> Denial:
    denial = Denial(
        name=fields.text("name"),
        engines=fields.names("engines", engines),
        symbols=fields.names("symbols", symbols),
        operations=fields.members("operations", _OPERATIONS),
        sides=fields.members("sides", _SIDES),
        types=fields.members("types", _TYPES),
        times_in_force=fields.members("times_in_force", _TIMES),
        hours=_hours(fields),
    )
    fields.close()
    return denial


def _hours(fields: Fields) -> Hours:
    return Hours(fields.spans("hours"), fields.days("days"))


def _limit(fields: Fields, listings: Mapping[str, Listing]) -> Limit:
    limit = Limit(
        name=fields.text("name"),
        symbols=fields.names("symbols", listings),
        window_ms=fields.whole("window_ms", _SECOND_MS, _DAY_MS),
        max_notional=fields.amount_or_none("max_notional"),
        max_orders=fields.whole_or_none("max_orders", 1, _MAX_COUNT),
    )
    if limit.max_notional is None and limit.max_orders is None:
        fields.wrong("max_notional", None, "max_notional, max_orders or both")
    settles = sorted({listings[symbol].instrument.settle for symbol in limit.symbols})
    if limit.max_notional is not None and len(settles) > 1:
        fields.wrong("symbols", settles, "symbols of one settle currency")
    fields.close()
    return limit


def _exposure(fields: Fields, listings: Mapping[str, Listing]) -> Exposure:
    exposure = Exposure(
        name=fields.text("name"),
        symbol=fields.member("symbol", {symbol: symbol for symbol in listings} or {"(no instrument)": ""}),
        max_notional=fields.amount_or_none("max_notional"),
        max_quantity=fields.amount_or_none("max_quantity"),
    )
    if exposure.max_notional is None and exposure.max_quantity is None:
        fields.wrong("max_notional", None, "max_notional, max_quantity or both")
    fields.close()
    return exposure
