"""S13 drilled: two enclaves behind two real hosts, and the officer as it is run, on real clocks.

The enclaves run in this process (real service, real sessions, pretended security modules of one chain), since two mock
enclaves would have two roots; hosts and officer are the programs that ship.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from casemate import AttestedSealer, Gateway, OrderIntent, Pins
from casemate.models import WaitFor
from enclave_signer.server import Server
from tests.duty.hosts import DUTY, OLDER, policy
from tests.session.session_rig import CHAIN, MEASUREMENTS, Rig, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    import pytest

_WAIT_S = 60.0
_LENGTH_S = 6


class WallClock:
    """The system's clock, where a rig expects one that tests set."""

    @property
    def now(self) -> int:
        return time.time_ns()

    def now_ns(self) -> int:
        return time.time_ns()


class Machine:
    """One enclave host: an enclave that can be replaced, and the host's own process."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory / name
        self.directory.mkdir()
        self.name = name
        self.gateway = f"unix:{self.directory / 'gateway.sock'}"
        self._server: Server | None = None
        self._host: asyncio.subprocess.Process | None = None
        self._client: Gateway | None = None

    async def boot(self, measurements: Mapping[int, bytes]) -> None:
        """Replace the enclave; the host process stays."""
        await self.stop_enclave()
        rig = Rig(clock=WallClock(), measurements=dict(measurements))  # type: ignore[arg-type]  # see WallClock
        rig.load(policy())
        self._server = Server(rig.service.handle, f"unix:{self.directory / 'enclave.sock'}")
        # Not `serve`: it freezes this process's garbage collector.
        await self._server._server.start()

    async def stop_enclave(self) -> None:
        if self._server is not None:
            await self._server._server.stop(None)
            (self.directory / "enclave.sock").unlink(missing_ok=True)
            self._server = None

    async def start_host(self) -> None:
        config = self.directory / "host.toml"
        lines = (
            f'listen = ["{self.gateway}"]',
            f'enclave = "unix:{self.directory / "enclave.sock"}"',
            f'[journal]\npath = "{self.directory / "journal.db"}"',
            '[venues.binance]\nconnect = { "api.binance.com" = "http://127.0.0.1:9" }',
        )
        config.write_text("\n".join(lines))
        with (self.directory / "host.log").open("ab") as log:
            self._host = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "host_dispatch", "--config", str(config), stdout=log, stderr=log
            )
        pins = Pins(pcrs={0: [MEASUREMENTS[0], OLDER[0]]}, deployment="rig", root=CHAIN.root)
        self._client = Gateway(self.gateway, AttestedSealer("mm", key_of("mm").sign, pins), timeout_s=5.0)
        await self._client.wait_ready(30.0)

    async def rule(self) -> str:
        """Ask for a new order: empty if it was signed, else the rule that refused, or what failed."""
        order = OrderIntent.limit("main", "binance", "BTC/USDT", "BUY", quantity="0.1", price="50000")
        assert self._client is not None
        try:
            result = await self._client.submit(order, wait_for=WaitFor.SIGNED)
        except Exception as error:  # noqa: BLE001 - a host without its enclave
            return type(error).__name__
        return "" if result.allowed else result.verdict.rule

    async def cancels(self) -> bool:
        assert self._client is not None
        return (await self._client.cancel("main", "binance", "BTC/USDT", "any-order")).allowed

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.close()
        if self._host is not None and self._host.returncode is None:
            self._host.terminate()
            await self._host.wait()
        await self.stop_enclave()


class Desk:
    """The officer's machine."""

    def __init__(self, directory: Path, machines: list[Machine]) -> None:
        self.directory = directory
        pem = DUTY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        key = directory / "duty.pem"
        key.touch(0o600)
        key.write_bytes(pem)
        (directory / "root.pem").write_bytes(CHAIN.root.public_bytes(Encoding.PEM))
        gateways = "".join(f'[[gateway]]\nname = "{each.name}"\naddress = "{each.gateway}"\n' for each in machines)
        self.config = directory / "duty.toml"
        self.config.write_text(
            f'deployment = "rig"\naccounts = ["main"]\nkey = "duty.pem"\nshare = "1/2"\nlength = "{_LENGTH_S}s"\n'
            'clock_margin = "500ms"\npoll = "200ms"\nstate = "file:state"\nwitness = "witness.jsonl"\n'
            f'[pins]\nroot = "root.pem"\npcr0 = ["{MEASUREMENTS[0].hex()}", "{OLDER[0].hex()}"]\n{gateways}'
        )
        self._running: asyncio.subprocess.Process | None = None

    async def spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        with (self.directory / "duty.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "casemate", "duty", *arguments),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=dict(os.environ),
            )

    async def call(self, name: str, *arguments: str) -> tuple[int | None, Any]:
        process = await self.spawn(name, "--config", str(self.config), "--json", *arguments)
        output, _ = await process.communicate()
        return process.returncode, json.loads(output) if output else None

    async def start(self, *arguments: str) -> None:
        self._running = await self.spawn("run", "--config", str(self.config), "--log-json", *arguments)

    async def stop(self) -> int | None:
        if self._running is None or self._running.returncode is not None:
            return None
        self._running.send_signal(signal.SIGTERM)
        return await self._running.wait()

    def said(self) -> str:
        return (self.directory / "duty.log").read_text()


@contextlib.asynccontextmanager
async def drill(directory: Path, first: Mapping[int, bytes]) -> AsyncIterator[tuple[Machine, Machine, Desk]]:
    one, two = Machine(directory, "a"), Machine(directory, "b")
    desk = Desk(directory, [one, two])
    try:
        await one.boot(first)
        await two.boot(MEASUREMENTS)
        await asyncio.gather(one.start_host(), two.start_host())
        yield one, two, desk
    finally:
        await desk.stop()
        await asyncio.gather(one.stop(), two.stop())


async def _until(found: Callable[[], Awaitable[bool]], desk: Desk) -> float:
    begun = time.monotonic()
    while not await found():
        assert time.monotonic() - begun < _WAIT_S, desk.said()
        await asyncio.sleep(0.05)
    return time.monotonic() - begun


async def _signs(machine: Machine) -> bool:
    return await machine.rule() == ""


async def test_s13_fail_over_to_a_second_enclave_host_leaves_no_time_in_which_both_sign(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with drill(tmp_path, MEASUREMENTS) as (one, two, desk):
        assert await one.rule() == "duty"
        await desk.start("--fresh")
        await _until(lambda: _signs(one), desk)
        assert await two.rule() == "duty"
        await one.stop_enclave()
        refused: list[str] = []

        async def taken_over() -> bool:
            refused.append(await two.rule())
            return refused[-1] == ""

        seconds = await _until(taken_over, desk)
        assert set(refused[:-1]) == {"duty"}
        assert await one.rule() != ""
        with capsys.disabled():
            sys.stderr.write(f"\nfail-over with grants of {_LENGTH_S} s: {seconds:.1f} s without new orders\n")
        code, status = await desk.call("status")
        assert code == 0
        assert status["boots"][status["holder"]]["gateway"] == "b"


async def test_s13_an_upgrade_is_retire_and_a_successor_of_another_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with drill(tmp_path, OLDER) as (one, two, desk):
        await two.stop_enclave()
        await desk.start("--fresh")
        await _until(lambda: _signs(one), desk)
        begun = time.monotonic()
        code, _ = await desk.call("retire", "--gateway", "a")
        assert code == 0, desk.said()
        assert await one.rule() == "duty"
        assert await one.cancels()
        await two.boot(MEASUREMENTS)
        await _until(lambda: _signs(two), desk)
        with capsys.disabled():
            sys.stderr.write(
                f"\nupgrade, from the call of retire to the first order: {time.monotonic() - begun:.1f} s\n"
            )
        assert await one.rule() == "duty"
        code, status = await desk.call("status")
        assert status["boots"][status["holder"]]["pcr0"] == MEASUREMENTS[0].hex()


async def test_s13_without_the_officer_new_orders_end_with_the_grant_and_a_second_officer_is_turned_away(
    tmp_path: Path,
) -> None:
    async with drill(tmp_path, MEASUREMENTS) as (one, _, desk):
        await desk.start("--fresh")
        await _until(lambda: _signs(one), desk)
        second = await desk.spawn("run", "--config", str(desk.config), "--log-json")
        assert await second.wait() == 1
        assert "STATE_HELD" in desk.said()
        assert await desk.stop() == 0

        async def refused() -> bool:
            return await one.rule() == "duty"

        await _until(refused, desk)
        assert await one.cancels()
        code, _ = await desk.call("status")
        assert code == 1
        code, _ = await desk.call("grant", "--once")
        assert code == 0, desk.said()
        assert await _signs(one)
