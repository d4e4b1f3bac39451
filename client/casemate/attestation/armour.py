"""A document as people hand it on: raw CBOR, hexadecimal, or base64 (standard or URL-safe)."""

from __future__ import annotations

import base64
import binascii
from typing import Final

_RAW_FIRST_BYTES: Final = b"\x84\xd2"


def read_document(content: bytes) -> bytes:
    """Return the document in ``content``; content of no known form comes back as it is, to be refused.

    The forms cannot be confused: raw CBOR begins with 0x84 or 0xd2, which are no ASCII; base64 of these
    begins with ``h`` or ``0o``, which are no hexadecimal digits. White space in the text forms is ignored.
    """
    if content[:1] in (_RAW_FIRST_BYTES[:1], _RAW_FIRST_BYTES[1:]):
        return content
    text = b"".join(content.split())
    for decode in (_from_hex, _from_base64):
        decoded = decode(text)
        if decoded:
            return decoded
    return content


def _from_hex(text: bytes) -> bytes | None:
    try:
        return binascii.unhexlify(text.removeprefix(b"0x"))
    except binascii.Error:
        return None


def _from_base64(text: bytes) -> bytes | None:
    standard = text.replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        decoded = base64.b64decode(standard + b"=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        return None
    # Only the one true encoding: no stray bits in the last character.
    return decoded if base64.b64encode(decoded).rstrip(b"=") == standard else None
