"""S1 after a thousand orders: the host's memory holds no secret of the enclave, of its sessions or of anybody off it.

Real are the host (a process of its own, with boto3 against the mock KMS), the enclave's service over real sessions,
quorum, duty and sealed keys, and the engine's gateway. The enclave runs in this process, so that every private key of
the boot is known to the search: those of its attestation, of KMS's envelopes, of receipts and of sessions too.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import grpc
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from casemate import AttestedSealer, Gateway, OrderIntent
from casemate.models import SubmitResult
from casemate.policy import compile_policy
from casemate_mock.config import DEMO_ACCOUNTS
from casemate_mock.kms.front import MockKms
from casemate_mock.policy_text import ENGINE, demo_policy
from enclave_signer.server import Server
from enclave_signer.venues.registry import VENUES
from signer_api.v1 import signer_pb2
from tests.e2e import searching
from tests.e2e.test_s13_duty_drills import WallClock
from tests.enclave.enclave_rig import canonical
from tests.enclave.quorum_rig import approvals
from tests.hostile.stage import CHAIN, DUTY, GRANT_TAG, MEASUREMENTS, Boot, Stage
from tests.sealed import sealed_rig
from tests.sealed.kms_rig import AWS, key_policy, served
from tests.session.session_rig import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = 1_000
BATCH = 50
MINUTE_NS = 60_000_000_000
ACCOUNTS = tuple(account for account in DEMO_ACCOUNTS if account.name in ("binance-spot", "okx-spot"))
VENUE_OF = {"binance-spot": "binance", "okx-spot": "okx"}


@dataclass
class Known:
    """Everything that must be nowhere in the host, by what it is."""

    secrets: dict[str, dict[str, set[bytes]]]

    def add(self, what: str, **material: bytes) -> None:
        """Note secrets, in every form."""
        self.secrets[what] = {name: searching.forms(secret) for name, secret in material.items()}


@contextlib.contextmanager
def program(place: Path, name: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    """Run one of the processes; what its READY line says."""
    with (place / f"{name}.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=log, env=os.environ | AWS
        )
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line.startswith(b"READY "), (place / f"{name}.log").read_text()
        yield running, json.loads(line.removeprefix(b"READY "))
    finally:
        running.terminate()
        running.wait(20)
        assert running.stdout is not None
        running.stdout.close()


def signed(kind: str, **said: Any) -> list[bytes]:
    """Have two of three administrators approve something now."""
    now = time.time_ns()
    return approvals(0, 1, kind=kind, not_before=now - MINUTE_NS, not_after=now + 60 * MINUTE_NS, **said)


def policy() -> bytes:
    """The demonstration's, for this quorum's deployment; new orders need grants."""
    keys = {ENGINE: key_of(ENGINE).public_key().public_bytes_raw().hex()}
    text = demo_policy(ACCOUNTS, keys, DUTY.public_key().public_bytes_raw().hex())
    return compile_policy(text.replace('deployment = "demo"', 'deployment = "test"')).canonical


def bundle(kms: MockKms, name: str, fields: dict[str, str], known: Known) -> signer_pb2.Provision:
    """Seal one account's credential by the mock KMS, and have it approved."""
    bound = {"deployment": "test", "account": name, "purpose": "credential", "version": "1"}
    made = kms.answer("GenerateDataKey", {"KeyId": "alias/desk", "KeySpec": "AES_256", "EncryptionContext": bound})
    key, wrapped = (base64.b64decode(made[each]) for each in ("Plaintext", "CiphertextBlob"))
    clear = canonical(fields)
    data = sealed_rig.kms_sealed(clear, key, wrapped_key=wrapped, key_id=made["KeyId"], account=name).bundle
    known.secrets[name] = searching.key_material(fields)
    known.add(f"the bundle of {name}", data_key=key, plaintext=clear, inside=clear[len(clear) // 2 :][:40])
    subject = hashlib.sha256(data).hexdigest()
    given = signed("credential", subject=subject, account=name, version=1, sequence=len(known.secrets))
    return signer_pb2.Provision(account=name, bundle=data, approvals=given)


def private_keys(boot: Boot, known: Known) -> None:
    """Note every private key of the boot, of its pretended module and of the people around it."""
    keys = boot.sessions.keys
    known.add(
        "the boot",
        session_key=keys.session.private_bytes_raw(),
        provision_key=keys.provision.private_bytes_raw(),
        receipt_key=keys.receipts._key.private_bytes_raw(),
    )
    for number, rsa in enumerate(sealed_rig.POOL):
        numbers = rsa.private_numbers()
        known.add(
            f"the RSA key {number} for envelopes",
            p=numbers.p.to_bytes(128, "big"),
            q=numbers.q.to_bytes(128, "big"),
            d=numbers.d.to_bytes(256, "big"),
            der=rsa.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        )
    # Those of the rig's administrators are a byte 32 times over: such are everywhere.
    for who, key in {"the engine": key_of(ENGINE), "the duty officer": DUTY}.items():
        known.add(who, seed=key.private_bytes_raw())
    for number, session in enumerate(boot.sessions._table._live.values()):
        known.add(f"session {number}", intents=session._intent_key, replies=session._reply_key)


def configured(place: Path, venues: dict[str, Any], url: str) -> Path:
    lines = [
        f'listen = ["unix:{place}/gateway.sock"]',
        f'enclave = "unix:{place}/enclave.sock"',
        f'[journal]\npath = "{place}/journal.db"',
        f'[kms]\nregion = "us-east-1"\nendpoint_url = "{url}"',
    ]
    for venue in VENUE_OF.values():
        connect = ", ".join(f'"{host}" = "{venues[venue]["url"]}"' for host in venues[venue]["hosts"])
        lines.append(f"[venues.{venue}]\nconnect = {{ {connect} }}")
    (place / "host.toml").write_text("\n".join(lines))
    return place / "host.toml"


def kept(place: Path) -> dict[str, bytes]:
    """What the host wrote to its disk."""
    return {path.name: path.read_bytes() for path in (*place.glob("host.log"), *place.glob("journal.db*"))}


async def unseal(place: Path, asked: signer_pb2.Provision) -> None:
    """Have the host ask KMS."""
    async with grpc.aio.insecure_channel(f"unix:{place}/gateway.sock") as channel:
        call: Any = channel.unary_unary("/casemate.dispatch.v1.Operator/Unseal")
        await call(asked.SerializeToString(), timeout=60)


async def trade(place: Path) -> tuple[int, int]:
    """Send a thousand orders, some of which are refused; return how many were allowed and refused."""
    pins = Stage.pins(Stage.__new__(Stage))
    sealer = AttestedSealer(ENGINE, key_of(ENGINE).sign, pins)
    answers: list[object] = []
    async with Gateway(f"unix:{place}/gateway.sock", sealer, timeout_s=60.0) as gateway:
        await gateway.wait_ready(60.0)
        for first in range(0, ORDERS, BATCH):
            orders = [
                OrderIntent.limit(
                    name,
                    VENUE_OF[name],
                    "BTC/USDT",
                    "BUY",
                    quantity="100000" if number % 10 == 9 else "0.001",
                    price=Decimal(59_000) - number % 40,
                )
                for number in range(first, first + BATCH)
                for name in [("binance-spot", "okx-spot")[number % 2]]
            ]
            answers += await gateway.submit_batch(orders)
    judged = [each for each in answers if isinstance(each, SubmitResult)]
    assert len(judged) == ORDERS, [each for each in answers if not isinstance(each, SubmitResult)][:3]
    return sum(each.allowed for each in judged), sum(not each.allowed for each in judged)


def grant(boot: Boot) -> None:
    """What the officer does."""
    now, head = time.time_ns(), boot.head()
    said = {
        "format": "casemate.duty.grant.v1",
        "deployment": "test",
        "boot": boot.key,
        "sequence": 1,
        "accounts": sorted(VENUE_OF),
        "share": [1, 1],
        "policy_version": 1,
        "head": {"seq": head["seq"], "hash": head["hash"]},
        "halts": [],
        "not_before": now - MINUTE_NS,
        "not_after": now + 4 * MINUTE_NS - 1,
        "continues": None,
        "fresh": True,
    }
    data = canonical(said)
    reply = boot.hand_grant(data, DUTY.sign(GRANT_TAG + data))
    assert reply.WhichOneof("answer") == "granted", reply


async def test_s1_after_a_thousand_orders_the_memory_of_the_real_host_holds_no_secret(tmp_path: Path) -> None:
    known = Known({})
    boot = Boot(clock=WallClock(), venues=VENUES)  # type: ignore[arg-type]  # see WallClock

    def handle(raw: bytes) -> bytes:
        boot.heard.append(boot.service.handle(raw))
        return boot.heard[-1]

    server = Server(handle, f"unix:{tmp_path}/enclave.sock", between=boot.service.sign_head)
    # Not `serve`: it freezes this process's garbage collector.
    await server._server.start()
    kms = MockKms(CHAIN.root, lambda: time.time_ns() // 1_000_000, policies={"desk": key_policy(MEASUREMENTS[0])})
    keys = tmp_path / "credentials.json"
    with (
        served(kms.app()) as url,
        program(tmp_path, "venues", "casemate_mock", "venues", "--credentials", str(keys)) as (_, said),
        contextlib.ExitStack() as stack,
    ):
        given = policy()
        approved = signed("policy", subject=hashlib.sha256(given).hexdigest(), version=1, sequence=1)
        loaded = boot.call(load_policy=signer_pb2.LoadPolicy(policy=given, approvals=approved))
        assert loaded.WhichOneof("answer") == "loaded", loaded
        config = configured(tmp_path, said["venues"], url)
        running = program(tmp_path, "host", "host_dispatch", "--config", str(config))
        host, _ = await asyncio.to_thread(stack.enter_context, running)
        credentials = json.loads(keys.read_text())
        for name in VENUE_OF:
            await unseal(tmp_path, bundle(kms, name, credentials[name], known))
        grant(boot)
        assert await trade(tmp_path) == (ORDERS * 9 // 10, ORDERS // 10)
        private_keys(boot, known)
        memory = searching.memory_of(host.pid)
    await server._server.stop(None)

    heaps = {"the host's memory": memory, "what left the enclave": b"".join(boot.heard), **kept(tmp_path)}
    # The search works: what travels in clear is found, and this process holds every secret.
    assert credentials["binance-spot"]["apiKey"].encode() in memory
    assert b"binance-spot" in heaps["journal.db"] + heaps.get("journal.db-wal", b"")
    here = searching.leaks({"this process": searching.memory_of(os.getpid())}, known.secrets)
    assert len({each.split(" is in ")[0].split(" of ", 1)[1] for each in here}) == len(known.secrets)

    assert searching.leaks(heaps, known.secrets) == []
