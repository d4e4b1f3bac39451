"""The registers that an image sets: what an attestation document of an enclave that runs it shows.

PCR0 is of the whole image, PCR1 of what boots it (kernel, command line, first ramdisk), PCR2 of the application (the
other ramdisks), PCR8 of the certificate that signed it. Each is what a fresh register (48 zero bytes) becomes when it
is extended with the SHA-384 of the parts, joined. Not measured: the header (memory, CPUs, architecture), metadata, and
where kernel, command line and first ramdisk part: the first words of a command line can become the kernel's last bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from casemate.eif.layout import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

PCR_BYTES: Final = 48
NOT_MEASURED: Final = ("architecture", "memory", "cpus", "metadata", "boundaries")


class Measurements(NamedTuple):
    """The registers, 48 bytes each; ``pcr8`` is None for an image that is not signed (the register is zero then)."""

    pcr0: bytes
    pcr1: bytes
    pcr2: bytes
    pcr8: bytes | None = None

    def as_json(self) -> dict[str, str]:
        """The document that nitro-cli prints under "Measurements"."""
        registers = {"PCR0": self.pcr0, "PCR1": self.pcr1, "PCR2": self.pcr2, "PCR8": self.pcr8}
        return {name: value.hex() for name, value in registers.items() if value is not None}


def extended(digest: bytes) -> bytes:
    """Return what a fresh register holds after it was extended with ``digest``."""
    return hashlib.sha384(bytes(PCR_BYTES) + digest).digest()


@dataclass(slots=True)
class Measuring:
    """Takes the parts of an image in the order of the file, piece by piece."""

    _image: Any = field(default_factory=hashlib.sha384)
    _boot: Any = field(default_factory=hashlib.sha384)
    _application: Any = field(default_factory=hashlib.sha384)
    _ramdisks: int = 0

    def begin(self, kind: Kind) -> tuple[Callable[[bytes], None], ...]:
        """Return what takes the next part's bytes; nothing does if its kind is not measured."""
        if kind in (Kind.METADATA, Kind.SIGNATURE):
            return ()
        if kind is Kind.RAMDISK:
            self._ramdisks += 1
            if self._ramdisks > 1:
                return (self._image.update, self._application.update)
        return (self._image.update, self._boot.update)

    def done(self) -> Measurements:
        """Return the registers."""
        return Measurements(*(extended(each.digest()) for each in (self._image, self._boot, self._application)))
