"""From a gRPC failure to an error that a trader can act on. The only place that reads gRPC status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from casemate import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

# What gRPC's own server says of a method that nobody serves there, and what it means here.
_GRPCS_WORD: Final = "Method not found!"
_NOT_SERVED: Final = (
    "nobody serves this call at this address: an engine's agent (casemate agent) takes orders alone, everything else"
    " goes to the gateway (--gateway, --profile); or what answers is of another version"
)
_DETAILS: Final = "grpc-status-details-bin"
_DOMAIN: Final = "casemate"
_BAD: Final = frozenset({"MALFORMED", "TOO_LARGE", "BAD_POLICY", "BAD_CREDENTIAL"})
_NOT_ALLOWED: Final = frozenset({"NOT_AUTHENTICATED", "NOT_APPROVED", "NO_RIGHT", "KMS_DENIED"})
_NOT_ALLOWED_CODES: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
# Statuses that gRPC itself makes before a handler ran: nothing was judged.
_BEFORE_HANDLER: Final = frozenset(
    {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
)


class About(NamedTuple):
    """Which order a call was about, for the advice in an error."""

    account: str = ""
    client_order_id: str = ""


class Failure(NamedTuple):
    """What a failed call left behind."""

    code: grpc.StatusCode
    details: str
    metadata: Iterable[tuple[str, str | bytes]]


def not_judged(reason: str, message: str, field: str, *, retry_can_help: bool) -> errors.NotJudged:
    """Choose the class by what the trader can do about it."""
    kind = errors.NotJudged
    if reason in _BAD:
        kind = errors.BadRequest
    elif reason in _NOT_ALLOWED:
        kind = errors.NotAllowed
    elif retry_can_help:
        kind = errors.NotReady
    return kind(reason, message, field, retry_can_help=retry_can_help)


def not_connected(target: str) -> errors.NotReady:
    """Return the error for a call that was not begun, because there was no connection. Never for a begun one."""
    return errors.NotReady(
        "NOT_CONNECTED", f"could not connect to {target}: this call sent nothing", retry_can_help=True
    )


def translate(failure: Failure, about: About) -> errors.CasemateError:
    """Return the error for a failed call. Whatever is not known to be harmless is an unknown outcome."""
    info = _error_info(failure.metadata)
    if failure.code is grpc.StatusCode.NOT_FOUND:
        return errors.NotFound(failure.details or f"no order {about.client_order_id!r} of account {about.account!r}")
    if info is not None:
        retry = info.metadata.get("retry_can_help", "").lower() == "true"
        return not_judged(info.reason, failure.details, info.metadata.get("field", ""), retry_can_help=retry)
    if failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded("no answer within the deadline", *about)
    if failure.code in _NOT_ALLOWED_CODES:
        return errors.NotAllowed(failure.code.name, failure.details)
    if failure.code is grpc.StatusCode.UNIMPLEMENTED and failure.details == _GRPCS_WORD:
        return errors.BadRequest(failure.code.name, _NOT_SERVED)
    if failure.code in _BEFORE_HANDLER:
        return errors.BadRequest(failure.code.name, failure.details)
    return errors.Disconnected(f"{failure.code.name}: {failure.details or 'no details'}", *about)


def translate_sync(error: grpc.RpcError, about: About) -> errors.CasemateError:
    """Return the error for a failed synchronous call."""
    # grpc's synchronous errors are also calls; their types do not say so.
    metadata = error.trailing_metadata() or ()
    return translate(Failure(error.code(), error.details() or "", _pairs(metadata)), about)


def translate_async(error: grpc.aio.AioRpcError, about: About) -> errors.CasemateError:
    """Return the error for a failed asynchronous call."""
    return translate(Failure(error.code(), error.details() or "", tuple(error.trailing_metadata() or ())), about)


def _pairs(metadata: Iterable[Any]) -> tuple[tuple[str, str | bytes], ...]:
    # grpc's own pairs are typed as a class of their own.
    return tuple((name, value) for name, value in metadata)


def _error_info(metadata: Iterable[tuple[str, str | bytes]]) -> error_details_pb2.ErrorInfo | None:
    for name, value in metadata:
        if name != _DETAILS or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
        except DecodeError:
            return None
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == _DOMAIN:
                return info
    return None
