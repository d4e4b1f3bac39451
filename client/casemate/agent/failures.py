"""From an error to what the engine gets: google.rpc.Status with ErrorInfo, or one item of a stream. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from casemate import errors
from dispatch_api.v1 import dispatch_pb2

# It was not judged.
NOT_JUDGED_DOMAIN: Final = "casemate"
# Nobody here knows.
UNKNOWN_DOMAIN: Final = "casemate.agent"
_MESSAGE: Final = 500


class Told(NamedTuple):
    """A gRPC status; ``details`` goes into the trailer ``grpc-status-details-bin``."""

    code: grpc.StatusCode
    message: str
    details: bytes


def status_of(error: errors.CasemateError) -> Told:
    """Return what a failed call tells the engine."""
    match error:
        case errors.NotJudged():
            more = {"field": error.field, "retry_can_help": str(error.retry_can_help).lower()}
            return _told(_code(error), error.message, NOT_JUDGED_DOMAIN, error.reason, more)
        case errors.NotAttested():
            more = {"field": "", "retry_can_help": "false"}
            return _told(grpc.StatusCode.FAILED_PRECONDITION, str(error), NOT_JUDGED_DOMAIN, "NOT_ATTESTED", more)
        case errors.NotFound():
            return _told(grpc.StatusCode.NOT_FOUND, str(error), NOT_JUDGED_DOMAIN, "NOT_FOUND", {})
        case errors.OutcomeUnknown():
            late = isinstance(error, errors.DeadlineExceeded)
            code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.UNKNOWN
            more = {"account": error.account, "client_order_id": error.client_order_id}
            return _told(code, str(error), UNKNOWN_DOMAIN, reason_of(error), more)
        case _:
            return fault()


def fault() -> Told:
    """Return what a fault of the agent's own tells: nothing but that, and that the outcome is unknown."""
    return _told(grpc.StatusCode.INTERNAL, "a fault in the agent", UNKNOWN_DOMAIN, "INTERNAL", {})


def item_of(error: Exception) -> dispatch_pb2.ItemReply:
    """Return the same for one item of a stream; of a fault of the agent's own nothing but that."""
    match error:
        case errors.NotJudged():
            told = dispatch_pb2.NotTaken(
                reason=error.reason, field=error.field, message=error.message, retry_can_help=error.retry_can_help
            )
            return dispatch_pb2.ItemReply(not_taken=told)
        case errors.NotAttested():
            return dispatch_pb2.ItemReply(not_taken=dispatch_pb2.NotTaken(reason="NOT_ATTESTED", message=str(error)))
        case errors.OutcomeUnknown():
            unknown = dispatch_pb2.OutcomeUnknown(
                reason=reason_of(error),
                message=str(error),
                account=error.account,
                client_order_id=error.client_order_id,
            )
            return dispatch_pb2.ItemReply(outcome_unknown=unknown)
        case _:
            unknown = dispatch_pb2.OutcomeUnknown(reason="INTERNAL", message="a fault in the agent")
            return dispatch_pb2.ItemReply(outcome_unknown=unknown)


def reason_of(error: errors.OutcomeUnknown) -> str:
    """Return why the outcome is unknown, as one stable word."""
    match error:
        case errors.Unproven():
            return "UNPROVEN"
        case errors.DeadlineExceeded():
            return "DEADLINE_EXCEEDED"
        case errors.Disconnected():
            return "DISCONNECTED"
        case _:
            return "SESSION_LOST"


def _code(error: errors.NotJudged) -> grpc.StatusCode:
    if isinstance(error, errors.BadRequest):
        return grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, errors.NotAllowed):
        return grpc.StatusCode.PERMISSION_DENIED
    return grpc.StatusCode.UNAVAILABLE if error.retry_can_help else grpc.StatusCode.FAILED_PRECONDITION


def _told(code: grpc.StatusCode, message: str, domain: str, reason: str, metadata: dict[str, str]) -> Told:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata))
    text = message[:_MESSAGE]
    status = status_pb2.Status(code=code.value[0], message=text, details=[detail])
    return Told(code, text, status.SerializeToString())
