"""Errors as they travel: a gRPC status with google.rpc.Status and ErrorInfo in its trailing metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.errors import NotTakenError, Reason

if TYPE_CHECKING:
    from typing import NoReturn

DOMAIN: Final = "casemate"
# A status travels in trailers, of which gRPC takes 8 KiB in all; the message is in it twice.
_TEXT_BYTES: Final = 1024

CODES: Final = {
    Reason.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.WRONG_METHOD: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNKNOWN_VENUE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.STALE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.DUPLICATE_IN_FLIGHT: grpc.StatusCode.ALREADY_EXISTS,
    Reason.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.PAUSED: grpc.StatusCode.UNAVAILABLE,
    Reason.DRAINING: grpc.StatusCode.UNAVAILABLE,
    Reason.RECOVERING: grpc.StatusCode.UNAVAILABLE,
    Reason.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.SLOW_CONSUMER: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.JOURNAL_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.ENCLAVE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.ENCLAVE_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
    Reason.NOT_AUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.NOT_APPROVED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.WRONG_PHASE: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.BAD_POLICY: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.BAD_CREDENTIAL: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.NO_RIGHT: grpc.StatusCode.PERMISSION_DENIED,
    Reason.SESSIONS_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.NOT_OPENED: grpc.StatusCode.ABORTED,
    Reason.KMS_NOT_CONFIGURED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.KMS_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.KMS_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.KMS_REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NO_DOCUMENT: grpc.StatusCode.UNAVAILABLE,
    Reason.CLOCK_DRIFT: grpc.StatusCode.UNAVAILABLE,
}
_BY_TEXT: Final = {str(reason): code for reason, code in CODES.items()}


async def abort(context: grpc.aio.ServicerContext[bytes, bytes], error: NotTakenError) -> NoReturn:
    """End the call with this error."""
    # A reason that a newer enclave has and this host does not know still travels as it is.
    code = _BY_TEXT.get(error.reason, grpc.StatusCode.FAILED_PRECONDITION)
    details = any_pb2.Any()
    details.Pack(
        error_details_pb2.ErrorInfo(
            reason=_trimmed(error.reason),
            domain=DOMAIN,
            metadata={
                "field": _trimmed(error.field),
                "retry_can_help": "true" if error.retry_can_help else "false",
                **dict(error.extra),
            },
        )
    )
    message = _trimmed(error.message)
    status = status_pb2.Status(code=code.value[0], message=message, details=[details])
    await context.abort(code, message, (("grpc-status-details-bin", status.SerializeToString()),))


def _trimmed(text: str) -> str:
    """Cut a text that comes from elsewhere to what a trailer bears; "..." shows that it was longer."""
    if len(text.encode()) <= _TEXT_BYTES:
        return text
    return text.encode()[: _TEXT_BYTES - 3].decode(errors="ignore") + "..."


def not_taken(error: NotTakenError) -> wire.NotTaken:
    """Return the same for one item of a batch."""
    return wire.NotTaken(
        reason=error.reason, field=error.field, message=error.message, retry_can_help=error.retry_can_help
    )
