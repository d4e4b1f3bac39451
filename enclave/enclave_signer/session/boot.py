"""What one boot of the enclave is: its keys, and what its documents say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from enclave_signer.credentials import Ed25519Key
from enclave_signer.errors import EnclaveError, NoDocument
from enclave_signer.session.facts import read_facts
from enclave_signer.session.forms import commitment

if TYPE_CHECKING:
    from collections.abc import Callable

    from enclave_signer.ports import SecurityModule

POLICY_PCR: Final = 16
_KEY_BYTES: Final = 32
# A document may be handed out again for this long, or for 80 % of what its certificates have left, whichever is less:
# engines ask for fresh ones by the nonce.
REUSE_NS: Final = 30_000_000_000
_FRESH_PERCENT: Final = 80
_NS_IN_MS: Final = 1_000_000


class BootKeys:
    """The keys of sessions, receipts and direct provisioning, of this boot alone. Shows their public halves only."""

    __slots__ = ("provision", "provision_public", "receipt_public", "receipts", "session", "session_public")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """Make all three."""
        self.session = X25519PrivateKey.from_private_bytes(random(_KEY_BYTES))
        self.receipts = Ed25519Key(Ed25519PrivateKey.from_private_bytes(random(_KEY_BYTES)))
        self.provision = X25519PrivateKey.from_private_bytes(random(_KEY_BYTES))
        self.session_public = self.session.public_key().public_bytes_raw()
        self.receipt_public = self.receipts.public_bytes()
        self.provision_public = self.provision.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        """Show no private key."""
        return f"<BootKeys {self.session_public.hex()}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "keys cannot be serialised"
        raise TypeError(message)


class _Issued(NamedTuple):
    nonce: bytes
    statement: bytes
    at: int
    # From 80 % of what was left of its first certificate to end.
    stale: int
    document: bytes


class Witness:
    """Asks the security module for documents, and only once PCR16 holds quorum and first policy and is locked (S4)."""

    __slots__ = ("_begun", "_issued", "_module", "_sealed")

    def __init__(self, module: SecurityModule) -> None:
        """``module`` is the enclave's own."""
        self._module = module
        self._begun = False
        self._sealed = False
        self._issued: _Issued | None = None

    def seal(self, quorum_digest: bytes, policy_digest: bytes) -> None:
        """Extend PCR16 with quorum and first policy and lock it; later policies change nothing. Raises NoDocument.

        There is one try: a register that was extended and not locked could be extended again.
        """
        if self._sealed:
            return
        if self._begun:
            message = "PCR16 could not be locked at the first policy: this boot issues no document"
            raise NoDocument(message)
        self._begun = True
        try:
            self._module.extend_pcr(POLICY_PCR, commitment(quorum_digest, policy_digest))
            self._module.lock_pcr(POLICY_PCR)
        except EnclaveError as error:
            message = f"PCR16: {error}"
            raise NoDocument(message) from None
        self._sealed = True

    def measured(self) -> bytes | None:
        """Return PCR0; None if the module does not say."""
        try:
            return self._module.describe_pcr(0).value
        except EnclaveError:
            return None

    def document(self, statement: bytes, nonce: bytes, now: int, public_key: bytes = b"") -> bytes:
        """Return a document with this user_data and nonce; the last one again if it is the same and young.

        One with a public key is always new: the key is good for one envelope.
        """
        if not self._sealed:
            message = "no policy is sealed into PCR16"
            raise NoDocument(message)
        issued = self._issued
        if public_key:
            return self._signed(statement, nonce, public_key)
        if issued is not None and issued[:2] == (nonce, statement) and issued.at <= now < issued.stale:
            return issued.document
        document = self._signed(statement, nonce)
        facts = read_facts(document)
        # Nobody knows how long one holds whose certificates cannot be read: it is handed out once.
        left = 0 if facts.ends_ms is None else (facts.ends_ms - facts.timestamp_ms) * _NS_IN_MS
        stale = now + min(REUSE_NS, left * _FRESH_PERCENT // 100)
        self._issued = _Issued(nonce, statement, now, stale, document)
        return document

    def _signed(self, statement: bytes, nonce: bytes, public_key: bytes = b"") -> bytes:
        try:
            return self._module.attestation(user_data=statement, nonce=nonce or None, public_key=public_key or None)
        except EnclaveError as error:
            message = f"the security module: {error}"
            raise NoDocument(message) from None
