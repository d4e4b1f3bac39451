"""What the host tells the service manager, over a real datagram socket."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from host_dispatch.watchdog import Notifier
from tests.host import host_rig
from tests.host.test_host_process import process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PID = 4711


@pytest.fixture(autouse=True)
def _as_binance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process knows only real venues."""
    monkeypatch.setattr(host_rig, "VENUE", "binance")


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(20)

    def next(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    async def until(self, line: str) -> None:
        for _ in range(100):
            if line in await asyncio.to_thread(self.next):
                return
        pytest.fail(f"{line} is not told")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify.sock"))
    yield made
    made.socket.close()


def test_outside_of_systemd_nothing_is_sent_and_nothing_fed() -> None:
    notifier = Notifier({}, PID)
    notifier.tell("READY=1")
    assert notifier.every is None


def test_a_manager_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}, PID).tell("READY=1")


def test_lines_travel_as_one_datagram(manager: Manager, tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify.sock")}, PID).tell("READY=1", "STATUS=serving")
    assert manager.next() == ["READY=1", "STATUS=serving"]


def test_the_abstract_namespace_is_reached_by_its_at_sign(tmp_path: Path) -> None:
    abstract = Manager(f"\0casemate-test-{tmp_path}"[:90])
    try:
        Notifier({"NOTIFY_SOCKET": f"@casemate-test-{tmp_path}"[:90]}, PID).tell("READY=1")
        assert abstract.next() == ["READY=1"]
    finally:
        abstract.socket.close()


@pytest.mark.parametrize(
    ("environment", "every"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(PID)}, 1.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(PID + 1)}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_three_times_in_its_patience_and_only_by_whom_it_watches(
    environment: dict[str, str], every: float | None
) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/run/x", **environment}, PID).every == every


async def test_the_watchdog_starves_while_the_journal_is_in_trouble(manager: Manager, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify.sock"), "WATCHDOG_USEC": "30000"}, PID)
    troubles = ["", "the disk of the journal is full", "the disk of the journal is full", ""]

    async def trouble() -> str:
        if not troubles:
            await asyncio.Event().wait()
        return troubles.pop(0)

    feeding = asyncio.create_task(notifier.feed(trouble))
    told = [await asyncio.to_thread(manager.next) for _ in range(4)]
    feeding.cancel()
    well, ill = ["STATUS=serving", "WATCHDOG=1"], ["STATUS=the disk of the journal is full"]
    assert told == [well, ill, ill, well]


async def test_the_host_is_ready_when_it_serves_and_fed_only_while_its_enclave_answers(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify.sock"))
    monkeypatch.setenv("WATCHDOG_USEC", "150000")
    async with process(tmp_path) as (host, enclave, _):
        assert await asyncio.to_thread(manager.next) == ["READY=1"]
        await manager.until("WATCHDOG=1")
        await enclave.stop()
        await manager.until("STATUS=the enclave cannot be reached")
        told = [line for _ in range(3) for line in await asyncio.to_thread(manager.next)]
        assert "WATCHDOG=1" not in told
        await enclave.start()
        await manager.until("WATCHDOG=1")
        host.process.send_signal(signal.SIGTERM)
        await manager.until("STOPPING=1")
        assert await host.gone() == 0
