"""Models to messages and back. Pure."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, TypeVar

import cbor2

from casemate import intents, models
from casemate.session.forms import receipt_hash
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2

E = TypeVar("E", bound=IntEnum)

# For each intent its field in the `Intent` oneof and the operation that it asks for.
_KINDS: Final[dict[type, tuple[str, models.Operation]]] = {
    intents.OrderIntent: ("order", models.Operation.CREATE),
    intents.CancelIntent: ("cancel", models.Operation.CANCEL),
    intents.CancelAllIntent: ("cancel_all", models.Operation.CANCEL_ALL),
    intents.AmendIntent: ("amend", models.Operation.AMEND),
    intents.CloseIntent: ("order_closed", models.Operation.ORDER_CLOSED),
    intents.QueryIntent: ("query", models.Operation.QUERY),
    intents.OpenOrdersIntent: ("open_orders", models.Operation.OPEN_ORDERS),
    intents.BalancesIntent: ("balances", models.Operation.BALANCES),
    intents.LogonIntent: ("logon", models.Operation.LOGON),
    intents.HaltIntent: ("halt", models.Operation.HALT),
}
_FIELDS: Final = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS}


def operation_of(intent: intents.Intent) -> models.Operation:
    """Return what an intent asks for."""
    return _KINDS[type(intent)][1]


def intent_bytes(intent: intents.Intent) -> bytes:
    """Serialise an intent; absent values stay absent on the wire."""
    return intent_message(intent).SerializeToString(deterministic=True)


def intent_message(intent: intents.Intent) -> intent_pb2.Intent:
    """Write an intent as its message."""
    message = intent_pb2.Intent()
    inner = getattr(message, _KINDS[type(intent)][0])
    inner.SetInParent()
    for name in _FIELDS[type(intent)]:
        value = getattr(intent, name)
        if value:
            setattr(inner, name, value)
    return message


def routing(intent: intents.Intent) -> dispatch_pb2.Routing:
    """Write what the host needs beside the sealed bytes; it vouches for nothing."""
    return dispatch_pb2.Routing(
        account=intent.account,
        venue=getattr(intent, "venue", ""),
        symbol=getattr(intent, "symbol", ""),
        client_order_id=getattr(intent, "client_order_id", ""),
        operation=int(operation_of(intent)),  # type: ignore[arg-type]
        valid_until=intent.valid_until,
        priority=int(getattr(intent, "priority", None) or 0),  # type: ignore[arg-type]
    )


def member(kind: type[E], value: int) -> E | None:
    """Return the enum's member; None for 0 and for a value of a later version."""
    try:
        return kind(value)
    except ValueError:
        return None


def number(text: str) -> Decimal | None:
    """Read a decimal; None where it is empty."""
    return Decimal(text) if text else None


def verdict(message: signer_pb2.Verdict) -> models.Verdict:
    """Read a verdict; a decision of a later version is undecided, and so a refusal."""
    return models.Verdict(
        decision=member(models.Decision, message.decision) or models.Decision.UNDECIDED,
        rule=message.rule,
        reason=message.reason,
        numbers={number.name: number.value for number in message.numbers},
        policy_version=message.policy_version,
    )


def _state(message: dispatch_pb2.ExecutionReport) -> models.OrderState | None:
    if message.state == 0 and message.operation not in {0, models.Operation.CREATE}:
        # A venue that takes a cancel or an amend often does not say what the order has become.
        return None
    return member(models.OrderState, message.state) or models.OrderState.UNKNOWN


def report(message: dispatch_pb2.ExecutionReport) -> models.ExecutionReport:
    """Read a report; a state of a later version is UNKNOWN."""
    stages = message.stages
    return models.ExecutionReport(
        sequence=message.sequence,
        time=message.time,
        account=message.account,
        venue=message.venue,
        symbol=message.symbol,
        client_order_id=message.client_order_id,
        venue_order_id=message.venue_order_id,
        operation=member(models.Operation, message.operation),
        state=_state(message),
        filled_quantity=number(message.filled_quantity),
        average_price=number(message.average_price),
        error_class=member(models.ErrorClass, message.error_class),
        venue_code=message.venue_code,
        venue_message=message.venue_message,
        verdict=verdict(message.verdict) if message.HasField("verdict") else None,
        stages=models.Stages(
            journaled=stages.journaled or None,
            signed=stages.signed or None,
            sending=stages.sending or None,
            acknowledged=stages.acknowledged or None,
        ),
    )


def submit_result(message: dispatch_pb2.SubmitReply, proven: signer_pb2.Verdict | None = None) -> models.SubmitResult:
    """Read the answer to a judged intent; ``proven`` is the enclave's own verdict, and beats what the host wrote."""
    return models.SubmitResult(
        verdict=verdict(proven or message.verdict),
        report=report(message.report) if message.HasField("report") else None,
        repeated=message.repeated,
        authenticated=proven is not None,
        receipt=receipt(message.receipt),
    )


def receipt(message: bytes) -> models.Receipt | None:
    """Name a receipt; None where there is none, or bytes that are none."""
    if not message:
        return None
    try:
        sequence = cbor2.loads(message)["seq"]
    except (cbor2.CBORDecodeError, UnicodeDecodeError, TypeError, KeyError):
        return None
    return models.Receipt(sequence=sequence, hash=receipt_hash(message).hex()) if type(sequence) is int else None


def read_result(message: dispatch_pb2.ReadReply, proven: signer_pb2.Verdict | None = None) -> models.ReadResult:
    """Read the answer to a read; ``proven`` as in :func:`submit_result`."""
    return models.ReadResult(
        authenticated=proven is not None,
        receipt=receipt(message.receipt),
        verdict=verdict(proven or message.verdict),
        error_class=member(models.ErrorClass, message.error_class),
        venue_code=message.venue_code,
        venue_message=message.venue_message,
        orders=tuple(_venue_order(order) for order in message.orders),
        balances=tuple(
            models.Balance(asset=item.asset, available=number(item.available), locked=number(item.locked))
            for item in message.balances
        ),
    )


def logon_result(message: dispatch_pb2.LogonReply, proven: signer_pb2.Verdict | None = None) -> models.LogonResult:
    """Read the answer to a logon; ``proven`` as in :func:`submit_result`. Raises DecodeError."""
    request = signer_pb2.SignedRequest.FromString(message.request)
    return models.LogonResult(
        authenticated=proven is not None,
        receipt=receipt(message.receipt),
        verdict=verdict(proven or message.verdict),
        url=request.url,
        message=request.body,
        valid_until=request.valid_until,
        token=message.token,
        error_class=member(models.ErrorClass, message.error_class),
        venue_code=message.venue_code,
        venue_message=message.venue_message,
    )


def _venue_order(message: dispatch_pb2.VenueOrder) -> models.VenueOrder:
    return models.VenueOrder(
        client_order_id=message.client_order_id,
        venue_order_id=message.venue_order_id,
        symbol=message.symbol,
        state=member(models.OrderState, message.state),
        quantity=number(message.quantity),
        filled_quantity=number(message.filled_quantity),
        price=number(message.price),
        average_price=number(message.average_price),
    )


def enclave_status(message: signer_pb2.EnclaveStatus) -> models.EnclaveStatus:
    """Read the enclave's status."""
    return models.EnclaveStatus(
        phase=member(models.Phase, message.phase),
        policy_version=message.policy_version,
        policy_digest=message.policy_digest.hex(),
        halts=tuple(_halt(halt) for halt in message.halts),
        accounts=tuple(message.accounts),
        provisioned=tuple(message.provisioned),
        unauthenticated=message.unauthenticated,
        judged=message.judged,
        refused=message.refused,
        clock=message.clock,
        gc=_pauses(message.gc),
        boot_key=message.boot_key.hex(),
        quorum=message.quorum.hex(),
        quorum_generation=message.quorum_generation,
        clock_drift=message.clock_drift,
        duty=_duty(message.duty) if message.HasField("duty") else None,
    )


def _duty(message: signer_pb2.DutyStatus) -> models.DutyStatus:
    return models.DutyStatus(
        required=message.required,
        sequence=message.sequence,
        not_after=message.not_after,
        accounts=tuple(message.accounts),
        retired=message.retired,
    )


def _pauses(message: signer_pb2.GcPauses) -> models.GcPauses:
    return models.GcPauses(collections=message.collections, total_ns=message.total, longest_ns=message.longest)


def _halt(message: signer_pb2.Halt) -> models.Halt:
    return models.Halt(
        # A scope of a later version halts at least as much as we can imagine.
        scope=member(models.HaltScope, message.scope) or models.HaltScope.ALL,
        account=message.account,
        venue=message.venue,
        symbol=message.symbol,
        by=message.by,
        since=message.since,
        number=message.number,
    )


def venue_status(message: dispatch_pb2.VenueStatus) -> models.VenueStatus:
    """Read the host's view of a venue."""
    return models.VenueStatus(
        venue=message.venue,
        health=member(models.VenueHealth, message.health),
        reason=message.reason,
        since=message.since,
        connections=message.connections,
        queued=message.queued,
    )


def status(message: dispatch_pb2.StatusReply) -> models.Status:
    """Read the host's status."""
    return models.Status(
        enclave=enclave_status(message.enclave),
        enclave_reachable=message.enclave_reachable,
        venues=tuple(venue_status(item) for item in message.venues),
        journal_sequence=message.journal_sequence,
        unresolved=message.unresolved,
        paused=message.paused,
        version=message.version,
        gc=_pauses(message.gc),
    )


def loaded(message: signer_pb2.Loaded) -> models.Loaded:
    """Read what the enclave says after taking a policy or a credential."""
    return models.Loaded(
        policy_version=message.policy_version,
        policy_digest=message.policy_digest.hex(),
        phase=member(models.Phase, message.phase),
    )


def to_json(value: Any) -> Any:  # noqa: ANN401 - any model in, plain JSON values out
    """Write a model as plain JSON values: enums by name, decimals as text, slots by field."""
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: to_json(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
