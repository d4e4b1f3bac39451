"""Real enclaves with real attestation, each behind a gateway on a unix socket that passes the officer's calls on.

The gateway is the thinnest thing that speaks the host's API, so that a test can have it lie; the drills of the whole
stack use the real host.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate import errors
from casemate.channel import Endpoint
from casemate.duty.config import Config, Target
from casemate.duty.gateway import Gateway
from casemate.duty.model import Terms
from casemate.duty.officer import Officer
from casemate.duty.reports import Reporter
from casemate.duty.store import FileStore
from casemate.policy import compile_policy
from casemate_mock.nitro import measure
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2
from tests.session import session_rig
from tests.session.session_rig import MEASUREMENTS, SECOND, Clock, Rig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from casemate.duty.store import Store

DUTY: Final = Ed25519PrivateKey.from_private_bytes(b"duty" * 8)
OLDER: Final = {index: measure(b"older part %d" % index) for index in (0, 1, 2)}
FOREIGN: Final = {index: measure(b"foreign part %d" % index) for index in (0, 1, 2)}
MARGIN: Final = 2 * SECOND
LENGTH: Final = 60 * SECOND
_OPERATOR: Final = "/casemate.dispatch.v1.Operator/"
_CALLS: Final[dict[str, tuple[Any, str, str]]] = {
    "Attest": (signer_pb2.Attest, "attest", "attested"),
    "Grant": (signer_pb2.DutyGrant, "grant", "granted"),
    "Checkpoint": (signer_pb2.CheckpointRequest, "checkpoint", "checkpoint"),
    "Retire": (signer_pb2.Retire, "retire", "checkpoint"),
}


def policy(version: int = 1) -> bytes:
    """The rig's policy, with duty granted by the daemon."""
    public = DUTY.public_key().public_bytes_raw().hex()
    duty = f'duty = {{ key = "{public}", longest = "5m", predecessors = ["{OLDER[0].hex()}"] }}'
    engines = session_rig.ENGINE.format(
        name="mm", key=f'public_key = "{session_rig.key_of("mm").public_key().public_bytes_raw().hex()}"\n'
    )
    text = session_rig.POLICY.format(version=version, engines=engines).replace('duty = "on_parent"', duty)
    assert duty in text
    return compile_policy(text).canonical


@dataclass
class Host:
    """A gateway, and the boot behind it. ``hold``: what it does to an answer before it passes it on."""

    path: Path
    clock: Clock
    measurements: dict[int, bytes] = field(default_factory=lambda: dict(MEASUREMENTS))
    lost: set[str] = field(default_factory=set)
    answers: dict[str, list[bytes]] = field(default_factory=dict)
    requests: dict[str, list[bytes]] = field(default_factory=dict)
    tamper: Callable[[str, bytes], bytes] = lambda _, answer: answer

    def __post_init__(self) -> None:
        self.reboot()
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers((_Handler(self),))
        self.server.add_insecure_port(f"unix:{self.path}")

    def reboot(self, measurements: dict[int, bytes] | None = None) -> Rig:
        self.rig = Rig(clock=self.clock, measurements=measurements or self.measurements).load(policy())
        return self.rig

    def answer(self, method: str, data: bytes) -> bytes:
        self.requests.setdefault(method, []).append(data)
        if method == "Receipts":
            head = self.rig.ask(receipts=signer_pb2.ReceiptsRequest()).receipts.head
            raw = dispatch_pb2.StoredReceipts(head=head).SerializeToString()
        else:
            kind, call, answered = _CALLS[method]
            reply = self.rig.ask(**{call: kind.FromString(data)})
            raw = getattr(reply, answered).SerializeToString()
        self.answers.setdefault(method, []).append(raw)
        return self.tamper(method, raw)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, host: Host) -> None:
        self._host = host

    def service(self, details: Any) -> grpc.RpcMethodHandler[bytes, bytes]:
        method = details.method.removeprefix(_OPERATOR)

        async def serve(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            if method in self._host.lost or "all" in self._host.lost:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
            answer = b""
            try:
                answer = self._host.answer(method, data)
            except errors.NotJudged as error:
                await _abort(context, error)
            if f"answer to {method}" in self._host.lost:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
            return answer

        return grpc.unary_unary_rpc_method_handler(serve)


async def _abort(context: Any, error: errors.NotJudged) -> None:
    from host_dispatch.api.status import abort  # noqa: PLC0415
    from host_dispatch.errors import NotTakenError  # noqa: PLC0415

    await abort(context, NotTakenError(error.reason, error.message, field=error.field))


@dataclass
class Desk:
    """The officer's machine: a state, a witness's file, and what was said."""

    directory: Path
    hosts: dict[str, Host]
    clock: Clock
    lines: list[str] = field(default_factory=list)
    terms: Terms = field(
        default_factory=lambda: Terms(
            deployment="rig", accounts=("main",), share=(1, 4), length=LENGTH, margin=MARGIN, policy_version=1
        )
    )

    def officer(self, *, fresh: bool = False, store: Store | None = None) -> Officer:
        pins = Rig(clock=self.clock).pins(pcrs={0: [MEASUREMENTS[0], OLDER[0], FOREIGN[0]]})
        targets = tuple(Target(name, Endpoint(target=f"unix:{host.path}")) for name, host in self.hosts.items())
        witness = self.directory / "witness.jsonl"
        config = Config(self.terms, pins, targets, "", witness, DUTY, 1.0, 2.0)
        gateways = [Gateway(each.name, each.endpoint, pins, os.urandom, timeout_s=5.0) for each in targets]
        reporter = Reporter(self.lines.append, self.clock.now_ns, as_json=True)
        return Officer(
            config,
            store or FileStore(self.directory / "state", "rig"),
            gateways,
            self.clock.now_ns,
            reporter,
            fresh=fresh,
        )

    def alarms(self) -> set[str]:
        """Which alarms were ever said."""
        said = [json.loads(line) for line in self.lines]
        return {each["alarm"] for each in said if each["event"] == "alarm"}
