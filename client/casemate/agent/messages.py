"""Intents and answers as messages: filled in, sealed, and told apart by whose word they are. Pure but for the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from casemate import errors
from casemate.calls import DISPATCH, Call, Calls
from casemate.failures import About
from casemate.models import Operation, WaitFor
from dispatch_api.v1 import dispatch_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.sealing import SessionSealer
    from signer_api.v1 import intent_pb2

M = TypeVar("M", dispatch_pb2.SubmitReply, dispatch_pb2.ReadReply, dispatch_pb2.LogonReply)

# For each kind of intent its operation and the host's call.
KINDS: Final = {
    "order": (Operation.CREATE, "Submit"),
    "cancel": (Operation.CANCEL, "Cancel"),
    "cancel_all": (Operation.CANCEL_ALL, "CancelAll"),
    "amend": (Operation.AMEND, "Amend"),
    "order_closed": (Operation.ORDER_CLOSED, "CloseOrder"),
    "query": (Operation.QUERY, "Read"),
    "open_orders": (Operation.OPEN_ORDERS, "Read"),
    "balances": (Operation.BALANCES, "Read"),
    "logon": (Operation.LOGON, "Logon"),
    "halt": (Operation.HALT, "Halt"),
}
# What a stream carries.
STREAMED: Final = frozenset({"order", "cancel", "cancel_all", "amend", "order_closed"})
_ROUTED: Final = ("account", "venue", "symbol", "client_order_id", "priority")


class Item(NamedTuple):
    """One intent of a stream."""

    intent: intent_pb2.Intent
    wait_for: WaitFor


class Messages:
    """Makes calls of messages, under the sessions of one sealer."""

    def __init__(self, sealer: SessionSealer, clock: Callable[[], int], validity_ns: int) -> None:
        """``clock`` returns nanoseconds UTC; ``validity_ns`` is how long an intent lives where it does not say."""
        self._sealer = sealer
        self._clock = clock
        self._validity = validity_ns
        self._calls = Calls(sealer, clock, validity_ns)

    def submit(self, intent: intent_pb2.Intent, wait_for: WaitFor) -> Call[dispatch_pb2.SubmitReply]:
        """Anything that changes an order."""
        _, method = KINDS[kind_of(intent)]
        who = self.who(Item(intent, wait_for))
        request = self.request(Item(intent, wait_for), wait_for)
        sealed = request.sealed

        def parse(raw: bytes) -> dispatch_pb2.SubmitReply:
            return self._answered(_read(dispatch_pb2.SubmitReply, raw, who), sealed, who)

        return Call(DISPATCH + method, request.SerializeToString(), parse, who, sealed.session)

    def halt(self, intent: intent_pb2.Intent) -> Call[dispatch_pb2.SubmitReply]:
        """Stop the enclave's signing."""
        sealed, who = self._sealed(intent), About(intent.halt.account)

        def parse(raw: bytes) -> dispatch_pb2.SubmitReply:
            return self._answered(_read(dispatch_pb2.SubmitReply, raw, who), sealed, who)

        method = "/casemate.dispatch.v1.Operator/Halt"
        return Call(method, sealed.SerializeToString(), parse, who, sealed.session)

    def read(self, intent: intent_pb2.Intent) -> Call[dispatch_pb2.ReadReply]:
        """Anything that reads from the venue."""
        who = self.who(Item(intent, WaitFor.ACKNOWLEDGED))
        request = self.request(Item(intent, WaitFor.ACKNOWLEDGED), WaitFor.ACKNOWLEDGED)
        sealed = request.sealed

        def parse(raw: bytes) -> dispatch_pb2.ReadReply:
            reply = _read(dispatch_pb2.ReadReply, raw, who)
            proven = self._calls.proven(reply, sealed, who)
            if proven is not None:
                reply.verdict.CopyFrom(proven)
                reply.verdict_source = dispatch_pb2.SOURCE_ENCLAVE
            return reply

        return Call(DISPATCH + "Read", request.SerializeToString(), parse, who, sealed.session)

    def logon(self, intent: intent_pb2.Intent) -> Call[dispatch_pb2.LogonReply]:
        """What logs a connection of a private stream on."""
        item = Item(intent, WaitFor.ACKNOWLEDGED)
        who, request = self.who(item), self.request(item, WaitFor.ACKNOWLEDGED)
        sealed = request.sealed

        def parse(raw: bytes) -> dispatch_pb2.LogonReply:
            reply = _read(dispatch_pb2.LogonReply, raw, who)
            # Checks message and proof; the engine gets the enclave's own verdict.
            self._calls.logged_on(reply, sealed, who)
            reply.verdict.ParseFromString(reply.proof.verdict)
            reply.verdict_source = dispatch_pb2.SOURCE_ENCLAVE
            return reply

        return Call(DISPATCH + "Logon", request.SerializeToString(), parse, who, sealed.session)

    # --- what a stream needs

    def who(self, intent: Item) -> About:
        """Which order it is about."""
        inner = getattr(intent.intent, kind_of(intent.intent))
        return About(inner.account, getattr(inner, "client_order_id", ""))

    def request(self, intent: Item, wait_for: WaitFor) -> dispatch_pb2.SubmitRequest:
        """Seal one intent; the item says how far to wait. Raises NotJudged."""
        del wait_for
        sealed = self._sealed(intent.intent)
        inner = getattr(intent.intent, kind_of(intent.intent))
        routed = {name: getattr(inner, name) for name in _ROUTED if name in inner.DESCRIPTOR.fields_by_name}
        operation, _ = KINDS[kind_of(intent.intent)]
        routing = dispatch_pb2.Routing(
            operation=int(operation),  # type: ignore[arg-type]  # an IntEnum of the same values
            valid_until=inner.valid_until,
            **routed,
        )
        return dispatch_pb2.SubmitRequest(
            sealed=sealed,
            routing=routing,
            wait_for=int(intent.wait_for),  # type: ignore[arg-type]  # likewise
        )

    def item(
        self, item: dispatch_pb2.ItemReply, sealed: intent_pb2.SealedIntent, who: About
    ) -> dispatch_pb2.SubmitReply | errors.CasemateError:
        """Read one answer of a stream, or (as a value) why there is none."""
        if item.WhichOneof("answer") != "reply":
            found = self._calls.item(item, sealed, who)
            return found if isinstance(found, errors.CasemateError) else errors.Unproven("no answer", *who)
        try:
            return self._answered(item.reply, sealed, who)
        except errors.Unproven as error:
            return error

    # --- the parts

    def _sealed(self, intent: intent_pb2.Intent) -> intent_pb2.SealedIntent:
        self._fill_in(intent)
        return self._sealer.seal(intent.SerializeToString(deterministic=True))

    def _fill_in(self, intent: intent_pb2.Intent) -> None:
        """Write the times that the engine left open."""
        inner = getattr(intent, kind_of(intent))
        inner.created_at = inner.created_at or max(self._clock(), self._sealer.since)
        inner.valid_until = inner.valid_until or inner.created_at + self._validity
        if getattr(inner, "reference_price", ""):
            inner.reference_time = inner.reference_time or inner.created_at

    def _answered(
        self, reply: dispatch_pb2.SubmitReply, sealed: intent_pb2.SealedIntent, who: About
    ) -> dispatch_pb2.SubmitReply:
        """Put the enclave's verdict in the place of the host's copy; raises Unproven."""
        proven = self._calls.proven(reply, sealed, who)
        reply.verdict_source = dispatch_pb2.SOURCE_HOST
        if proven is not None:
            reply.verdict.CopyFrom(proven)
            reply.verdict_source = dispatch_pb2.SOURCE_ENCLAVE
        if reply.HasField("report"):
            claimed(reply.report)
        return reply


def claimed(report: dispatch_pb2.ExecutionReport) -> dispatch_pb2.ExecutionReport:
    """Mark a report as what it is: the host's claim."""
    report.source = dispatch_pb2.SOURCE_HOST
    return report


def kind_of(intent: intent_pb2.Intent) -> str:
    """Return which intent it is; raises BadRequest where it is none."""
    kind: str | None = intent.WhichOneof("kind")
    if kind is None:
        message = "an intent of some kind is needed"
        raise errors.BadRequest("MALFORMED", message, "kind")
    return kind


def _read(kind: type[M], raw: bytes, who: About) -> M:
    try:
        return kind.FromString(raw)
    except DecodeError:
        message = "the answer is none"
        raise errors.Unproven(message, *who) from None
