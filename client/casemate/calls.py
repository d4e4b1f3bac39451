"""Every call of the gateway as a value: method, bytes, and how to read the answer. Shared by both gateways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from casemate import intents, wire
from casemate.failures import About, not_judged
from casemate.models import WaitFor
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from casemate import errors, models
    from casemate.sealing import Sealer

T = TypeVar("T")
I = TypeVar("I", bound=intents.Intent)  # noqa: E741 - I for intent

DISPATCH: Final = "/casemate.dispatch.v1.OrderDispatch/"
OPERATOR: Final = "/casemate.dispatch.v1.Operator/"
# What the host takes in one batch (dispatch.proto).
MAX_BATCH: Final = 64
SECOND: Final = 1_000_000_000
_NOBODY: Final = About()
DEFAULT_VALIDITY_NS: Final = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call, unary or with a streamed answer."""

    method: str
    request: bytes
    parse: Callable[[bytes], T]
    about: About = _NOBODY


def _submit_result(raw: bytes) -> models.SubmitResult:
    return wire.submit_result(dispatch_pb2.SubmitReply.FromString(raw))


def _read_result(raw: bytes) -> models.ReadResult:
    return wire.read_result(dispatch_pb2.ReadReply.FromString(raw))


def _report(raw: bytes) -> models.ExecutionReport:
    return wire.report(dispatch_pb2.ExecutionReport.FromString(raw))


def _status(raw: bytes) -> models.Status:
    return wire.status(dispatch_pb2.StatusReply.FromString(raw))


def _loaded(raw: bytes) -> models.Loaded:
    return wire.loaded(signer_pb2.Loaded.FromString(raw))


def _batch(raw: bytes) -> tuple[models.SubmitResult | errors.NotJudged, ...]:
    return tuple(item_result(item) for item in dispatch_pb2.SubmitBatchReply.FromString(raw).items)


def item_result(item: dispatch_pb2.ItemReply) -> models.SubmitResult | errors.NotJudged:
    """Read one item of a batch: a judgement, or (as a value) why there is none."""
    if item.WhichOneof("answer") == "reply":
        return wire.submit_result(item.reply)
    reason = item.not_taken
    return not_judged(reason.reason or "INTERNAL", reason.message, reason.field, retry_can_help=reason.retry_can_help)


_METHOD_OF: Final[dict[type, str]] = {
    intents.OrderIntent: "Submit",
    intents.CancelIntent: "Cancel",
    intents.CancelAllIntent: "CancelAll",
    intents.AmendIntent: "Amend",
    intents.CloseIntent: "CloseOrder",
}


class Calls:
    """Makes calls: stamps times, seals, and writes the routing beside."""

    def __init__(self, sealer: Sealer, clock: Callable[[], int], validity_ns: int = DEFAULT_VALIDITY_NS) -> None:
        """``clock`` returns nanoseconds UTC; ``validity_ns`` is how long an intent lives where it does not say."""
        self._sealer = sealer
        self._clock = clock
        self._validity = validity_ns

    def stamped(self, intent: I) -> I:
        """Fill in the times that the intent leaves open; a reference price without a time is of now."""
        created = intent.created_at or self._clock()
        valid_until = intent.valid_until or created + self._validity
        stamped = replace(intent, created_at=created, valid_until=valid_until)
        if isinstance(stamped, intents.OrderIntent | intents.AmendIntent) and stamped.reference_price:
            return replace(stamped, reference_time=stamped.reference_time or created)
        return stamped

    def request(self, intent: intents.Intent, wait_for: WaitFor | None = None) -> dispatch_pb2.SubmitRequest:
        """Seal one intent; the routing says what the host may know."""
        stamped = self.stamped(intent)
        return dispatch_pb2.SubmitRequest(
            sealed=self._sealer.seal(wire.intent_bytes(stamped)),
            routing=wire.routing(stamped),
            wait_for=int(wait_for or 0),  # type: ignore[arg-type]
        )

    def submit(
        self,
        intent: intents.OrderIntent
        | intents.CancelIntent
        | intents.CancelAllIntent
        | intents.AmendIntent
        | intents.CloseIntent,
        wait_for: WaitFor = WaitFor.ACKNOWLEDGED,
    ) -> Call[models.SubmitResult]:
        """Anything that changes an order."""
        raw = self.request(intent, wait_for).SerializeToString()
        return Call(DISPATCH + _METHOD_OF[type(intent)], raw, _submit_result, about(intent))

    def submit_batch(
        self, orders: Sequence[intents.Intent], wait_for: WaitFor
    ) -> Call[tuple[models.SubmitResult | errors.NotJudged, ...]]:
        """Up to 64 intents at once."""
        requests = [self.request(order, wait_for) for order in orders]
        raw = dispatch_pb2.SubmitBatchRequest(requests=requests).SerializeToString()
        return Call(DISPATCH + "SubmitBatch", raw, _batch)

    def read(
        self, intent: intents.QueryIntent | intents.OpenOrdersIntent | intents.BalancesIntent
    ) -> Call[models.ReadResult]:
        """Anything that reads from the venue."""
        return Call(DISPATCH + "Read", self.request(intent).SerializeToString(), _read_result, about(intent))

    def get(self, account: str, client_order_id: str) -> Call[models.ExecutionReport]:
        """Latest report of one order, from the host's journal."""
        request = dispatch_pb2.GetRequest(account=account, client_order_id=client_order_id)
        return Call(DISPATCH + "Get", request.SerializeToString(), _report, About(account, client_order_id))

    def list_orders(
        self, account: str, states: Iterable[models.OrderState], limit: int
    ) -> Call[tuple[models.ExecutionReport, ...]]:
        """Latest report of each order, from the host's journal."""
        request = dispatch_pb2.ListRequest(account=account, states=map(int, states), limit=limit)  # type: ignore[arg-type]
        return Call(
            DISPATCH + "List",
            request.SerializeToString(),
            lambda raw: tuple(wire.report(item) for item in dispatch_pb2.ListReply.FromString(raw).reports),
        )

    def watch(self, from_sequence: int, accounts: Iterable[str]) -> Call[models.ExecutionReport]:
        """Every report from a sequence on."""
        request = dispatch_pb2.WatchExecutionsRequest(from_sequence=from_sequence, accounts=accounts)
        return Call(DISPATCH + "WatchExecutions", request.SerializeToString(), _report)

    def halt(self, intent: intents.HaltIntent) -> Call[models.SubmitResult]:
        """Stop the enclave's signing within a scope."""
        sealed = self._sealer.seal(wire.intent_bytes(self.stamped(intent)))
        return Call(OPERATOR + "Halt", sealed.SerializeToString(), _submit_result)


def about(intent: intents.Intent) -> About:
    """Which order to ask about if the call's outcome is unknown."""
    return About(intent.account, getattr(intent, "client_order_id", ""))


def status() -> Call[models.Status]:
    """The host's and the enclave's status."""
    return Call(OPERATOR + "Status", dispatch_pb2.StatusRequest().SerializeToString(), _status)


def resume(intent: intents.HaltIntent, approvals: Sequence[bytes]) -> Call[models.EnclaveStatus]:
    """End a HALT; needs the quorum's approvals."""
    request = signer_pb2.Resume(
        scope=int(intent.scope),  # type: ignore[arg-type]
        account=intent.account,
        venue=intent.venue,
        symbol=intent.symbol,
        approvals=approvals,
    )
    return Call(
        OPERATOR + "Resume",
        request.SerializeToString(),
        lambda raw: wire.enclave_status(signer_pb2.EnclaveStatus.FromString(raw)),
    )


def pause(for_ms: int) -> Call[models.Status]:
    """The host takes no new orders for a while (1 ms to an hour)."""
    return Call(OPERATOR + "Pause", dispatch_pb2.PauseRequest(for_ms=for_ms).SerializeToString(), _status)


def unpause() -> Call[models.Status]:
    """End a pause."""
    return Call(OPERATOR + "Unpause", dispatch_pb2.UnpauseRequest().SerializeToString(), _status)


def load_policy(policy: bytes, approvals: Sequence[bytes]) -> Call[models.Loaded]:
    """Give the enclave a policy in its canonical form."""
    request = signer_pb2.LoadPolicy(policy=policy, approvals=approvals)
    return Call(OPERATOR + "LoadPolicy", request.SerializeToString(), _loaded)


def provision(account: str, credential: bytes, approvals: Sequence[bytes]) -> Call[models.Loaded]:
    """Give the enclave one account's credential."""
    request = signer_pb2.Provision(account=account, credential=credential, approvals=approvals)
    return Call(OPERATOR + "Provision", request.SerializeToString(), _loaded)
