"""An intent has an end, soon: ``valid_until`` ahead of the enclave's clock, at most the policy's max_age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "max_age"
# How far an engine's clock may be ahead of the enclave's before what it says of the past cannot be true.
SKEW_NS: Final = 1_000_000_000


def check(case: Case) -> None:
    """Refuse what has no end, has ended, ends too late, or was created in the future."""
    left = case.valid_until - case.now
    if 0 < left <= case.seat.desk.max_age_ns and case.created_at <= case.now + SKEW_NS:
        return
    if case.valid_until <= 0:
        reason = "valid_until is missing"
    elif left <= 0:
        reason = "valid_until is past"
    elif left > case.seat.desk.max_age_ns:
        reason = "valid_until is further ahead than max_age"
    else:
        reason = "created_at is in the future"
    raise Refused(NAME, reason, numbers(case))


def numbers(case: Case) -> Numbers:
    """Return both times, the enclave's clock and the bound, in nanoseconds."""
    return (
        ("valid_until", str(case.valid_until)),
        ("created_at", str(case.created_at)),
        ("now", str(case.now)),
        ("max_age_ns", str(case.seat.desk.max_age_ns)),
    )
