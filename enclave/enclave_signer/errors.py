"""The one error tree of the enclave.

``Refused`` is a judgement (an OK reply with a verdict); ``NotJudged`` is everything else that a sender can
cause. Whatever is in neither branch is a fault of ours: the edge answers INTERNAL without its text.
No message ever carries key material.
"""

from __future__ import annotations


class EnclaveError(Exception):
    """Root of everything that the enclave raises on purpose."""


class Refused(EnclaveError):
    """The policy or the venue file says no.

    ``rule`` is stable and machine-readable, ``reason`` is for people, ``numbers`` are the (name, value)
    pairs that decided.
    """

    def __init__(self, rule: str, reason: str, numbers: tuple[tuple[str, str], ...] = ()) -> None:
        """Keep the three parts apart; the text of the exception is the reason."""
        super().__init__(reason)
        self.rule = rule
        self.reason = reason
        self.numbers = numbers


class Unsupported(Refused):
    """The venue cannot do what the intent asks; nothing was counted or signed."""

    def __init__(self, field: str, reason: str) -> None:
        """Name the field at fault."""
        super().__init__("venue_support", reason, (("field", field),))
        self.field = field


class NotJudged(EnclaveError):
    """The request was not judged; ``reason`` is one of a closed list (docs/errors.md)."""

    reason = "INTERNAL"
    retry_can_help = False

    def __init__(self, message: str, *, field: str = "") -> None:
        """``field`` is the dotted name of the field at fault, where there is one."""
        super().__init__(message)
        self.message = message
        self.field = field


class Malformed(NotJudged):
    """Bytes that are not the message they should be, or a field with an impossible value."""

    reason = "MALFORMED"


class TooLarge(NotJudged):
    """Over a stated size limit."""

    reason = "TOO_LARGE"


class NotAuthenticated(NotJudged):
    """No session, a wrong MAC, a replayed counter."""

    reason = "NOT_AUTHENTICATED"


class NotApproved(NotJudged):
    """A policy, credential or RESUME without the approvals it needs."""

    reason = "NOT_APPROVED"


class WrongPhase(NotJudged):
    """A message that is not answered in the present phase."""

    reason = "WRONG_PHASE"
    retry_can_help = True


class TooLate(WrongPhase):
    """A message of a phase that this boot does not come back to."""

    retry_can_help = False


class BadPolicy(NotJudged):
    """Policy bytes that the enclave does not accept."""

    reason = "BAD_POLICY"


class BadCredential(NotJudged):
    """A credential in a wrong format, or for an account that the policy does not know."""

    reason = "BAD_CREDENTIAL"


class NotOpened(NotJudged):
    """A sealed bundle could not be opened. There is one text whatever went wrong, and the boot ends with it."""

    reason = "NOT_OPENED"

    def __init__(self) -> None:
        """Say nothing else."""
        super().__init__("the bundle could not be opened: this boot has ended", field="bundle")


class SessionsFull(NotJudged):
    """As many sessions live as may."""

    reason = "SESSIONS_FULL"
    retry_can_help = True


class NoDocument(NotJudged):
    """The security module gives no attestation document."""

    reason = "NO_DOCUMENT"
    retry_can_help = True


class ClockDrift(NotJudged):
    """The enclave's clock is not known to be right, so nothing that begins or ends by it is taken."""

    reason = "CLOCK_DRIFT"
    retry_can_help = True


class NoRight(NotJudged):
    """The host asked for a derived request about an order that this boot did not sign."""

    reason = "NO_RIGHT"
