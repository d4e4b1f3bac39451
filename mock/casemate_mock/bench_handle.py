"""``casemate-mock bench-handle``: the enclave's ``handle`` beside one bare ``hmac.digest``, in one process.

Distinct orders of the demonstration's Binance account, through the real service; each is followed by a bare digest
of the very bytes that it signed, so both see the same machine. The garbage collector is as in production: frozen,
switched off, and run between orders.
"""

import gc
import hmac
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cbor2

from casemate_mock.config import DEMO_ACCOUNTS, random_key
from casemate_mock.enclave import BenchReceipts, BenchSession, make_service, session_keeper, taken_apart
from casemate_mock.nitro import FakeChain
from casemate_mock.policy_text import ENGINE, demo_policy
from signer_api.v1 import intent_pb2, signer_pb2

_ACCOUNT = DEMO_ACCOUNTS[0]
_COLLECT_EVERY = 256
_WARM_UP = 500
_SECOND = 1_000_000_000
# handle may cost this many bare digests.
_TARGET = 35
_PERCENTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def main(orders: int, *, sessions: bool = True) -> int:
    """Measure and print one JSON document. Without `sessions` everybody is believed."""
    service = make_service(chain=FakeChain() if sessions else None)
    secret = _load(service.handle)
    session = BenchSession(session_keeper(service), ENGINE) if sessions else None
    aside = _Aside(BenchSession(session_keeper(service), ENGINE)) if sessions else None
    requests = [_request(number, session) for number in range(orders + _WARM_UP)]
    gc.collect()
    gc.freeze()
    gc.disable()
    for request in requests[:_WARM_UP]:
        service.handle(request)
    handles, digests = [], []
    message = b""
    clock = time.perf_counter_ns
    for number, request in enumerate(requests[_WARM_UP:]):
        begin = clock()
        reply = service.handle(request)
        handles.append(clock() - begin)
        message = _signed_text(reply)
        begin = clock()
        hmac.digest(secret, message, "sha256")
        digests.append(clock() - begin)
        if aside is not None:
            aside.measure(number, request, reply)
        if number % _COLLECT_EVERY == 0:
            gc.collect(0)
    report = _report(sorted(handles), sorted(digests), len(message))
    report["costs"] = aside.costs(report["hmac_us"]["p50"]) if aside else {}
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def _load(handle: Any) -> bytes:  # noqa: ANN401 - bytes to bytes
    """Give the service the demonstration's policy and a random key; return its secret."""
    with TemporaryDirectory(prefix="casemate-") as directory:
        source, compiled = Path(directory) / "policy.toml", Path(directory) / "policy.cbor"
        source.write_text(demo_policy([_ACCOUNT]), encoding="utf-8")
        # The compiler is the client's; it runs as a program, so that the stand-ins import no client code.
        command = (sys.executable, "-m", "casemate", "policy", "compile", str(source), "-o", str(compiled))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
        policy = compiled.read_bytes()
    credential = random_key(_ACCOUNT.venue, _ACCOUNT.name).credential
    provision = signer_pb2.Provision(account=_ACCOUNT.name, credential=cbor2.dumps(dict(credential), canonical=True))
    for request in (
        signer_pb2.EnclaveRequest(load_policy=signer_pb2.LoadPolicy(policy=policy)),
        signer_pb2.EnclaveRequest(provision=provision),
    ):
        reply = signer_pb2.EnclaveReply.FromString(handle(request.SerializeToString()))
        if reply.WhichOneof("answer") != "loaded":
            message = f"not loaded: {reply.not_judged.reason}: {reply.not_judged.message}"
            raise RuntimeError(message)
    return credential["secret"].encode()


class _Aside:
    """Does again, aside from the service, what session and receipt added to each order."""

    def __init__(self, session: BenchSession) -> None:
        self._session = session
        self._receipts = BenchReceipts(_ACCOUNT.name, ENGINE)
        self._times: dict[str, list[int]] = {"session MACs": [], "receipt": [], "both": []}

    def measure(self, number: int, request: bytes, reply: bytes) -> None:
        """Do so for one order."""
        sealed = self._session.seal(number + 1, signer_pb2.EnclaveRequest.FromString(request).sign.intent)
        judged = signer_pb2.EnclaveReply.FromString(reply).judged
        judged.ClearField("proof")
        judged.ClearField("receipt")
        encoded = judged.SerializeToString()
        parts = taken_apart(encoded)
        begin = time.perf_counter_ns()
        self._receipts.cost(sealed, encoded, parts)
        middle = time.perf_counter_ns()
        self._session.cost(sealed, parts, (self._receipts.chain.hash, self._receipts.chain.hash))
        end = time.perf_counter_ns()
        for name, taken in (("receipt", middle - begin), ("session MACs", end - middle), ("both", end - begin)):
            self._times[name].append(taken)

    def costs(self, digest: float) -> dict[str, Any]:
        """What each costs, in microseconds and in bare digests."""
        return {name: _cost(times, digest) for name, times in self._times.items()}


def _request(number: int, session: BenchSession | None) -> bytes:
    now = time.time_ns()
    instrument = _ACCOUNT.instruments[0]
    order = intent_pb2.OrderIntent(
        account=_ACCOUNT.name,
        venue=_ACCOUNT.venue,
        symbol=instrument.symbol,
        side=intent_pb2.SIDE_BUY,
        type=intent_pb2.ORDER_TYPE_LIMIT,
        time_in_force=intent_pb2.TIME_IN_FORCE_IOC,
        quantity=f"0.0{number % 9 + 1}",
        price=f"{50_000 + number % 997}.25",
        client_order_id=uuid.uuid4().hex,
        created_at=now,
        valid_until=now + 50 * _SECOND,
    )
    intent = intent_pb2.Intent(order=order).SerializeToString()
    if session is not None:
        sealed = session.seal(number + 1, intent)
    else:
        sealed = intent_pb2.SealedIntent(session=ENGINE.encode(), counter=number, intent=intent)
    return signer_pb2.EnclaveRequest(request_id=number + 1, sign=sealed).SerializeToString()


def _signed_text(reply: bytes) -> bytes:
    """Return the bytes that an order's signature covers; raises RuntimeError for a refusal."""
    judged = signer_pb2.EnclaveReply.FromString(reply).judged
    if not judged.HasField("request"):
        message = f"refused by {judged.verdict.rule}: {judged.verdict.reason}"
        raise RuntimeError(message)
    return judged.request.body.rpartition(b"&signature=")[0]


def _report(handles: Sequence[int], digests: Sequence[int], size: int) -> dict[str, Any]:
    handle, digest = _percentiles(handles), _percentiles(digests)
    return {
        "orders": len(handles),
        "signed_bytes": size,
        "handle_us": handle,
        "hmac_us": digest,
        "ratio_p50": round(handle["p50"] / digest["p50"], 1),
        "target": _TARGET,
    }


def _cost(times: Sequence[int], digest: float) -> dict[str, Any]:
    """What one part costs, and in bare digests."""
    us = _percentiles(sorted(times))
    return {"us": us, "ratio_p50": round(us["p50"] / digest, 1)}


def _percentiles(times: Sequence[int]) -> dict[str, float]:
    return {
        name: round(times[min(int(part * len(times)), len(times) - 1)] / 1_000, 2) for name, part in _PERCENTS.items()
    }
