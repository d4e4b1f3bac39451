"""A pytest plugin: the fixture ``casemate_stack`` is the whole system, running for the session.

Enable it with ``pytest_plugins = ["casemate_mock.pytest_plugin"]`` in a conftest, then::

    def test_my_engine_places_an_order(casemate_stack):
        with SyncGateway.connect(casemate_stack.profile) as gateway:
            ...
        assert casemate_stack.orders("binance")[-1]["status"] == "new"
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

_STOP_S = 20


class RunningStack:
    """A stack in a process of its own, and its venues' side door."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        """Start it and wait until it is ready; raises RuntimeError with what it said if it is not."""
        with (directory / "stack.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "casemate_mock", "all", "--dir", str(directory), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        line = self._first_line()
        if not line.startswith(b"READY "):
            self.stop()
            message = f"the stack did not start:\n{(directory / 'stack.log').read_text(errors='replace')}"
            raise RuntimeError(message)
        self.ready: Mapping[str, Any] = json.loads(line[len(b"READY ") :])

    @property
    def pid(self) -> int:
        """The stack's process."""
        return self._process.pid

    @property
    def gateway(self) -> str:
        """Where engines connect."""
        return str(self.ready["gateway"])

    @property
    def engine(self) -> str:
        """Name of the engine that may trade."""
        return str(self.ready["engines"][0])

    @property
    def profile(self) -> str:
        """Profile of that engine: gateway, key and pins in one file. Not in an unauthenticated stack."""
        return self.profile_of(self.engine)

    def profile_of(self, engine: str) -> str:
        """Profile of another engine of the READY line."""
        return str(self.ready["profiles"][engine])

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """Accounts with their venues and instruments."""
        return list(self.ready["accounts"])

    def orders(self, venue: str) -> list[dict[str, Any]]:
        """Every order that a simulated venue ever accepted, oldest first."""
        return list(self._ask(f"/venues/{venue}/orders"))

    def move_price(self, venue: str, symbol: str, price: str) -> None:
        """Move a simulated market; resting orders that it crosses fill."""
        self._ask(f"/venues/{venue}/price", {"symbol": symbol, "price": price})

    def script(self, venue: str, **fault: Any) -> None:  # noqa: ANN401 - plain JSON values
        """Queue one fault, such as ``kind="DROP_AFTER", method="POST"``."""
        self._ask(f"/venues/{venue}/faults", {"faults": [fault]})

    def set_clock(self, offset_ms: int) -> None:
        """Let the venues' clock run ahead (or behind)."""
        self._ask("/clock", {"offset_ms": offset_ms})

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - plain JSON values
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.ready["control"] + path, data=data)  # noqa: S310 - http to 127.0.0.1
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
                return json.load(reply)
        except urllib.error.HTTPError as error:
            message = f"{path}: {error.read().decode(errors='replace').strip()}"
            raise ValueError(message) from None

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - started with a pipe
        return self._process.stdout.readline()

    def stop(self) -> int:
        """End it by closing its stdin; returns its exit code. A second call returns the same."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@pytest.fixture(scope="session")
def casemate_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole system: six simulated venues, mock enclave, host, provisioned and ready."""
    stack = RunningStack(tmp_path_factory.mktemp("casemate"))
    yield stack
    stack.stop()
