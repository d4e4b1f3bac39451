"""The duty officer, in the parent guest: the shipped one, in this process, with pins that are given to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from casemate.channel import Endpoint
from casemate.duty.config import Config
from casemate.duty.gateway import Gateway
from casemate.duty.model import Terms
from casemate.duty.officer import Officer
from casemate.duty.reports import Reporter
from casemate.duty.store import FileStore
from casemate_mock.policy_text import DEPLOYMENT
from tools.vm.guest.ceremony import ACCOUNT
from tools.vm.guest.emulated import UnsignedEmulatedNsmGateway, UnsignedEmulatedNsmPins

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from casemate.session import Pins

# Of each limit, under one grant: what a boot that is killed may have spent unseen.
SHARE: Final = (3, 5)
_LENGTH_NS: Final = 40_000_000_000
_MARGIN_NS: Final = 3_000_000_000
_POLL_S: Final = 1.0
_CALL_S: Final = 10.0


class Duty:
    """Grants until it is closed."""

    def __init__(self, directory: Path, pins: Pins, key: Ed25519PrivateKey) -> None:
        """``pins``: of the enclaves that may hold duty."""
        self.witness = directory / "heads.jsonl"
        self._log = directory / "duty.log"
        terms = Terms(
            deployment=DEPLOYMENT,
            accounts=(ACCOUNT.name,),
            share=SHARE,
            length=_LENGTH_NS,
            margin=_MARGIN_NS,
            policy_version=1,
        )
        config = Config(terms, pins, (), "", self.witness, key, _POLL_S, _CALL_S)
        kind = UnsignedEmulatedNsmGateway if isinstance(pins, UnsignedEmulatedNsmPins) else Gateway
        endpoint = Endpoint(target=f"unix:{directory}/gateway.sock")
        gateway = kind("parent", endpoint, pins, os.urandom, timeout_s=_CALL_S)
        reporter = Reporter(self._say, time.time_ns, as_json=False)
        store = FileStore(directory / "duty", DEPLOYMENT)
        self._officer = Officer(config, store, [gateway], time.time_ns, reporter, fresh=True)
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Take the state, and go on in the background."""
        await self._officer.begin()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End, and let go of the state."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._officer.close()

    def check(self) -> None:
        """Raise what ended it, if it has ended."""
        if self._task is not None and self._task.done():
            self._task.result()

    def said(self) -> str:
        """Return the end of what it reported."""
        return self._log.read_text(encoding="utf-8")[-1_500:] if self._log.exists() else ""

    def continued(self) -> bool:
        """Whether the holder's place was taken from a boot before it."""
        state = self._officer.state
        holder = state and state.boots.get(state.holder)
        return bool(holder and holder.before)

    async def _run(self) -> None:
        while True:
            await self._officer.round()
            await asyncio.sleep(_POLL_S)

    def _say(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
