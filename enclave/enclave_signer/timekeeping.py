"""Compares the enclave's clock with its security module's, at boot and then every so often, beside the orders.

There is no NTP in an enclave, and its clock drifts by seconds a week. A drift within the bound is corrected; a
jump past it is not, but stops the signing: it is for people to look at.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from enclave_signer.session.facts import read_facts

if TYPE_CHECKING:
    from enclave_signer.drift import Drift
    from enclave_signer.ports import Correctable, SecurityModule

EVERY_S: Final = 30.0
# Less is within what the comparison can tell.
_WORTH_NS: Final = 100_000_000


class _Reading(NamedTuple):
    before: int
    module_ms: int
    after: int


class Timekeeper:
    """Reads both clocks, and tells ``drift``."""

    __slots__ = ("_clock", "_drift", "_module")

    def __init__(self, clock: Correctable, module: SecurityModule, drift: Drift) -> None:
        """``clock`` and ``module`` are the enclave's own."""
        self._clock = clock
        self._module = module
        self._drift = drift

    def compare(self) -> None:
        """Compare now, and wait for the module."""
        self._take(self._read())

    async def keep(self, every_s: float = EVERY_S) -> None:
        """Compare again and again; never returns.

        The module may take its time, so it is waited for on another thread; the verdict is passed on this one.
        """
        while True:
            await asyncio.sleep(every_s)
            self._take(await asyncio.to_thread(self._read))

    def _read(self) -> _Reading | None:
        before = self._clock.now_ns()
        try:
            document = self._module.attestation()
            after = self._clock.now_ns()
            return _Reading(before, read_facts(document).timestamp_ms, after)
        except Exception:  # noqa: BLE001 - whatever fails is a comparison missed: the watch itself must not end
            return None

    def _take(self, reading: _Reading | None) -> None:
        if reading is None:
            self._drift.missed()
            return
        told = self._drift.compare(*reading)
        if told and not self._drift.stops and abs(self._drift.nanoseconds) > _WORTH_NS:
            self._clock.correct(-self._drift.nanoseconds)
