"""Is this document of the enclave that I expect, now? Pure: bytes and a time in, yes or a refusal out.

The order of the checks; the first refusal wins:

1. structure and field limits (document.py), so nothing below sees an unexpected shape;
2. the chain begins with the pinned root, and the ES384 signature holds under the document's own leaf
   certificate: cheap, and every altered payload ends here;
3. the path from the pinned root to that leaf, with roles, path lengths and windows at the stated time
   (chain.py);
4. the document's own time: inside the leaf's window, not after the stated time, not older than asked;
5. what is measured: debug mode, then each expected PCR;
6. the nonce.

Steps 2 and 3 together make the claims AWS's; only 4 to 6 make them *yours*. Certificates are reused for three
hours, so a valid chain says little about the age of a document: ask for a nonce, a maximum age, or both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from casemate.attestation.aws_root import aws_root
from casemate.attestation.chain import check_root, load_leaf, verify_chain
from casemate.attestation.document import PCR_BYTES, PCR_COUNT, Document, parse
from casemate.attestation.errors import Reason, UnexpectedDocument, UntimelyDocument, UntrustedDocument
from casemate.attestation.times import readable, to_milliseconds

if TYPE_CHECKING:
    from cryptography import x509

    from casemate.attestation.certificates import ChainCertificate
    from casemate.attestation.chain import Chain

# How far a document may be ahead of the verifier's clock: hosts were seen 3 s apart.
CLOCK_TOLERANCE_MS: Final = 10_000

_COORDINATE_BYTES: Final = 48

PcrExpectations = Mapping[int, bytes | Collection[bytes]]


@dataclass(frozen=True, slots=True)
class Attestation:
    """A verified document. Times in milliseconds since 1970, UTC; PCRs have 48 bytes.

    ``valid_from_ms`` to ``valid_until_ms`` is where all its certificates are valid, both ends included.
    ``debug`` is true only if the caller allowed it. ``certificate`` is the leaf's DER.
    """

    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None
    debug: bool
    valid_from_ms: int
    valid_until_ms: int
    certificate: bytes


def verify(
    document: bytes,
    *,
    at: datetime | int,
    pcrs: PcrExpectations,
    nonce: bytes | None,
    max_age_ms: int | None,
    root: x509.Certificate | None = None,
    allow_debug: bool = False,
) -> Attestation:
    """Verify one attestation document at a stated time.

    ``at``: an aware datetime, or milliseconds since 1970. ``pcrs``: index to the value, or values, that are
    accepted; indices that are not named are not looked at. ``nonce``: the exact nonce asked for; None looks
    at none. ``max_age_ms``: None sets no bound but the certificates' windows. ``root``: another root than
    AWS's, for stand-ins. ``allow_debug``: accept an enclave in debug mode, whose memory its host can read.

    Raises an AttestationError for whatever the document is, ValueError for an expectation that makes no
    sense.
    """
    at_ms = _milliseconds(at)
    expected = _expectations(pcrs)
    if max_age_ms is not None and max_age_ms < 0:
        message = f"max_age_ms must not be negative, got {max_age_ms}"
        raise ValueError(message)
    parsed = parse(bytes(document))
    pinned = aws_root() if root is None else root
    check_root(parsed, pinned)
    leaf = load_leaf(parsed)
    _check_signature(parsed, leaf)
    chain = verify_chain(parsed, leaf, pinned, at_ms)
    _check_time(parsed, leaf, at_ms, max_age_ms)
    _check_measurements(parsed, expected, allow_debug=allow_debug)
    _check_nonce(parsed, nonce)
    return _attestation(parsed, chain)


def _milliseconds(at: datetime | int) -> int:
    return to_milliseconds(at) if isinstance(at, datetime) else int(at)


def _expectations(pcrs: PcrExpectations) -> dict[int, frozenset[bytes]]:
    expected = {}
    for index, accepted in pcrs.items():
        values = frozenset({bytes(accepted)} if isinstance(accepted, bytes) else accepted)
        if not 0 <= index < PCR_COUNT:
            message = f"a PCR index is 0 to {PCR_COUNT - 1}, got {index}"
            raise ValueError(message)
        if not values or any(len(value) != PCR_BYTES for value in values):
            message = f"PCR{index}: expected one or more values of {PCR_BYTES} bytes"
            raise ValueError(message)
        expected[index] = values
    return expected


def _check_signature(document: Document, leaf: ChainCertificate) -> None:
    # Real NSMs emit s above n/2 about half of the time, so there is no low-S rule: (r, n - s) is the same
    # signature.
    r = int.from_bytes(document.signature[:_COORDINATE_BYTES], "big")
    s = int.from_bytes(document.signature[_COORDINATE_BYTES:], "big")
    try:
        leaf.key.verify(utils.encode_dss_signature(r, s), document.to_be_signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        explanation = "the signature does not belong to this payload and leaf certificate: the document was altered"
        raise UntrustedDocument(Reason.BAD_SIGNATURE, explanation, field="signature") from None


def _check_time(document: Document, leaf: ChainCertificate, at_ms: int, max_age_ms: int | None) -> None:
    timestamp = document.timestamp_ms
    if not leaf.not_before_ms <= timestamp <= leaf.not_after_ms:
        explanation = f"the timestamp {readable(timestamp)} (milliseconds) is outside the leaf certificate's window"
        raise UntimelyDocument(Reason.TIMESTAMP_OUTSIDE_CERTIFICATE, explanation, field="timestamp")
    if timestamp > at_ms + CLOCK_TOLERANCE_MS:
        explanation = f"the document is of {readable(timestamp)}, after {readable(at_ms)}"
        raise UntimelyDocument(Reason.FROM_THE_FUTURE, explanation, field="timestamp")
    if max_age_ms is not None and at_ms - timestamp > max_age_ms:
        explanation = f"the document is {at_ms - timestamp} ms old, at most {max_age_ms} ms are accepted"
        raise UntimelyDocument(Reason.TOO_OLD, explanation, field="timestamp")


def _check_measurements(document: Document, expected: Mapping[int, frozenset[bytes]], *, allow_debug: bool) -> None:
    if document.debug and not allow_debug:
        explanation = "PCR0, PCR1 or PCR2 is zero: the enclave runs in debug mode and its host can read it"
        raise UnexpectedDocument(Reason.DEBUG_MODE, explanation, field="pcrs")
    for index, accepted in sorted(expected.items()):
        value = document.pcrs.get(index)
        if value is None:
            explanation = f"PCR{index} is not in the document; an NSM names only locked registers"
            raise UnexpectedDocument(Reason.PCR_MISSING, explanation, field=f"pcrs.{index}")
        if value not in accepted:
            wanted = " or ".join(sorted(item.hex() for item in accepted))
            explanation = f"PCR{index} is {value.hex()}, expected {wanted}"
            raise UnexpectedDocument(Reason.PCR_MISMATCH, explanation, field=f"pcrs.{index}")


def _check_nonce(document: Document, nonce: bytes | None) -> None:
    if nonce is not None and document.nonce != nonce:
        found = "none" if document.nonce is None else document.nonce.hex()
        explanation = f"the nonce is {found}, expected {nonce.hex()}"
        raise UnexpectedDocument(Reason.NONCE_MISMATCH, explanation, field="nonce")


def _attestation(document: Document, chain: Chain) -> Attestation:
    return Attestation(
        module_id=document.module_id,
        timestamp_ms=document.timestamp_ms,
        pcrs=document.pcrs,
        public_key=document.public_key,
        user_data=document.user_data,
        nonce=document.nonce,
        debug=document.debug,
        valid_from_ms=chain.not_before_ms,
        valid_until_ms=chain.not_after_ms,
        certificate=document.certificate,
    )
