"""The HTTP server: it serves the venue's bytes, logs what came, and misbehaves when told to."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from casemate_mock.venue_server import Fault, VenueServer

CAPTURED = json.loads((Path(__file__).parent / "captured_requests.json").read_text())["requests"]
ORDER = next(one for one in CAPTURED if (one["venue"], one["name"]) == ("binance", "limit_buy_cid"))
CLIENT_ID = "c0ffee0123456789"


async def send(server: VenueServer) -> tuple[int, dict[str, str], bytes]:
    """Send the captured binance order under its production Host."""
    headers = ORDER["headers"] | {"Host": "api.binance.com"}
    url = server.url + urlsplit(ORDER["url"]).path
    async with (
        aiohttp.ClientSession() as session,
        session.request("POST", url, headers=headers, data=ORDER["body"].encode()) as reply,
    ):
        return reply.status, dict(reply.headers), await reply.read()


@pytest.mark.asyncio
async def test_an_order_is_executed_once_and_logged_with_its_production_host(make_world: Any) -> None:
    async with VenueServer(make_world("binance").venue) as server:
        status, headers, body = await send(server)
        assert (status, json.loads(body)["clientOrderId"]) == (200, CLIENT_ID)
        assert headers["X-MBX-ORDER-COUNT-10S"] == "1"
        (entry,) = server.log
        assert (entry.host, entry.status, entry.seen, entry.executed) == ("api.binance.com", 200, True, True)
        assert ORDER["headers"]["X-MBX-APIKEY"] not in repr(entry)


@pytest.mark.asyncio
async def test_a_lost_reply_leaves_the_order_at_the_venue(make_world: Any) -> None:
    async with VenueServer(make_world("binance").venue) as server:
        server.exchange.move_price("BTC/USDT", Decimal(60000))
        server.script(Fault.lost_reply("POST"))
        with pytest.raises(aiohttp.ClientError):
            await send(server)
        assert len(server.exchange.orders_by_client(CLIENT_ID)) == 1
        assert (server.log[0].status, server.log[0].executed) == (None, True)
        status, _, body = await send(server)
        assert (status, json.loads(body)["code"]) == (400, -2010), "a second one is a duplicate"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.reply(503, b"busy"), 503),
        (Fault.too_many(7), 429),
        (Fault.drop_before(), None),
    ],
)
async def test_faults_before_the_venue_execute_nothing(fault: Fault, status: int | None, make_world: Any) -> None:
    async with VenueServer(make_world("binance").venue) as server:
        server.script(fault)
        if status is None:
            with pytest.raises(aiohttp.ClientError):
                await send(server)
        else:
            got, headers, _ = await send(server)
            assert got == status
            assert headers.get("Retry-After") == ("7" if status == 429 else None)
        assert (server.exchange.orders(), server.log[0].seen) == ((), False)
        assert (await send(server))[0] == 200, "the fault is used up"


@pytest.mark.asyncio
async def test_garbage_and_delay_come_after_execution(make_world: Any) -> None:
    waited: list[float] = []
    async with VenueServer(make_world("binance").venue, sleep=waited.append) as server:
        server.script(Fault.garbage(b"\x00"), Fault.delay(3.5))
        assert (await send(server))[2] == b"\x00"
        assert len(server.exchange.orders()) == 1
        await send(server)
        assert waited == [3.5]


@pytest.mark.asyncio
async def test_a_fault_waits_for_the_request_that_it_names(make_world: Any) -> None:
    async with VenueServer(make_world("binance").venue) as server:
        server.script(Fault.reply(500, path="/fapi/"))
        assert (await send(server))[0] == 200


@pytest.mark.asyncio
async def test_a_stopped_server_refuses_connections_and_has_no_address(make_world: Any) -> None:
    server = VenueServer(make_world("binance").venue)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url
    await server.start()
    await server.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url
