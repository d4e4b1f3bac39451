"""Rules that differ from venue to venue, asked with requests that the tests sign themselves."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from casemate_mock.exchange import Refusal
from casemate_mock.venues import (
    RateLimit,
    SimulatedVenue,
    VenueKey,
    VenueRequest,
    VenueResponse,
    VenueSettings,
    backpack_orders,
    binance_futures_views,
    binance_spot_views,
    bybit,
    coinbase_orders,
    create_venue,
    kraken_orders,
    okx_orders,
)

NOW_MS = 1_700_000_000_123
SECRET = "test-api-secret"  # noqa: S105 - made up
LIMIT: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.5",
    "price": "40000",
}


def binance(venue: SimulatedVenue, method: str, path: str, *, host: str = "", **params: Any) -> VenueResponse:
    """Sign and send; parameters go into the query."""
    text = urlencode({"timestamp": NOW_MS} | params)
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {"host": host or "127.0.0.1:1", "x-mbx-apikey": "test-api-key"}
    return venue.handle(VenueRequest(method=method, path=path, query=f"{text}&signature={signature}", headers=headers))


def code(reply: VenueResponse) -> int | None:
    """Binance's error code."""
    value: Any = reply.json()
    return value.get("code") if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"stray": "1"}, -1104),
        ({"price": ""}, -1102),
        ({"side": "UP"}, -1117),
        ({"symbol": "XXX"}, -1121),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": "0.000001"}, -1013),
        ({"price": "40000.01"}, -1013),
        ({"price": "40000.123456789"}, -1111),
        ({"quantity": "1000000"}, -2010),
        ({"recvWindow": "60001"}, -1131),
        ({"timestamp": NOW_MS + 1000}, -1021),
        ({"timestamp": NOW_MS - 5001}, -1021),
        ({"newClientOrderId": "a b"}, -1100),
        ({"type": "LIMIT_MAKER"}, -1106),
    ],
)
def test_binance_spot_refuses_with_the_venues_own_code(change: dict[str, Any], expected: int, make_world: Any) -> None:
    venue = make_world("binance").venue
    assert code(binance(venue, "POST", "/api/v3/order", **(LIMIT | change))) == expected
    assert venue.exchange.revision == 0


@pytest.mark.parametrize("edge", [NOW_MS + 999, NOW_MS - 5000])
def test_binance_accepts_a_timestamp_on_the_edge_of_its_window(edge: int, make_world: Any) -> None:
    venue = make_world("binance").venue
    assert binance(venue, "POST", "/api/v3/order", **(LIMIT | {"timestamp": edge})).status == 200


def test_binance_client_id_is_free_again_once_the_order_is_done(make_world: Any) -> None:
    venue = make_world("binance").venue
    market = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "MARKET",
        "quantity": "0.5",
        "newClientOrderId": "twice",
    }
    assert [binance(venue, "POST", "/api/v3/order", **market).status for _ in range(2)] == [200, 200]
    resting = LIMIT | {"newClientOrderId": "once"}
    assert [code(binance(venue, "POST", "/api/v3/order", **resting)) for _ in range(2)] == [None, -2010]


def test_binance_signature_of_an_open_orders_read_is_also_cancel_all(make_world: Any) -> None:
    venue = make_world("binance").venue
    binance(venue, "POST", "/api/v3/order", **LIMIT)
    assert len(binance(venue, "GET", "/api/v3/openOrders", symbol="BTCUSDT").json()) == 1  # type: ignore[arg-type]
    assert binance(venue, "DELETE", "/api/v3/openOrders", symbol="BTCUSDT").status == 200
    assert venue.exchange.open_orders("main") == ()


@pytest.mark.parametrize(("host", "status"), [("fapi.binance.com", 404), ("api.binance.com", 200), ("", 200)])
def test_binance_host_chooses_the_product(host: str, status: int, make_world: Any) -> None:
    assert binance(make_world("binance").venue, "POST", "/api/v3/order", host=host, **LIMIT).status == status


def test_binance_cancel_replace_says_which_half_failed(make_world: Any) -> None:
    venue, path = make_world("binance").venue, "/api/v3/order/cancelReplace"
    old = binance(venue, "POST", "/api/v3/order", **LIMIT).json()
    more = LIMIT | {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": old["orderId"]}  # type: ignore[index]
    assert binance(venue, "POST", path, **more).status == 200
    assert code(binance(venue, "POST", path, **more)) == -2022
    more |= {"cancelReplaceMode": "ALLOW_FAILURE"}
    reply = binance(venue, "POST", path, **more)
    assert (reply.status, code(reply)) == (409, -2021)


def test_binance_usdm_amends_in_place_and_sends_stops_to_the_algo_service(make_world: Any) -> None:
    venue = make_world("binanceusdm").venue
    order: Any = binance(venue, "POST", "/fapi/v1/order", **LIMIT).json()
    change = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "orderId": order["orderId"],
        "quantity": "0.7",
        "price": "41000",
    }
    amended: Any = binance(venue, "PUT", "/fapi/v1/order", **change).json()
    assert (amended["orderId"], amended["origQty"], amended["price"]) == (
        order["orderId"],
        "0.700",
        "41000.0",
    )
    stop = LIMIT | {"type": "STOP", "stopPrice": "60000"}
    assert code(binance(venue, "POST", "/fapi/v1/order", **stop)) == -4120
    algo = LIMIT | {"type": "STOP", "algoType": "CONDITIONAL", "triggerPrice": "60000", "clientAlgoId": "s1"}
    assert binance(venue, "POST", "/fapi/v1/algoOrder", **algo).json()["algoStatus"] == "NEW"  # type: ignore[index]
    assert binance(venue, "DELETE", "/fapi/v1/algoOrder", clientAlgoId="s1").json()["code"] == "200"  # type: ignore[index]


def test_binance_usdm_names_duplicates_margin_and_post_only_by_its_own_codes(make_world: Any) -> None:
    venue = make_world("binanceusdm").venue
    named = LIMIT | {"newClientOrderId": "a"}
    assert [code(binance(venue, "POST", "/fapi/v1/order", **named)) for _ in range(2)] == [None, -4116]
    assert code(binance(venue, "POST", "/fapi/v1/order", **(LIMIT | {"quantity": "100000"}))) == -2019
    taking = LIMIT | {"timeInForce": "GTX", "price": "60000"}
    assert code(binance(venue, "POST", "/fapi/v1/order", **taking)) == -5022
    assert code(binance(venue, "POST", "/fapi/v1/order", **(LIMIT | {"reduceOnly": "true"}))) == -2022


def test_binance_accepts_ed25519_keys(make_world: Any) -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    key = VenueKey(api_key="ed", public_key_pem=public, kind="ed25519")
    instruments = list(make_world("binance").venue.exchange.instruments.values())
    venue = create_venue("binance", [key], instruments, clock_ms=lambda: NOW_MS, rng=Random(1))
    text = urlencode(LIMIT | {"timestamp": NOW_MS})
    signature = quote_plus(base64.b64encode(private.sign(text.encode())))
    headers = {"host": "api.binance.com", "x-mbx-apikey": "ed"}
    order = VenueRequest(
        method="POST", path="/api/v3/order", headers=headers, body=f"{text}&signature={signature}".encode()
    )
    assert venue.handle(order).status == 200


def test_a_rate_limit_answers_429_until_its_window_ends(make_world: Any) -> None:
    settings = VenueSettings(rate_limit=RateLimit(requests=2, window_ms=1000))
    world = make_world("binance", settings=settings)
    replies = [binance(world.venue, "GET", "/api/v3/account") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].headers["Retry-After"] == "1"
    world.clock.now_ms += 1000
    assert binance(world.venue, "GET", "/api/v3/account").status == 200


def kraken(venue: SimulatedVenue, name: str, nonce: int, **params: str) -> Any:
    """Sign and send a private Kraken call."""
    body, path = urlencode({"nonce": nonce} | params), f"/0/private/{name}"
    message = path.encode() + hashlib.sha256(f"{nonce}{body}".encode()).digest()
    sign = base64.b64encode(hmac.new(bytes(range(64)), message, "sha512").digest()).decode()
    headers = {"host": "api.kraken.com", "api-key": "test-api-key", "api-sign": sign}
    return venue.handle(VenueRequest(method="POST", path=path, headers=headers, body=body.encode())).json()


KRAKEN: dict[str, str] = {
    "pair": "XBTUSDT",
    "type": "buy",
    "ordertype": "limit",
    "volume": "0.5",
    "price": "40000",
}


def test_kraken_refuses_an_order_whose_deadline_has_passed(make_world: Any) -> None:
    venue = make_world("kraken").venue
    passed, coming = "2023-11-14T22:13:20Z", "2023-11-14T22:13:25Z"
    assert kraken(venue, "AddOrder", 1, **KRAKEN, deadline=passed)["error"] == ["EService:Deadline elapsed"]
    assert kraken(venue, "AddOrder", 2, **KRAKEN, deadline=coming)["error"] == []
    assert kraken(venue, "AddOrder", 2, **KRAKEN)["error"] == ["EAPI:Invalid nonce"]


def test_kraken_finds_cancels_and_amends_by_client_id(make_world: Any) -> None:
    venue = make_world("kraken").venue
    (txid,) = kraken(venue, "AddOrder", 1, **KRAKEN, cl_ord_id="mine")["result"]["txid"]
    assert list(kraken(venue, "OpenOrders", 2, cl_ord_id="mine")["result"]["open"]) == [txid]
    assert kraken(venue, "OpenOrders", 3, cl_ord_id="other")["result"]["open"] == {}
    assert "amend_id" in kraken(venue, "AmendOrder", 4, cl_ord_id="mine", limit_price="39000")["result"]
    edited = kraken(venue, "EditOrder", 5, txid=txid, pair="XBTUSDT", price="38000")["result"]
    assert (edited["originaltxid"], edited["orders_cancelled"]) == (txid, 1)
    assert kraken(venue, "CancelOrder", 6, cl_ord_id="mine")["error"] == ["EOrder:Unknown order"]
    assert kraken(venue, "CancelOrder", 7, txid=edited["txid"])["result"] == {"count": 1}
    assert kraken(venue, "QueryOrders", 8, txid=txid)["result"][txid]["status"] == "canceled"


def bybit_call(venue: SimulatedVenue, path: str, **values: Any) -> Any:
    """Sign and send a Bybit POST."""
    body = json.dumps(values)
    text = f"{NOW_MS}test-api-key5000{body}"
    headers = {
        "x-bapi-api-key": "test-api-key",
        "x-bapi-timestamp": str(NOW_MS),
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": hmac.new(SECRET.encode(), text.encode(), "sha256").hexdigest(),
    }
    return venue.handle(VenueRequest(method="POST", path=path, headers=headers, body=body.encode())).json()


BYBIT = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.5", "price": "40000"}


@pytest.mark.parametrize(
    ("category", "duplicate", "unknown", "funds"),
    [("spot", 170141, 170213, 170131), ("linear", 110072, 110001, 110007)],
)
def test_bybit_names_its_refusals_per_category(
    category: str, duplicate: int, unknown: int, funds: int, make_world: Any
) -> None:
    venue, base = make_world("bybit").venue, BYBIT | {"category": category}
    named = base | {"orderLinkId": "a"}
    assert [bybit_call(venue, "/v5/order/create", **named)["retCode"] for _ in range(2)] == [0, duplicate]
    large = base | {"qty": "10000000"}
    assert bybit_call(venue, "/v5/order/create", **large)["retCode"] == funds
    amend = {"category": category, "symbol": "BTCUSDT", "orderLinkId": "a", "price": "41000"}
    assert bybit_call(venue, "/v5/order/amend", **amend)["retCode"] == 0
    cancel = {"category": category, "symbol": "BTCUSDT", "orderLinkId": "a"}
    assert [bybit_call(venue, "/v5/order/cancel", **cancel)["retCode"] for _ in range(2)] == [0, unknown]
    assert bybit_call(venue, "/v5/order/create", **named)["retCode"] == duplicate, "for ever"


def test_bybit_accepts_a_post_only_order_that_would_take_and_cancels_it(make_world: Any) -> None:
    venue = make_world("bybit").venue
    taking = BYBIT | {"category": "spot", "price": "60000", "timeInForce": "PostOnly"}
    assert bybit_call(venue, "/v5/order/create", **taking)["retCode"] == 0
    (order,) = venue.exchange.orders()
    assert (order.status.value, order.fills) == ("canceled", ())


def okx_call(venue: SimulatedVenue, path: str, value: Any) -> Any:
    """Sign and send an OKX POST."""
    body, at = json.dumps(value), "2023-11-14T22:13:20.123Z"
    sign = hmac.new(SECRET.encode(), f"{at}POST{path}{body}".encode(), "sha256").digest()
    headers = {
        "ok-access-key": "test-api-key",
        "ok-access-passphrase": "test-passphrase",
        "ok-access-timestamp": at,
        "ok-access-sign": base64.b64encode(sign).decode(),
    }
    return venue.handle(VenueRequest(method="POST", path=path, headers=headers, body=body.encode())).json()


OKX = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.5", "px": "40000"}


def test_okx_answers_a_batch_instruction_by_instruction(make_world: Any) -> None:
    venue = make_world("okx").venue
    batch = [OKX | {"clOrdId": "a"}, OKX | {"clOrdId": "a"}, OKX | {"sz": "1000000"}]
    reply = okx_call(venue, "/api/v5/trade/batch-orders", batch)
    assert reply["code"] == "2"
    assert [one["sCode"] for one in reply["data"]] == ["0", "51016", "51008"]
    single = okx_call(venue, "/api/v5/trade/order", OKX | {"clOrdId": "a"})
    assert (single["code"], single["data"][0]["sCode"]) == ("1", "51016")
    amend = okx_call(venue, "/api/v5/trade/amend-order", {"instId": "BTC-USDT", "clOrdId": "a", "newSz": "0.7"})
    assert amend["code"] == "0"
    assert venue.exchange.orders()[0].quantity == Decimal("0.7")


def test_okx_stop_limit_lives_in_the_algo_service(make_world: Any) -> None:
    venue = make_world("okx").venue
    stop = {"instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "trigger", "sz": "0.5"}
    stop |= {"triggerPx": "45000", "orderPx": "44000", "algoClOrdId": "s1"}
    assert okx_call(venue, "/api/v5/trade/order-algo", stop)["code"] == "0"
    (fired,) = venue.exchange.move_price("BTC/USDT", Decimal(45000))
    assert fired.status.value == "filled"


def test_every_refusal_has_a_code_at_every_venue() -> None:
    for reason in Refusal:
        assert reason in binance_spot_views.REFUSALS
        assert reason in binance_futures_views.REFUSALS
        assert bybit.refusal_code(reason, spot=True)
        assert bybit.refusal_code(reason, spot=False)
        assert okx_orders.refusal_code(reason)
        assert kraken_orders.refusal_text(reason)
        assert coinbase_orders.refusal_name(reason)
        assert backpack_orders.refusal_code(reason)


def test_a_key_never_shows_its_secret() -> None:
    key = VenueKey(api_key="k", secret="very-secret", passphrase="pass-phrase")  # noqa: S106 - made up
    assert "very-secret" not in repr(key)
    assert "pass-phrase" not in repr(key)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"a":1,"a":2}', b"\xff\xfe", b"=&&="])
@pytest.mark.parametrize("name", ["binance", "bybit", "okx", "kraken", "coinbase", "backpack"])
def test_an_unreadable_body_is_answered_and_never_raises(name: str, body: bytes, make_world: Any) -> None:
    venue = make_world(name).venue
    for _, path in [("POST", "/api/v3/order"), ("POST", "/v5/order/create"), ("POST", "/api/v5/trade/order")]:
        reply = venue.handle(VenueRequest(method="POST", path=path, query="x", headers={"host": "h"}, body=body))
        assert isinstance(reply.status, int)
    assert venue.exchange.revision == 0


def test_orders_good_till_a_date_end_at_it(make_world: Any) -> None:
    world = make_world("binanceusdm")
    until = LIMIT | {"timeInForce": "GTD", "goodTillDate": NOW_MS + 700_000}
    order: Any = binance(world.venue, "POST", "/fapi/v1/order", **until).json()
    assert order["status"] == "NEW"
    world.clock.now_ms += 700_000
    params = {"symbol": "BTCUSDT", "orderId": order["orderId"], "timestamp": world.clock.now_ms}
    assert binance(world.venue, "GET", "/fapi/v1/order", **params).json()["status"] == "EXPIRED"  # type: ignore[index]
    assert world.venue.exchange.balances("main")["USDT"].locked == 0
