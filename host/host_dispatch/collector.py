"""The garbage collector, tamed: what exists at the start is frozen, the rest is collected in small steps.

Automatic collections come in the middle of an order and grow with the heap; these come from the loop, between
callbacks, young objects often and old ones seldom.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

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
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Freeze, switch the automatic off, and go on by hand."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._timer = self._loop.call_later(_EVERY_SECONDS, self._step)

    def stop(self) -> None:
        """Give it back to the interpreter."""
        if self._timer is not None:
            self._timer.cancel()
        gc.enable()
        gc.unfreeze()

    def _step(self) -> None:
        self._round += 1
        generation = 2 if self._round % _OLDEST == 0 else 1 if self._round % _MIDDLE == 0 else 0
        gc.collect(generation)
        self._timer = self._loop.call_later(_EVERY_SECONDS, self._step)
