"""Reading requests: malformed bytes, stated sizes, and the routing. The intent itself is never decoded here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.message import DecodeError, Message

from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.outcome import Operation

if TYPE_CHECKING:
    from collections.abc import Collection

    from dispatch_api.v1 import dispatch_pb2 as wire
    from signer_api.v1.intent_pb2 import SealedIntent

#: Stated limits (docs/errors.md).
INTENT_BYTES: Final = 4096
BATCH_ITEMS: Final = 64
MESSAGE_BYTES: Final = 2 << 20
LIST_LIMIT: Final = 1000
LIST_DEFAULT: Final = 100
_SEAL_BYTES: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SYMBOL: Final = re.compile(r"[A-Za-z0-9/:_.-]{1,64}")
_CLIENT_ORDER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OPERATIONS: Final = frozenset(int(operation) for operation in Operation)
# A symbol belongs to everything but what concerns a whole account or no venue.
_NO_SYMBOL: Final = frozenset({Operation.BALANCES, Operation.ORDER_CLOSED, Operation.HALT, Operation.LOGON})
_NAMED: Final = frozenset({Operation.CREATE, Operation.ORDER_CLOSED})

M = TypeVar("M", bound=Message)


def parse(kind: type[M], data: bytes) -> M:
    """Decode a request; raises NotTakenError."""
    if len(data) > MESSAGE_BYTES:
        message = f"a message holds at most {MESSAGE_BYTES} bytes, this one {len(data)}"
        raise NotTakenError(Reason.TOO_LARGE, message)
    try:
        return kind.FromString(data)
    except DecodeError:
        message = f"these bytes are no {kind.DESCRIPTOR.full_name}"
        raise NotTakenError(Reason.MALFORMED, message) from None


def check_sealed(sealed: SealedIntent, path: str = "sealed.") -> None:
    """Refuse an intent that is missing or too large, and seals that are."""
    size = len(sealed.intent)
    if not size:
        raise NotTakenError(Reason.MALFORMED, "there is no intent", field=f"{path}intent")
    if size > INTENT_BYTES:
        message = f"an intent holds at most {INTENT_BYTES} bytes, this one {size}"
        raise NotTakenError(Reason.TOO_LARGE, message, field=f"{path}intent")
    for name, seal in (("session", sealed.session), ("mac", sealed.mac)):
        if len(seal) > _SEAL_BYTES:
            message = f"{name} holds at most {_SEAL_BYTES} bytes, this one {len(seal)}"
            raise NotTakenError(Reason.TOO_LARGE, message, field=path.rstrip(".") or name)


def check_submit(request: wire.SubmitRequest, allowed: Collection[int], venues: Collection[str]) -> None:
    """Refuse what cannot be routed. ``allowed``: operations that this call takes."""
    check_sealed(request.sealed)
    routing = request.routing
    operation = int(routing.operation)
    if operation not in _OPERATIONS:
        _malformed("operation", str(operation), "an operation")
    if operation not in allowed:
        name = Operation(operation).name
        raise NotTakenError(Reason.WRONG_METHOD, f"this call does not take {name}", field="routing.operation")
    if request.wait_for not in (0, 1, 2, 3):
        raise NotTakenError(Reason.MALFORMED, f"{request.wait_for} is no WaitFor", field="wait_for")
    _check_names(routing, operation)
    if operation not in (Operation.ORDER_CLOSED, Operation.HALT) and routing.venue not in venues:
        message = f"{_shown(routing.venue)} is none of {', '.join(sorted(venues))}"
        raise NotTakenError(Reason.UNKNOWN_VENUE, message, field="routing.venue")
    if routing.valid_until <= 0:
        _malformed("valid_until", str(routing.valid_until), "nanoseconds UTC")


def _check_names(routing: wire.Routing, operation: int) -> None:
    if not _NAME.fullmatch(routing.account):
        _malformed("account", routing.account, "1 to 64 of A-Z a-z 0-9 _ . -")
    if operation not in _NO_SYMBOL and not _SYMBOL.fullmatch(routing.symbol):
        _malformed("symbol", routing.symbol, "a unified symbol such as BTC/USDT")
    named = bool(routing.client_order_id) or operation in _NAMED
    if named and not _CLIENT_ORDER_ID.fullmatch(routing.client_order_id):
        _malformed("client_order_id", routing.client_order_id, "1 to 64 of A-Z a-z 0-9 _ -")


def _malformed(field: str, value: str, expected: str) -> None:
    message = f"{_shown(value)} is not {expected}"
    raise NotTakenError(Reason.MALFORMED, message, field=f"routing.{field}")


def _shown(value: str) -> str:
    """Show a value of somebody else's: printable and short."""
    return ascii(value[:80])
