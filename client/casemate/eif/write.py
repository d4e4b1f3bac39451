"""An image file from its parts. The same parts give the same bytes: nothing is added, not even the time."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from casemate.eif import signature
from casemate.eif.errors import EifError, Reason
from casemate.eif.layout import Architecture, Header, Kind, check_size, section_header
from casemate.eif.measures import Measurements, Measuring
from casemate.eif.read import read_cmdline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from casemate.eif.signature import Signer

_CHUNK: Final = 1 << 20
DEFAULT_MEMORY: Final = 1 << 30
DEFAULT_CPUS: Final = 2


@dataclass(frozen=True, slots=True)
class Parts:
    """What an image is made of. ``memory`` in bytes; without ``metadata`` there is no such section."""

    kernel: Path
    cmdline: str
    ramdisks: Sequence[Path]
    metadata: Mapping[str, Any] | None = None
    signer: Signer | None = None
    architecture: Architecture = Architecture.X86_64
    memory: int = DEFAULT_MEMORY
    cpus: int = DEFAULT_CPUS


def metadata_of(
    name: str, version: str, build: Mapping[str, str], custom: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return metadata with the keys that nitro-cli expects: it shows them, nothing checks them."""
    return {
        "ImageName": name,
        "ImageVersion": version,
        "BuildMetadata": {
            "BuildTime": build.get("time", ""),
            "BuildTool": "casemate eif",
            "BuildToolVersion": build.get("tool_version", ""),
            "OperatingSystem": build.get("system", ""),
            "KernelVersion": build.get("kernel", ""),
        },
        "DockerInfo": {},
        "CustomMetadata": None if custom is None else dict(custom),
    }


def write_image(parts: Parts, out: BinaryIO) -> Measurements:
    """Write the image to a file that can seek, and return what it measures; raises EifError and OSError."""
    sections = _sections(parts)
    measured = _measure(sections)
    if parts.signer is not None:
        section = signature.sign(parts.signer, measured.pcr0)
        # Read back by the same rules that a reader has.
        measured = measured._replace(pcr8=signature.check(section, measured.pcr0))
        sections.append((Kind.SIGNATURE, section))
    header = Header(parts.architecture, parts.memory, parts.cpus, tuple(_size(*each) for each in sections), 0)
    crc = zlib.crc32(header.packed())
    out.write(header.with_crc())
    for (kind, source), size in zip(sections, header.sizes, strict=True):
        for piece in (section_header(kind, size), *_pieces(source, size)):
            crc = zlib.crc32(piece, crc)
            out.write(piece)
    out.seek(0)
    out.write(header._replace(crc=crc).with_crc())
    return measured


def _sections(parts: Parts) -> list[tuple[Kind, Path | bytes]]:
    cmdline = parts.cmdline.encode()
    read_cmdline(cmdline)
    if not parts.ramdisks:
        raise EifError(Reason.SECTION_COUNT, "an image needs a ramdisk")
    sections: list[tuple[Kind, Path | bytes]] = [(Kind.KERNEL, parts.kernel), (Kind.CMDLINE, cmdline)]
    if parts.metadata is not None:
        sections.append((Kind.METADATA, json.dumps(parts.metadata, separators=(",", ":")).encode()))
    sections += [(Kind.RAMDISK, path) for path in parts.ramdisks]
    return sections


def _measure(sections: Sequence[tuple[Kind, Path | bytes]]) -> Measurements:
    measuring = Measuring()
    for kind, source in sections:
        takers = measuring.begin(kind)
        for piece in _pieces(source, _size(kind, source)):
            for take in takers:
                take(piece)
    return measuring.done()


def _size(kind: Kind, source: Path | bytes) -> int:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    check_size(kind, size)
    return size


def _pieces(source: Path | bytes, size: int) -> Iterator[bytes]:
    """Yield exactly ``size`` bytes: a file that changes meanwhile would give an image nobody asked for."""
    if isinstance(source, bytes):
        yield source
        return
    left = size
    with source.open("rb") as file:
        while left and (piece := file.read(min(left, _CHUNK))):
            left -= len(piece)
            yield piece
        if left or file.read(1):
            raise EifError(Reason.SECTION_SIZE, f"{source.name}: its size changed while it was read")
