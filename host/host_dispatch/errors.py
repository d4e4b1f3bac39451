"""Why the host did not take a request: the closed list, and the one exception that carries it to the edge.

``docs/errors.md`` explains each reason. A reason never changes its meaning; the text beside it may.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Every reason that the host or the enclave gives for a call that was not judged."""

    # the request itself
    MALFORMED = "MALFORMED"
    TOO_LARGE = "TOO_LARGE"
    WRONG_METHOD = "WRONG_METHOD"
    UNKNOWN_VENUE = "UNKNOWN_VENUE"
    STALE = "STALE"
    DUPLICATE_IN_FLIGHT = "DUPLICATE_IN_FLIGHT"
    NOT_FOUND = "NOT_FOUND"
    # the host
    PAUSED = "PAUSED"
    DRAINING = "DRAINING"
    RECOVERING = "RECOVERING"
    OVERLOADED = "OVERLOADED"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    JOURNAL_UNAVAILABLE = "JOURNAL_UNAVAILABLE"
    ENCLAVE_UNAVAILABLE = "ENCLAVE_UNAVAILABLE"
    ENCLAVE_TIMEOUT = "ENCLAVE_TIMEOUT"
    INTERNAL = "INTERNAL"
    # the enclave's own words
    NOT_AUTHENTICATED = "NOT_AUTHENTICATED"
    NOT_APPROVED = "NOT_APPROVED"
    WRONG_PHASE = "WRONG_PHASE"
    BAD_POLICY = "BAD_POLICY"
    BAD_CREDENTIAL = "BAD_CREDENTIAL"
    NO_RIGHT = "NO_RIGHT"
    SESSIONS_FULL = "SESSIONS_FULL"
    NO_DOCUMENT = "NO_DOCUMENT"
    CLOCK_DRIFT = "CLOCK_DRIFT"
    NOT_OPENED = "NOT_OPENED"
    # KMS, and this host's way to it
    KMS_NOT_CONFIGURED = "KMS_NOT_CONFIGURED"
    KMS_UNAVAILABLE = "KMS_UNAVAILABLE"
    KMS_DENIED = "KMS_DENIED"
    KMS_REFUSED = "KMS_REFUSED"


#: Reasons that go away without the sender changing anything.
_PASSING = frozenset(
    {
        Reason.DUPLICATE_IN_FLIGHT,
        Reason.PAUSED,
        Reason.DRAINING,
        Reason.RECOVERING,
        Reason.OVERLOADED,
        Reason.SLOW_CONSUMER,
        Reason.JOURNAL_UNAVAILABLE,
        Reason.ENCLAVE_UNAVAILABLE,
        Reason.ENCLAVE_TIMEOUT,
        Reason.WRONG_PHASE,
        Reason.SESSIONS_FULL,
        Reason.NO_DOCUMENT,
        Reason.CLOCK_DRIFT,
        Reason.KMS_UNAVAILABLE,
    }
)


class NotTakenError(Exception):
    """A request that was not judged, or could not be carried to the enclave.

    ``reason`` is a text rather than a :class:`Reason` so that the words of a newer enclave pass through.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        field: str = "",
        retry_can_help: bool | None = None,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """``field`` is the dotted name of the field at fault; ``extra`` is further ErrorInfo metadata."""
        super().__init__(f"{reason}: {message}")
        self.reason = str(reason)
        self.message = message
        self.field = field
        self.retry_can_help = reason in _PASSING if retry_can_help is None else retry_can_help
        self.extra = extra
