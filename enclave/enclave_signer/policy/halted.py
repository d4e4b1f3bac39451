"""HALT (S7): where one stands, nothing new is signed; cancels and reads are not asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "halted"
_SECOND: Final = 1_000_000_000


def check(case: Case) -> None:
    """Refuse while a HALT covers the account or the symbol."""
    halt = case.seat.halt if case.scope is None else case.scope.halt
    if halt is not None:
        what = " ".join(part for part in (halt.scope.name, halt.account, halt.venue, halt.symbol) if part)
        since = datetime.fromtimestamp(halt.since // _SECOND, UTC).isoformat().replace("+00:00", "Z")
        reason = f"HALT {what} by {halt.by}, number {halt.number} since {since}; it stands until a RESUME"
        raise Refused(NAME, reason, (("number", str(halt.number)), ("since", str(halt.since))))


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
