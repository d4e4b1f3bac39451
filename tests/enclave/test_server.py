"""The gRPC face: where it listens, that bytes pass as they are, and that the shipped process trusts nobody."""

from __future__ import annotations

import asyncio
import gc
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from enclave_signer.boot_codes import BootCode
from enclave_signer.server import CannotListen, Server
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import order, ready
from tests.enclave.quorum_rig import quorum_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CALL = "/casemate.signer.v1.Signer/Call"
STREAM = "/casemate.signer.v1.Signer/SignStream"


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """Give the collector back as it was: the server switches it off for its process."""
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture
async def echo(tmp_path: Path) -> AsyncIterator[str]:
    server = Server(lambda request: request[::-1], f"unix:{tmp_path}/e.sock")
    serving = asyncio.create_task(server.serve())
    yield server.address
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_call_carries_bytes_as_they_are(echo: str) -> None:
    async with grpc.aio.insecure_channel(echo) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CALL)
        assert await call(b"\xff\0abc", wait_for_ready=True) == b"cba\0\xff"


async def test_one_stream_carries_many_requests(echo: str) -> None:
    async def requests() -> AsyncIterator[bytes]:
        for n in range(50):
            yield b"%d." % n

    async with grpc.aio.insecure_channel(echo) as channel:
        call: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
        replies = call(requests(), wait_for_ready=True)
        assert [reply async for reply in replies] == [(b"%d." % n)[::-1] for n in range(50)]


async def test_a_message_over_the_limit_ends_the_call_and_not_the_server(echo: str) -> None:
    async with grpc.aio.insecure_channel(echo) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CALL)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(bytes(3 << 20), wait_for_ready=True)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # A little over the service's own limit reaches it, and it is the service that refuses.
        assert len(await call(bytes((2 << 20) + 1))) == (2 << 20) + 1


async def test_the_whole_enclave_answers_over_a_socket(tmp_path: Path) -> None:
    enclave = ready()
    server = Server(enclave.service.handle, f"unix:{tmp_path}/e.sock")
    serving = asyncio.create_task(server.serve())
    sealed = intent_pb2.SealedIntent(session=b"mm", intent=order().SerializeToString())
    request = signer_pb2.EnclaveRequest(request_id=9, sign=sealed).SerializeToString()
    async with grpc.aio.insecure_channel(server.address) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CALL)
        raw = await call(request, wait_for_ready=True)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    reply = signer_pb2.EnclaveReply.FromString(raw)
    assert (reply.request_id, reply.judged.verdict.rule) == (9, "grant:g")


async def test_the_socket_is_for_this_user_alone(echo: str, tmp_path: Path) -> None:
    assert echo == f"unix:{tmp_path}/e.sock"
    assert stat.S_IMODE((tmp_path / "e.sock").stat().st_mode) == 0o600


async def test_a_loopback_port_can_be_any_free_one() -> None:
    server = Server(lambda request: request, "127.0.0.1:0")
    host, _, port = server.address.partition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:1", "localhost:1", "[::1]:1", "127.0.0.1", "unix:", "vsock:3", "127.0.0.1:1;unix:x", ""]
)
async def test_no_other_address_is_listened_on(listen: str) -> None:
    with pytest.raises(CannotListen, match="expected unix:PATH, vsock:CID:PORT or 127"):
        Server(lambda request: request, listen)


async def test_an_address_that_cannot_be_bound_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="cannot be written"):
        Server(lambda request: request, f"unix:{tmp_path}/none/e.sock")


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of ours that ends well when it is told to."""
    with subprocess.Popen([sys.executable, "-m", *arguments], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def line_with(process: subprocess.Popen[str], word: str) -> str:
    assert process.stderr is not None
    return next(line for line in process.stderr if word in line)


def asked(address: str, request: signer_pb2.EnclaveRequest) -> signer_pb2.EnclaveReply:
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CALL)
        raw = call(request.SerializeToString(), wait_for_ready=True, timeout=10)
    return signer_pb2.EnclaveReply.FromString(raw)


def test_the_shipped_enclave_says_what_it_refuses_and_does(tmp_path: Path) -> None:
    (tmp_path / "quorum.cbor").write_bytes(quorum_file())
    shipped = ("enclave_signer", "--quorum", f"{tmp_path}/quorum.cbor")
    with started(*shipped, "--listen", f"unix:{tmp_path}/e.sock") as process:
        assert "casemate-enclave" in line_with(process, "every intent is refused")
        address = line_with(process, "listening").split()[-1]
        load = signer_pb2.EnclaveRequest(load_policy=signer_pb2.LoadPolicy(policy=b"x"))
        assert asked(address, load).not_judged.reason == "NOT_APPROVED"
        status = asked(address, signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest())).status
        assert (status.phase, status.unauthenticated) == (signer_pb2.PHASE_AWAITING_POLICY, False)
        assert len(status.boot_key) == 32


@pytest.mark.parametrize("content", [None, b"", b"\xa0"])
def test_s4_without_a_quorum_the_enclave_does_not_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "quorum.cbor"
    if content is not None:
        file.write_bytes(content)
    arguments = ("--listen", f"unix:{tmp_path}/e.sock", "--quorum", str(file))
    done = subprocess.run(
        [sys.executable, "-m", "enclave_signer", *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == BootCode.QUORUM
    assert f"no quorum, so no start: {file}: " in done.stderr
    assert not (tmp_path / "e.sock").exists()


def test_the_mock_enclave_says_loudly_what_it_is(tmp_path: Path) -> None:
    with started("casemate_mock.enclave", "--listen", f"unix:{tmp_path}/e.sock") as process:
        assert "DEVELOPMENT ONLY" in line_with(process, "casemate-mock")
        request = signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest())
        assert asked(f"unix:{tmp_path}/e.sock", request).status.unauthenticated


@pytest.mark.parametrize("arguments", [[], ["--listen", "localhost:1"]])
def test_wrong_use_ends_with_a_message(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "quorum.cbor").write_bytes(quorum_file())
    arguments = [*arguments, "--quorum", f"{tmp_path}/quorum.cbor"] if arguments else []
    done = subprocess.run(
        [sys.executable, "-m", "enclave_signer", *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == (BootCode.LISTEN if arguments else 2)
    assert "listen" in done.stderr
