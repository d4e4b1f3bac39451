"""The one right that a signed create gives the host: to query or cancel that client order id."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from host_dispatch.errors import NotTakenError, Reason
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from host_dispatch.enclave_link import EnclaveLink
    from host_dispatch.outcome import Operation

_PASSING: Final = frozenset({Reason.ENCLAVE_UNAVAILABLE, Reason.ENCLAVE_TIMEOUT})


async def derive(
    link: EnclaveLink, account: str, client_order_id: str, operation: Operation, *, closed: bool = False
) -> signer_pb2.SignedRequest | None:
    """Return the signed query or cancel, None where the enclave gives none or something else than was asked for.

    ``closed``: a query among finished orders, where the venue keeps those apart.
    Raises NotTakenError if the enclave was not reached: asking again can help.
    """
    if not client_order_id:
        return None
    future: asyncio.Future[signer_pb2.Judged] = asyncio.get_running_loop().create_future()

    def answer(judged: signer_pb2.Judged | None, failure: NotTakenError | None) -> None:
        if future.done():
            return
        if judged is not None:
            future.set_result(judged)
        else:
            future.set_exception(failure or NotTakenError(Reason.INTERNAL, "the enclave did not answer"))

    try:
        link.derive(account, client_order_id, operation, answer, closed=closed)
        judged = await future
    except NotTakenError as failure:
        if failure.reason in _PASSING:
            raise
        return None
    return judged.request if _is_asked_for(judged, account, client_order_id, operation) else None


def _is_asked_for(judged: signer_pb2.Judged, account: str, client_order_id: str, operation: Operation) -> bool:
    request = judged.request
    return (
        judged.verdict.decision == signer_pb2.DECISION_ALLOW
        and judged.HasField("request")
        and request.account == account
        and request.client_order_id == client_order_id
        and int(request.operation) == operation
    )
