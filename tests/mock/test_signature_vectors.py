"""Published signature examples, and what ccxt really sends, verified by the venues' own code."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from casemate_mock.venues import VenueInstrument, VenueKey, VenueRequest, VenueResponse, create_venue
from casemate_mock.venues.signatures import decode_base64, hmac_base64_matches, hmac_hex_matches, sha256

CAPTURED = json.loads((Path(__file__).parent / "captured_requests.json").read_text())["requests"]
NOW_MS = 1_700_000_000_123
AUTH_ERRORS = (
    b'"code":-1022', b'"code":-2014', b'"code":-1021', b'"code":-2015',
    b'"retCode":10002', b'"retCode":10003', b'"retCode":10004', b'"code":"50113"', b'"code":"50102"',
    b"EAPI:Invalid", b"Unauthorized", b"INVALID_SIGNATURE", b"Request has expired",
)  # fmt: skip

# binance-spot-api-docs, rest-api.md, "SIGNED Endpoint Examples": the same order three ways.
DOCS_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
DOCS_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"  # noqa: S105 - published
DOCS_NOW = 1_499_827_319_559
WHOLE = f"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp={DOCS_NOW}"
HALVES = WHOLE.replace("GTC&quantity", "GTC|quantity").split("|")
WHOLE_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
MIXED_SIGNATURE = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"


def docs_order(query: str, body: str) -> VenueResponse:
    """Send the documentation's order to a venue that lists its symbol."""
    instrument = VenueInstrument(
        symbol="LTC/BTC",
        venue_symbol="LTCBTC",
        base="LTC",
        quote="BTC",
        tick=Decimal("0.0001"),
        lot=Decimal("0.01"),
        reference_price=Decimal(1),
    )
    key = VenueKey(api_key=DOCS_KEY, secret=DOCS_SECRET)
    venue = create_venue("binance", [key], [instrument], clock_ms=lambda: DOCS_NOW, rng=Random(1))
    headers = {"host": "api.binance.com", "x-mbx-apikey": DOCS_KEY}
    return venue.handle(
        VenueRequest(method="POST", path="/api/v3/order", query=query, headers=headers, body=body.encode())
    )


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (f"{WHOLE}&signature={WHOLE_SIGNATURE}", ""),
        ("", f"{WHOLE}&signature={WHOLE_SIGNATURE}"),
        (HALVES[0], f"{HALVES[1]}&signature={MIXED_SIGNATURE}"),
    ],
)
def test_binance_accepts_the_documented_order_in_query_body_or_both(query: str, body: str) -> None:
    assert docs_order(query, body).status == 200


def test_binance_refuses_the_documented_order_with_a_separator_between_query_and_body() -> None:
    reply = docs_order(HALVES[0], f"{HALVES[1]}&signature={WHOLE_SIGNATURE}")
    assert reply.json() == {"code": -1022, "msg": "Signature for this request is not valid."}


def test_binance_usdm_documented_signature_verifies() -> None:
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"  # noqa: S105 - published
    text = (
        b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
        b"&recvWindow=5000&timestamp=1591702613943"
    )
    assert hmac_hex_matches(secret, text, "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9")


def test_kraken_documented_signature_verifies() -> None:
    secret = decode_base64("kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==")
    body = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    message = b"/0/private/AddOrder" + sha256(b"1616492376594" + body)
    expected = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    assert secret is not None
    assert hmac_base64_matches(secret, message, expected, "sha512")


def as_request(captured: dict[str, Any]) -> VenueRequest:
    """A captured request as the venue receives it at its production host."""
    url = urlsplit(captured["url"])
    headers = {name.lower(): value for name, value in captured["headers"].items()} | {"host": url.netloc}
    body = (captured["body"] or "").encode()
    return VenueRequest(method=captured["method"], path=url.path, query=url.query, headers=headers, body=body)


def is_auth_error(reply: VenueResponse) -> bool:
    """Whether the venue refused the signature, the key or the clock."""
    return any(text in reply.body for text in AUTH_ERRORS)


def _id(captured: dict[str, Any]) -> str:
    return f"{captured['venue']}-{captured['name']}"


@pytest.mark.parametrize("captured", CAPTURED, ids=_id)
def test_what_ccxt_sends_verifies(captured: dict[str, Any], make_world: Any) -> None:
    world = make_world(captured["venue"])
    assert not is_auth_error(world.venue.handle(as_request(captured)))


@pytest.mark.parametrize("captured", CAPTURED, ids=_id)
def test_any_change_of_what_ccxt_signed_is_refused(captured: dict[str, Any], make_world: Any) -> None:
    world = make_world(captured["venue"])
    request = as_request(captured)
    for changed in _changed(captured["venue"], request):
        assert is_auth_error(world.venue.handle(changed)), changed
    assert world.venue.exchange.revision == 0


def _changed(venue: str, request: VenueRequest) -> list[VenueRequest]:
    """Edits of the signed parts: coinbase signs no body and no query, the others no more than their payload."""
    if venue == "coinbase":
        return [replace(request, headers=dict(request.headers) | {"host": "api.example.com"})]
    if request.body:
        swap = (b"0.5", b"0.6") if b"0.5" in request.body else (b"1", b"2")
        return [replace(request, body=request.body.replace(*swap))]
    if not request.query:
        names = ("x-bapi-timestamp", "ok-access-sign", "x-signature")
        return [
            replace(request, headers=dict(request.headers) | {name: "A" * 88})
            for name in names
            if name in request.headers
        ]
    return [
        replace(
            request,
            query=request.query.replace("BTC", "ETH")
            .replace("UNIFIED", "SPOT")
            .replace("recvWindow=10000", "recvWindow=20000"),
        )
    ]


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx", "coinbase", "backpack"])
def test_a_request_that_waited_too_long_is_refused(venue: str, make_world: Any) -> None:
    late = make_world(venue, clock=lambda: NOW_MS + 121_000)
    for captured in (one for one in CAPTURED if one["venue"] == venue):
        assert is_auth_error(late.venue.handle(as_request(captured)))


def test_kraken_accepts_each_nonce_once(make_world: Any) -> None:
    world = make_world("kraken")
    order = as_request(next(one for one in CAPTURED if _id(one) == "kraken-limit_buy_cid"))
    assert world.venue.handle(order).json()["error"] == []
    assert world.venue.handle(order).json()["error"] == ["EAPI:Invalid nonce"]


def test_coinbase_takes_another_body_under_the_same_token(make_world: Any) -> None:
    world = make_world("coinbase")
    order = as_request(next(one for one in CAPTURED if _id(one) == "coinbase-limit_buy_cid"))
    world.venue.handle(replace(order, body=order.body.replace(b'"0.5"', b'"0.75"')))
    assert [placed.quantity for placed in world.venue.exchange.orders()] == [Decimal("0.75")]
    again = world.venue.handle(order).json()
    assert again["success_response"]["order_id"] == world.venue.exchange.orders()[0].venue_id
    assert len(world.venue.exchange.orders()) == 1
