"""The whole system on one machine: simulated venues, mock enclave and host as child processes, ready to trade.

Children start by exec through :mod:`casemate_mock.child` and die with this process; each one's stderr is a file in
the stack's directory. Policy and credentials go in over the host's own gRPC API, as an operator's would, with the
approvals of two of the three administrators that are made here: by the client's code, which runs as a program, so that
the stand-ins import none of it.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from casemate_mock import identities, key_service, officer
from casemate_mock.config import DEMO_ACCOUNTS
from casemate_mock.exchange.arithmetic import plain
from casemate_mock.host_config import host_config
from casemate_mock.lifecycle import ready, until_told
from casemate_mock.policy_text import DEPLOYMENT, ENGINE, READER, band_of, demo_policy

_START_S = 30.0
_STOP_S = 5.0
_TAIL = 4_000
_LISTEN = re.compile(r"127\.0\.0\.1:(?P<port>[1-9][0-9]{0,4})")
_DUTY = "duty"
_WITHOUT_DUTY = (
    "no officer grants duty any more: new orders are refused once its last grant has ended; the rest goes on"
)
_GATEWAY_SOCKET = "gateway.sock"
_ENCLAVE_SOCKET = "enclave.sock"
_SPARE = "credentials-spare.json"
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
        authenticated: bool = True,
        kms: bool = False,
        duty: bool = False,
        metrics: int | None = None,
    ) -> None:
        """`listen` adds a TCP address (plaintext, development only) to the host's unix socket.

        Without `rate_limits` the host does not hold orders back; the simulated venues do not mind. Engines open
        real sessions with keys that are made here and administrators approve, unless it is not `authenticated`: then
        the mock enclave believes everybody. Credentials are sealed to the attested key of the boot or, with
        `kms`, through the mock KMS. With `duty` an officer grants it, and is the receipts' witness. `metrics` is a
        port of 127.0.0.1 on which the host shows its metrics. ValueError for a
        directory or an address that cannot be used.
        """
        self.directory = checked_directory(directory)
        self._seed = seed
        self._listen = None if listen is None else checked_listen(listen)
        self._rate_limits = rate_limits
        self._authenticated = authenticated
        self._people: identities.Identities | None = None
        self._with_kms = kms and authenticated
        self._kms: tuple[str, ...] = ()
        self._metrics = metrics
        self._with_duty = duty and authenticated
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
        if self._authenticated:
            self._people = identities.make(self.directory, DEPLOYMENT, (ENGINE, READER))
        keys, duty_key = (self._people.engine_keys, self._people.officer.public) if self._people else (None, "")
        policy = demo_policy(DEMO_ACCOUNTS, keys, duty_key if self._with_duty else "")
        (self.directory / "policy.toml").write_text(policy, encoding="utf-8")
        venues = await self._spawn("venues", "-m", "casemate_mock", "venues", *self._venue_arguments())
        enclave = await self._spawn_enclave()
        said, attestation = await venues.ready_line(), await enclave.ready_line()
        trust = self._trust(attestation)
        kms = await self._start_kms(attestation) if self._with_kms else None
        config = self._host_config(said["venues"], kms)
        host = await self._spawn("host", "-m", "host_dispatch", "--config", str(config))
        # Starts as slowly as the host, and waits for it.
        ceremony = asyncio.create_task(self._ceremony())
        try:
            await host.ready_line()
            if self._with_duty:
                trust["duty"] = await self._start_duty(attestation)
            done = await ceremony
        finally:
            ceremony.cancel()
        return self._summary(said) | trust | self._with_key_service(kms) | {"done": done}

    async def restart_enclave(self) -> None:
        """End the enclave as a crash would, start another boot of it, and give it policy and credentials again.

        With duty this waits until the last grant of the boot before has ended, as the officer does.
        """
        place = [child.name for child in self._children].index("enclave")
        old = self._children.pop(place)
        old.process.kill()
        await old.process.wait()
        new = await self._spawn_enclave()
        # Parts are stopped in the order of their start, backwards.
        self._children.insert(place, self._children.pop())
        await new.ready_line()
        await self._ceremony()

    async def wait_for_end(self) -> None:
        """Return never, unless a part ends: then raise StackError. The duty officer's end is a drill: said, no more."""
        waiting = {asyncio.create_task(child.process.wait()): child for child in self._children}
        try:
            while True:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for child in [waiting.pop(task) for task in done]:
                    failure = child.failure(f"(pid {child.process.pid}) ended with code {child.process.returncode}")
                    if child.name != _DUTY:
                        raise failure
                    sys.stderr.write(f"casemate-mock: {_WITHOUT_DUTY}\n{failure}\n")
                    sys.stderr.flush()
        finally:
            for task in waiting:
                task.cancel()

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
                *_dying_with_us(*arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=os.environ | key_service.ENVIRONMENT,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    async def _spawn_enclave(self) -> Child:
        options = ["--unauthenticated"]
        if self._people:
            options = ["--quorum", str(self._people.quorum), "--root", str(self.directory / "nitro-root.pem")]
            options += ["--clock-skew", str(self.directory / "clock-skew-ms")]
        listen = f"unix:{self.directory / _ENCLAVE_SOCKET}"
        return await self._spawn("enclave", "-m", "casemate_mock", "enclave", "--listen", listen, *options)

    def _venue_arguments(self) -> list[str]:
        arguments = ["--credentials", str(self.directory / "credentials.json")]
        arguments += ["--spare", str(self.directory / _SPARE)]
        return arguments if self._seed is None else [*arguments, "--seed", str(self._seed)]

    async def _start_kms(self, attestation: Mapping[str, Any]) -> Mapping[str, Any]:
        """Start the mock KMS with one key, which opens for the mock enclave's image alone."""
        policy = self.directory / "kms-policy.json"
        policy.write_text(key_service.key_policy(attestation["pcrs"]), encoding="utf-8")
        key = f"{key_service.ALIAS}={policy}"
        kms = await self._spawn("kms", "-m", "casemate_mock", "kms", "--root", attestation["root"], "--key", key)
        said: Mapping[str, Any] = await kms.ready_line()
        self._kms = ("--kms-key", f"alias/{key_service.ALIAS}", "--kms-endpoint", said["endpoint_url"])
        self._kms += ("--kms-region", said["region"])
        return said

    async def _start_duty(self, attestation: Mapping[str, Any]) -> dict[str, str]:
        """Start the officer, which grants as soon as there is a document to verify; returns what it is told."""
        assert self._people is not None  # noqa: S101 - there is no duty without
        config = self.directory / "duty.toml"
        accounts = sorted(account.name for account in DEMO_ACCOUNTS)
        text = officer.configuration(self.gateway, self._people.officer.key, DEPLOYMENT, accounts, attestation)
        config.write_text(text, encoding="utf-8")
        state = self.directory / "duty"
        state.mkdir(mode=0o700, exist_ok=True)
        # A stack that was here before left an officer's state, which knows of the boot that had duty then.
        begins = [] if any(state.iterdir()) else ["--fresh"]
        await self._spawn(_DUTY, "-m", "casemate", "duty", "run", "--config", str(config), *begins)
        return {"config": str(config), "witness": str(self.directory / officer.WITNESS), "share": officer.SHARE}

    def _ceremony_arguments(self) -> Iterator[str]:
        yield from ("--policy", str(self.directory / "policy.toml"))
        yield from ("--credentials", str(self.directory / "credentials.json"))
        if self._people is None:
            yield from ("--unauthenticated-gateway", self.gateway)
            return
        yield from ("--profile", str(self.directory / f"{ENGINE}.toml"))
        for admin in self._people.admins[: identities.THRESHOLD]:
            yield from ("--admin", str(admin.key))
        yield from self._kms
        if self._with_duty:
            yield "--await-duty"

    async def _ceremony(self) -> Any:  # noqa: ANN401 - plain JSON values
        """Have administrators approve policy and credentials, and load both; returns what was done."""
        process = await asyncio.create_subprocess_exec(
            *_dying_with_us("-m", "casemate.demo.ceremony", *self._ceremony_arguments()),
            env=os.environ | key_service.ENVIRONMENT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            raise
        if process.returncode:
            message = f"policy or credentials were not taken:\n{errors.decode(errors='replace')[-_TAIL:]}"
            raise StackError(message)
        return json.loads(output)

    def _host_config(self, venues: Mapping[str, Any], kms: Mapping[str, Any] | None) -> Path:
        listen = [self.gateway, *([self._listen] if self._listen else [])]
        enclave = f"unix:{self.directory / _ENCLAVE_SOCKET}"
        text = host_config(self.directory, listen, enclave, venues, rate_limits=self._rate_limits, kms=kms)
        if self._metrics is not None:
            text += f'[metrics]\nlisten = "127.0.0.1:{self._metrics}"\n'
        config = self.directory / "host.toml"
        config.write_text(text, encoding="utf-8")
        return config

    def _trust(self, attestation: Mapping[str, Any]) -> dict[str, Any]:
        """What proves who is who: nothing where nobody has to."""
        if self._people is None:
            return {}
        profiles = identities.write_profiles(self.directory, self._people, self.gateway, DEPLOYMENT, attestation)
        return {
            "profiles": profiles,
            "attestation": {"root": attestation["root"], "pcrs": attestation["pcrs"]},
            "quorum": {
                "file": str(self._people.quorum),
                "threshold": identities.THRESHOLD,
                "admins": [str(admin.key) for admin in self._people.admins],
            },
        }

    def _with_key_service(self, kms: Mapping[str, Any] | None) -> dict[str, Any]:
        if kms is None:
            return {}
        key = f"alias/{key_service.ALIAS}"
        return {"kms": {"endpoint_url": kms["endpoint_url"], "region": kms["region"], "key": key}}

    def _summary(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "gateway": self.gateway,
            **({"tcp": self._listen} if self._listen else {}),
            "venues": {name: entry["url"] for name, entry in said["venues"].items()},
            "control": said["control"],
            **({} if self._metrics is None else {"metrics": f"http://127.0.0.1:{self._metrics}/metrics"}),
            "spare_credentials": str(self.directory / _SPARE),
            "policy": str(self.directory / "policy.cbor"),
            "journal": str(self.directory / "journal.db"),
            "directory": str(self.directory),
            "engines": [ENGINE, READER],
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


def _dying_with_us(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "casemate_mock.child", str(os.getpid()), sys.executable, *arguments)


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
