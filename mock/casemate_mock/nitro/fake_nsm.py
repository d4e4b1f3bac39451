"""An NSM in memory: registers, locks, documents. Implements the enclave's port ``Nsm``.

Behaves as AWS's own ``nsm-check`` expects of a fresh module: registers 0 to 15 are locked at boot, 16 to 31
are zero and free; only locked registers appear in documents; in debug mode PCR0 to PCR2 are zero, PCR3 and
PCR4 are not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from casemate_mock.nitro.document import MapForm, SForm, encode_payload, sign_document
from enclave_signer.nitro import (
    FIRST_FREE_PCR,
    MAX_FIELD_BYTES,
    PCR_BYTES,
    PCR_COUNT,
    NsmCode,
    NsmDescription,
    NsmError,
    PcrState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from casemate_mock.nitro.chain import FakeChain

DEFAULT_INSTANCE: Final = "i-0123456789abcdef0"
DEFAULT_ENCLAVE: Final = "enc0123456789abcdef"
_ZERO: Final = bytes(PCR_BYTES)
_CODE_PCRS: Final = (0, 1, 2)
_INSTANCE_PCR: Final = 4


def measure(data: bytes) -> bytes:
    """Return what a register holds after one extension: SHA-384(48 zero bytes || data)."""
    return hashlib.sha384(_ZERO + data).digest()


class FakeNsm:
    """One boot of a pretended enclave. ``chain`` may be shared by the boots of one pretended machine."""

    def __init__(  # noqa: PLR0913 - the surroundings of a boot, each by name
        self,
        *,
        chain: FakeChain,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        measurements: Mapping[int, bytes],
        instance_id: str = DEFAULT_INSTANCE,
        enclave_id: str = DEFAULT_ENCLAVE,
        debug: bool = False,
        map_form: MapForm = MapForm.INDEFINITE,
        s_form: SForm = SForm.AS_SIGNED,
    ) -> None:
        """``measurements`` are the registers at boot (48 bytes each); PCR4 follows from the instance id."""
        self._chain = chain
        self._now_ms = now_ms
        # How far the module's clock is ahead of everybody else's.
        self.skew_ms = 0
        self._random_bytes = random_bytes
        self._map_form = map_form
        self._s_form = s_form
        self._module_id = f"{instance_id}-{enclave_id}"
        self._locked = set(range(FIRST_FREE_PCR))
        self._values = [_ZERO] * PCR_COUNT
        for index, value in measurements.items():
            self._values[index] = _ZERO if debug and index in _CODE_PCRS else value
        self._values[_INSTANCE_PCR] = measure(instance_id.encode())

    def describe(self) -> NsmDescription:
        """Return the module's id, version and locked registers."""
        return NsmDescription((1, 0, 0), self._module_id, PCR_COUNT, frozenset(self._locked), "SHA384")

    def describe_pcr(self, index: int) -> PcrState:
        """Return register ``index``."""
        self._check_index(index)
        return PcrState(index in self._locked, self._values[index])

    def extend_pcr(self, index: int, data: bytes) -> bytes:
        """Extend a register that is not locked."""
        self._check_free(index)
        self._values[index] = hashlib.sha384(self._values[index] + data).digest()
        return self._values[index]

    def lock_pcr(self, index: int) -> None:
        """Lock a register that is not locked."""
        self._check_free(index)
        self._locked.add(index)

    def lock_pcrs(self, count: int) -> None:
        """Lock the registers 0 to ``count`` - 1, whichever are locked already."""
        if not 0 <= count <= PCR_COUNT:
            raise NsmError(NsmCode.INVALID_INDEX, f"{count} registers")
        self._locked |= set(range(count))

    def attestation(
        self, *, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """Return a document signed by the fake chain's leaf."""
        for value in (user_data, nonce, public_key):
            if value is not None and len(value) > MAX_FIELD_BYTES:
                raise NsmError(NsmCode.INPUT_TOO_LARGE, f"a field of {len(value)} bytes")
        now_ms = self._now_ms() + self.skew_ms
        *authorities, leaf = self._chain.path(now_ms)
        fields = [
            ("module_id", self._module_id),
            ("digest", "SHA384"),
            ("timestamp", now_ms),
            ("pcrs", {index: self._values[index] for index in sorted(self._locked)}),
            ("certificate", leaf.der),
            ("cabundle", [authority.der for authority in authorities]),
            ("public_key", public_key),
            ("user_data", user_data),
            ("nonce", nonce),
        ]
        return sign_document(encode_payload(fields, self._map_form), leaf.key, self._s_form)

    def random(self, count: int) -> bytes:
        """Return ``count`` random bytes."""
        return self._random_bytes(count)

    def _check_index(self, index: int) -> None:
        if not 0 <= index < PCR_COUNT:
            raise NsmError(NsmCode.INVALID_INDEX, f"there is no PCR{index}")

    def _check_free(self, index: int) -> None:
        self._check_index(index)
        if index in self._locked:
            raise NsmError(NsmCode.READ_ONLY_INDEX, f"PCR{index} is locked")
