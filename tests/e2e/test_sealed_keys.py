"""S1, S4 with real processes: seal, approve by two of three, and a key that nobody outside the enclave can read.

One account's credential comes in through the mock KMS when the host finds a boot without it, the other's directly,
sealed to the boot. Quorum, sessions, commands, host and boto3 are what ships; module, KMS and venues are stand-ins.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate import AttestedSealer, OrderIntent, Pins, SyncGateway, UnauthenticatedSealer
from casemate.attestation import parse
from casemate.errors import CasemateError, NotJudged
from casemate.models import OrderState, Phase
from casemate.provisioning import bundles
from casemate.quorum.files import read_approval_file
from casemate.session.forms import read_boot
from casemate_mock.config import DEMO_ACCOUNTS
from casemate_mock.policy_text import ENGINE, demo_policy
from enclave_signer.boot_codes import BootCode
from tests.client.test_cli_contract import run
from tests.e2e import searching
from tests.e2e.tap import Tap
from tests.sealed.kms_rig import AWS, eventually, key_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNTS = tuple(account for account in DEMO_ACCOUNTS if account.name in ("binance-spot", "okx-spot"))
MARKETS = {"binance-spot": "binance", "okx-spot": "okx"}


@dataclass
class Desk:
    """Everything that runs, and where its files are."""

    place: Path
    stack: contextlib.ExitStack
    key: Ed25519PrivateKey

    @property
    def gateway(self) -> str:
        return f"unix:{self.place}/gateway.sock"

    def program(self, name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
        """Start one and wait until it is ready."""
        log = self.stack.enter_context((self.place / f"{name}.log").open("ab"))
        running = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=log, env=os.environ | AWS
        )
        self.stack.callback(_end, running)
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line.startswith(b"READY "), (self.place / f"{name}.log").read_text()
        return running, json.loads(line.removeprefix(b"READY "))

    def says(self, *command: str) -> str:
        """Run `casemate` and return what it said on stdout."""
        done = run(*command, **AWS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def approved(self, *command: str) -> list[str]:
        """Have two of three administrators sign; words that name their approvals."""
        words = []
        for admin in (0, 2):
            said = self.says(*command, "--key", str(self.place / f"admin-{admin}.pem"))
            words += ["--approval", said.strip().splitlines()[-1].removesuffix(": your approval")]
        return words


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(10)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
    if running.stdout:
        running.stdout.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    place = Path(tempfile.mkdtemp(prefix="sealed-"))
    with contextlib.ExitStack() as stack, contextlib.chdir(place):
        yield Desk(place, stack, Ed25519PrivateKey.generate())
    shutil.rmtree(place, ignore_errors=True)


def _written(desk: Desk) -> dict[str, dict[str, str]]:
    """Write administrators, quorum and policy; start the venues; the accounts' credentials."""
    public = [desk.says("admin-key", "new", f"admin-{n}.pem").strip() for n in range(3)]
    named = [word for key in public for word in ("--key", key)]
    desk.says("quorum", "make", "--deployment", "demo", "--threshold", "2", *named, "-o", "quorum.cbor")
    keys = {ENGINE: desk.key.public_key().public_bytes_raw().hex()}
    (desk.place / "policy.toml").write_text(demo_policy(ACCOUNTS, keys), encoding="utf-8")
    desk.says("policy", "compile", "policy.toml", "-o", "policy.cbor")
    found: dict[str, dict[str, str]] = json.loads((desk.place / "credentials.json").read_text())
    return {name: found[name] for name in MARKETS}


def _sealed(desk: Desk, name: str, fields: dict[str, str], *way: str, version: int = 1) -> tuple[str, dict[str, Any]]:
    """Seal one account's credential; its file, and what `casemate seal` said."""
    path = desk.place / "credential.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(fields))
    named = ("--deployment", "demo", "--account", name, "--version", str(version), "--venue", MARKETS[name])
    said = json.loads(desk.says("seal", "credential.json", *named, *way, "--json"))
    path.unlink()
    return said["output"], said


def _config(desk: Desk, venues: dict[str, Any], kms: dict[str, Any], bundle: str) -> None:
    lines = [
        f'listen = ["{desk.gateway}"]',
        f'enclave = "unix:{desk.place}/tap.sock"',
        f'[journal]\npath = "{desk.place}/journal.db"',
        f'[kms]\nregion = "{kms["region"]}"\nendpoint_url = "{kms["endpoint_url"]}"',
        f'[provisioning]\nbundles = ["{desk.place / bundle}"]',
    ]
    for venue in MARKETS.values():
        connect = ", ".join(f'"{host}" = "{venues[venue]["url"]}"' for host in venues[venue]["hosts"])
        lines.append(f"[venues.{venue}]\nconnect = {{ {connect} }}")
    (desk.place / "host.toml").write_text("\n".join(lines))


def _phase(desk: Desk) -> Phase | None:
    with SyncGateway(desk.gateway, UnauthenticatedSealer("")) as gateway, contextlib.suppress(CasemateError):
        return gateway.status().enclave.phase
    return None


def _order(name: str, **changes: Any) -> OrderIntent:
    wanted = {"quantity": "0.001", "price": "59000", "client_order_id": uuid.uuid4().hex} | changes
    return OrderIntent.limit(name, MARKETS[name], "BTC/USDT", "BUY", **wanted)


def test_s1_s4_credentials_are_sealed_approved_opened_in_the_enclave_alone_and_sign(desk: Desk) -> None:
    _, venues = desk.program("venues", "casemate_mock", "venues", "--credentials", str(desk.place / "credentials.json"))
    credentials = _written(desk)
    enclave_arguments = ("casemate_mock", "enclave", "--listen", f"unix:{desk.place}/enclave.sock")
    enclave, pins = desk.program(
        "enclave", *enclave_arguments, "--root", str(desk.place / "root.pem"), "--quorum", "quorum.cbor"
    )
    pcr0 = bytes.fromhex(pins["pcrs"]["0"])
    (desk.place / "key.json").write_text(key_policy(pcr0))
    _, kms = desk.program("kms", "casemate_mock", "kms", "--root", "root.pem", "--key", "desk=key.json")

    # On the machine of whoever has the keys; then two administrators, each on his own.
    way = ("--kms-key", "alias/desk", "--endpoint-url", kms["endpoint_url"])
    bundle, said = _sealed(desk, "binance-spot", credentials["binance-spot"], *way)
    assert said["key_id"] == kms["keys"]["desk"]
    desk.approved("credential", "sign", bundle)
    content, _ = _sealed(desk, "okx-spot", credentials["okx-spot"], "--direct")
    direct = desk.approved("credential", "sign", f"{content}.txt")
    policy = desk.approved("policy", "sign", "policy.cbor")

    tap = Tap(desk.place / "tap.sock", desk.place / "enclave.sock")
    desk.stack.callback(tap.close)
    _config(desk, venues["venues"], kms, bundle)
    host, _ = desk.program("host", "host_dispatch", "--config", "host.toml")
    desk.says("policy", "load", "policy.cbor", *policy, "--gateway", desk.gateway)
    # The host has the bundle opened by itself, once the policy is live.
    log = desk.place / "host.log"
    assert eventually(lambda: "sealed credential taken" in log.read_text()), log.read_text()
    assert _phase(desk) is Phase.AWAITING_CREDENTIALS

    # The other account's goes directly, to the boot that the document proves, and to no other image.
    pinned = ("--pcr", f"0={pcr0.hex()}", "--root", "root.pem", "--gateway", desk.gateway)
    wrong = run("provision", content, *direct, "--pcr", f"0={'11' * 48}", *pinned[2:])
    assert (wrong.returncode, "PCR0" in wrong.stderr) == (1, True), wrong.stderr
    shown = desk.says("provision", content, *direct, *pinned)
    assert "taken: credential version 1 of okx-spot, enclave READY" in shown

    root = x509.load_pem_x509_certificate((desk.place / "root.pem").read_bytes())
    expected = Pins(pcrs={0: pcr0}, deployment="demo", root=root)
    sealer = AttestedSealer(ENGINE, desk.key.sign, expected)
    with SyncGateway(desk.gateway, sealer) as gateway:
        for name in MARKETS:
            placed = gateway.submit(_order(name))
            assert placed.allowed, placed
            assert placed.state is OrderState.OPEN, placed

    _nothing_leaked(desk, tap, host.pid, enclave.pid, credentials)
    _rotate(desk, gateway=desk.gateway, fields=credentials["binance-spot"], way=way, sealer=sealer)
    _ends(desk, enclave)


def _nothing_leaked(desk: Desk, tap: Tap, host: int, enclave: int, credentials: dict[str, dict[str, str]]) -> None:
    heaps = {
        "what left the enclave": bytes(tap.from_target),
        "what was sent to the enclave": bytes(tap.to_target),
        "the host's memory": searching.memory_of(host),
    }
    heaps |= {path.name: path.read_bytes() for path in desk.place.glob("*.log")}
    heaps |= {path.name: path.read_bytes() for path in desk.place.glob("journal.db*")}
    heaps |= {path.name: path.read_bytes() for path in (*desk.place.glob("*.bundle*"), *desk.place.glob("*.approval"))}
    secrets = {account: searching.key_material(fields) for account, fields in credentials.items()}
    assert len(searching.leaks({"the enclave": searching.memory_of(enclave)}, secrets)) == len(MARKETS)
    assert searching.leaks(heaps, secrets) == []


def _rotate(desk: Desk, gateway: str, fields: dict[str, str], way: tuple[str, ...], sealer: AttestedSealer) -> None:
    """A new version of the bundle replaces the key between two orders; none is refused meanwhile."""
    bundle, _ = _sealed(desk, "binance-spot", fields, *way, version=2)
    with SyncGateway(gateway, sealer) as engine:
        before = engine.submit(_order("binance-spot"))
        desk.says("credential", "load", bundle, *desk.approved("credential", "sign", bundle), "--gateway", gateway)
        after = engine.submit(_order("binance-spot"))
        assert (before.allowed, after.allowed) == (True, True)
        assert engine.status().enclave.refused == 0


def _ends(desk: Desk, enclave: subprocess.Popen[bytes]) -> None:
    """A host that feeds a made-up envelope gets one answer, and no second try."""
    newer = desk.place / "newer.json"
    newer.touch(mode=0o600)
    newer.write_text(json.dumps({"apiKey": "a", "secret": "b"}))
    content = ("--deployment", "demo", "--account", "okx-spot", "--version", "2", "--direct", "-o", "newer.content")
    desk.says("seal", "newer.json", *content)
    words = desk.approved("credential", "sign", "newer.content.txt")
    approvals = [Path(word) for word in words if word != "--approval"]
    signed = [read_approval_file(path.read_bytes()) for path in approvals]
    with SyncGateway(desk.gateway, UnauthenticatedSealer("")) as gateway:
        boot = read_boot(parse(gateway.attest(bytes(32))).user_data or b"")
        sealed = bundles.direct_bundle((desk.place / "newer.content").read_bytes(), boot.receipt_key, bytes([9]) * 32)
        with pytest.raises(NotJudged, match="NOT_OPENED"):
            gateway.provision_bundle("okx-spot", sealed, signed)
    assert enclave.wait(15) == BootCode.BUNDLE
