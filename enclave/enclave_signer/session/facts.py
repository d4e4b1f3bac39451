"""What the enclave itself reads in a document that its own module gave it: the time, and how long it holds.

No verification: the document comes from the module by ioctl, and nobody else's document is ever read here.
"""

from __future__ import annotations

from typing import Final, NamedTuple, NoReturn

import cbor2
from cryptography import x509

from enclave_signer.errors import NoDocument

_PARTS: Final = 4
_PAYLOAD: Final = 2
_MS: Final = 1000


class Facts(NamedTuple):
    """Milliseconds since 1970, UTC."""

    timestamp_ms: int
    # Where the first of its certificates ends.
    ends_ms: int


def read_facts(document: bytes) -> Facts:
    """Read an attestation document; raises NoDocument."""
    try:
        said = cbor2.loads(document)
        parts = said.value if isinstance(said, cbor2.CBORTag) else said
        payload = cbor2.loads(parts[_PAYLOAD])
        ders = [*payload["cabundle"], payload["certificate"]]
        ends = [x509.load_der_x509_certificate(der).not_valid_after_utc for der in ders]
        timestamp = payload["timestamp"]
    except Exception:  # noqa: BLE001 - two libraries on bytes that are no document: each has errors of its own
        _invalid()
    if type(timestamp) is not int or len(parts) != _PARTS:
        _invalid()
    return Facts(timestamp, min(int(each.timestamp() * _MS) for each in ends))


def _invalid() -> NoReturn:
    message = "the security module: its answer is not a document"
    raise NoDocument(message) from None
