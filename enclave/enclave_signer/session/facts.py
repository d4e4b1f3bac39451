"""What the enclave itself reads in a document that its own module gave it: the time, and how long it holds.

No verification: the document comes from the module by ioctl, and nobody else's document is ever read here. Its
certificates are the verifiers' business: an emulated module may have none that can be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import cbor2
from cryptography import x509

from enclave_signer.errors import NoDocument

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARTS: Final = 4
_PAYLOAD: Final = 2
_MS: Final = 1000


class Facts(NamedTuple):
    """Milliseconds since 1970, UTC."""

    timestamp_ms: int
    # Where the first of its certificates ends; None where one of them cannot be read.
    ends_ms: int | None


def read_facts(document: bytes) -> Facts:
    """Read an attestation document; raises NoDocument."""
    try:
        said = cbor2.loads(document)
        parts = said.value if isinstance(said, cbor2.CBORTag) else said
        payload = cbor2.loads(parts[_PAYLOAD])
        ders = [*payload["cabundle"], payload["certificate"]]
        timestamp = payload["timestamp"]
    except Exception:  # noqa: BLE001 - what a decoder raises on bytes that are no document is its own affair
        _invalid()
    if type(timestamp) is not int or len(parts) != _PARTS:
        _invalid()
    return Facts(timestamp, _first_end(ders))


def _first_end(ders: Sequence[bytes]) -> int | None:
    try:
        ends = [x509.load_der_x509_certificate(der).not_valid_after_utc for der in ders]
    except Exception:  # noqa: BLE001 - as above
        return None
    return min(int(each.timestamp() * _MS) for each in ends)


def _invalid() -> NoReturn:
    message = "the security module: its answer is not a document"
    raise NoDocument(message) from None
