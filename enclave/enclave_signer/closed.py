"""Whose intents the shipped enclave believes where no security module can attest its sessions: nobody's."""

from __future__ import annotations

from typing import NoReturn

from enclave_signer.errors import NotAuthenticated


class NobodyAuthenticates:
    """An authenticator that knows no session."""

    unauthenticated = False

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> NoReturn:  # noqa: ARG002 - a port
        """Refuse."""
        message = "session: this enclave has no sessions"
        raise NotAuthenticated(message, field="session")
