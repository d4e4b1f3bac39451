"""The RSA keys of this boot to which KMS encrypts: one for each document, good for one envelope."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from enclave_signer.nitro.cms import EnvelopeError, Recipient, new_recipient, parse_envelope

if TYPE_CHECKING:
    from collections.abc import Callable

# Documents whose envelope has not come. The oldest makes room: asking for another costs nothing.
MOST: Final = 8


class RsaRecipients:
    """Implements the port ``Recipients`` over :mod:`enclave_signer.nitro.cms`."""

    __slots__ = ("_make", "_waiting")

    def __init__(self, make: Callable[[], Recipient] = new_recipient) -> None:
        """``make`` makes a key."""
        self._make = make
        self._waiting: dict[bytes, Recipient] = {}

    def __repr__(self) -> str:
        """Show how many wait."""
        return f"<RsaRecipients {len(self._waiting)}>"

    def new(self) -> bytes:
        """Return the public half of a fresh key."""
        recipient = self._make()
        if len(self._waiting) == MOST:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[hashlib.sha256(recipient.public_key).digest()] = recipient
        return recipient.public_key

    def open(self, envelope: bytes) -> bytearray | None:
        """Return the 32 bytes in the envelope, whose key is then gone; None whatever is wrong."""
        parts = parse_envelope(envelope)
        recipient = None if parts is None else self._waiting.pop(parts.key_id, None)
        if recipient is None:
            return None
        try:
            return bytearray(recipient.open(envelope))
        except EnvelopeError:
            return None
