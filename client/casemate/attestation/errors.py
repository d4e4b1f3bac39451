"""Why a document is refused: one small error tree, one closed list of reasons.

Whatever the bytes are, :func:`casemate.attestation.verify` returns an attestation or raises a member of this
tree. A mistake of the caller (an expectation of the wrong length, a time without a zone) is a ``ValueError``
instead.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Stable, machine-readable reasons. A value never changes its meaning; new ones may be added."""

    # MalformedDocument
    TOO_LARGE = "too_large"
    MALFORMED_CBOR = "malformed_cbor"
    TRAILING_BYTES = "trailing_bytes"
    DUPLICATE_KEY = "duplicate_key"
    NOT_COSE_SIGN1 = "not_cose_sign1"
    PROTECTED_HEADER = "protected_header"
    UNPROTECTED_HEADER = "unprotected_header"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    # UntrustedDocument
    BAD_CERTIFICATE = "bad_certificate"
    BAD_CHAIN = "bad_chain"
    UNTRUSTED_ROOT = "untrusted_root"
    BAD_SIGNATURE = "bad_signature"
    # UntimelyDocument
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_EXPIRED = "certificate_expired"
    TIMESTAMP_OUTSIDE_CERTIFICATE = "timestamp_outside_certificate"
    FROM_THE_FUTURE = "from_the_future"
    TOO_OLD = "too_old"
    # UnexpectedDocument
    NOT_AN_ENCLAVE = "not_an_enclave"
    DEBUG_MODE = "debug_mode"
    PCR_MISSING = "pcr_missing"
    PCR_MISMATCH = "pcr_mismatch"
    NONCE_MISMATCH = "nonce_mismatch"


class AttestationError(Exception):
    """The document is refused: a stable ``reason``, an ``explanation`` for people, the ``field`` at fault."""

    def __init__(self, reason: Reason, explanation: str, *, field: str = "") -> None:
        """Keep the parts apart; the text of the exception joins them."""
        super().__init__(f"{reason}: {explanation}")
        self.reason = reason
        self.explanation = explanation
        self.field = field


class MalformedDocument(AttestationError):
    """The bytes are not an attestation document."""


class UntrustedDocument(AttestationError):
    """The signature or the certificate chain does not lead to the pinned root."""


class UntimelyDocument(AttestationError):
    """The document, or a certificate of its chain, does not belong to the stated time."""


class UnexpectedDocument(AttestationError):
    """A genuine document, but not of the enclave that the caller expects."""
