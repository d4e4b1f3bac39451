"""What the shipped enclave has where no security module can attest it: no sessions, and no way in for keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from enclave_signer.errors import NoDocument, NotAuthenticated

if TYPE_CHECKING:
    from enclave_signer.ports import Provision


class NobodyAuthenticates:
    """An authenticator that knows no session."""

    unauthenticated = False

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> NoReturn:  # noqa: ARG002 - a port
        """Refuse."""
        message = "session: this enclave has no sessions"
        raise NotAuthenticated(message, field="session")


class NoKeysIn:
    """A way in that is none: nobody can seal for an enclave that cannot be attested."""

    def recipient(self) -> NoReturn:
        """Refuse."""
        raise NoDocument(_NO_MODULE)

    def take(self, provision: Provision, deployment: str, now: int) -> NoReturn:  # noqa: ARG002 - a port
        """Refuse."""
        raise NoDocument(_NO_MODULE)


_NO_MODULE = "this enclave has no security module, so nothing can be sealed for it"
