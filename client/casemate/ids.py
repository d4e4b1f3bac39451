"""Client order ids that the venues take.

Most venues take 32 hex digits; backpack's ``clientId`` is an unsigned 32-bit number. An id is used once:
the enclave refuses a second order under it, and many venues do too.
"""

from __future__ import annotations

import secrets
import threading
from typing import Final

_NUMERIC: Final = frozenset({"backpack"})
_NUMBERS: Final = 2**32


class ClientOrderIds:
    """Makes ids. Numbers start at a random point and count up, so that one process never repeats itself soon."""

    def __init__(self, start: int | None = None) -> None:
        """``start`` fixes where the numeric ids begin, for tests."""
        self._next = secrets.randbelow(_NUMBERS) if start is None else start
        self._lock = threading.Lock()

    def new(self, venue: str) -> str:
        """Return a fresh id for ``venue``: 32 hex digits, or a decimal number below 2**32."""
        if venue not in _NUMERIC:
            return secrets.token_hex(16)
        with self._lock:
            # Zero is left out: some clients read it as "no id".
            self._next = self._next % (_NUMBERS - 1) + 1
            return str(self._next)


_DEFAULT: Final = ClientOrderIds()


def new_client_order_id(venue: str) -> str:
    """Return a fresh client order id in the venue's format."""
    return _DEFAULT.new(venue)
