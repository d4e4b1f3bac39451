"""Keeps a session open: looks each second whether the enclave is still the boot, and the policy, of the session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from casemate import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.gateway import Gateway
    from casemate.session import AttestedSealer

LOOK_S: Final = 1.0


class Keeper:
    """Opens the session before an order needs it, and another one when the enclave was restarted.

    What it goes by is the host's word, which can make it open sessions and nothing else: a session is only ever opened
    with an attested enclave.
    """

    def __init__(self, gateway: Gateway, sealer: AttestedSealer, note: Callable[[str], None]) -> None:
        """``note`` gets one line whenever a session is opened, or cannot be."""
        self._gateway = gateway
        self._sealer = sealer
        self._note = note
        self._last = b""
        self._claimed: tuple[str, str] = ("", "")
        self.opened = 0
        self.trouble = ""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Look once; raises nothing of the package's own errors."""
        try:
            if self._sealer.usable() and not await self._is_current():
                self._sealer.lost(self._sealer.session)
            await self._gateway.open_session()
        except errors.CasemateError as error:
            self._troubled(str(error))
            return
        self._count()

    async def _is_current(self) -> bool:
        """Whether host and session mean the same boot and policy; an enclave that is out of reach says nothing."""
        enclave, boot = (await self._gateway.status()).enclave, self._sealer.boot
        live = (enclave.boot_key, enclave.policy_digest)
        # The same claim twice is a host that lies, or a policy that is just changing: once is enough for each.
        if boot is None or not all(live) or live == self._claimed:
            return True
        self._claimed = live
        return live == (boot.receipt_key.hex(), boot.policy_digest.hex())

    def _troubled(self, why: str) -> None:
        if why != self.trouble:
            self._note(f"no session: {why}")
        self.trouble = why

    def _count(self) -> None:
        self.trouble = ""
        if self._sealer.session != self._last:
            self._last = self._sealer.session
            self.opened += 1
            self._note(f"session {self._last.hex()[:12]} is open")
