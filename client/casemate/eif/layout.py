"""The bytes of the headers (aws-nitro-enclaves-image-format, ``src/defs/mod.rs``)."""

from __future__ import annotations

import struct
from enum import IntEnum, StrEnum, unique
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from casemate.eif.errors import EifError, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC: Final = b".eif"
VERSION: Final = 4
MAX_SECTIONS: Final = 32
# Magic, version, flags, memory, CPUs, reserved, number of sections, 32 offsets, 32 sizes, unused; the CRC comes last.
_HEADER: Final = struct.Struct(">4sHHQQHH32Q32QI")
_CRC: Final = struct.Struct(">I")
_SECTION: Final = struct.Struct(">HHQ")
HEADER_BYTES: Final = _HEADER.size + _CRC.size
SECTION_HEADER_BYTES: Final = _SECTION.size
# A kernel, a command line and a ramdisk at least.
_FEWEST_SECTIONS: Final = 3
_ARM: Final = 1
_MOST: Final = (1 << 63) - 1


@unique
class Kind(IntEnum):
    """What a section holds."""

    KERNEL = 1
    CMDLINE = 2
    RAMDISK = 3
    SIGNATURE = 4
    METADATA = 5


@unique
class Architecture(StrEnum):
    """The machine that the image is for: a flag of the header, which no register measures."""

    X86_64 = "x86_64"
    AARCH64 = "aarch64"


# The largest section of each kind, in bytes. What is held in memory is small; the rest is streamed.
LARGEST: Final = {
    Kind.KERNEL: 1 << 30,
    Kind.CMDLINE: 4_096,
    Kind.RAMDISK: 1 << 36,
    Kind.SIGNATURE: 64 << 10,
    Kind.METADATA: 1 << 20,
}


class Header(NamedTuple):
    """The file's header. Memory in bytes; ``sizes`` are those of the sections' content."""

    architecture: Architecture
    memory: int
    cpus: int
    sizes: tuple[int, ...]
    crc: int

    def packed(self) -> bytes:
        """Return the header without its CRC: what the CRC begins with."""
        count = len(self.sizes)
        if not _FEWEST_SECTIONS <= count <= MAX_SECTIONS:
            raise EifError(Reason.SECTION_COUNT, f"{count} sections; an image has {_FEWEST_SECTIONS} to {MAX_SECTIONS}")
        flags = _ARM if self.architecture is Architecture.AARCH64 else 0
        rest = (0,) * (MAX_SECTIONS - count)
        offsets = (*_offsets(self.sizes), *rest)
        sizes = (*self.sizes, *rest)
        return _HEADER.pack(MAGIC, VERSION, flags, self.memory, self.cpus, 0, count, *offsets, *sizes, 0)

    def with_crc(self) -> bytes:
        """Return all 548 bytes."""
        return self.packed() + _CRC.pack(self.crc)

    @property
    def file_bytes(self) -> int:
        """The length of a file with this header."""
        return HEADER_BYTES + sum(SECTION_HEADER_BYTES + size for size in self.sizes)


def read_header(raw: bytes) -> Header:
    """Read the file's header; raises EifError. Every bit that is not refused comes back out of ``packed``."""
    if raw[: len(MAGIC)] != MAGIC:
        raise EifError(Reason.NOT_AN_EIF, "the file does not begin with .eif")
    if len(raw) != HEADER_BYTES:
        raise EifError(Reason.TRUNCATED, f"the header has {HEADER_BYTES} bytes, this file {len(raw)}")
    _, version, flags, memory, cpus, reserved, count, *table, unused = _HEADER.unpack_from(raw)
    offsets, sizes = table[:MAX_SECTIONS], table[MAX_SECTIONS:]
    _check_fixed(version, flags, count)
    if reserved or unused or any(offsets[count:]) or any(sizes[count:]):
        raise EifError(Reason.RESERVED, "a reserved field of the header is not zero")
    if tuple(offsets[:count]) != _offsets(sizes[:count]):
        raise EifError(Reason.SECTION_PLACE, "the header's table does not place each section right after the last")
    architecture = Architecture.AARCH64 if flags else Architecture.X86_64
    return Header(architecture, memory, cpus, tuple(sizes[:count]), _CRC.unpack_from(raw, _HEADER.size)[0])


def _check_fixed(version: int, flags: int, count: int) -> None:
    if version != VERSION:
        raise EifError(Reason.VERSION, f"version {version}; version {VERSION} is read")
    if flags not in (0, _ARM):
        raise EifError(Reason.FLAGS, f"flags {flags:#x}; only the architecture's bit has a meaning")
    if not _FEWEST_SECTIONS <= count <= MAX_SECTIONS:
        raise EifError(Reason.SECTION_COUNT, f"{count} sections; an image has {_FEWEST_SECTIONS} to {MAX_SECTIONS}")


def _offsets(sizes: Sequence[int]) -> tuple[int, ...]:
    places = [HEADER_BYTES]
    for size in sizes:
        if size > _MOST:
            raise EifError(Reason.SECTION_SIZE, f"a section of {size} bytes")
        places.append(places[-1] + SECTION_HEADER_BYTES + size)
    return tuple(place for place, _ in pairwise(places))


def section_header(kind: Kind, size: int) -> bytes:
    """Return the twelve bytes before a section's content."""
    return _SECTION.pack(kind, 0, size)


def read_section_header(raw: bytes, size: int) -> Kind:
    """Read the twelve bytes before a section whose size the file's header gives; raises EifError."""
    number, flags, said = _SECTION.unpack(raw)
    try:
        kind = Kind(number)
    except ValueError:
        raise EifError(Reason.SECTION_TYPE, f"a section of type {number}") from None
    if flags:
        raise EifError(Reason.RESERVED, f"the flags of a {kind.name.lower()} section are not zero")
    if said != size:
        raise EifError(Reason.SECTION_SIZE, f"{kind.name.lower()}: {size} bytes in the header, {said} in the section")
    check_size(kind, size)
    return kind


def check_size(kind: Kind, size: int) -> None:
    """Raise EifError for a section that is empty or larger than any real one."""
    if not 0 < size <= LARGEST[kind]:
        raise EifError(Reason.SECTION_SIZE, f"{kind.name.lower()}: {size} bytes; expected 1 to {LARGEST[kind]}")


def check_order(kinds: Sequence[Kind]) -> None:
    """Raise EifError unless it is kernel, command line, ramdisks, with at most one signature and metadata after them.

    The registers are computed in the order of the file, so only one order has one meaning.
    """
    rest = [kind for kind in kinds if kind not in (Kind.METADATA, Kind.SIGNATURE)]
    booted = [Kind.KERNEL, Kind.CMDLINE, *[Kind.RAMDISK] * (len(rest) - 2)]
    if len(rest) < _FEWEST_SECTIONS or rest != booted or kinds[:2] != booted[:2]:
        raise EifError(Reason.SECTION_ORDER, "expected kernel, command line and at least one ramdisk, in this order")
    if kinds.count(Kind.METADATA) > 1 or kinds.count(Kind.SIGNATURE) > 1:
        raise EifError(Reason.SECTION_ORDER, "more than one metadata or signature section")
