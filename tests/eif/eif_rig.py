"""Images by hand: the format written a second time, from the published layout alone, and its registers with it."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import NamedTuple

KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = range(1, 6)
HEADER = 548
SECTION = 12
Sections = list[tuple[int, bytes]]


def image(sections: Sections, *, flags: int = 0, memory: int = 1 << 30, cpus: int = 2) -> bytes:
    """Return an image file: big-endian, 32 places for offsets and sizes, CRC-32 of everything but itself."""
    offsets, at = [], HEADER
    for _, data in sections:
        offsets.append(at)
        at += SECTION + len(data)
    sizes = [len(data) for _, data in sections]
    rest = [0] * (32 - len(sections))
    head = b".eif" + struct.pack(">HHQQHH", 4, flags, memory, cpus, 0, len(sections))
    head += struct.pack(">32Q", *offsets, *rest) + struct.pack(">32Q", *sizes, *rest) + bytes(4)
    body = b"".join(struct.pack(">HHQ", kind, 0, len(data)) + data for kind, data in sections)
    return head + struct.pack(">I", zlib.crc32(head + body)) + body


def with_right_crc(raw: bytes) -> bytes:
    """Repair the checksum, as anyone can who alters an image."""
    return raw[: HEADER - 4] + struct.pack(">I", zlib.crc32(raw[: HEADER - 4] + raw[HEADER:])) + raw[HEADER:]


class Registers(NamedTuple):
    """By the definition: SHA384(48 zero bytes || SHA384(the parts, joined))."""

    pcr0: str
    pcr1: str
    pcr2: str


def registers(kernel: bytes, cmdline: bytes, *ramdisks: bytes) -> Registers:
    """Compute the three registers of an image."""
    return Registers(
        register(kernel + cmdline + b"".join(ramdisks)),
        register(kernel + cmdline + ramdisks[0]),
        register(b"".join(ramdisks[1:])),
    )


def register(content: bytes) -> str:
    """Extend a fresh register with one digest."""
    return hashlib.sha384(bytes(48) + hashlib.sha384(content).digest()).hexdigest()
