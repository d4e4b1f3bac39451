"""The probes: everything that a check knows of the machine comes through one :class:`Machine`."""

from __future__ import annotations

import ctypes
import resource
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# struct timex of Linux on 64 bits (adjtimex(2)): where maxerror (microseconds) and status are, and how large it is.
_TIMEX_BYTES: Final = 208
_MAXERROR_AT: Final = 24
_STATUS_AT: Final = 40
_CONNECT_S: Final = 3.0


class ClockState(NamedTuple):
    """What the kernel says of its clock: the state (5: error), status bits, largest error in microseconds."""

    state: int
    status: int
    max_error_us: int


def clock_state() -> ClockState | None:
    """Ask the kernel by adjtimex(2), changing nothing; None where it cannot be asked."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    (max_error,) = struct.unpack_from("q", buffer, _MAXERROR_AT)
    (status,) = struct.unpack_from("i", buffer, _STATUS_AT)
    return ClockState(state, status, max_error)


def connect_ns(host: str, port: int) -> int:
    """Return the nanoseconds that one TCP connection took; raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as connection:
        connection.settimeout(_CONNECT_S)
        begun = time.perf_counter_ns()  # noqa: TID251 - this is the port
        connection.connect(address)
        return time.perf_counter_ns() - begun  # noqa: TID251 - as above


class Machine:
    """A machine to look at. ``root`` stands in for ``/``; the rest is the real one's unless a test says otherwise."""

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        sleep: Callable[[float], None] = time.sleep,  # noqa: TID251 - this is the port
        clock: Callable[[], ClockState | None] = clock_state,
        connect: Callable[[str, int], int] = connect_ns,
        open_files: Callable[[], int] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    ) -> None:
        """``open_files`` tells the soft limit of open files; the others are as named."""
        self._root = root
        self.sleep = sleep
        self.clock = clock
        self.connect = connect
        self.open_files = open_files

    def path(self, path: str) -> Path:
        """Return where an absolute path of the machine is."""
        return self._root / path.lstrip("/")

    def read(self, path: str) -> str | None:
        """Return a small file's text without the spaces around it; None if there is none to read."""
        try:
            return self.path(path).read_text("utf-8", "replace").strip()
        except OSError:
            return None

    def whole(self, path: str) -> int | None:
        """Return the number in a file."""
        text = self.read(path)
        return int(text) if text is not None and text.lstrip("-").isdigit() else None

    def exists(self, path: str) -> bool:
        """Whether there is such a file or device."""
        return self.path(path).exists()

    def find(self, pattern: str) -> list[str]:
        """Return what a glob pattern finds, as absolute paths of the machine, sorted."""
        found = self._root.glob(pattern.lstrip("/"))
        return sorted(f"/{each.relative_to(self._root)}" for each in found)
