"""Bad input against a whole running system: every field of every message, bytes that are none, sizes beyond any limit.

Whatever comes, the answer is a verdict or a gRPC status with google.rpc.ErrorInfo, and no intent is left half
journaled. Enclave, host and venues are the real processes of the stand-in stack.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.errors import Reason
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemate_mock.pytest_plugin import RunningStack

_SECOND = 1_000_000_000
_SERVICES = wire.DESCRIPTOR.services_by_name
_UNARY = [
    method
    for service in _SERVICES.values()
    for method in service.methods
    if not method.client_streaming and not method.server_streaming
]
_WATCHES = ("WatchExecutions", "WatchVenues")
_REASONS = {str(reason) for reason in Reason}
_FUZZ = settings(
    max_examples=600, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Refusal(NamedTuple):
    """What a failed call told."""

    code: grpc.StatusCode
    reason: str
    field: str


class System:
    """A running stack, a client that knows only the protocol files, and the journal's file."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        self.channel = grpc.insecure_channel(
            stack.gateway, options=(("grpc.enable_retries", 0), ("grpc.max_send_message_length", -1))
        )
        self.account = next(account for account in stack.accounts if account["venue"] == "binance")
        self.symbol = next(item["symbol"] for item in self.account["instruments"] if ":" not in item["symbol"])
        self.journal = Path(stack.gateway.removeprefix("unix:")).parent / "journal.db"

    def call(self, path: str, data: bytes) -> bytes | Refusal:
        """Make one unary call with these bytes; a refusal without ErrorInfo fails the test."""
        method = self.channel.unary_unary(
            f"/{path}", request_serializer=lambda raw: raw, response_deserializer=lambda raw: raw
        )
        try:
            return bytes(method(data, timeout=20))
        except grpc.RpcError as error:
            return refusal_of(error)

    def watch(self, name: str, data: bytes) -> Refusal | None:
        """Begin to watch with these bytes; None if the host takes them."""
        method = self.channel.unary_stream(
            f"/casemate.dispatch.v1.OrderDispatch/{name}",
            request_serializer=lambda raw: raw,
            response_deserializer=lambda raw: raw,
        )
        watching = method(data, timeout=0.2)
        try:
            next(watching)
        except grpc.RpcError as error:
            return None if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else refusal_of(error)
        watching.cancel()
        return None

    def unfinished(self) -> list[tuple[Any, ...]]:
        """Return the intents of the journal that have neither an end nor anybody who works on them."""
        with closing(sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)) as journal:
            return journal.execute(
                "SELECT i.sequence, i.operation, i.client_order_id FROM events i "
                "LEFT JOIN orders o ON o.intent = i.sequence "
                "WHERE i.kind = 1 AND (o.ended IS NULL OR o.ended = 0)"
            ).fetchall()

    def settle(self) -> None:
        """Wait until every INTENT of the journal has its end."""
        deadline = time.monotonic() + 20
        while left := self.unfinished():
            assert time.monotonic() < deadline, left
            time.sleep(0.005)

    def is_well(self) -> None:
        """A good order still gets through to the venue."""
        self.call(f"{_SERVICES['Operator'].full_name}/Unpause", b"")
        resume = signer_pb2.Resume(scope=intent_pb2.HALT_SCOPE_ALL, last=1 << 62)
        self.call(f"{_SERVICES['Operator'].full_name}/Resume", resume.SerializeToString())
        answer = self.call(f"{_SERVICES['OrderDispatch'].full_name}/Submit", self.order().SerializeToString())
        assert isinstance(answer, bytes), answer
        reply = wire.SubmitReply.FromString(answer)
        assert reply.report.state == wire.ORDER_STATE_OPEN, reply

    # --- good messages to begin with

    def order(self) -> wire.SubmitRequest:
        """Return a limit order that rests."""
        common = self.common()
        order = intent_pb2.OrderIntent(
            side=intent_pb2.SIDE_BUY,
            type=intent_pb2.ORDER_TYPE_LIMIT,
            time_in_force=intent_pb2.TIME_IN_FORCE_GTC,
            quantity="0.001",
            price="50000",
            **common,
        )
        return self.seal("order", order, signer_pb2.OPERATION_CREATE)

    def common(self) -> dict[str, Any]:
        """Return what every intent about an order says."""
        now = time.time_ns()
        return {
            "account": self.account["name"],
            "venue": self.account["venue"],
            "symbol": self.symbol,
            "client_order_id": uuid.uuid4().hex,
            "created_at": now,
            "valid_until": now + 3 * _SECOND,
        }

    def other(self, kind: str, operation: int) -> wire.SubmitRequest:
        """Return an intent of another kind."""
        intent = getattr(intent_pb2.Intent(), kind)
        for name, value in self.common().items():
            if name in intent.DESCRIPTOR.fields_by_name:
                setattr(intent, name, value)
        if kind == "amend":
            intent.quantity, intent.price = "0.002", "50001"
        if kind == "order_closed":
            intent.filled_quantity = "0"
        if kind == "halt":
            intent.scope = intent_pb2.HALT_SCOPE_ACCOUNT
        return self.seal(kind, intent, operation)

    def seal(self, kind: str, body: Message, operation: int) -> wire.SubmitRequest:
        """Address and seal."""
        names = ("account", "venue", "symbol", "client_order_id", "valid_until")
        routing = wire.Routing(operation=operation)  # type: ignore[arg-type]
        for name in names:
            if name in body.DESCRIPTOR.fields_by_name:
                setattr(routing, name, getattr(body, name))
        if kind in ("balances", "order_closed"):
            routing.venue = self.account["venue"]
        intent = intent_pb2.Intent()
        getattr(intent, kind).CopyFrom(body)
        sealed = intent_pb2.SealedIntent(
            session=self.stack.engine.encode(), counter=1, intent=intent.SerializeToString()
        )
        return wire.SubmitRequest(sealed=sealed, routing=routing)

    def good(self, method: str, kind: str) -> Any:  # noqa: PLR0911 - a table of methods
        """Return a good request of one method."""
        operation = _KINDS[kind]
        match method:
            case "SubmitBatch":
                return wire.SubmitBatchRequest(batch_id=1, requests=[self.order(), self.other("cancel", 2)])
            case "Halt":
                return self.other("halt", 9).sealed
            case "Get":
                return wire.GetRequest(account=self.account["name"], client_order_id="none")
            case "List":
                return wire.ListRequest(account=self.account["name"], limit=3)
            case "Pause":
                return wire.PauseRequest(for_ms=1)
            case "LoadPolicy":
                return signer_pb2.LoadPolicy(policy=b"\xa0")
            case "Provision":
                return signer_pb2.Provision(account=self.account["name"], credential=b"\xa0")
            case "Resume":
                return signer_pb2.Resume(scope=intent_pb2.HALT_SCOPE_ALL)
            case "Status":
                return wire.StatusRequest()
            case "Unpause":
                return wire.UnpauseRequest()
            case name if name in _OTHERS:
                return _OTHERS[name]()
            case _:
                return self.order() if kind == "order" else self.other(kind, operation)


_OTHERS: dict[str, Callable[[], Message]] = {
    "HaltByAdministrator": lambda: signer_pb2.AdminHalt(scope=intent_pb2.HALT_SCOPE_ALL, approval=b"a"),
    "Attest": lambda: signer_pb2.Attest(nonce=bytes(32)),
    "OpenSession": lambda: signer_pb2.OpenSession(message=bytes(48)),
    "Unseal": lambda: signer_pb2.Provision(account="binance-spot", bundle=b"\xa0"),
    "Receipts": lambda: wire.StoredReceiptsRequest(limit=3),
    "Grant": lambda: signer_pb2.DutyGrant(grant=b"\xa0", signature=bytes(64)),
    "Retire": lambda: signer_pb2.Retire(statement=b"\xa0", signature=bytes(64)),
}
_KINDS = {
    "order": 1,
    "cancel": 2,
    "cancel_all": 3,
    "amend": 4,
    "query": 5,
    "open_orders": 6,
    "balances": 7,
    "order_closed": 8,
    "halt": 9,
}
_KINDS_OF = {
    "Cancel": ("cancel",),
    "CancelAll": ("cancel_all",),
    "Amend": ("amend",),
    "CloseOrder": ("order_closed",),
    "Read": ("query", "open_orders", "balances"),
    "Submit": tuple(_KINDS),
}


def refusal_of(error: grpc.RpcError) -> Refusal:
    """Read the ErrorInfo, which has to be there."""
    metadata: Any = error.trailing_metadata() or ()
    trailing: dict[str, Any] = dict(metadata)
    assert "grpc-status-details-bin" in trailing, error
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.code == error.code().value[0]
    assert status.details[0].Unpack(info)
    assert info.domain == "casemate"
    assert info.reason in _REASONS
    assert info.reason != "INTERNAL", error
    assert info.metadata["retry_can_help"] in ("true", "false")
    assert status.message
    return Refusal(error.code(), info.reason, info.metadata["field"])


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A stack of this module's own: what is done to it here is not fit for others."""
    # Not above: a plugin that is imported before pytest registers it (in another file) is a warning, so an error.
    from casemate_mock.pytest_plugin import RunningStack  # noqa: PLC0415

    stack = RunningStack(tmp_path_factory.mktemp("bad"), "--no-rate-limits", "--unauthenticated")
    try:
        yield System(stack)
    finally:
        stack.stop()


# --- every field of every message

_TEXTS = st.sampled_from(
    [
        "", " ", "-1", "0", "0.0", "1e400", "NaN", "Infinity", "+1", "01", "1.", ".5", "0.0000000000000000001",
        "1" * 19, "1" * 4000, "BTC/USDT\r\nX: 1", "../../..", "\0", "é", "\N{FULLWIDTH DIGIT ONE}", "';--",
        "a" * 65, "25000.123456789", "ETH/USDT", "kraken", "binance",
    ]
) | st.text(max_size=20)  # fmt: skip
_INTEGERS = {
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    # An enum that nobody knows is a number like any other.
    FieldDescriptor.TYPE_ENUM: (-(1 << 31), (1 << 31) - 1),
}


def _bad_value(data: st.DataObject, field: FieldDescriptor) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return data.draw(_TEXTS)
        case FieldDescriptor.TYPE_BYTES:
            return data.draw(st.binary(max_size=40) | st.sampled_from([b"", b"x" * 257, b"x" * 4097, b"\xff" * 31_000]))
        case FieldDescriptor.TYPE_BOOL:
            return data.draw(st.booleans())
        case _:
            least, most = _INTEGERS[field.type]
            return data.draw(st.sampled_from([least, -1, 0, 1, 2, 3, 5, 99, most]).filter(lambda n: n >= least))


def _opened(sealed: Any) -> Any:
    """Return the intent, None if it is spoilt already."""
    try:
        intent = intent_pb2.Intent.FromString(sealed.intent)
    except DecodeError:
        return None
    return intent if intent.WhichOneof("kind") else None


def _spoil(data: st.DataObject, message: Any) -> None:
    """Change one field somewhere in the message, those of a sealed intent included."""
    field: FieldDescriptor = data.draw(st.sampled_from(tuple(message.DESCRIPTOR.fields)))
    intent = _opened(message) if field.full_name == "casemate.signer.v1.SealedIntent.intent" else None
    if intent is not None and data.draw(st.booleans()):
        _spoil(data, getattr(intent, intent.WhichOneof("kind")))
        message.intent = intent.SerializeToString()
    elif field.is_repeated:
        items = getattr(message, field.name)
        if field.message_type is None:
            items.extend([_bad_value(data, field)] * data.draw(st.sampled_from([1, 70])))
        elif items and data.draw(st.booleans()):
            _spoil(data, items[-1])
        else:
            del items[data.draw(st.sampled_from([0, 1])) :]
            items.extend([items[0]] * data.draw(st.sampled_from([0, 1, 64])) if items else [])
    elif field.message_type is not None:
        if data.draw(st.sampled_from([False, True, True, True])):
            _spoil(data, getattr(message, field.name))
        else:
            message.ClearField(field.name)
    else:
        setattr(message, field.name, _bad_value(data, field))


@_FUZZ
@given(st.data())
def test_a_spoilt_field_of_any_message_gets_a_verdict_or_a_clear_refusal_and_no_half_journaled_order(
    system: System, data: st.DataObject
) -> None:
    method = data.draw(st.sampled_from([method for method in _UNARY if method.input_type.fields]))
    kind = data.draw(st.sampled_from(_KINDS_OF.get(method.name, ("order",))))
    request = system.good(method.name, kind)
    for _ in range(data.draw(st.sampled_from([1, 1, 1, 2]))):
        _spoil(data, request)
    # Beyond that gRPC itself refuses: a test of its own, below.
    assume(request.ByteSize() <= 4 << 20)
    answer = system.call(f"{method.containing_service.full_name}/{method.name}", request.SerializeToString())
    if isinstance(answer, Refusal):
        # A message that is too large as a whole has no field at fault.
        if request.ByteSize() <= 2 << 20 and answer.reason in (
            "MALFORMED",
            "TOO_LARGE",
            "WRONG_METHOD",
            "UNKNOWN_VENUE",
            "STALE",
        ):
            assert answer.field, (answer, request)
    else:
        _check_reply(method.name, answer)
    system.settle()
    if method.name in ("Halt", "Pause") or kind == "halt":
        system.is_well()


def _check_reply(method: str, answer: bytes) -> None:
    """An answer that is no refusal says what was decided."""
    if method in ("Submit", "Cancel", "CancelAll", "Amend", "CloseOrder", "Halt"):
        reply = wire.SubmitReply.FromString(answer)
        assert reply.verdict.decision in (signer_pb2.DECISION_ALLOW, signer_pb2.DECISION_REFUSE)
        assert reply.verdict.rule
    elif method == "Read":
        verdict = wire.ReadReply.FromString(answer).verdict
        assert verdict.decision in (signer_pb2.DECISION_ALLOW, signer_pb2.DECISION_REFUSE)
    elif method == "SubmitBatch":
        for item in wire.SubmitBatchReply.FromString(answer).items:
            if item.WhichOneof("answer") == "not_taken":
                assert item.not_taken.reason in _REASONS - {"INTERNAL"}
            else:
                assert item.reply.verdict.rule


def test_every_field_that_an_engine_sends_is_reached_by_name(system: System) -> None:
    """The walk above finds every field: a message that it could not descend into would be missing here."""
    for kind, operation in _KINDS.items():
        intent = getattr(intent_pb2.Intent(), kind)
        for field in intent.DESCRIPTOR.fields:
            assert field.type in {*_INTEGERS, FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BOOL}, field.full_name
        assert system.good("Submit", kind).routing.operation == operation


# --- bytes that are no message


@_FUZZ
@given(
    st.sampled_from(_UNARY),
    st.binary(max_size=300)
    | st.binary(max_size=60).map(lambda tail: b"\x0a\x80\x80\x80\x80\x08" + tail)
    # Groups within groups: deeper than any parser goes.
    | st.integers(1, 5_000).map(lambda depth: b"\x0b" * depth),
)
def test_bytes_that_are_no_message_get_a_clear_refusal(system: System, method: Any, data: bytes) -> None:
    answer = system.call(f"{method.containing_service.full_name}/{method.name}", data)
    if isinstance(answer, bytes):
        _parses(method, data)
    system.settle()


def _parses(method: Any, data: bytes) -> None:
    """What was answered must have been a message, if one of unknown fields only."""
    kinds = (wire, intent_pb2, signer_pb2)
    kind = next(getattr(module, method.input_type.name) for module in kinds if hasattr(module, method.input_type.name))
    try:
        kind.FromString(data)
    except DecodeError:
        pytest.fail(f"{method.name} answered {data!r}")


@settings(_FUZZ, max_examples=30)
@given(st.sampled_from(_WATCHES), st.binary(max_size=60))
def test_a_watch_that_cannot_be_read_gets_a_clear_refusal(system: System, name: str, data: bytes) -> None:
    refusal = system.watch(name, data)
    assert refusal is None or refusal.reason == "MALFORMED"


@pytest.mark.parametrize("method", _UNARY, ids=lambda method: method.name)
@pytest.mark.parametrize("size", [(2 << 20) + 1, 3 << 20])
def test_an_oversized_message_is_too_large_by_name(system: System, method: Any, size: int) -> None:
    answer = system.call(f"{method.containing_service.full_name}/{method.name}", b"\x00" * size)
    assert isinstance(answer, Refusal)
    assert answer.reason == "TOO_LARGE"


def test_beyond_what_grpc_itself_takes_the_host_lives_on(system: System) -> None:
    method = system.channel.unary_unary(
        "/casemate.dispatch.v1.OrderDispatch/Submit",
        request_serializer=lambda raw: raw,
        response_deserializer=lambda raw: raw,
    )
    with pytest.raises(grpc.RpcError) as failed:
        method(b"x" * (5 << 20), timeout=20)
    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    system.is_well()


# --- the stream


@settings(_FUZZ, max_examples=60)
@given(st.data())
def test_a_spoilt_batch_on_a_stream_answers_each_item_or_ends_the_stream_with_a_reason(
    system: System, data: st.DataObject
) -> None:
    batch = system.good("SubmitBatch", "order")
    assert isinstance(batch, wire.SubmitBatchRequest)
    if data.draw(st.booleans()):
        _spoil(data, batch)
        sent = batch.SerializeToString()
    else:
        sent = data.draw(st.binary(max_size=40))
    method = system.channel.stream_stream(
        "/casemate.dispatch.v1.OrderDispatch/Stream",
        request_serializer=lambda raw: raw,
        response_deserializer=wire.StreamReply.FromString,
    )
    items = []
    try:
        for reply in method(iter([sent]), timeout=20):
            items += [reply.item] if reply.HasField("item") else list(reply.items.items)
    except grpc.RpcError as error:
        reason = refusal_of(error).reason
        if reason not in ("MALFORMED", "TOO_LARGE"):
            pytest.fail(f"{reason}: {error}")
    else:
        requests = wire.SubmitBatchRequest.FromString(sent).requests
        assert sorted(item.index for item in items) == list(range(len(requests)))
    system.settle()


def test_after_all_that_everything_still_works_and_nothing_secret_is_in_a_log(system: System) -> None:
    system.is_well()
    system.settle()
    log = "".join(path.read_text(errors="replace") for path in system.journal.parent.glob("*.log"))
    assert "signature=" not in log
    assert "Traceback" not in log
    assert "a fault" not in log
