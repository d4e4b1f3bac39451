"""What logs a private stream on is what ccxt's own websocket implementation sends at the same moment."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import ccxt.pro
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enclave_signer.model import Placement, Stamp, WireRequest
from enclave_signer.venues.registry import VENUES
from tests.agreement.ccxt_offline import NOW_MS, OPTIONS, WINDOW_MS
from tests.agreement.subjects import BY_NAME, EDWARDS_PUBLIC, P256_PUBLIC

STAMP = Stamp(NOW_MS, NOW_MS * 1000, NOW_MS + WINDOW_MS, lambda count: b"\xab" * count)
# ccxt writes the time itself into some messages, by clocks of its own.
SECONDS = NOW_MS // 1000


def ours(name: str, stamp: Stamp = STAMP) -> WireRequest:
    subject = BY_NAME[name]
    venue = VENUES[subject.venue]
    return venue.site(Placement(), venue.credential(dict(subject.credentials))).logon(stamp)


def exchange(name: str) -> Any:
    subject = BY_NAME[name]
    options = {**OPTIONS.get(subject.venue, {}), "timeDifference": 0}
    made = getattr(ccxt.pro, subject.venue)({**dict(subject.credentials), "options": options})
    made.milliseconds = lambda: NOW_MS
    made.seconds = lambda: SECONDS
    made.nonce = lambda: NOW_MS
    made.random_bytes = lambda count: "ab" * count
    return made


async def _listened(name: str, call: str, *arguments: Any) -> tuple[str, dict[str, Any]]:
    made = exchange(name)
    said: list[tuple[str, dict[str, Any]]] = []

    def watch(url: str, _: object, message: Any, *__: object) -> Any:
        said.append((url, message))
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    made.watch = made.watch_multiple = watch
    asked = asyncio.create_task(getattr(made, call)(*arguments))
    for _ in range(200):
        if said:
            break
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await made.close()
    return said[0]


def theirs(name: str, call: str, *arguments: Any) -> tuple[str, dict[str, Any]]:
    return asyncio.run(_listened(name, call, *arguments))


class CaughtError(BaseException):
    """Carries a request past ccxt's own handlers."""


def fetched(made: Any, call: str) -> dict[str, Any]:
    """The request of an HTTP call that ccxt would make."""

    async def catch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> None:
        raise CaughtError({"url": url, "method": method, "headers": headers, "body": body})

    made.fetch = catch

    async def ask() -> dict[str, Any]:
        try:
            await getattr(made, call)()
        except CaughtError as caught:
            return caught.args[0]  # type: ignore[no-any-return]
        finally:
            await made.close()
        raise AssertionError(call)

    return asyncio.run(ask())


def message(request: WireRequest) -> dict[str, Any]:
    assert (request.method, request.headers) == ("WEBSOCKET", ())
    return json.loads(request.body or b"")  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["binance-spot", "binance-spot-ed25519"])
def test_binance_spot_subscribes_by_signature_as_ccxt_does(name: str) -> None:
    url, said = theirs(name, "ensure_user_data_stream_ws_subscribe_signature", "spot")
    request = ours(name)
    assert request.url == url
    mine = message(request)
    assert (mine["method"], mine["params"]) == (said["method"], said["params"])


def test_binanceusdm_asks_for_a_listen_key_as_ccxt_does() -> None:
    request = ours("binanceusdm-swap")
    signed = fetched(exchange("binanceusdm-swap"), "fapiPrivatePostListenKey")
    assert (request.method, request.url) == ("POST", signed["url"])
    assert dict(request.headers)["X-MBX-APIKEY"] == signed["headers"]["X-MBX-APIKEY"]
    assert request.body is None


def test_bybit_authenticates_as_ccxt_does() -> None:
    # ccxt asks for ten seconds.
    mine = message(ours("bybit-spot", STAMP._replace(valid_until_ms=NOW_MS + 10_000)))
    assert mine == theirs("bybit-spot", "authenticate", "wss://stream.bybit.com/v5/private")[1]


def test_okx_logs_in_as_ccxt_does() -> None:
    assert message(ours("okx-spot")) == theirs("okx-spot", "authenticate")[1]


def test_kraken_asks_for_a_token_as_ccxt_does() -> None:
    made = exchange("kraken-spot")
    made.milliseconds = lambda: STAMP.nonce
    made.incrementing_nonce = lambda: STAMP.nonce
    signed = fetched(made, "privatePostGetWebSocketsToken")
    request = ours("kraken-spot")
    assert (request.method, request.url) == ("POST", signed["url"])
    assert (request.body or b"").decode() == signed["body"]
    assert dict(request.headers)["API-Sign"] == signed["headers"]["API-Sign"]


def test_backpack_subscribes_as_ccxt_does() -> None:
    url, said = theirs("backpack-spot", "watch_private", ["account.orderUpdate"], ["orders"])
    request = ours("backpack-spot")
    assert (request.url, message(request)) == (url, said)


@pytest.mark.parametrize("name", ["coinbase-spot", "coinbase-spot-eddsa"])
def test_coinbase_carries_the_token_that_ccxt_makes(name: str) -> None:
    made = exchange(name)
    eddsa = name.endswith("eddsa")
    token = made.create_auth_token(SECONDS, None, None, eddsa)
    mine = message(ours(name, STAMP._replace(valid_until_ms=(SECONDS + 120) * 1000)))
    assert (mine["type"], mine["channel"], mine["product_ids"]) == ("subscribe", "user", [])
    for at in (0, 1):
        read = [json.loads(_decoded(each.split(".")[at])) for each in (token, mine["jwt"])]
        assert read[0] | {"typ": "JWT"} == read[1] | {"typ": "JWT"}
    signed, _, signature = mine["jwt"].rpartition(".")
    raw = _decoded(signature)
    if eddsa:
        EDWARDS_PUBLIC.verify(raw, signed.encode())
    else:
        r, s = (int.from_bytes(part, "big") for part in (raw[:32], raw[32:]))
        P256_PUBLIC.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
