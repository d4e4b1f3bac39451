"""Sealing: turning an intent's bytes into something that proves who sent them.

:class:`casemate.session.AttestedSealer` does that under a session with an attested enclave. The one sealer here proves
nothing, and says so in its name: only the development stand-in of the enclave takes what it makes.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import NamedTuple, Protocol, runtime_checkable

from signer_api.v1 import intent_pb2, signer_pb2


class Sealer(Protocol):
    """Seals intents for one engine."""

    def seal(self, intent: bytes) -> intent_pb2.SealedIntent:
        """Wrap one serialised ``Intent``; the bytes inside are those given."""


class Step(NamedTuple):
    """A call to make on the way to a session: the method's path and the request's bytes."""

    method: str
    request: bytes


# Yields calls, takes their answers' bytes; a call that failed is thrown in as the error that it is.
Opening = Generator[Step, bytes, None]


@runtime_checkable
class SessionSealer(Sealer, Protocol):
    """A sealer that needs a session, and knows the enclave's answers."""

    @property
    def since(self) -> int:
        """Nanoseconds UTC: no intent may say that it was created before this."""

    def usable(self) -> bool:
        """Whether there is a session to seal under."""

    def due(self) -> bool:
        """Whether it is time to open one, the first or the next."""

    def opening(self) -> Opening:
        """Open one. Raises CasemateError."""

    def postpone(self) -> None:
        """Opening failed while there is a usable session: try again later."""

    def lost(self, session: bytes) -> None:
        """The session is not known any more."""

    def proves(self, session: bytes, counter: int, proof: signer_pb2.VerdictProof, receipt: bytes) -> bool:
        """Whether the enclave itself gave this answer, with this receipt, to the intent of that session and counter."""


class UnauthenticatedSealer:
    """DEVELOPMENT ONLY: names the engine and proves nothing. Anyone could write the same name."""

    def __init__(self, engine: str) -> None:
        """``engine`` is the engine's name in the policy."""
        self._session = engine.encode()
        self._counter = itertools.count(1)

    def seal(self, intent: bytes) -> intent_pb2.SealedIntent:
        """Put the engine's name where the session belongs, and no MAC."""
        return intent_pb2.SealedIntent(session=self._session, counter=next(self._counter), intent=intent)
