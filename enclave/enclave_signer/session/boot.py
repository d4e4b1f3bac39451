"""What one boot of the enclave is: its keys, and what its documents say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from enclave_signer.credentials import Ed25519Key
from enclave_signer.errors import EnclaveError, NoDocument
from enclave_signer.session.forms import commitment

if TYPE_CHECKING:
    from collections.abc import Callable

    from enclave_signer.ports import SecurityModule

POLICY_PCR: Final = 16
_KEY_BYTES: Final = 32
# A document may be handed out again for this long: engines ask for fresh ones by the nonce.
REUSE_NS: Final = 30_000_000_000


class BootKeys:
    """The key of sessions and the key of receipts, of this boot alone. Shows their public halves only."""

    __slots__ = ("receipt_public", "receipts", "session", "session_public")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """Make both."""
        self.session = X25519PrivateKey.from_private_bytes(random(_KEY_BYTES))
        self.receipts = Ed25519Key(Ed25519PrivateKey.from_private_bytes(random(_KEY_BYTES)))
        self.session_public = self.session.public_key().public_bytes_raw()
        self.receipt_public = self.receipts.public_bytes()

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
    document: bytes


class Witness:
    """Asks the security module for documents, and only once PCR16 holds the first policy and is locked (S4)."""

    __slots__ = ("_begun", "_issued", "_module", "_sealed")

    def __init__(self, module: SecurityModule) -> None:
        """``module`` is the enclave's own."""
        self._module = module
        self._begun = False
        self._sealed = False
        self._issued: _Issued | None = None

    def seal(self, policy_digest: bytes) -> None:
        """Extend PCR16 with the first policy and lock it; later policies change nothing. Raises NoDocument.

        There is one try: a register that was extended and not locked could be extended again.
        """
        if self._sealed:
            return
        if self._begun:
            message = "PCR16 could not be locked at the first policy: this boot issues no document"
            raise NoDocument(message)
        self._begun = True
        try:
            self._module.extend_pcr(POLICY_PCR, commitment(policy_digest))
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

    def document(self, statement: bytes, nonce: bytes, now: int) -> bytes:
        """Return a document with this user_data and nonce; the last one again if it is the same and young."""
        if not self._sealed:
            message = "no policy is sealed into PCR16"
            raise NoDocument(message)
        issued = self._issued
        if issued is not None and issued[:2] == (nonce, statement) and 0 <= now - issued.at < REUSE_NS:
            return issued.document
        try:
            document = self._module.attestation(user_data=statement, nonce=nonce or None)
        except EnclaveError as error:
            message = f"the security module: {error}"
            raise NoDocument(message) from None
        self._issued = _Issued(nonce, statement, now, document)
        return document
