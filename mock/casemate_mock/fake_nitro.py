"""Stand-ins for sessions, quorum and sealed keys of a Nitro enclave. DEVELOPMENT ONLY, they accept everything.

They are here because nothing that ships can import this package: there is no switch that makes the real enclave
believe anybody.
"""

import hashlib
from collections.abc import Callable, Sequence

from enclave_signer.errors import NoDocument, NotApproved, NotAuthenticated
from enclave_signer.ports import Authority, Halted, KeyIn, KeysIn, Marks, Provision, Resumed, Sender


class EverybodyAuthenticates:
    """Believes every sender's name: the session's bytes are the engine's name in UTF-8. Checks no MAC."""

    # The enclave's status shows this.
    unauthenticated = True

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> Sender:  # noqa: ARG002 - a port
        """Return what the sender says it is called."""
        try:
            return Sender(session.decode())
        except UnicodeDecodeError:
            message = "session: the stand-in expects the engine's name in UTF-8"
            raise NotAuthenticated(message, field="session") from None


class EverybodyApproves:
    """Takes every policy, credential and RESUME as approved."""

    # Of no quorum file: who pins a quorum trusts no stand-in.
    digest = hashlib.sha256(b"everybody approves").digest()
    generation = 0

    def succeed(self, quorum: bytes, approvals: Sequence[bytes], now: int) -> None:
        """Nobody's place can be taken: everybody goes on approving."""

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:  # noqa: ARG002
        """Approve."""
        return _nothing

    def approve_credential(
        self,
        account: str,  # noqa: ARG002 - a port
        version: int,  # noqa: ARG002 - a port
        subject: bytes,  # noqa: ARG002 - a port
        approvals: Sequence[bytes],  # noqa: ARG002 - a port
        now: int,  # noqa: ARG002 - a port
    ) -> Callable[[], None]:
        """Approve."""
        return _nothing

    def approve_resume(self, resumed: Resumed, approvals: Sequence[bytes], now: int) -> Callable[[], None]:  # noqa: ARG002
        """Approve."""
        return _nothing

    def approve_halt(self, halted: Halted, approval: bytes, now: int) -> tuple[str, Callable[[], None]]:  # noqa: ARG002
        """Approve."""
        return "anybody", _nothing

    def approve_duty(self, statement: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:  # noqa: ARG002
        """Refuse: duty is the fence, and the duty key's signature is as easily made here as anywhere."""
        message = "signature: the stand-in takes grants of the duty key only"
        raise NotApproved(message, field="signature")

    def marks(self) -> Marks:
        """Return none: statements are not looked at."""
        return Marks({}, {})

    def carry(self, marks: Marks) -> None:
        """Forget them."""


class ClearKeys:
    """Takes credentials in clear, whatever the authority is; bundles only by the way that is given for them."""

    def __init__(self, authority: Authority, sealed: KeysIn | None = None) -> None:
        """``sealed`` is the way for bundles, the production one."""
        self._authority = authority
        self._sealed = sealed

    def recipient(self) -> bytes:
        """Return a key for KMS."""
        if self._sealed is None:
            message = "this stand-in takes no sealed bundles"
            raise NoDocument(message)
        return self._sealed.recipient()

    def take(self, provision: Provision, deployment: str, now: int) -> KeyIn:
        """Return the credential. In clear every one counts as the account's first version."""
        if provision.bundle and self._sealed is not None:
            return self._sealed.take(provision, deployment, now)
        subject = hashlib.sha256(provision.credential).digest()
        use_up = self._authority.approve_credential(provision.account, 1, subject, provision.approvals, now)
        return KeyIn(bytearray(provision.credential), subject, use_up)


def _nothing() -> None:
    """No statement is used up."""
