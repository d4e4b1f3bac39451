"""An idle link between host and enclave stays: the host's pings are no faster than the enclave's server allows."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from enclave_signer import server as enclave_server
from host_dispatch import enclave_link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

STREAM = "/casemate.signer.v1.Signer/SignStream"
KEEPALIVE = "grpc.keepalive_time_ms"
# The two names that gRPC's versions have given the server's minimum.
MINIMA = ("grpc.http2.min_ping_interval_without_data_ms", "grpc.http2.min_recv_ping_interval_without_data_ms")
STRIKES = "grpc.http2.max_ping_strikes"
# Both sides' times are this much shorter here: a ping a second, gRPC's fastest. With one strike instead of two, three
# pings that come too fast end the link.
FASTER = 20
IDLE_S = 5.0


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """Give the collector back as it was: the server switches it off for its process."""
    yield
    gc.enable()
    gc.unfreeze()


def faster(options: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value // FASTER if name in (KEEPALIVE, *MINIMA) else value) for name, value in options)


def stricter(options: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    return (*((name, value) for name, value in options if name != STRIKES), (STRIKES, 1))


@asynccontextmanager
async def idle_stream(
    directory: Path, server_options: tuple[tuple[str, Any], ...], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[grpc.aio.StreamStreamCall[bytes, bytes]]:
    """A stream with the host's options, on which one message has gone there and back."""
    monkeypatch.setattr(enclave_server, "_OPTIONS", server_options)
    server = enclave_server.Server(lambda request: request[::-1], f"unix:{directory}/e.sock")
    serving = asyncio.create_task(server.serve())
    async with grpc.aio.insecure_channel(server.address, options=faster(enclave_link._OPTIONS)) as channel:
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
        stream = method(wait_for_ready=True)
        await stream.write(b"ab")
        assert await stream.read() == b"ba"
        yield stream
        stream.cancel()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def test_the_host_pings_no_faster_than_the_enclave_allows() -> None:
    allowed, pings = dict(enclave_server._OPTIONS), dict(enclave_link._OPTIONS)
    for name in MINIMA:
        assert 0 < int(allowed[name]) <= int(pings[KEEPALIVE]) // 2
    assert allowed["grpc.keepalive_permit_without_calls"] == 1
    # 0 would be no limit at all.
    assert 0 < int(allowed[STRIKES]) <= 2


async def test_a_link_on_which_nothing_goes_survives_its_pings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with idle_stream(tmp_path, stricter(faster(enclave_server._OPTIONS)), monkeypatch) as stream:
        reading = asyncio.ensure_future(stream.read())
        done, _ = await asyncio.wait({reading}, timeout=IDLE_S)
        assert not done, "the enclave hung up"
        await stream.write(b"cd")
        assert await reading == b"dc"


async def test_a_host_that_pings_faster_than_allowed_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The minimum as it ships, with pings twenty times as fast; also shows that there are pings here at all.
    async with idle_stream(tmp_path, stricter(enclave_server._OPTIONS), monkeypatch) as stream:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(stream.read(), IDLE_S)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
