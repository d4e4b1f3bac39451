"""The certificate path: pinned root -> region -> zone -> instance -> leaf, checked at a stated time.

The document brings its own path (``cabundle``: root first; ``certificate``: the leaf). Its first entry must
be the pinned root byte for byte, and trust starts from the pinned one, never from the document's. Then, for
each step:

1. the profile of one certificate (certificates.py) and the right role: CA with keyCertSign, or leaf without;
2. path lengths: a CA that allows n is followed by at most n CAs before the leaf (RFC 5280, 4.2.1.9), and,
   stricter, each CA below the root states a bound that is lower than the one above it, as AWS's 2, 1, 0 do;
3. the stated time lies in every window;
4. names chain and every signature verifies.

Revocation lists are not consulted: AWS's instructions say so, and the windows are hours to days.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.hazmat.primitives.serialization import Encoding

from casemate.attestation.certificates import ChainCertificate, load
from casemate.attestation.errors import Reason, UntimelyDocument, UntrustedDocument
from casemate.attestation.times import readable

if TYPE_CHECKING:
    from cryptography import x509

    from casemate.attestation.document import Document

_LEAF: Final = "leaf certificate"


@dataclass(frozen=True, slots=True)
class Chain:
    """A verified path: the leaf, and when every certificate is valid (milliseconds, inclusive)."""

    leaf: ChainCertificate
    not_before_ms: int
    not_after_ms: int


def load_leaf(document: Document) -> ChainCertificate:
    """Read the document's leaf certificate; raises UntrustedDocument."""
    return load(document.certificate, _LEAF)


def check_root(document: Document, root: x509.Certificate) -> None:
    """Return if the chain begins with the pinned root, byte for byte, else raise UntrustedDocument."""
    if document.cabundle[0] != root.public_bytes(Encoding.DER):
        explanation = "the chain does not begin with the pinned root certificate"
        raise UntrustedDocument(Reason.UNTRUSTED_ROOT, explanation, field="cabundle")


def verify_chain(document: Document, leaf: ChainCertificate, root: x509.Certificate, at_ms: int) -> Chain:
    """Check the path from ``root`` to ``leaf`` at ``at_ms``; raises UntrustedDocument or UntimelyDocument."""
    check_root(document, root)
    path = [load(root.public_bytes(Encoding.DER), "root certificate"), *_intermediates(document), leaf]
    _check_roles(path)
    _check_path_lengths(path)
    _check_windows(path, at_ms)
    for issuer, subject in pairwise(path):
        issuer.issued(subject)
    return Chain(leaf, max(step.not_before_ms for step in path), min(step.not_after_ms for step in path))


def _intermediates(document: Document) -> list[ChainCertificate]:
    return [load(der, f"CA certificate {index}") for index, der in enumerate(document.cabundle[1:], start=1)]


def _check_roles(path: list[ChainCertificate]) -> None:
    *authorities, leaf = path
    for authority in authorities:
        if not (authority.is_ca and authority.signs_certificates):
            _bad_chain(f"the {authority.name} may not sign certificates")
    if leaf.is_ca or not leaf.signs_documents:
        _bad_chain("the leaf certificate is a CA, or may not sign documents")


def _check_path_lengths(path: list[ChainCertificate]) -> None:
    *authorities, _ = path
    for index, authority in enumerate(authorities):
        below = len(authorities) - index - 1
        if authority.path_length is not None and below > authority.path_length:
            _bad_chain(f"the {authority.name} allows {authority.path_length} CAs below it, there are {below}")
    for above, authority in pairwise(authorities):
        bound = authority.path_length
        if bound is None or (above.path_length is not None and bound >= above.path_length):
            _bad_chain(f"the {authority.name} does not state a lower path length than the {above.name}")


def _check_windows(path: list[ChainCertificate], at_ms: int) -> None:
    for step in path:
        if at_ms < step.not_before_ms:
            explanation = f"the {step.name} is valid from {readable(step.not_before_ms)}, asked at {readable(at_ms)}"
            raise UntimelyDocument(Reason.CERTIFICATE_NOT_YET_VALID, explanation, field="cabundle")
        if at_ms > step.not_after_ms:
            explanation = f"the {step.name} was valid until {readable(step.not_after_ms)}, asked at {readable(at_ms)}"
            raise UntimelyDocument(Reason.CERTIFICATE_EXPIRED, explanation, field="cabundle")


def _bad_chain(explanation: str) -> NoReturn:
    raise UntrustedDocument(Reason.BAD_CHAIN, explanation, field="cabundle")
