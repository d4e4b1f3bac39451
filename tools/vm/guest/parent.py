"""The parent's side of every step: simulated venues, the host as shipped, an engine, and the heartbeat's other end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate import attestation
from casemate.errors import CasemateError, NotAttested, NotJudged, NotReady
from casemate.gateway import Gateway
from casemate.intents import OrderIntent
from casemate.session import AttestedSealer, Pins
from casemate_mock.host_config import host_config
from casemate_mock.policy_text import DEPLOYMENT, ENGINE
from signer_api.v1 import signer_pb2
from tools.vm.guest.ceremony import ACCOUNT, Ceremony
from tools.vm.guest.duty import Duty
from tools.vm.guest.emulated import UnsignedEmulatedNsmPins, payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from casemate.models import DutyStatus, SubmitResult

    _Unary = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]

_HEARTBEAT: Final = 9000
_CODES: Final = 9001
_PROBE: Final = 9100
_CALL: Final = "/casemate.signer.v1.Signer/Call"
_STREAM: Final = "/casemate.signer.v1.Signer/SignStream"
_PATIENCE_S: Final = 120.0
# Longer than an emulated machine takes for one request.
_STALLED_S: Final = 6.0
# By then the host has written down what no order took along.
_JOURNAL_S: Final = 5.0
_OPTIONS: Final = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 500))


class Parent:
    """State between the steps: children, listeners, and what was heard on them."""

    def __init__(self, directory: Path) -> None:
        """Nothing runs yet."""
        directory.mkdir()
        self._directory = directory
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._venues: dict[str, Any] = {}
        self._heard: dict[str, list[tuple[int, bytes]]] = {"heartbeat": [], "codes": [], "probe": []}
        self._news = asyncio.Condition()
        self._servers: list[asyncio.Server] = []
        self._engine = Ed25519PrivateKey.generate()
        self._ceremony = Ceremony(directory, self._engine.public_key().public_bytes_raw())
        self._duty: Duty | None = None
        self._pins: Pins | None = None
        self._gateway: Gateway | None = None
        self._idle: list[socket.socket] = []

    # --- children

    async def venues(self) -> list[str]:
        """Start the simulated venues."""
        credentials = str(self._directory / "credentials.json")
        said = await self._spawn("venues", "-m", "casemate_mock", "venues", "--credentials", credentials)
        self._venues = said
        return sorted(said["venues"])

    async def mock_enclave(self, name: str, listen: str, quorum: str) -> dict[str, Any]:
        """Start the shipped service over a pretended NSM, with this quorum file, on an address of this machine."""
        root, admins = self._directory / f"{name}.pem", self._directory / "quorum.cbor"
        admins.write_bytes(bytes.fromhex(quorum))
        arguments = ("--listen", listen, "--root", str(root), "--quorum", str(admins))
        return await self._spawn(name, "-m", "casemate_mock", "enclave", *arguments)

    async def host(self, enclave: str) -> str:
        """Start the host as shipped, or start it anew, for an enclave at this address; its journal stays."""
        await self._stop("host")
        if self._gateway is not None:
            await self._gateway.close()
        address = f"unix:{self._directory}/gateway.sock"
        text = host_config(self._directory, [address], enclave, self._venues["venues"], rate_limits=False)
        config = self._directory / "host.toml"
        config.write_text(text, encoding="utf-8")
        await self._spawn("host", "-m", "host_dispatch", "--config", str(config))
        return address

    async def log(self, name: str) -> str:
        """Return the end of a child's log."""
        return (self._directory / f"{name}.log").read_text(errors="replace")[-2_000:]

    async def _spawn(self, name: str, *arguments: str) -> dict[str, Any]:
        log = self._directory / f"{name}.log"
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr
            )
        self._children[name] = process
        assert process.stdout is not None  # noqa: S101 - asked for above
        async with asyncio.timeout(_PATIENCE_S):
            while line := await process.stdout.readline():
                if line.startswith(b"READY "):
                    return dict(json.loads(line[len(b"READY ") :]))
        message = f"{name} did not start: {log.read_text(errors='replace')[-2000:]}"
        raise RuntimeError(message)

    async def _stop(self, name: str) -> None:
        process = self._children.pop(name, None)
        if process is not None:
            process.terminate()
            await process.wait()

    # --- what enclaves send to their parent

    async def listen(self) -> int:
        """Answer heartbeats, and remember codes and what the probe finds."""
        for kind, port in (("heartbeat", _HEARTBEAT), ("codes", _CODES), ("probe", _PROBE)):
            line = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            line.bind((socket.VMADDR_CID_ANY, port))
            line.listen()
            line.setblocking(False)  # noqa: FBT003 - the standard library's own
            self._servers.append(await asyncio.start_server(self._hearing(kind), sock=line))
        return len(self._servers)

    def _hearing(self, kind: str) -> Any:  # noqa: ANN401 - asyncio's callback
        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            cid = writer.get_extra_info("peername")[0]
            try:
                said = await (reader.readexactly(1) if kind == "heartbeat" else reader.read())
                async with self._news:
                    self._heard[kind].append((cid, said))
                    self._news.notify_all()
                if kind == "heartbeat":
                    writer.write(said)
                    await writer.drain()
            finally:
                writer.close()

        return hear

    async def heard(self, kind: str, cid: int, count: int, within: float = _PATIENCE_S) -> list[str]:
        """Wait until so many messages of this kind came from this enclave; return all of them, hexadecimal."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: sum(1 for each, _ in self._heard[kind] if each == cid) >= count)
        return [said.hex() for each, said in self._heard[kind] if each == cid]

    # --- policy, credentials and duty

    async def pin(self, pcr0: str, root: str = "") -> str:
        """Say which enclave is meant, by a mock's root or by the stand-in for QEMU's NSM; returns the pins' kind."""
        pcrs = {0: bytes.fromhex(pcr0)}
        if root:
            certificate = x509.load_pem_x509_certificate(Path(root).read_bytes())
            self._pins = Pins(pcrs=pcrs, deployment=DEPLOYMENT, root=certificate)
        else:
            self._pins = UnsignedEmulatedNsmPins(pcrs=pcrs, deployment=DEPLOYMENT)
        return type(self._pins).__name__

    async def load(self, admins: Sequence[str]) -> dict[str, Any]:
        """Give the enclave a policy and a credential, approved by these administrators (private keys)."""
        async with self._operator() as operator:
            return await self._ceremony.load(operator, self._pinned(), admins, _PATIENCE_S)

    async def duty(self) -> int:
        """Start the duty officer; returns the number of the grant that is then in force."""
        self._duty = Duty(self._directory, self._pinned(), self._ceremony.duty)
        await self._duty.begin()
        return int((await self.on_duty())["grant"])

    async def on_duty(self) -> dict[str, Any]:
        """Wait until the enclave says that a grant is in force; which, and whether it continues a boot's duty."""
        begun, duty = time.monotonic(), self._duty
        if duty is None:
            raise RuntimeError("no officer")
        while time.monotonic() - begun < _PATIENCE_S:
            duty.check()
            said = await self._duty_status()
            if said is not None and said.accounts:
                waited = round(time.monotonic() - begun, 1)
                return {"grant": said.sequence, "waited_s": waited, "continued": duty.continued()}
            await asyncio.sleep(0.5)
        raise RuntimeError(f"no duty was granted: {duty.said()}\n{await self.log('host')}")

    async def _duty_status(self) -> DutyStatus | None:
        """Return what the enclave says; None while its host, on a machine as slow as this, does not take a call."""
        async with self._operator() as operator:
            try:
                return (await operator.status(timeout_s=_PATIENCE_S)).enclave.duty
            except NotReady:
                return None

    async def audit(self, pcr0: str, root: str = "") -> dict[str, Any]:
        """Run ``casemate audit verify`` on the host's journal, with what the officer witnessed until now, its end."""
        if self._duty is not None:
            await self._duty.close()
        await asyncio.sleep(_JOURNAL_S)
        arguments = ["audit", "verify", str(self._directory / "journal.db"), "--pcr", f"0={pcr0}", "--json"]
        if self._duty is not None:
            arguments += ["--witness", str(self._duty.witness)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "casemate", *arguments, *(["--root", root] if root else [])),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, errors = await process.communicate()
        if not said:
            raise RuntimeError(errors.decode()[-1_000:])
        found = json.loads(said)
        boots = [{key: each[key] for key in ("receipts", "heads", "witnessed", "attested")} for each in found["boots"]]
        problems = sorted({each["problem"] for each in found["findings"]})
        return {"code": process.returncode, "boots": boots, "problems": problems, "claims": found["host_claims"]}

    def _operator(self) -> Gateway:
        # It asks for nothing that is sealed.
        nobody = Pins(pcrs={0: bytes(48)}, deployment=DEPLOYMENT)
        return Gateway(f"unix:{self._directory}/gateway.sock", AttestedSealer("operator", bytes, nobody))

    def _pinned(self) -> Pins:
        if self._pins is None:
            raise RuntimeError("no enclave is pinned")
        return self._pins

    # --- attestation and orders

    async def document(self) -> str:
        """Ask the enclave for an attestation document through the host; hexadecimal."""
        async with grpc.aio.insecure_channel(f"unix:{self._directory}/gateway.sock") as channel:
            call: _Unary = channel.unary_unary("/casemate.dispatch.v1.Operator/Attest")
            request = signer_pb2.Attest(nonce=b"n" * 32).SerializeToString()
            raw = await call(request, timeout=_PATIENCE_S, wait_for_ready=True)
        return bytes(signer_pb2.Attested.FromString(raw).document).hex()

    async def verified(self, document: str) -> str:
        """Return why the shipped verifier refuses a document, or nothing if it takes it."""
        try:
            now = time.time_ns() // 1_000_000
            attestation.verify(bytes.fromhex(document), at=now, pcrs={}, nonce=None, max_age_ms=None)
        except attestation.AttestationError as refusal:
            return str(refusal.reason)
        return ""

    async def claims(self, document: str) -> dict[str, Any]:
        """Return what an unsigned document says."""
        said = payload(bytes.fromhex(document))
        return {
            "module_id": said["module_id"],
            "pcrs": {str(index): value.hex() for index, value in said["pcrs"].items()},
            "ahead_ms": said["timestamp"] - time.time_ns() // 1_000_000,
        }

    async def trust(self) -> bool:
        """Connect the engine, with the pins that were given."""
        sealer = AttestedSealer(ENGINE, self._engine.sign, self._pinned())
        self._gateway = Gateway(f"unix:{self._directory}/gateway.sock", sealer, timeout_s=_PATIENCE_S)
        await self._gateway.wait_ready(_PATIENCE_S)
        return True

    async def refused_sessions(self, pcr0: str) -> str:
        """Return why an engine with the shipped pins opens no session with this enclave."""
        pins = Pins(pcrs={0: bytes.fromhex(pcr0)}, deployment=DEPLOYMENT)
        sealer = AttestedSealer(ENGINE, self._engine.sign, pins)
        async with Gateway(f"unix:{self._directory}/gateway.sock", sealer, timeout_s=_PATIENCE_S) as gateway:
            try:
                await gateway.submit(_order("59000"))
            except NotAttested as refusal:
                return str(refusal)
        return ""

    async def orders(self, count: int) -> dict[str, Any]:
        """Send orders one after the other; all must be taken by the venue, or it is an error."""
        gateway = self._engine_gateway()
        times, states = [], []
        for _ in range(count):
            begun = time.perf_counter_ns()
            states.append(_said(await gateway.submit(_order("59000"))))
            times.append(time.perf_counter_ns() - begun)
        return {"states": sorted(set(states)), "count": len(states), "p50_ms": _p50(times)}

    async def orders_until_refused(self, most: int) -> dict[str, Any]:
        """Send orders until one is refused, at most so many; how many were taken, and why the last one was not."""
        before = await self.at_venue()
        for _ in range(most):
            said = _said(await self._engine_gateway().submit(_order("59000")))
            if said != "open":
                return {"taken": await self.at_venue() - before, "refused": said}
        return {"taken": most, "refused": ""}

    async def one_order(self, price: str = "59000", *, timeout_s: float = _PATIENCE_S) -> str:
        """Send one order; what came of it in one word, a refusal's rule, or the reason why it was not judged."""
        try:
            return _said(await self._engine_gateway().submit(_order(price), timeout_s=timeout_s))
        except NotJudged as error:
            return f"not judged: {error.reason}"
        except CasemateError as error:
            return type(error).__name__

    async def at_venue(self) -> int:
        """Count the orders that the venue itself has."""
        url = f"{self._venues['control']}/venues/{ACCOUNT.server}/orders"
        return len(await asyncio.to_thread(_fetch, url))

    async def status(self) -> dict[str, Any]:
        """Return what the enclave says of itself, through the host."""
        async with self._operator() as operator:
            status = (await operator.status(timeout_s=_PATIENCE_S)).enclave
        ahead = status.clock - time.time_ns()
        drift = status.clock_drift
        phase = status.phase.name if status.phase else ""
        return {
            "phase": phase,
            "judged": status.judged,
            "ahead_ms": ahead // 1_000_000,
            "drift_ms": drift // 1_000_000,
        }

    def _engine_gateway(self) -> Gateway:
        if self._gateway is None:
            raise RuntimeError("no engine is connected")
        return self._gateway

    # --- the wire itself

    async def round_trips(self, addresses: Sequence[str], count: int) -> list[float]:
        """Ask the enclaves at these addresses for their status so often, by turns; the median of each, milliseconds."""
        request = signer_pb2.EnclaveRequest(request_id=1, status=signer_pb2.StatusRequest()).SerializeToString()
        times: list[list[int]] = [[] for _ in addresses]
        async with contextlib.AsyncExitStack() as stack:
            channels = [grpc.aio.insecure_channel(address, options=_OPTIONS) for address in addresses]
            calls: list[_Unary] = [
                (await stack.enter_async_context(channel)).unary_unary(_CALL) for channel in channels
            ]
            for call in calls:
                await call(request, timeout=_PATIENCE_S, wait_for_ready=True)
            for _ in range(count):
                for call, each in zip(calls, times, strict=True):
                    begun = time.perf_counter_ns()
                    await call(request, timeout=_PATIENCE_S)
                    each.append(time.perf_counter_ns() - begun)
        return [_p50(each) for each in times]

    async def nobody(self, cid: int, port: int) -> str:
        """Call a port on which nobody listens; the status that comes back."""
        async with grpc.aio.insecure_channel(f"vsock:{cid}:{port}", options=_OPTIONS) as channel:
            try:
                call: _Unary = channel.unary_unary(_CALL)
                await call(b"", timeout=10)
            except grpc.aio.AioRpcError as error:
                return error.code().name
        return "answered"

    async def half_open(self, cid: int, port: int, count: int) -> int:
        """Open raw connections that never say a word, and keep them."""
        for _ in range(count):
            line = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            line.settimeout(10)
            line.connect((cid, port))
            self._idle.append(line)
        return len(self._idle)

    async def hang_up(self) -> int:
        """Close what half_open left open."""
        count = len(self._idle)
        for line in self._idle:
            line.close()
        self._idle.clear()
        return count

    async def flood(self, address: str, most: int) -> dict[str, Any]:
        """Write requests on a stream and read no answer, until the writer comes to a halt; another peer is served."""
        # A field that nobody knows, so that the windows are full after few requests.
        padding = b"\xfa\x7f" + b"\x80\x40" + bytes(8_192)
        request = signer_pb2.EnclaveRequest(request_id=1, attest=signer_pb2.Attest(nonce=b"n" * 32))
        options = (*_OPTIONS, ("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536))
        written, stalled = 0, False
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            await channel.channel_ready()
            open_stream: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(_STREAM)
            stream = open_stream()
            while written < most and not stalled:
                try:
                    async with asyncio.timeout(_STALLED_S):
                        await stream.write(request.SerializeToString() + padding)
                        written += 1
                except TimeoutError:
                    stalled = True
            (beside,) = await self.round_trips([address], 5)
            stream.cancel()
        return {"written": written, "stalled": stalled, "beside_ms": beside}

    async def follow_clock(self) -> int:
        """Set this machine's clock to the enclave's: both woke up by clocks that count whole seconds. Milliseconds."""
        ahead = int((await self.status())["ahead_ms"])
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + ahead * 1_000_000)
        return ahead

    async def clock(self) -> int:
        """Return this machine's clock, nanoseconds."""
        return time.time_ns()

    async def kernel(self) -> str:
        """Return this machine's kernel."""
        return os.uname().release


def _order(price: str) -> OrderIntent:
    instrument = ACCOUNT.instruments[0]
    return OrderIntent.limit(
        ACCOUNT.name, ACCOUNT.venue, instrument.symbol, "BUY", quantity="0.001", price=price, time_in_force="GTC"
    )


def _said(result: SubmitResult) -> str:
    if not result.allowed:
        return f"refused: {result.verdict.rule}: {result.verdict.reason}"
    return "signed" if result.report is None else str(result.report.state).rsplit(".", 1)[-1].lower()


def _p50(times: Sequence[int]) -> float:
    return round(statistics.median(times) / 1e6, 3)


def _fetch(url: str) -> list[Any]:
    with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310 - 127.0.0.1
        return list(json.load(reply))
