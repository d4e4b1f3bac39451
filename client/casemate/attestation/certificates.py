"""One certificate of a Nitro chain: everything that the path check needs, read once.

All certificates of the chain are X.509 v3, P-384, signed ecdsa-with-SHA384; the profile admits nothing else,
so that no other algorithm of the library below can be reached by a document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import SignatureAlgorithmOID

from casemate.attestation.errors import Reason, UntrustedDocument
from casemate.attestation.times import to_milliseconds

# What the library raises on bytes that are not the certificate that they should be.
LIBRARY_ERRORS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    # Only where the interpreter makes errors of warnings: it warns of odd names and serial numbers.
    Warning,
)
_UNDERSTOOD_IF_CRITICAL: Final = (x509.BasicConstraints.oid, x509.KeyUsage.oid)


@dataclass(frozen=True, slots=True)
class ChainCertificate:
    """A certificate that fits the profile. Times in milliseconds since 1970, UTC, both ends included.

    ``signs_documents`` is the digitalSignature usage, ``signs_certificates`` keyCertSign in a critical
    extension; ``path_length`` is None where the certificate sets no bound.
    """

    name: str
    certificate: x509.Certificate
    issuer: x509.Name
    subject: x509.Name
    key: ec.EllipticCurvePublicKey
    not_before_ms: int
    not_after_ms: int
    is_ca: bool
    path_length: int | None
    signs_certificates: bool
    signs_documents: bool

    def issued(self, other: ChainCertificate) -> None:
        """Return if ``other`` names this issuer and carries its signature, else raise UntrustedDocument."""
        if other.issuer != self.subject:
            explanation = f"the {other.name} does not name the {self.name} as its issuer"
            raise UntrustedDocument(Reason.BAD_CHAIN, explanation, field="cabundle")
        try:
            other.certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, *LIBRARY_ERRORS):
            explanation = f"the {other.name} is not signed by the {self.name}"
            raise UntrustedDocument(Reason.BAD_CHAIN, explanation, field="cabundle") from None


def load(der: bytes, name: str) -> ChainCertificate:
    """Read a DER certificate, called ``name`` in explanations; raises UntrustedDocument."""
    try:
        return _read(x509.load_der_x509_certificate(der), name)
    except LIBRARY_ERRORS:
        _bad(name, "cannot be read as an X.509 certificate")


def _read(certificate: x509.Certificate, name: str) -> ChainCertificate:
    if certificate.version is not x509.Version.v3:
        _bad(name, "is not X.509 version 3")
    if certificate.serial_number <= 0:
        _bad(name, "does not have a positive serial number")
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA384:
        _bad(name, "is not signed with ecdsa-with-SHA384")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        _bad(name, "does not hold a P-384 key")
    constraints, usage, usage_critical = _extensions(certificate, name)
    return ChainCertificate(
        name=name,
        certificate=certificate,
        # The library reads names only when they are asked for: ask where its errors are caught.
        issuer=certificate.issuer,
        subject=certificate.subject,
        key=key,
        not_before_ms=to_milliseconds(certificate.not_valid_before_utc),
        not_after_ms=to_milliseconds(certificate.not_valid_after_utc),
        is_ca=constraints.ca,
        path_length=constraints.path_length,
        signs_certificates=usage.key_cert_sign and usage_critical,
        signs_documents=usage.digital_signature and not usage.key_cert_sign,
    )


def _extensions(certificate: x509.Certificate, name: str) -> tuple[x509.BasicConstraints, x509.KeyUsage, bool]:
    extensions = certificate.extensions
    for extension in extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD_IF_CRITICAL:
            _bad(name, f"has a critical extension {extension.oid.dotted_string} that is not understood")
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
    except x509.ExtensionNotFound as missing:
        _bad(name, f"lacks the extension {missing.oid.dotted_string}")
    if not constraints.critical:
        _bad(name, "has basic constraints that are not critical")
    return constraints.value, usage.value, usage.critical


def _bad(name: str, problem: str) -> NoReturn:
    explanation = f"the {name} {problem}"
    raise UntrustedDocument(Reason.BAD_CERTIFICATE, explanation, field="cabundle") from None
