"""Errors that a trader can act on: what happened, whether anything may have left, what to do next.

A refusal by the policy is no error but a value (:class:`casemate.models.Verdict`). An exception means that
the intent was not judged (:class:`NotJudged`), or that nobody here knows (:class:`OutcomeUnknown`): then ask
``get(account, client_order_id)``, and never send again under a new client order id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class CasemateError(Exception):
    """Root of everything that this package raises on purpose."""


class InvalidIntentError(CasemateError, ValueError):
    """An intent that cannot be written down; raised before anything is sent."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        """Name the field, what it held and what was expected."""
        super().__init__(f"{field}: {shown(value)}: expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected


class PolicyError(CasemateError, ValueError):
    """A policy that does not compile; ``mistakes`` has all of them, not the first."""

    def __init__(self, mistakes: Sequence[object]) -> None:
        """One line a mistake."""
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class NotJudged(CasemateError):
    """The gateway or the enclave did not judge the intent: nothing was decided, signed, counted or sent.

    ``reason`` is stable and machine-readable, ``field`` names what is at fault (or is empty), and
    ``retry_can_help`` says whether the same request may pass later.
    """

    def __init__(self, reason: str, message: str, field: str = "", *, retry_can_help: bool = False) -> None:
        """Keep the parts apart; the text names all of them."""
        # What the enclave says often begins with the field already.
        at = f" ({field})" if field and not message.startswith(f"{field}:") else ""
        hint = "; trying again can help" if retry_can_help else ""
        super().__init__(f"{reason}{at}: {message}{hint}")
        self.reason = reason
        self.message = message
        self.field = field
        self.retry_can_help = retry_can_help


class BadRequest(NotJudged):
    """The message itself is wrong (MALFORMED, TOO_LARGE and the like): sending it again cannot help."""


class NotAllowed(NotJudged):
    """The gateway or enclave does not accept who asks (NOT_AUTHENTICATED, NOT_APPROVED, NO_RIGHT)."""


class NotReady(NotJudged):
    """Not now: the enclave lacks policy or keys, the host is paused, full, without its journal or not to be reached.

    With reason NOT_CONNECTED no connection could be made, and this call sent nothing; an earlier call about the same
    order may have.
    """


class OutcomeUnknown(CasemateError):
    """The call ended without an answer; the order may or may not be at the venue.

    ``account`` and ``client_order_id`` are what to ask :meth:`casemate.Gateway.get` with.
    """

    def __init__(self, what: str, account: str = "", client_order_id: str = "") -> None:
        """Say what to do next."""
        ask = f"ask get({account!r}, {client_order_id!r}) what became of it" if client_order_id else "ask again"
        super().__init__(f"{what}; {ask}, and do not send it under another client order id")
        self.account = account
        self.client_order_id = client_order_id


class DeadlineExceeded(OutcomeUnknown):
    """No answer within the call's deadline."""


class Disconnected(OutcomeUnknown):
    """The connection broke during the call."""


class Unproven(OutcomeUnknown):
    """The answer does not carry the enclave's word: the host may have made it up, and may have sent the order."""


class NotAttested(CasemateError):
    """What answers could not prove to be the expected enclave: no session, and nothing was handed over."""


class NotFound(CasemateError, LookupError):
    """The journal knows no such order."""


def shown(value: object, limit: int = 80) -> str:
    """Write a value into an error text: quoted, and cut at ``limit`` characters."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
