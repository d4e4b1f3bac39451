"""The stack that the demonstration plays on: ``casemate-mock all`` as a program, never an import."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
import urllib.request
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self

from casemate.errors import CasemateError
from casemate.profile import read_profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from casemate.profile import Profile


_STOP_S: Final = 20.0
_TAIL: Final = 4_000


def has_kms() -> bool:
    """Whether the mock KMS is installed: moto, and boto3 for those who ask it."""
    return all(importlib.util.find_spec(name) is not None for name in ("moto", "boto3"))


class StackError(CasemateError):
    """The stand-ins are not installed or did not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One instrument of one account, as the stack describes it."""

    account: str
    venue: str
    server: str
    symbol: str
    tick: Decimal
    lot: Decimal
    contract_size: Decimal
    reference: Decimal
    band: tuple[Decimal, Decimal]


class DemoStack:
    """Use as ``async with DemoStack() as stack``; everything it started ends with it."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        """Nothing runs yet. ``arguments`` go to ``casemate-mock all``."""
        self._arguments = tuple(arguments)
        self._process: asyncio.subprocess.Process | None = None
        self._said: Mapping[str, Any] = {}
        self._stderr: asyncio.Task[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start, and wait until orders can be sent."""
        if importlib.util.find_spec("casemate_mock") is None:
            message = "the stand-ins are not installed: install the distribution casemate-mock beside this one"
            raise StackError(message)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "casemate_mock", "all", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        assert process.stderr is not None  # noqa: S101 - asked for above
        self._process = process
        self._stderr = asyncio.create_task(process.stderr.read())
        line = await process.stdout.readline()
        if not line.startswith(b"READY "):
            text = (await self._stderr).decode(errors="replace")[-_TAIL:]
            message = f"the stack did not start:\n{text}"
            raise StackError(message)
        self._said = json.loads(line[len(b"READY ") :])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it by closing its stdin."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._stderr is not None:
            await self._stderr

    @property
    def gateway(self) -> str:
        """Where to send orders."""
        return str(self._said["gateway"])

    @property
    def engine(self) -> str:
        """Engine that may trade."""
        return str(self._said["engines"][0])

    @property
    def reader(self) -> str:
        """Engine that may read and cancel only."""
        return str(self._said["engines"][1])

    def profile(self, engine: str) -> Profile:
        """How that engine connects: gateway, key, pins."""
        return read_profile(self._said["profiles"][engine])

    @property
    def quorum(self) -> Mapping[str, Any]:
        """The administrators: threshold, and where their keys are."""
        return dict(self._said["quorum"])

    @property
    def done(self) -> Mapping[str, Any]:
        """What administrators gave the enclave: policy and credentials."""
        return dict(self._said["done"])

    @property
    def journal(self) -> str:
        """The host's journal."""
        return str(self._said["journal"])

    @property
    def witness(self) -> str:
        """What the duty officer saw of the receipts' heads."""
        return str(self._said["duty"]["witness"])

    @property
    def share(self) -> str:
        """How much of every limit one grant gives."""
        return str(self._said["duty"]["share"])

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids by part: venues, enclave, host."""
        return dict(self._said["pids"])

    def markets(self) -> tuple[Market, ...]:
        """What can be traded."""
        return tuple(
            Market(
                account=account["name"],
                venue=account["venue"],
                server=account["server"],
                symbol=item["symbol"],
                tick=Decimal(item["tick_size"]),
                lot=Decimal(item["lot_size"]),
                contract_size=Decimal(item["contract_size"]),
                reference=Decimal(item["reference_price"]),
                band=(Decimal(item["price_band"][0]), Decimal(item["price_band"][1])),
            )
            for account in self._said["accounts"]
            for item in account["instruments"]
        )

    async def venue_orders(self, server: str) -> list[dict[str, str]]:
        """Every order that a simulated venue ever accepted, from its own book: not by way of gateway or host."""
        return await asyncio.to_thread(self._fetch, f"/venues/{server}/orders")

    def _fetch(self, path: str) -> list[dict[str, str]]:
        with urllib.request.urlopen(str(self._said["control"]) + path, timeout=30) as reply:  # noqa: S310 - 127.0.0.1
            return list(json.load(reply))
