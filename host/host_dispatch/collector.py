"""The garbage collector, tamed: what exists at the start is frozen, the rest is collected in small steps.

Automatic collections come in the middle of an order and grow with the heap; these come from the loop, between
callbacks, young objects often and old ones seldom.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

_EVERY_SECONDS: Final = 0.25
# Rounds between collections of the middle and of the oldest generation: 2 seconds, and a minute.
_MIDDLE: Final = 8
_OLDEST: Final = 240


class Collector:
    """Runs until :meth:`stop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing changes before :meth:`start`."""
        self._loop = loop
        self._round = 0
        self._began = 0
        # Collections since the start, their total and their longest in nanoseconds: for the status.
        self.collections = self.total = self.longest = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Freeze, switch the automatic off, and go on by hand."""
        gc.collect()
        gc.freeze()
        gc.disable()
        gc.callbacks.append(self._seen)
        self._timer = self._loop.call_later(_EVERY_SECONDS, self._step)

    def stop(self) -> None:
        """Give it back to the interpreter."""
        if self._timer is not None:
            self._timer.cancel()
        gc.callbacks.remove(self._seen)
        gc.enable()
        gc.unfreeze()

    def _seen(self, phase: str, _info: Mapping[str, int]) -> None:
        now = time.perf_counter_ns()
        if phase == "start":
            self._began = now
            return
        self.collections += 1
        self.total += now - self._began
        self.longest = max(self.longest, now - self._began)

    def _step(self) -> None:
        self._round += 1
        generation = 2 if self._round % _OLDEST == 0 else 1 if self._round % _MIDDLE == 0 else 0
        gc.collect(generation)
        self._timer = self._loop.call_later(_EVERY_SECONDS, self._step)
