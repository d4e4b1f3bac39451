"""Documents made to order: any payload, signed by a leaf of a pretended machine. For tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from casemate_mock.nitro.document import MapForm, SForm, encode_payload, sign_document
from casemate_mock.nitro.fake_nsm import DEFAULT_ENCLAVE, DEFAULT_INSTANCE, FakeNsm, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from casemate_mock.nitro.chain import FakeChain

# Some moment of 2026, with milliseconds that are not zero.
NOW_MS: Final = 1_790_000_000_123
MEASUREMENTS: Final = {index: measure(b"part %d" % index) for index in (0, 1, 2)}
MODULE_ID: Final = f"{DEFAULT_INSTANCE}-{DEFAULT_ENCLAVE}"


class Forge:
    """One pretended machine at one moment."""

    def __init__(self, chain: FakeChain, now_ms: int = NOW_MS) -> None:
        """Use this chain's certificates as they are at ``now_ms``."""
        self.chain = chain
        self.now_ms = now_ms

    def nsm(self, **options: Any) -> FakeNsm:  # noqa: ANN401 - FakeNsm's own options
        """Boot an enclave on this machine."""
        defaults: dict[str, Any] = {
            "measurements": MEASUREMENTS,
            "random_bytes": counted,
            "now_ms": lambda: self.now_ms,
        }
        return FakeNsm(chain=self.chain, **(defaults | options))

    def fields(self, **changes: object) -> list[tuple[str, object]]:
        """Return the nine fields of a good document, in order, with some replaced or added."""
        *authorities, leaf = self.chain.path(self.now_ms)
        fields: dict[str, object] = {
            "module_id": MODULE_ID,
            "digest": "SHA384",
            "timestamp": self.now_ms,
            "pcrs": {index: MEASUREMENTS.get(index, bytes(48)) for index in range(16)},
            "certificate": leaf.der,
            "cabundle": [authority.der for authority in authorities],
            "public_key": None,
            "user_data": None,
            "nonce": None,
        }
        return list((fields | changes).items())

    def document(self, fields: Sequence[tuple[str, object]], form: MapForm = MapForm.INDEFINITE) -> bytes:
        """Sign these fields."""
        return self.signed(encode_payload(fields, form))

    def signed(self, payload: bytes, form: SForm = SForm.AS_SIGNED, *, level: int = -1) -> bytes:
        """Sign these payload bytes with the leaf, or with the key of another level of the chain."""
        return sign_document(payload, self.chain.path(self.now_ms)[level].key, form)


def counted(count: int) -> bytes:
    """Stand in for randomness where a test wants to know it."""
    return bytes(index & 0xFF for index in range(count))
