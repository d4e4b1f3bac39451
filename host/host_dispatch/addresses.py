"""Addresses as the configuration writes them: ``unix:/path``, ``vsock:CID:PORT``, ``HOST:PORT``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TCP: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_VSOCK: Final = re.compile(r"vsock:[0-9]{1,10}:[0-9]{1,10}")
# sockaddr_un.sun_path holds 108 bytes with its final NUL.
_LONGEST_PATH: Final = 107
_PORTS: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """One address; ``text`` is what gRPC takes, ``path`` is set for unix sockets only."""

    text: str
    path: str = ""

    @property
    def is_tcp(self) -> bool:
        """Whether the bytes may leave the machine's own sockets."""
        return not self.path and not self.text.startswith("vsock:")


def parse_address(text: str) -> Address | None:
    """Return the address, or None if ``text`` is not of one of the three forms."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        fits = path.startswith("/") and len(path.encode()) <= _LONGEST_PATH and "\0" not in path
        return Address(text, path) if fits else None
    if text.startswith("vsock:"):
        return Address(text) if _VSOCK.fullmatch(text) else None
    match = _TCP.fullmatch(text)
    return Address(text) if match and int(match[2]) <= _PORTS else None
