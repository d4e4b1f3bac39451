"""What the enclave takes from its Nitro platform: the NSM port and its values. Pure: no device here.

``nsm.py`` speaks to the real device; a stand-in outside this distribution implements the same port.
``cms.py`` opens what KMS encrypts for an attested key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from enclave_signer.errors import EnclaveError

PCR_COUNT: Final = 32
# SHA-384, the only digest of an NSM.
PCR_BYTES: Final = 48
# The hypervisor locks these at boot; the enclave may extend and lock the rest.
FIRST_FREE_PCR: Final = 16
# What one Attestation request may carry in each of its fields, and one GetRandom answers at most.
MAX_FIELD_BYTES: Final = 1024
MAX_RANDOM_BYTES: Final = 256


class NsmCode(StrEnum):
    """The error codes of the NSM, as they are on the wire."""

    INVALID_ARGUMENT = "InvalidArgument"
    INVALID_INDEX = "InvalidIndex"
    INVALID_RESPONSE = "InvalidResponse"
    READ_ONLY_INDEX = "ReadOnlyIndex"
    INVALID_OPERATION = "InvalidOperation"
    BUFFER_TOO_SMALL = "BufferTooSmall"
    INPUT_TOO_LARGE = "InputTooLarge"
    INTERNAL_ERROR = "InternalError"


class NsmError(EnclaveError):
    """The NSM refused, or could not be understood; ``code`` says which, with the NSM's own words."""

    def __init__(self, code: NsmCode, message: str) -> None:
        """Keep the code apart from the text."""
        super().__init__(f"{code}: {message}")
        self.code = code


class NsmDescription(NamedTuple):
    """What the NSM says of itself."""

    version: tuple[int, int, int]
    module_id: str
    max_pcrs: int
    locked_pcrs: frozenset[int]
    digest: str


class PcrState(NamedTuple):
    """One platform configuration register: whether it is locked, and its 48 bytes."""

    locked: bool
    value: bytes


class Nsm(Protocol):
    """The Nitro security module. Every method raises NsmError."""

    def describe(self) -> NsmDescription:
        """Return the module's id, version and locked registers."""

    def describe_pcr(self, index: int) -> PcrState:
        """Return register ``index``."""

    def extend_pcr(self, index: int, data: bytes) -> bytes:
        """Set register ``index`` to SHA-384(old value || ``data``) and return the new value."""

    def lock_pcr(self, index: int) -> None:
        """Make register ``index`` (16 to 31) read-only, and so part of every document."""

    def lock_pcrs(self, count: int) -> None:
        """Make the registers 0 to ``count`` - 1 read-only."""

    def attestation(
        self, *, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """Return a signed attestation document that carries these fields, each at most 1,024 bytes."""

    def random(self, count: int) -> bytes:
        """Return ``count`` random bytes."""
