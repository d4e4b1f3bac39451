"""Verify the attestation documents of AWS Nitro Enclaves.

    from casemate.attestation import AttestationError, verify

    attestation = verify(document, at=now, pcrs={0: pcr0}, nonce=nonce, max_age_ms=60_000)

:func:`verify` is pure: no clock, no network, no file. ``docs/attestation.md`` says what it checks and why.
"""

from casemate.attestation.armour import read_document
from casemate.attestation.aws_root import AWS_ROOT_PEM, AWS_ROOT_SHA256, aws_root
from casemate.attestation.document import Document, parse
from casemate.attestation.errors import (
    AttestationError,
    MalformedDocument,
    Reason,
    UnexpectedDocument,
    UntimelyDocument,
    UntrustedDocument,
)
from casemate.attestation.verifier import CLOCK_TOLERANCE_MS, Attestation, PcrExpectations, verify

__all__ = [
    "AWS_ROOT_PEM",
    "AWS_ROOT_SHA256",
    "CLOCK_TOLERANCE_MS",
    "Attestation",
    "AttestationError",
    "Document",
    "MalformedDocument",
    "PcrExpectations",
    "Reason",
    "UnexpectedDocument",
    "UntimelyDocument",
    "UntrustedDocument",
    "aws_root",
    "parse",
    "read_document",
    "verify",
]
