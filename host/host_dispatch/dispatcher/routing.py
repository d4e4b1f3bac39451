"""Comparing what the enclave signed with what the engine's routing said. Pure.

The routing is unauthenticated. A difference means a fault or a lie somewhere on the way: nothing is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dispatch_api.v1.dispatch_pb2 import Routing
    from signer_api.v1.signer_pb2 import SignedRequest


def mismatch(routing: Routing, request: SignedRequest) -> str:
    """Return the name of the first field that differs, "" if none does."""
    if request.account != routing.account:
        return "account"
    if request.venue != routing.venue:
        return "venue"
    if request.symbol != routing.symbol:
        return "symbol"
    if request.client_order_id != routing.client_order_id:
        return "client_order_id"
    if request.operation != routing.operation:
        return "operation"
    # The horizon of "not found proves it" is reckoned from the routing's: it may not end before the signature's.
    if request.valid_until > routing.valid_until:
        return "valid_until"
    return ""
