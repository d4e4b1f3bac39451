"""Tells the service manager how things are: ready, healthy, stopping. One datagram each, no library (sd_notify(3)).

The watchdog is fed only while the enclave answers and the journal takes what is written, and from the event loop, so a
loop that hangs starves it too. Outside of systemd nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

# Of the manager's patience: a feeding may be late, or its question slow, and still be in time.
_SHARE: Final = 3
_US: Final = 1_000_000


class Notifier:
    """Where to send, and how often the watchdog wants to be fed (seconds; None: it does not)."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        """``environment`` as the manager made it; ``pid`` is ours, since the watchdog may be meant for another."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.every: float | None = None
        microseconds = environment.get("WATCHDOG_USEC", "")
        if self._address and microseconds.isdecimal() and environment.get("WATCHDOG_PID", str(pid)) == str(pid):
            self.every = int(microseconds) / _US / _SHARE

    def tell(self, *lines: str) -> None:
        """Send assignments such as ``READY=1``. A manager that is not there is no reason to stop trading."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            # Not waiting for a manager that is slow to read: the loop trades.
            way.settimeout(0)
            way.sendto("\n".join(lines).encode(), self._address)

    async def feed(self, trouble: Callable[[], Awaitable[str]]) -> None:
        """Feed the watchdog for ever, as long as ``trouble`` says "" each time; else tell what it says."""
        if self.every is None:
            return
        while True:
            what = await trouble()
            if what:
                self.tell(f"STATUS={what}")
            else:
                self.tell("STATUS=serving", "WATCHDOG=1")
            await asyncio.sleep(self.every)


def _address(text: str) -> str:
    """Return the socket's address; a leading @ stands for the abstract namespace."""
    return f"\0{text[1:]}" if text.startswith("@") else text
