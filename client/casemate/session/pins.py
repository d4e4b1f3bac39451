"""What an engine expects of the enclave, and holds every document against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from casemate.attestation import AttestationError, verify
from casemate.errors import NotAttested
from casemate.session import forms

if TYPE_CHECKING:
    from collections.abc import Collection

    from cryptography import x509

    from casemate.attestation import PcrExpectations
    from casemate.session.forms import Boot

_NS_IN_MS: Final = 1_000_000
DEFAULT_MAX_AGE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """The enclave that is meant: its image, its deployment, and how old its policy may be.

    ``pcrs`` names PCR0 at least; a register may have several accepted values, so that an upgrade can be prepared.
    ``quorum`` names the quorum files that are accepted, by their SHA-256: after a succession the old quorum still
    rules a boot that was not given its successor. ``root`` replaces AWS's, for stand-ins. Enclaves in debug mode
    are refused always.
    """

    pcrs: PcrExpectations
    deployment: str
    minimum_policy_version: int = 1
    quorum: Collection[bytes] | None = None
    max_age_ms: int = DEFAULT_MAX_AGE_MS
    root: x509.Certificate | None = None

    def __post_init__(self) -> None:
        """Refuse pins that pin nothing."""
        if 0 not in self.pcrs:
            message = "pcrs: PCR0, the measurement of the image, must be pinned"
            raise ValueError(message)
        if self.quorum is not None and not all(map(_is_digest, self.quorum)):
            message = f"quorum: expected digests of {forms.DIGEST_BYTES} bytes, in a set"
            raise ValueError(message)

    def check(self, document: bytes, nonce: bytes, now: int) -> tuple[Boot, bytes]:
        """Return what the document says of its boot, and those bytes as they are in it; raises NotAttested."""
        try:
            attestation = verify(
                document,
                at=now // _NS_IN_MS,
                pcrs=self.pcrs,
                nonce=nonce,
                max_age_ms=self.max_age_ms,
                root=self.root,
            )
            statement = attestation.user_data or b""
            boot = forms.read_boot(statement)
        except (AttestationError, ValueError) as error:
            raise NotAttested(str(error)) from None
        if boot.deployment != self.deployment:
            message = f"the enclave belongs to deployment {boot.deployment!r}, expected {self.deployment!r}"
            raise NotAttested(message)
        if boot.policy_version < self.minimum_policy_version:
            message = f"its policy has version {boot.policy_version}, expected at least {self.minimum_policy_version}"
            raise NotAttested(message)
        if self.quorum is not None and boot.quorum not in self.quorum:
            message = f"its quorum is {boot.quorum.hex()}, none of those expected"
            raise NotAttested(message)
        return boot, statement


def _is_digest(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == forms.DIGEST_BYTES
