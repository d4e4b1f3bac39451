"""Stand-ins for what a Nitro enclave will have: sessions and a quorum. DEVELOPMENT ONLY, they accept everything.

They are here because nothing that ships can import this package: there is no switch that makes the real enclave
believe anybody.
"""

import hashlib
from collections.abc import Callable, Sequence

from enclave_signer.errors import NotAuthenticated
from enclave_signer.ports import Resumed, Sender


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
        credential: bytes,  # noqa: ARG002 - a port
        approvals: Sequence[bytes],  # noqa: ARG002 - a port
        now: int,  # noqa: ARG002 - a port
    ) -> Callable[[], None]:
        """Approve."""
        return _nothing

    def approve_resume(self, resumed: Resumed, approvals: Sequence[bytes], now: int) -> Callable[[], None]:  # noqa: ARG002
        """Approve."""
        return _nothing


def _nothing() -> None:
    """No statement is used up."""
