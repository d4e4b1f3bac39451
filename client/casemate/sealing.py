"""Sealing: turning an intent's bytes into something that proves who sent them.

Authenticated sessions are to come. Until then the one sealer here proves nothing, and says so in its name: only the
development stand-in of the enclave takes what it makes; the shipped enclave refuses it.
"""

from __future__ import annotations

import itertools
from typing import Protocol

from signer_api.v1 import intent_pb2


class Sealer(Protocol):
    """Seals intents for one engine."""

    def seal(self, intent: bytes) -> intent_pb2.SealedIntent:
        """Wrap one serialised ``Intent``; the bytes inside are those given."""


class UnauthenticatedSealer:
    """DEVELOPMENT ONLY: names the engine and proves nothing. Anyone could write the same name."""

    def __init__(self, engine: str) -> None:
        """``engine`` is the engine's name in the policy."""
        self._session = engine.encode()
        self._counter = itertools.count(1)

    def seal(self, intent: bytes) -> intent_pb2.SealedIntent:
        """Put the engine's name where the session belongs, and no MAC."""
        return intent_pb2.SealedIntent(session=self._session, counter=next(self._counter), intent=intent)
