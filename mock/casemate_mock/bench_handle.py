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
from casemate_mock.enclave import BenchChain, BenchSession, make_service, session_keeper
from casemate_mock.nitro import FakeChain
from casemate_mock.policy_text import ENGINE, demo_policy
from signer_api.v1 import intent_pb2, signer_pb2

_ACCOUNT = DEMO_ACCOUNTS[0]
_COLLECT_EVERY = 256
_WARM_UP = 500
_SECOND = 1_000_000_000
# handle may cost this many bare digests.
_TARGET = 35
# And sessions and receipts together this many.
_BOTH_TARGET = 10
_PERCENTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def main(orders: int, *, sessions: bool = False) -> int:
    """Measure and print one JSON document; 1 if an order was refused."""
    service = make_service(chain=FakeChain() if sessions else None)
    secret = _load(service.handle)
    session = BenchSession(session_keeper(service), ENGINE) if sessions else None
    aside = BenchSession(session_keeper(service), ENGINE) if sessions else None
    requests = [_request(number, session) for number in range(orders + _WARM_UP)]
    gc.collect()
    gc.freeze()
    gc.disable()
    for request in requests[:_WARM_UP]:
        service.handle(request)
    handles, digests, costs, receipts = [], [], [], []
    chain = BenchChain()
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
            costs.append(_session_cost(aside, number, request, reply))
        receipts.append(_receipt_cost(chain, number, request, reply))
        if number % _COLLECT_EVERY == 0:
            gc.collect(0)
    report = _report(sorted(handles), sorted(digests), len(message))
    both = 0.0
    for name, found in (("session", costs), ("receipt", receipts)):
        if found:
            report[f"{name}_us"] = _percentiles(sorted(found))
            both += report[f"{name}_us"]["p50"]
            report[f"{name}_ratio_p50"] = round(report[f"{name}_us"]["p50"] / report["hmac_us"]["p50"], 1)
    # The signature of a head falls on one order in 256: the median does not see it, the mean does.
    report["receipt_us"]["mean"] = round(sum(receipts) / len(receipts) / 1_000, 2)
    report["session_and_receipt_ratio_p50"] = round(both / report["hmac_us"]["p50"], 1)
    report["session_and_receipt_target"] = _BOTH_TARGET
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


def _session_cost(session: BenchSession, number: int, request: bytes, reply: bytes) -> int:
    """Do again, under another session, what the session added to this order; nanoseconds."""
    intent = signer_pb2.EnclaveRequest.FromString(request).sign.intent
    sealed = session.seal(number + 1, intent)
    judged = signer_pb2.EnclaveReply.FromString(reply).judged
    receipt_digest = judged.proof.receipt_digest
    return session.cost(sealed, _bare(judged), receipt_digest)


def _receipt_cost(chain: BenchChain, number: int, request: bytes, reply: bytes) -> int:
    """Do again, in another chain, what the receipt added to this order; nanoseconds."""
    intent = signer_pb2.EnclaveRequest.FromString(request).sign.intent
    judged = signer_pb2.EnclaveReply.FromString(reply).judged
    return chain.cost(ENGINE, _ACCOUNT.name, intent, _bare(judged), number + 1)


def _bare(judged: signer_pb2.Judged) -> bytes:
    judged.ClearField("proof")
    judged.ClearField("receipt")
    return judged.SerializeToString()


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


def _percentiles(times: Sequence[int]) -> dict[str, float]:
    return {
        name: round(times[min(int(part * len(times)), len(times) - 1)] / 1_000, 2) for name, part in _PERCENTS.items()
    }
