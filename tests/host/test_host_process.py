"""The host as a process of its own: READY, SIGTERM, kill -9, and mistakes at the start."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from dispatch_api.v1 import dispatch_pb2 as wire
from tests.host import host_rig
from tests.host.host_rig import AUTHORITY, Api, ScriptedEnclave, TinyVenue, answering, create, error_info, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PLACED = json.dumps(
    {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "clientOrderId": "a",
        "transactTime": 1,
        "price": "7",
        "origQty": "1",
        "executedQty": "0",
        "cummulativeQuoteQty": "0",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
    }
)


@pytest.fixture(autouse=True)
def _as_binance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process knows only real venues: the scripted enclave and venue play one of them."""
    monkeypatch.setattr(host_rig, "VENUE", "binance")


class Process:
    """One `casemate-host` and a client of it."""

    def __init__(self, directory: Path, enclave: ScriptedEnclave, venue: TinyVenue) -> None:
        self.socket = directory / "gateway.sock"
        self._log = directory / "host.log"
        self._config = directory / "host.toml"
        self._config.write_text(
            f"""
            listen = ["unix:{self.socket}"]
            enclave = "{enclave.address}"
            drain_ms = 5000
            [journal]
            path = "{directory}/journal.db"
            [dispatch]
            resolve_first_ms = 10
            resolve_longest_ms = 50
            [venues.binance]
            connect = {{ "{AUTHORITY}" = "http://127.0.0.1:{venue.port}" }}
            """
        )

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - it only starts
                [sys.executable, "-m", "host_dispatch", "--config", str(self._config)],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        assert line.startswith(b"READY "), self._log.read_text()
        assert json.loads(line.removeprefix(b"READY ")) == {"listen": [f"unix:{self.socket}"]}
        self.api = Api(f"unix:{self.socket}")

    async def end(self, number: int) -> int:
        self.process.send_signal(number)
        return await self.gone()

    async def gone(self) -> int:
        code = await asyncio.to_thread(self.process.wait, 20)
        await self.api.channel.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def log(self) -> list[dict[str, Any]]:
        lines = [line for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def process(directory: Path) -> AsyncIterator[tuple[Process, ScriptedEnclave, TinyVenue]]:
    enclave, venue = ScriptedEnclave(directory / "enclave.sock"), TinyVenue()
    await enclave.start()
    await venue.start()
    venue.script["/create"] = answering(PLACED)
    venue.script["/query"] = answering(PLACED)
    made = Process(directory, enclave, venue)
    await made.start()
    try:
        yield made, enclave, venue
    finally:
        if made.process.poll() is None:
            await made.end(signal.SIGKILL)
        await venue.stop()
        await enclave.stop()


async def test_it_serves_on_a_private_socket_and_logs_json_lines(tmp_path: Path) -> None:
    async with process(tmp_path) as (host, _, venue):
        assert stat.S_IMODE(host.socket.stat().st_mode) == 0o600
        report = (await host.api.submit(create("a"))).report
        assert (report.state, report.venue_order_id) == (wire.ORDER_STATE_OPEN, "28")
        assert venue.creates("a") == 1
        assert await host.end(signal.SIGTERM) == 0
        text = host._log.read_text()
        assert host_rig.SIGNATURE not in text
        host.log()


async def test_sigterm_finishes_what_is_under_way_and_takes_nothing_new(tmp_path: Path) -> None:
    async with process(tmp_path) as (host, _, venue):
        release = asyncio.Event()

        async def slow(_: host_rig.Seen, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            await host_rig.reply(writer, PLACED)

        venue.script["/create"] = slow
        waiting = asyncio.ensure_future(host.api.submit(create("a")))
        await eventually(lambda: venue.creates("a") == 1)
        host.process.send_signal(signal.SIGTERM)

        async def draining() -> bool:
            try:
                await host.api.submit(create("b"))
            except grpc.aio.AioRpcError as error:
                return bool(error_info(error).reason == "DRAINING")
            return False

        pending = asyncio.ensure_future(draining())
        assert await pending
        release.set()
        assert (await waiting).report.state == wire.ORDER_STATE_OPEN
        assert await host.gone() == 0
        assert venue.creates("b") == 0


async def test_d5_after_kill_9_every_intent_is_accounted_for_and_none_is_sent_twice(tmp_path: Path) -> None:
    async with process(tmp_path) as (host, _, venue):
        calls = [asyncio.ensure_future(host.api.submit(create(f"o{number}"))) for number in range(200)]
        await eventually(lambda: len(venue.seen) >= 20)
        await host.end(signal.SIGKILL)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        acknowledged = {answer.report.client_order_id for answer in answers if isinstance(answer, wire.SubmitReply)}
        await host.start()

        async def settled() -> bool:
            listed = await host.api.call("List", wire.ListRequest(limit=1000), wire.ListReply)
            reports = {report.client_order_id: report for report in listed.reports}
            return all(report.state in (wire.ORDER_STATE_OPEN, wire.ORDER_STATE_EXPIRED) for report in reports.values())

        await eventually(settled, seconds=20)
        listed = await host.api.call("List", wire.ListRequest(limit=1000), wire.ListReply)
        states = {report.client_order_id: report.state for report in listed.reports}
        at_venue = {seen.client_order_id for seen in venue.seen if seen.is_create}
        assert acknowledged <= {name for name, state in states.items() if state == wire.ORDER_STATE_OPEN}
        assert at_venue <= states.keys()
        for name, state in states.items():
            assert venue.creates(name) <= 1
            assert name not in at_venue or state == wire.ORDER_STATE_OPEN
        assert (await host.api.status()).unresolved == 0


async def test_the_account_takes_orders_again_after_recovery(tmp_path: Path) -> None:
    async with process(tmp_path) as (host, _, venue):
        hang = asyncio.Event()

        async def never(_: host_rig.Seen, __: asyncio.StreamWriter) -> None:
            await hang.wait()

        venue.script["/create"] = never
        call = asyncio.ensure_future(host.api.submit(create("a")))
        await eventually(lambda: venue.creates("a") == 1)
        await host.end(signal.SIGKILL)
        await asyncio.gather(call, return_exceptions=True)
        venue.script["/create"] = answering(PLACED)
        await host.start()
        refusals: set[str] = set()

        async def taken() -> bool:
            try:
                return bool((await host.api.submit(create("b"))).report.state == wire.ORDER_STATE_OPEN)
            except grpc.aio.AioRpcError as error:
                refusals.add(error_info(error).reason)
                return False

        await eventually(taken)
        assert refusals <= {"RECOVERING"}
        assert (await host.api.get("a")).state == wire.ORDER_STATE_OPEN


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host_dispatch", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_mistakes_in_the_file_are_reported_together_with_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "host.toml"
    path.write_text('listen = ["127.0.0.1:0"]\nenclave = 5\n[venues.binance]\nlimits = { unheard-of = 1 }\n')
    done = run("--config", str(path))
    assert done.returncode == 2
    assert done.stdout == ""
    for part in ("enclave", "journal", "TCP", "unheard-of", "orders-10s"):
        assert part in done.stderr


def test_a_journal_that_cannot_be_opened_is_one_clear_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "j.db").write_bytes(b"no database" * 1000)
    path = tmp_path / "host.toml"
    path.write_text(
        f'listen = ["unix:{tmp_path}/g.sock"]\nenclave = "unix:{tmp_path}/e.sock"\n'
        f'[journal]\npath = "{tmp_path}/j.db"\n'
    )
    done = run("--config", str(path))
    assert done.returncode == 1
    assert "cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr
