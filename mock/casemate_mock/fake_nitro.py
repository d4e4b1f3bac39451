"""Stand-ins for what a Nitro enclave will have: sessions and a quorum. DEVELOPMENT ONLY, they accept everything.

They are here because nothing that ships can import this package: there is no switch that makes the real enclave
believe anybody.
"""

from collections.abc import Sequence

from enclave_signer.errors import NotAuthenticated
from enclave_signer.ports import Sender


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

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes]) -> None:
        """Approve."""

    def approve_credential(self, account: str, credential: bytes, approvals: Sequence[bytes]) -> None:
        """Approve."""

    def approve_resume(self, statement: bytes, approvals: Sequence[bytes]) -> None:
        """Approve."""
