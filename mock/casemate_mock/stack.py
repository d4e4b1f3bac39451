"""The whole system on one machine: simulated venues, mock enclave and host as child processes, ready to trade.

Children start by exec through :mod:`casemate_mock.child` and die with this process; each one's stderr is a file in
the stack's directory. Policy and credentials go in over the host's own gRPC API, as an operator's would.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from casemate_mock.config import DEMO_ACCOUNTS
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.host_config import host_config
from casemate_mock.lifecycle import ready, until_told
from casemate_mock.policy_text import ENGINE, READER, band_of, demo_policy
from casemate_mock.serving import write_private
from signer_api.v1 import signer_pb2

_START_S = 30.0
_STOP_S = 5.0
_TAIL = 4_000
_LISTEN = re.compile(r"127\.0\.0\.1:(?P<port>[1-9][0-9]{0,4})")
_GATEWAY_SOCKET = "gateway.sock"
_ENCLAVE_SOCKET = "enclave.sock"
# sockaddr_un has 108 bytes for a path, the last of them zero (unix(7)).
_SOCKET_PATH_BYTES = 107


class StackError(Exception):
    """A part of the stack did not start, or ended; the text carries the end of its log."""


def checked_listen(address: str) -> str:
    """Return the address; ValueError unless it is of this machine alone: the host's TCP is plaintext here."""
    match = _LISTEN.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:  # noqa: PLR2004 - the last port there is
        message = f'"{address}": expected 127.0.0.1:PORT, because this listener is plaintext and lets anyone trade'
        raise ValueError(message)
    return address


def checked_directory(directory: Path) -> Path:
    """Return the directory; ValueError if the path of a socket in it would be too long for the system."""
    longest = max(len(os.fsencode(directory / name)) for name in (_GATEWAY_SOCKET, _ENCLAVE_SOCKET))
    if longest > _SOCKET_PATH_BYTES:
        message = (
            f'"{directory}" is {longest - _SOCKET_PATH_BYTES} bytes too long: the path of a unix socket in it '
            f"would have {longest} bytes, and the system takes {_SOCKET_PATH_BYTES}"
        )
        raise ValueError(message)
    return directory


@dataclass(slots=True)
class Child:
    """One process of the stack."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def failure(self, what: str) -> StackError:
        """Say what happened, with the end of the log."""
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-_TAIL:]
        return StackError(f"{self.name} {what}; the end of {self.log}:\n{tail}")

    async def ready_line(self) -> Any:  # noqa: ANN401 - plain JSON values
        """Wait for the READY line and return what it says."""
        assert self.process.stdout is not None  # noqa: S101 - started with a pipe
        try:
            async with asyncio.timeout(_START_S):
                while line := await self.process.stdout.readline():
                    if line.startswith(b"READY "):
                        return json.loads(line[len(b"READY ") :])
        except TimeoutError:
            raise self.failure(f"was not ready within {_START_S:.0f} s") from None
        raise self.failure("ended before it was ready")

    async def stop(self) -> None:
        """Ask it to end, then insist."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


class Stack:
    """Starts and stops everything; `directory` holds sockets, journal, logs, policy and the random credentials."""

    def __init__(
        self,
        directory: Path,
        *,
        seed: int | None = None,
        listen: str | None = None,
        rate_limits: bool = True,
        sessions: bool = False,
    ) -> None:
        """`listen` adds a TCP address (plaintext, development only) to the host's unix socket.

        Without `rate_limits` the host does not hold orders back; the simulated venues do not mind. With `sessions`
        engines have to open real ones, with keys that are made here. ValueError for a directory or an address that
        cannot be used.
        """
        self.directory = checked_directory(directory)
        self._seed = seed
        self._listen = None if listen is None else checked_listen(listen)
        self._rate_limits = rate_limits
        self._sessions = sessions
        self._attestation: dict[str, Any] = {}
        self._children: list[Child] = []
        self._lock: int | None = None

    @property
    def gateway(self) -> str:
        """Where engines connect."""
        return f"unix:{self.directory / _GATEWAY_SOCKET}"

    async def start(self) -> dict[str, Any]:
        """Start all parts; returns what the READY line says. Raises StackError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._take_directory()
        policy = self.directory / "policy.toml"
        policy.write_text(demo_policy(DEMO_ACCOUNTS, self._make_keys()), encoding="utf-8")
        venues = await self._spawn("venues", "-m", "casemate_mock", "venues", *self._venue_arguments())
        enclave_socket = self.directory / _ENCLAVE_SOCKET
        options = ["--sessions", str(self.directory / "nitro-root.pem")] if self._sessions else []
        enclave = await self._spawn(
            "enclave", "-m", "casemate_mock", "enclave", "--listen", f"unix:{enclave_socket}", *options
        )
        compiled, said = await asyncio.gather(self._compile(policy), venues.ready_line())
        pins = await enclave.ready_line()
        if self._sessions:
            self._attestation |= {"root": pins["root"], "pcrs": pins["pcrs"]}
        config = self._host_config(said["venues"], enclave_socket)
        host = await self._spawn("host", "-m", "host_dispatch", "--config", str(config))
        await host.ready_line()
        await self._load(compiled.read_bytes())
        return self._summary(said, compiled)

    async def wait_for_end(self) -> None:
        """Return never, unless a part ends: then raise StackError."""
        waiting = {asyncio.create_task(child.process.wait()): child for child in self._children}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        child = waiting[done.pop()]
        raise child.failure(f"ended with code {child.process.returncode}")

    async def stop(self) -> None:
        """Stop all parts, the host first: it finishes what is in flight."""
        for child in reversed(self._children):
            await child.stop()
        self._children.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_directory(self) -> None:
        """Hold the directory until `stop` or this process's end; StackError if another stack has it."""
        # Not inherited by the parts, and the file stays: removing it would let two hold "the" lock.
        lock = os.open(self.directory / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            message = f"{self.directory} is in use by another stack; nothing of it was touched"
            raise StackError(message) from None
        self._lock = lock

    async def _spawn(self, name: str, *arguments: str) -> Child:
        log = self.directory / f"{name}.log"
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "casemate_mock.child",
                str(os.getpid()),
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def _make_keys(self) -> dict[str, str]:
        """Write a new private key for each engine (PKCS #8, PEM), and return the public ones."""
        if not self._sessions:
            return {}
        public, paths = {}, {}
        for name in (ENGINE, READER):
            key, path = Ed25519PrivateKey.generate(), self.directory / f"{name}.key"
            write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
            public[name], paths[name] = key.public_key().public_bytes_raw().hex(), str(path)
        self._attestation["keys"] = paths
        return public

    def _venue_arguments(self) -> list[str]:
        arguments = ["--credentials", str(self.directory / "credentials.json")]
        return arguments if self._seed is None else [*arguments, "--seed", str(self._seed)]

    async def _compile(self, policy: Path) -> Path:
        # The compiler is the client's; it runs as a program, so that the stand-ins import no client code.
        compiled = policy.with_suffix(".cbor")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "casemate", "policy", "compile", str(policy), "-o", str(compiled)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            message = f"the policy does not compile:\n{output.decode(errors='replace')}"
            raise StackError(message)
        return compiled

    def _host_config(self, venues: Mapping[str, Any], enclave: Path) -> Path:
        listen = [self.gateway, *([self._listen] if self._listen else [])]
        text = host_config(self.directory, listen, f"unix:{enclave}", venues, rate_limits=self._rate_limits)
        config = self.directory / "host.toml"
        config.write_text(text, encoding="utf-8")
        return config

    async def _load(self, policy_bytes: bytes) -> None:
        credentials = self._credentials()
        async with grpc.aio.insecure_channel(self.gateway) as channel:
            policy = signer_pb2.LoadPolicy(policy=policy_bytes)
            await _operate(channel, "LoadPolicy", policy.SerializeToString())
            for account, fields in credentials.items():
                credential = cbor2.dumps(fields, canonical=True)
                request = signer_pb2.Provision(account=account, credential=credential)
                await _operate(channel, "Provision", request.SerializeToString())

    def _credentials(self) -> dict[str, dict[str, str]]:
        return dict(json.loads((self.directory / "credentials.json").read_text(encoding="utf-8")))

    def _summary(self, said: Mapping[str, Any], compiled: Path) -> dict[str, Any]:
        return {
            "gateway": self.gateway,
            **({"tcp": self._listen} if self._listen else {}),
            "venues": {name: entry["url"] for name, entry in said["venues"].items()},
            "control": said["control"],
            "policy": str(compiled),
            "journal": str(self.directory / "journal.db"),
            "directory": str(self.directory),
            "engines": [ENGINE, READER],
            **({"attestation": self._attestation} if self._attestation else {}),
            "accounts": [
                {
                    "name": account.name,
                    "venue": account.venue,
                    "server": account.server,
                    "instruments": [
                        {
                            "symbol": instrument.symbol,
                            "tick_size": plain(instrument.tick),
                            "lot_size": plain(instrument.lot),
                            "contract_size": plain(instrument.contract_size),
                            "reference_price": plain(instrument.reference_price),
                            "price_band": [plain(price) for price in band_of(instrument)],
                        }
                        for instrument in account.instruments
                    ],
                }
                for account in DEMO_ACCOUNTS
            ],
            "pids": {child.name: child.process.pid for child in self._children},
        }


async def _operate(channel: grpc.aio.Channel, method: str, request: bytes) -> None:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        f"/casemate.dispatch.v1.Operator/{method}"
    )
    try:
        await call(request, timeout=_START_S, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        message = f"{method}: {error.code().name}: {error.details()}"
        raise StackError(message) from None


async def run_all(stack: Stack, *, watch_stdin: bool) -> None:
    """Run a stack until told to stop; raises StackError if it does not start or a part of it ends."""
    try:
        ready(**await stack.start())
        ended = asyncio.create_task(stack.wait_for_end())
        told = asyncio.create_task(until_told(watch_stdin=watch_stdin))
        done, pending = await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
    finally:
        await stack.stop()
