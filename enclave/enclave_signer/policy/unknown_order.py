"""An amend or a close names an order that this boot signed, for this account, and that may still be open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused

if TYPE_CHECKING:
    from enclave_signer.book import Entry
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "unknown_order"


def check(case: Case) -> None:
    """Refuse an amend of anything else."""
    entry = case.entry
    assert case.scope is not None  # noqa: S101 - the instrument rule came before
    if entry is None or entry.symbol != case.scope.instrument.symbol:
        raise Refused(NAME, "this boot signed no such order of this symbol")
    if entry.closed:
        raise Refused(NAME, "the order was closed")


def closable(entry: Entry | None, engine: str) -> Entry:
    """Return the order that an engine may close, or refuse: its own only, once."""
    if entry is None or entry.engine != engine:
        raise Refused(NAME, "this engine has no such order in this boot")
    if entry.closed:
        raise Refused(NAME, "the order was closed before")
    return entry


def numbers(case: Case) -> Numbers:  # noqa: ARG001 - every rule has the same two functions
    """Nothing to tell."""
    return ()
