"""The engine needs a grant of the operation, and of everything that the signature would also be good for (S2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from enclave_signer.errors import Refused
from enclave_signer.policy.prepared import missing_rights

if TYPE_CHECKING:
    from enclave_signer.policy.case import Case, Numbers

NAME: Final = "operation"


def check(case: Case) -> None:
    """Refuse what no grant gives in full."""
    operations = case.seat.operations if case.scope is None else case.scope.operations
    if case.operation in operations:
        return
    missing = sorted(missing_rights(case.seat, case.scope, case.operation))
    names = ", ".join(operation.name for operation in missing)
    reason = f"no grant gives {case.seat.engine} {names}"
    if case.operation not in missing:
        reason += f", which a signature for {case.operation.name} is also good for"
    raise Refused(NAME, reason)


def numbers(case: Case) -> Numbers:
    """Name the grant that gives the operation."""
    operations = case.seat.operations if case.scope is None else case.scope.operations
    return (("grant", operations.get(case.operation, "")),)
