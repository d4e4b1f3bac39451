"""The signature ends no later than the intent.

Where a signed field bounds it, it is given the end of the intent, or the venue's longest if that is sooner, rounded
down to a millisecond. Where the venue fixes its length, the intent has to outlive it, unless the account
accepts ``fixed-validity``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "validity"
_NS_IN_MS: Final = 1_000_000


def check(case: Case) -> None:
    """Decide when the signature ends, or refuse."""
    desk = case.seat.desk
    longest = case.now + desk.longest_ns
    case.ends_ms = ends_ms = min(case.valid_until, longest) // _NS_IN_MS
    # The id is kept for as long as the signature lives or the same intent could be judged again, whichever is later.
    case.alive_until = case.valid_until
    if desk.fixed:
        if longest > case.valid_until:
            if not desk.fixed_accepted:
                raise Refused(NAME, "the venue fixes a validity that outlives valid_until", numbers(case))
            case.alive_until = longest
    elif ends_ms - case.now // _NS_IN_MS < desk.shortest_ms:
        raise Refused(NAME, "less validity is left than the venue's shortest", numbers(case))


def numbers(case: Case) -> Numbers:
    """Return what is left and the venue's bounds, in milliseconds."""
    desk = case.seat.desk
    return (
        ("left_ms", str(case.valid_until // _NS_IN_MS - case.now // _NS_IN_MS)),
        ("shortest_ms", str(desk.shortest_ms)),
        ("longest_ms", str(desk.longest_ns // _NS_IN_MS)),
    )
