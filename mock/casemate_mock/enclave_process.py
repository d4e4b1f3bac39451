"""The mock enclave as a process: serve and, where nobody has to approve, load a policy and credentials at start."""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cbor2
import grpc
import grpc.aio

from casemate_mock.enclave import MEASUREMENTS, BootEnded, read_quorum, serve
from casemate_mock.lifecycle import ready, until_told
from casemate_mock.nitro import FakeChain
from signer_api.v1 import signer_pb2

__all__ = ["BootEnded", "run", "run_unauthenticated"]

_CALL = "/casemate.signer.v1.Signer/Call"
_START_S = 10.0


async def run(listen: str, *, root: Path, quorum: Path, skew: Path | None = None) -> None:
    """Serve on `listen` until told to stop: real sessions, the quorum of that file, credentials sealed only.

    What a verifier has to pin is in `root`, made if it is not there, and is said when ready. Raises ValueError, and
    BootEnded where a sealed bundle ended the boot. ``skew``: file with the milliseconds that the module is ahead.
    """
    chain, admins = FakeChain.kept(root), read_quorum(quorum)
    serving = asyncio.create_task(serve(listen, chain=chain, admins=admins, skew=skew))
    pcrs = {str(index): value.hex() for index, value in MEASUREMENTS.items()}
    await _until_told(listen, serving, (), {"root": str(root), "pcrs": pcrs})


async def run_unauthenticated(listen: str, policy: Path | None, credentials: Path | None) -> None:
    """Serve on `listen` until told to stop, believing everybody. Raises ValueError if policy or keys are not taken."""
    serving = asyncio.create_task(serve(listen))
    await _until_told(listen, serving, _requests(policy, credentials), {})


async def _until_told(
    listen: str,
    serving: "asyncio.Task[None]",
    requests: Iterable[signer_pb2.EnclaveRequest],
    said: Mapping[str, Any],
) -> None:
    told = asyncio.create_task(until_told(watch_stdin=False))
    try:
        async with grpc.aio.insecure_channel(listen) as channel:
            await _first(channel.channel_ready(), serving, told)
            for request in requests:
                await _load(channel, request)
        if not told.done():
            ready(listen=listen, **said)
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    finally:
        for task in (serving, told):
            task.cancel()
        await asyncio.gather(serving, told, return_exceptions=True)


def _requests(policy: Path | None, credentials: Path | None) -> Iterator[signer_pb2.EnclaveRequest]:
    if policy:
        load = signer_pb2.LoadPolicy(policy=policy.read_bytes())
        yield signer_pb2.EnclaveRequest(request_id=1, load_policy=load)
    if credentials:
        for account, fields in json.loads(credentials.read_text(encoding="utf-8")).items():
            provision = signer_pb2.Provision(account=account, credential=cbor2.dumps(fields, canonical=True))
            yield signer_pb2.EnclaveRequest(request_id=1, provision=provision)


async def _first(what: Coroutine[object, object, None], *others: "asyncio.Task[None]") -> None:
    """Wait for the coroutine, but no longer than for the first of the others."""
    task = asyncio.ensure_future(what)
    await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        # Raises what ended the serving, if that was it.
        for other in others:
            if other.done():
                other.result()


async def _load(channel: grpc.aio.Channel, request: signer_pb2.EnclaveRequest) -> None:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_CALL)
    raw = await call(request.SerializeToString(), timeout=_START_S)
    reply = signer_pb2.EnclaveReply.FromString(raw)
    if reply.WhichOneof("answer") == "not_judged":
        message = f"{reply.not_judged.reason}: {reply.not_judged.message}"
        raise ValueError(message)
