"""What the shipped enclave trusts without a security module (no sessions) and until a quorum exists: nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from enclave_signer.errors import NotApproved, NotAuthenticated

if TYPE_CHECKING:
    from collections.abc import Sequence


class NobodyAuthenticates:
    """An authenticator that knows no session."""

    unauthenticated = False

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> NoReturn:  # noqa: ARG002 - a port
        """Refuse."""
        message = "session: this enclave has no sessions"
        raise NotAuthenticated(message, field="session")


class NobodyApproves:
    """An authority that counts no approval."""

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes]) -> NoReturn:  # noqa: ARG002 - a port
        """Refuse."""
        raise _no()

    def approve_credential(
        self,
        account: str,  # noqa: ARG002 - a port
        credential: bytes,  # noqa: ARG002 - a port
        approvals: Sequence[bytes],  # noqa: ARG002 - a port
    ) -> NoReturn:
        """Refuse."""
        raise _no()

    def approve_resume(self, statement: bytes, approvals: Sequence[bytes]) -> NoReturn:  # noqa: ARG002 - a port
        """Refuse."""
        raise _no()


def _no() -> NotApproved:
    return NotApproved("approvals: this enclave has no quorum yet", field="approvals")
