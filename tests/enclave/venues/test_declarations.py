"""Each venue's declaration is whole, and its signed validity never outlives the intent."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave_signer.errors import BadCredential, BadPolicy, Refused
from enclave_signer.model import Balances, Cancel, Environment, Operation, Placement, WireRequest
from enclave_signer.venues.declaration import Gap, Part, ValidityKind
from enclave_signer.venues.registry import VENUES
from tests.enclave.venues.venue_rig import CREDENTIALS, MARKETS, NOW_MS, Market, stamp

WINDOWED: Final = tuple(market for market in MARKETS if market.declared.validity.kind is ValidityKind.WINDOW)


def end_ms(market: Market, request: WireRequest) -> int:
    """When the signature of a create ends, as its venue would read it."""
    headers, body = dict(request.headers), (request.body or b"").decode()
    match market.venue:
        case "binance" | "binanceusdm":
            fields = parse_qs(body)
            return int(fields["timestamp"][0]) + int(fields["recvWindow"][0])
        case "bybit":
            return int(headers["X-BAPI-TIMESTAMP"]) + int(headers["X-BAPI-RECV-WINDOW"])
        case "kraken":
            return round(datetime.fromisoformat(parse_qs(body)["deadline"][0]).timestamp() * 1000)
        case "coinbase":
            claims = headers["Authorization"].split(".")[1]
            return int(json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"]) * 1000
        case "backpack":
            return int(headers["X-Timestamp"]) + int(headers["X-Window"])
        case other:
            raise AssertionError(other)


@given(market=st.sampled_from(WINDOWED), valid_ms=st.integers(1, 300_000), now_ms=st.integers(10**12, 2 * 10**12))
def test_a_signature_ends_with_the_intent_or_before(market: Market, valid_ms: int, now_ms: int) -> None:
    bounds = market.declared.validity
    site, order = market.site(), market.order()
    if valid_ms < bounds.shortest_ms:
        with pytest.raises(Refused) as refused:
            site.create(order, market.instrument, stamp(valid_ms, now_ms))
        assert refused.value.rule == "validity"
        return
    request = site.create(order, market.instrument, stamp(valid_ms, now_ms))
    assert now_ms < end_ms(market, request) <= now_ms + min(valid_ms, bounds.longest_ms)


@pytest.mark.parametrize("market", MARKETS, ids=str)
@pytest.mark.parametrize("valid_ms", [0, -1, -60_000])
def test_an_intent_that_is_over_is_never_signed(market: Market, valid_ms: int) -> None:
    site, over = market.site(), stamp(valid_ms)
    cancel = Cancel("main", market.venue, market.instrument.symbol, "", market.order_id, 0, 0)
    with pytest.raises(Refused, match="validity"):
        site.create(market.order(), market.instrument, over)
    with pytest.raises(Refused, match="validity"):
        site.cancel(cancel, market.instrument, over)
    with pytest.raises(Refused, match="validity"):
        site.balances(Balances("main", market.venue, 0, 0), over)


@pytest.mark.parametrize("name", sorted(VENUES))
def test_declaration_is_whole(name: str) -> None:
    declared = VENUES[name].declaration
    assert set(declared.gaps) == declared.operations
    assert set(declared.also) <= declared.operations
    assert {other for others in declared.also.values() for other in others} <= declared.operations
    assert set(declared.abilities) == set(declared.order_types) == set(declared.times_in_force) == declared.kinds
    assert declared.uses >= 1
    assert declared.validity.shortest_ms <= declared.validity.longest_ms
    re.compile(declared.client_order_id)


@pytest.mark.parametrize("name", sorted(VENUES))
def test_a_create_is_single_use_or_says_that_it_is_not(name: str) -> None:
    declared = VENUES[name].declaration
    replayable = Gap.REPLAYABLE in declared.gaps[Operation.CREATE]
    assert replayable is (not declared.single_use) is (declared.uses > 1)


@pytest.mark.parametrize("name", sorted(VENUES))
def test_a_part_that_every_request_has_is_covered_or_a_gap(name: str) -> None:
    """Method, host and path; query and body where the venue's requests use them."""
    declared = VENUES[name].declaration
    words = {Part.METHOD: Gap.METHOD_UNSIGNED, Part.HOST: Gap.HOST_UNSIGNED, Part.PATH: Gap.PATH_UNSIGNED}
    for gaps in declared.gaps.values():
        for part, word in words.items():
            assert (part in declared.covers) is (word not in gaps)


@pytest.mark.parametrize("name", sorted(VENUES))
def test_a_missing_credential_field_is_named(name: str) -> None:
    whole = {"apiKey": "key", **CREDENTIALS[name]}
    assert set(VENUES[name].declaration.credential_fields) == set(whole)
    for field in whole:
        less = {other: value for other, value in whole.items() if other != field}
        with pytest.raises(BadCredential) as error:
            VENUES[name].credential(less)
        assert error.value.field == field


@pytest.mark.parametrize("name", sorted(VENUES))
def test_a_credential_never_shows_its_secret(name: str) -> None:
    secret = CREDENTIALS[name]["secret"]
    credential = VENUES[name].credential({"apiKey": "key", **CREDENTIALS[name]})
    assert secret not in repr(credential) + repr(credential.key) + str(credential)
    with pytest.raises(BadCredential) as error:
        VENUES[name].credential({"apiKey": "", **CREDENTIALS[name]})
    assert secret not in str(error.value)


@pytest.mark.parametrize("name", ["binanceusdm", "bybit", "okx", "kraken"])
def test_a_pem_where_an_hmac_secret_belongs_is_refused(name: str) -> None:
    pem = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"
    with pytest.raises(BadCredential) as error:
        VENUES[name].credential({**CREDENTIALS[name], "apiKey": "key", "secret": pem})
    assert error.value.field == "secret"


@pytest.mark.parametrize("market", MARKETS, ids=str)
@pytest.mark.parametrize("symbol", ["", "BTC USDT", "BTCUSDT&side=SELL", "BTC/USDT", 'BTC"', "é", "B" * 80])
def test_a_malformed_venue_symbol_is_refused_at_load(market: Market, symbol: str) -> None:
    market.file.check_instrument(market.instrument)
    with pytest.raises(BadPolicy) as error:
        market.file.check_instrument(replace(market.instrument, venue_symbol=symbol))
    assert error.value.field == "venue_symbol"


@pytest.mark.parametrize("name", ["kraken", "coinbase", "backpack"])
def test_a_venue_without_a_test_network_does_not_send_test_orders_to_production(name: str) -> None:
    credential = VENUES[name].credential({"apiKey": "key", **CREDENTIALS[name]})
    with pytest.raises(BadCredential):
        VENUES[name].site(Placement(Environment.TESTNET), credential)


@pytest.mark.parametrize("name", ["binance", "binanceusdm", "bybit", "okx"])
def test_a_test_account_never_reaches_production(name: str) -> None:
    market = next(market for market in MARKETS if market.venue == name)
    credential = market.file.credential({"apiKey": "key", **CREDENTIALS[name]})
    hosts, marks = [], []
    for environment in Environment:
        request = market.file.site(Placement(environment), credential).create(
            market.order(), market.instrument, stamp()
        )
        hosts.append(urlsplit(request.url).netloc)
        marks.append(dict(request.headers).get("x-simulated-trading"))
    # OKX has one host for both, and a header that tells them apart; its demo keys are not known in production.
    assert hosts[0] != hosts[1] or marks == [None, "1"]


def test_the_enclaves_own_clock_is_what_is_signed() -> None:
    for market in MARKETS:
        request = market.site().create(market.order(), market.instrument, stamp())
        whole = f"{request.headers}{request.body!r}"
        assert market.venue in {"okx", "coinbase"} or str(NOW_MS) in whole
