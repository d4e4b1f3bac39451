"""Stand-ins for what a Nitro enclave will have: sessions and a quorum. DEVELOPMENT ONLY, they accept everything.

They are here because nothing that ships can import this package: there is no switch that makes the real enclave
believe anybody.
"""

from collections.abc import Callable, Sequence

from enclave_signer.errors import NotApproved, NotAuthenticated
from enclave_signer.ports import Marks, Resumed, Sender


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

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:  # noqa: ARG002
        """Approve."""
        return _nothing

    def approve_credential(
        self,
        account: str,  # noqa: ARG002 - a port
        credential: bytes,  # noqa: ARG002 - a port
        approvals: Sequence[bytes],  # noqa: ARG002 - a port
        now: int,  # noqa: ARG002 - a port
    ) -> Callable[[], None]:
        """Approve."""
        return _nothing

    def approve_resume(self, resumed: Resumed, approvals: Sequence[bytes], now: int) -> Callable[[], None]:  # noqa: ARG002
        """Approve."""
        return _nothing

    def approve_duty(self, statement: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:  # noqa: ARG002
        """Refuse: duty is the fence, and the duty key's signature is as easily made here as anywhere."""
        message = "signature: the stand-in takes grants of the duty key only"
        raise NotApproved(message, field="signature")

    def marks(self) -> Marks:
        """Return none: statements are not looked at."""
        return Marks({}, {})

    def carry(self, marks: Marks) -> None:
        """Forget them."""


def _nothing() -> None:
    """No statement is used up."""
