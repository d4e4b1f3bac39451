"""What the dispatcher wants of HTTP: one request, once, and the truth about whether a byte may have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from signer_api.v1.signer_pb2 import SignedRequest


class Exchange(NamedTuple):
    """A whole reply. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotSentError(Exception):
    """No byte of the request left this process. Its text never quotes the request."""


class ReplyLostError(Exception):
    """A byte may have left, and no whole reply came. Its text never quotes the request."""


class Transport(Protocol):
    """Sends signed requests."""

    def send(self, request: SignedRequest, timeout_ms: int, may_leave: Callable[[], bool]) -> Awaitable[Exchange]:
        """Send it once, byte-exact; raises NotSentError or ReplyLostError, nothing else.

        ``may_leave`` is asked right before the first byte is handed to the socket; on False nothing is sent.
        """
