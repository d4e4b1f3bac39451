"""One pass over an image file: checks all of it, and measures it. Memory does not grow with the file."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from casemate.eif import signature
from casemate.eif.errors import EifError, Reason
from casemate.eif.layout import (
    HEADER_BYTES,
    SECTION_HEADER_BYTES,
    Header,
    Kind,
    check_order,
    read_header,
    read_section_header,
)
from casemate.eif.measures import Measurements, Measuring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHUNK: Final = 1 << 20
_FIRST_PRINTABLE: Final = 0x20
_LAST_PRINTABLE: Final = 0x7E
# What is short enough to be looked into.
_HELD: Final = (Kind.CMDLINE, Kind.SIGNATURE, Kind.METADATA)


class Section(NamedTuple):
    """One section: what it is, the bytes of its content, and their SHA-384."""

    kind: Kind
    size: int
    digest: bytes


class Image(NamedTuple):
    """Everything that an image file says. Only ``measurements`` are what an enclave attests."""

    header: Header
    sections: tuple[Section, ...]
    cmdline: str
    metadata: dict[str, Any] | None
    measurements: Measurements

    @property
    def signed(self) -> bool:
        """Whether it carries a signature; one that does not fit is refused, never shown."""
        return self.measurements.pcr8 is not None


def read_image(file: BinaryIO) -> Image:
    """Read a whole image file; raises EifError for anything that is not in form, OSError if it cannot be read."""
    header = read_header(file.read(HEADER_BYTES))
    reading = _Reading(file, zlib.crc32(header.packed()))
    sections = [reading.section(size) for size in header.sizes]
    if file.read(1):
        raise EifError(Reason.TRAILING, "the file goes on after the last section")
    if reading.crc != header.crc:
        raise EifError(Reason.CRC, f"the header says {header.crc:08x}, the content is {reading.crc:08x}")
    check_order([section.kind for section in sections])
    return reading.image(header, sections)


class _Reading:
    """The state of the pass."""

    def __init__(self, file: BinaryIO, crc: int) -> None:
        self.crc = crc
        self._file = file
        self._measuring = Measuring()
        self._held: dict[Kind, bytearray] = {}

    def section(self, size: int) -> Section:
        raw = self._take(SECTION_HEADER_BYTES)
        kind = read_section_header(raw, size)
        digest = hashlib.sha384()
        takers: list[Callable[[bytes], object]] = [digest.update, *self._measuring.begin(kind)]
        if kind in _HELD:
            takers.append(self._held.setdefault(kind, bytearray()).extend)
        self._pass_on(size, takers)
        return Section(kind, size, digest.digest())

    def image(self, header: Header, sections: Sequence[Section]) -> Image:
        measured = self._measuring.done()
        if Kind.SIGNATURE in self._held:
            pcr8 = signature.check(bytes(self._held[Kind.SIGNATURE]), measured.pcr0)
            measured = measured._replace(pcr8=pcr8)
        raw = self._held.get(Kind.METADATA)
        metadata = None if raw is None else read_metadata(bytes(raw))
        return Image(header, tuple(sections), read_cmdline(bytes(self._held[Kind.CMDLINE])), metadata, measured)

    def _pass_on(self, size: int, takers: Sequence[Callable[[bytes], object]]) -> None:
        while size:
            piece = self._take(min(size, _CHUNK))
            size -= len(piece)
            for take in takers:
                take(piece)

    def _take(self, size: int) -> bytes:
        """Return exactly that much, and count it into the CRC."""
        piece = self._file.read(size)
        if len(piece) != size:
            raise EifError(Reason.TRUNCATED, "the file ends before what its header announces")
        self.crc = zlib.crc32(piece, self.crc)
        return piece


def read_cmdline(raw: bytes) -> str:
    """Return the kernel's command line; raises EifError. A zero byte would end it for the kernel, but not for a PCR."""
    if not all(_FIRST_PRINTABLE <= byte <= _LAST_PRINTABLE for byte in raw):
        raise EifError(Reason.CMDLINE, "the command line is not printable ASCII")
    return raw.decode("ascii")


def read_metadata(raw: bytes) -> dict[str, Any]:
    """Return the metadata; raises EifError unless it is one JSON object in UTF-8 without doubled keys."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_no_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise EifError(Reason.METADATA, "the metadata is not JSON") from None
    if not isinstance(value, dict):
        raise EifError(Reason.METADATA, "the metadata is not a JSON object")
    return value


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)
