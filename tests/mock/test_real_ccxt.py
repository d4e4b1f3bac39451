"""A real ccxt client trades against every simulated venue: the test that keeps the simulators honest."""

import base64
import time
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from casemate_mock.venue_server import VenueServer
from casemate_mock.venues import VenueKey, create_venue

ccxt = pytest.importorskip("ccxt")
ccxt_async = pytest.importorskip("ccxt.async_support")

VENUES = ["binance", "binanceusdm", "bybit", "okx", "kraken", "coinbase", "backpack"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moved(urls: object, base: str) -> object:
    """Point every URL at the local server, keeping its path."""
    if isinstance(urls, dict):
        return {name: _moved(value, base) for name, value in urls.items()}
    if isinstance(urls, str) and urls.startswith("http"):
        return base + urlsplit(urls.replace("{hostname}", "host")).path
    return urls


def _client(name: str, credentials: dict[str, str], base: str) -> Any:
    client = getattr(ccxt_async, name)(credentials | {"enableRateLimit": False})
    client.urls["api"] = _moved(client.urls["api"], base)
    client.options["adjustForTimeDifference"] = False
    return client


async def _fetch(client: Any, order_id: str, symbol: str) -> dict[str, Any]:
    order: dict[str, Any] = await client.fetch_order(
        order_id, symbol, {"acknowledged": True} if client.id == "bybit" else {}
    )
    return order


@pytest.mark.asyncio
@pytest.mark.parametrize("name", VENUES)
async def test_a_real_ccxt_client_places_queries_cancels_and_fills(name: str, make_world: Any) -> None:
    world = make_world(name, clock=_now_ms)
    async with VenueServer(world.venue) as server:
        client = _client(name, world.credentials, server.url)
        try:
            await client.load_markets()
            assert set(client.markets) == set(world.symbols)
            for symbol in world.symbols:
                await _life_of_a_resting_order(client, symbol)
                await _market_order_fills(client, symbol)
                await _too_large_an_order_is_insufficient_funds(client, symbol)
            balance = await client.fetch_balance()
            assert balance["total"][world.symbols[0].split("/")[1].split(":")[0]] > 0
        finally:
            await client.close()


async def _life_of_a_resting_order(client: Any, symbol: str) -> None:
    created = await client.create_order(symbol, "limit", "buy", 0.1, 40000)
    resting = await _fetch(client, created["id"], symbol)
    assert (resting["status"], resting["side"], resting["filled"]) == ("open", "buy", 0)
    assert (resting["price"], resting["amount"]) == (40000, 0.1)
    assert [order["id"] for order in await client.fetch_open_orders(symbol)] == [created["id"]]
    await client.cancel_order(created["id"], symbol)
    assert await client.fetch_open_orders(symbol) == []
    assert (await _fetch(client, created["id"], symbol))["status"] == "canceled"


async def _market_order_fills(client: Any, symbol: str) -> None:
    price = 50000 if client.id == "coinbase" else None
    created = await client.create_order(symbol, "market", "buy", 0.1, price)
    done = await _fetch(client, created["id"], symbol)
    assert done["status"] == "closed"
    assert done["average"] == pytest.approx(50000.1)
    assert done["filled"] == pytest.approx(0.1, rel=1e-3)


async def _too_large_an_order_is_insufficient_funds(client: Any, symbol: str) -> None:
    # ccxt finds USD-M's own codes by the production URL, so at a moved one it knows only the general error.
    expected = ccxt.ExchangeError if client.id.startswith("binance") and ":" in symbol else ccxt.InsufficientFunds
    with pytest.raises(expected, match=r"-2019|[Ii]nsufficient|INSUFFICIENT|not enough"):
        await client.create_order(symbol, "limit", "buy", 100_000_000, 40000)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["binance", "bybit", "okx", "kraken", "backpack"])
async def test_a_client_order_id_chosen_by_ccxt_user_reaches_the_exchange(name: str, make_world: Any) -> None:
    world = make_world(name, clock=_now_ms)
    client_id = "77" if name == "backpack" else "c0ffee0123456789"
    field = {"backpack": {"clientId": 77}}.get(name, {"clientOrderId": client_id})
    async with VenueServer(world.venue) as server:
        client = _client(name, world.credentials, server.url)
        try:
            await client.create_order(world.symbols[0], "limit", "buy", 0.1, 40000, field)
        finally:
            await client.close()
        assert len(server.exchange.orders_by_client(client_id)) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["binance", "bybit", "okx", "kraken", "coinbase", "backpack"])
async def test_a_wrong_secret_is_an_authentication_error(name: str, make_world: Any) -> None:
    world = make_world(name, clock=_now_ms)
    wrong = {
        "kraken": "A" * 88,
        "backpack": "A" * 43 + "=",
        "coinbase": _other_p256(),
    }.get(name, "another-secret")
    async with VenueServer(world.venue) as server:
        client = _client(name, world.credentials | {"secret": wrong}, server.url)
        client.has["fetchCurrencies"] = False
        try:
            with pytest.raises(ccxt.BaseError, match=r"(?i)sign|unauthorized"):
                await client.fetch_balance()
        finally:
            await client.close()
        assert server.exchange.revision == 0


def _other_p256() -> str:

    key = ec.derive_private_key(12345, ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


@pytest.mark.asyncio
async def test_coinbase_accepts_the_eddsa_tokens_of_ccxt(make_world: Any) -> None:

    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = private.public_key().public_bytes_raw()
    key = VenueKey(api_key="k-1", public_key_pem=base64.b64encode(public).decode(), kind="ed25519")
    instruments = list(make_world("coinbase").venue.exchange.instruments.values())
    venue = create_venue("coinbase", [key], instruments, clock_ms=_now_ms, rng=Random(1))
    secret = base64.b64encode(bytes(range(32)) + public).decode()
    async with VenueServer(venue) as server:
        client = _client("coinbase", {"apiKey": "k-1", "secret": secret}, server.url)
        try:
            await _life_of_a_resting_order(client, "BTC/USD")
        finally:
            await client.close()
