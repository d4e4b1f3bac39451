"""A document as plain JSON values: bytes in hexadecimal, times as ISO 8601 text beside their milliseconds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography import x509

from casemate.attestation.certificates import LIBRARY_ERRORS
from casemate.attestation.times import readable, to_milliseconds

if TYPE_CHECKING:
    from casemate.attestation.document import Document


def as_json(document: Document) -> dict[str, object]:
    """Return every claim of a parsed document. The caller says beside it whether the claims were verified."""
    return {
        "module_id": document.module_id,
        "digest": "SHA384",
        "timestamp": readable(document.timestamp_ms),
        "timestamp_ms": document.timestamp_ms,
        "debug": document.debug,
        "pcrs": {str(index): value.hex() for index, value in document.pcrs.items()},
        "public_key": _hex(document.public_key),
        "user_data": _hex(document.user_data),
        "nonce": _hex(document.nonce),
        "certificates": [_certificate(der) for der in (*document.cabundle, document.certificate)],
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _certificate(der: bytes) -> dict[str, object]:
    shown: dict[str, object] = {"sha256": hashlib.sha256(der).hexdigest()}
    try:
        certificate = x509.load_der_x509_certificate(der)
        shown |= {
            "subject": certificate.subject.rfc4514_string(),
            "serial": f"{certificate.serial_number:x}",
            "not_before": readable(to_milliseconds(certificate.not_valid_before_utc)),
            "not_after": readable(to_milliseconds(certificate.not_valid_after_utc)),
        }
    except LIBRARY_ERRORS:
        # Refused documents are shown too, whatever their certificates hold.
        shown["unreadable"] = True
    return shown
