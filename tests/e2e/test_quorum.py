"""S4 with the process that ships: two of three administrators load a policy, one of them alone does not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.policy import compile_policy
from casemate.quorum.files import quorum_bytes
from casemate.quorum.statements import POLICY, Terms, approve, policy_fields, read_policy
from signer_api.v1 import intent_pb2, signer_pb2

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.toml"
HOUR = 3_600_000_000_000


def ask(address: str, **call: object) -> signer_pb2.EnclaveReply:
    request = signer_pb2.EnclaveRequest(**call)  # type: ignore[arg-type]
    with grpc.insecure_channel(address) as channel:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/casemate.signer.v1.Signer/Call")
        raw = method(request.SerializeToString(), wait_for_ready=True, timeout=15)
    return signer_pb2.EnclaveReply.FromString(raw)


def test_s4_the_shipped_enclave_takes_a_policy_of_two_of_three_and_not_of_one(tmp_path: Path) -> None:
    policy = compile_policy(EXAMPLE.read_text(encoding="utf-8"), declared_uses={}).canonical
    deployment = read_policy(policy)["deployment"]
    keys = [Ed25519PrivateKey.generate() for _ in range(3)]
    public = [key.public_key().public_bytes_raw().hex() for key in keys]
    (tmp_path / "quorum.cbor").write_bytes(quorum_bytes(deployment, 2, public))
    now = time.time_ns()
    terms = Terms(deployment=deployment, sequence=1, not_before=now - HOUR, not_after=now + HOUR)
    one, two = (approve(key, POLICY, terms, policy_fields(policy)) for key in keys[:2])
    address = f"unix:{tmp_path}/e.sock"
    command = [sys.executable, "-m", "enclave_signer", "--listen", address, "--quorum", f"{tmp_path}/quorum.cbor"]
    with subprocess.Popen(command) as process:
        try:
            alone = ask(address, load_policy=signer_pb2.LoadPolicy(policy=policy, approvals=[one]))
            assert alone.not_judged.reason == "NOT_APPROVED"
            assert ask(address, status=signer_pb2.StatusRequest()).status.policy_version == 0
            both = ask(address, load_policy=signer_pb2.LoadPolicy(policy=policy, approvals=[one, two]))
            assert both.loaded.policy_version == 1, both.not_judged.message
            again = ask(address, load_policy=signer_pb2.LoadPolicy(policy=policy, approvals=[one, two]))
            assert "sequence" in again.not_judged.field
            # Sessions do not exist yet: whoever asks, no intent is judged.
            intent = ask(address, sign=intent_pb2.SealedIntent(session=b"mm-1", intent=b""))
            assert intent.not_judged.reason == "NOT_AUTHENTICATED"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
