"""A certificate chain of the shape that AWS uses: root, region, zone, instance, leaf; all P-384 with SHA-384.

Each level is renewed when its window has passed, and everything below it with it; until then it is reused,
the leaf too. ``LevelProfile`` describes one level, so that a test can ask for a chain that a verifier must
refuse.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# AWS dates a certificate three seconds before it is issued.
_BACKDATED: Final = timedelta(seconds=3)
_ROOT_NOT_BEFORE: Final = datetime(2019, 10, 28, 13, 28, 5, tzinfo=UTC)
_CRL: Final = "http://crl.mock.nitro-enclaves.invalid/crl.crl"


class LevelProfile(NamedTuple):
    """How one level's certificates look; ``signs`` is digitalSignature, ``certifies`` keyCertSign."""

    common_name: str
    lifetime: timedelta
    is_ca: bool = True
    path_length: int | None = None
    signs: bool = True
    certifies: bool = True
    usage_is_critical: bool = True
    key_identifiers: bool = True
    revocation_list: bool = False
    unknown_critical_extension: bool = False
    basic_constraints: bool = True
    curve: ec.EllipticCurve = ec.SECP384R1()
    digest: hashes.SHA384 | hashes.SHA256 = hashes.SHA384()


AWS_PROFILE: Final = (
    LevelProfile("mock.nitro-enclaves", timedelta(days=10958, hours=1)),
    LevelProfile("region.mock.nitro-enclaves", timedelta(days=20, hours=1), path_length=2, revocation_list=True),
    LevelProfile("zonal.mock.nitro-enclaves", timedelta(days=6), path_length=1, revocation_list=True),
    LevelProfile("instance.mock.nitro-enclaves", timedelta(days=1), path_length=0, signs=False),
    LevelProfile(
        "leaf.mock",
        timedelta(hours=3),
        is_ca=False,
        certifies=False,
        usage_is_critical=False,
        key_identifiers=False,
    ),
)


class Issued(NamedTuple):
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        """The certificate's DER."""
        return self.certificate.public_bytes(Encoding.DER)


class FakeChain:
    """Issues and reuses certificates of the profile; keys are new in every instance."""

    def __init__(self, profile: Sequence[LevelProfile] = AWS_PROFILE, root: Issued | None = None) -> None:
        """Take the levels from the root down to the leaf, and a root that was made before."""
        self._profile = tuple(profile)
        self._issued = [root or _issue(self._profile[0], None, _ROOT_NOT_BEFORE)]

    @property
    def root(self) -> x509.Certificate:
        """What a verifier pins instead of AWS's root."""
        return self._issued[0].certificate

    @classmethod
    def kept(cls, file: Path) -> FakeChain:
        """Return the chain of the root in ``file`` (PEM, its key beside it); a new one, kept there, if there is none.

        So that whoever pinned the root of one boot knows the next one.
        """
        key_file = file.with_suffix(".key")
        if file.exists() and key_file.exists():
            key = load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                message = f"{key_file}: not the key of a root"
                raise ValueError(message)
            return cls(root=Issued(x509.load_pem_x509_certificate(file.read_bytes()), key))
        chain = cls()
        key_file.touch(mode=0o600)
        key_file.write_bytes(chain._issued[0].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.write_bytes(chain.root.public_bytes(Encoding.PEM))
        return chain

    def path(self, now_ms: int) -> tuple[Issued, ...]:
        """Return the certificates, root to leaf, that are valid at ``now_ms`` (since 1970, UTC)."""
        now = datetime.fromtimestamp(now_ms // 1000, UTC)
        for level in range(1, len(self._profile)):
            if level < len(self._issued) and not _covers(self._issued[level].certificate, now):
                del self._issued[level:]
            if level >= len(self._issued):
                self._issued.append(_issue(self._profile[level], self._issued[level - 1], now - _BACKDATED))
        return tuple(self._issued)


def _covers(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _issue(profile: LevelProfile, issuer: Issued | None, not_before: datetime) -> Issued:
    key = ec.generate_private_key(profile.curve)
    subject = _name(profile.common_name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + profile.lifetime + (_BACKDATED if issuer else timedelta()))
    )
    for extension, critical in _extensions(profile, key, issuer):
        builder = builder.add_extension(extension, critical=critical)
    signer = key if issuer is None else issuer.key
    return Issued(builder.sign(signer, profile.digest), key)


def _extensions(
    profile: LevelProfile, key: ec.EllipticCurvePrivateKey, issuer: Issued | None
) -> list[tuple[x509.ExtensionType, bool]]:
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if profile.basic_constraints:
        extensions.append((x509.BasicConstraints(profile.is_ca, profile.path_length), True))
    extensions.append((_usage(profile), profile.usage_is_critical))
    if profile.key_identifiers:
        extensions.append((x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
        if issuer is not None:
            authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
            extensions.append((authority, False))
    if profile.revocation_list:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(_CRL)], None, None, None)
        extensions.append((x509.CRLDistributionPoints([point]), False))
    if profile.unknown_critical_extension:
        extensions.append((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True))
    return extensions


def _usage(profile: LevelProfile) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=profile.signs,
        content_commitment=not profile.is_ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=profile.certifies,
        crl_sign=profile.certifies,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Casemate mock"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Not AWS"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
