"""Every call of the gateway as a value: method, bytes, and how to read the answer. Shared by both gateways."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from casemate import errors, intents, wire
from casemate.failures import About, not_judged
from casemate.models import WaitFor
from casemate.sealing import SessionSealer
from dispatch_api.v1 import dispatch_pb2
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from casemate import models
    from casemate.sealing import Sealer
    from signer_api.v1 import intent_pb2

T = TypeVar("T")
R = TypeVar("R", dispatch_pb2.SubmitReply, dispatch_pb2.ReadReply, dispatch_pb2.LogonReply)
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
    # Under which session an intent is handed over with this call; empty where there is none.
    session: bytes = b""


def _report(raw: bytes) -> models.ExecutionReport:
    return wire.report(dispatch_pb2.ExecutionReport.FromString(raw))


def _status(raw: bytes) -> models.Status:
    return wire.status(dispatch_pb2.StatusReply.FromString(raw))


def _loaded(raw: bytes) -> models.Loaded:
    return wire.loaded(signer_pb2.Loaded.FromString(raw))


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
        # The same again, if it is one that needs sessions.
        self.sessions: SessionSealer | None = sealer if isinstance(sealer, SessionSealer) else None
        self._clock = clock
        self._validity = validity_ns

    def stamped(self, intent: I) -> I:
        """Fill in the times that the intent leaves open; a reference price without a time is of now."""
        since = self.sessions.since if self.sessions else 0
        created = intent.created_at or max(self._clock(), since)
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
        return self._call(
            DISPATCH + _METHOD_OF[type(intent)],
            intent,
            self.request(intent, wait_for),
            self.answered,
            dispatch_pb2.SubmitReply,
        )

    def submit_batch(
        self, orders: Sequence[intents.Intent], wait_for: WaitFor
    ) -> Call[tuple[models.SubmitResult | errors.NotJudged | errors.OutcomeUnknown, ...]]:
        """Up to 64 intents at once."""
        requests = [self.request(order, wait_for) for order in orders]
        handed_over = [(each.sealed, about(order)) for each, order in zip(requests, orders, strict=True)]

        def parse(raw: bytes) -> tuple[models.SubmitResult | errors.NotJudged | errors.OutcomeUnknown, ...]:
            items = dispatch_pb2.SubmitBatchReply.FromString(raw).items
            return tuple(self.item(item, *each) for item, each in zip(items, handed_over, strict=False))

        raw = dispatch_pb2.SubmitBatchRequest(requests=requests).SerializeToString()
        session = requests[0].sealed.session if requests and self.sessions else b""
        return Call(DISPATCH + "SubmitBatch", raw, parse, session=session)

    def read(
        self, intent: intents.QueryIntent | intents.OpenOrdersIntent | intents.BalancesIntent
    ) -> Call[models.ReadResult]:
        """Anything that reads from the venue."""

        def answered(reply: dispatch_pb2.ReadReply, sealed: intent_pb2.SealedIntent, who: About) -> models.ReadResult:
            return wire.read_result(reply, self.proven(reply, sealed, who))

        request = self.request(intent)
        return self._call(DISPATCH + "Read", intent, request, answered, dispatch_pb2.ReadReply)

    def logon(self, intent: intents.LogonIntent) -> Call[models.LogonResult]:
        """What logs a connection of a private stream on."""
        request = self.request(intent)
        return self._call(DISPATCH + "Logon", intent, request, self.logged_on, dispatch_pb2.LogonReply)

    def logged_on(
        self, reply: dispatch_pb2.LogonReply, sealed: intent_pb2.SealedIntent, who: About
    ) -> models.LogonResult:
        """Read the answer to a logon; raises Unproven as well for a message that is not the enclave's."""
        proven = self.proven(reply, sealed, who)
        digest = hashlib.sha256(reply.request).digest()
        if proven is not None and reply.request and digest != reply.proof.request_digest:
            message = "the answer carries another message than the enclave signed"
            raise errors.Unproven(message, *who)
        return wire.logon_result(reply, proven)

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
        return Call(
            OPERATOR + "Halt",
            sealed.SerializeToString(),
            lambda raw: self.answered(dispatch_pb2.SubmitReply.FromString(raw), sealed, _NOBODY),
            session=sealed.session if self.sessions else b"",
        )

    def who(self, intent: intents.Intent) -> About:
        """Which order to ask about if the outcome is unknown."""
        return about(intent)

    def answered(
        self, reply: dispatch_pb2.SubmitReply, sealed: intent_pb2.SealedIntent, who: About
    ) -> models.SubmitResult:
        """Read the answer to an intent; raises Unproven where it should carry the enclave's word and does not."""
        return wire.submit_result(reply, self.proven(reply, sealed, who))

    def item(
        self, item: dispatch_pb2.ItemReply, sealed: intent_pb2.SealedIntent, who: About
    ) -> models.SubmitResult | errors.NotJudged | errors.OutcomeUnknown:
        """Read one item of a batch: a judgement, or (as a value) why there is none."""
        if item.WhichOneof("answer") == "reply":
            try:
                return self.answered(item.reply, sealed, who)
            except errors.Unproven as error:
                return error
        told = item.not_taken
        why = not_judged(told.reason or "INTERNAL", told.message, told.field, retry_can_help=told.retry_can_help)
        failed = self.failed(why, sealed.session, who)
        return failed if isinstance(failed, errors.OutcomeUnknown) else why

    def failed(self, error: errors.CasemateError, session: bytes, who: About) -> errors.CasemateError:
        """Return what a failed call means for an intent that was handed over under a session.

        A session that is not known any more is opened anew before the next intent. This one is not sealed again: it
        is only the host's word that the enclave did not judge it.
        """
        if self.sessions is None or not session or not isinstance(error, errors.NotAllowed):
            return error
        if error.reason != "NOT_AUTHENTICATED":
            return error
        self.sessions.lost(session)
        return errors.OutcomeUnknown(f"the host says: {error}", *who)

    def _call(
        self,
        method: str,
        intent: intents.Intent,
        request: dispatch_pb2.SubmitRequest,
        answered: Callable[[R, intent_pb2.SealedIntent, About], T],
        kind: type[R],
    ) -> Call[T]:
        sealed, who = request.sealed, about(intent)
        session = sealed.session if self.sessions else b""
        return Call(
            method,
            request.SerializeToString(),
            lambda raw: answered(kind.FromString(raw), sealed, who),
            who,
            session,
        )

    def proven(
        self,
        reply: dispatch_pb2.SubmitReply | dispatch_pb2.ReadReply | dispatch_pb2.LogonReply,
        sealed: intent_pb2.SealedIntent,
        who: About,
    ) -> signer_pb2.Verdict | None:
        """Return the enclave's own verdict; None where no session says it. Raises Unproven."""
        if self.sessions is None:
            return None
        if not self.sessions.proves(sealed.session, sealed.counter, reply.proof, reply.receipt):
            message = "the answer does not carry the enclave's word"
            raise errors.Unproven(message, *who)
        return signer_pb2.Verdict.FromString(reply.proof.verdict)


def no_session(error: errors.CasemateError) -> errors.CasemateError:
    """Return what it means for an intent that no session could be opened: it was not handed over."""
    if isinstance(error, errors.OutcomeUnknown):
        return errors.NotReady("NO_SESSION", f"no session could be opened: {error}", retry_can_help=True)
    return error


def about(intent: intents.Intent) -> About:
    """Which order to ask about if the call's outcome is unknown."""
    return About(intent.account, getattr(intent, "client_order_id", ""))


def status() -> Call[models.Status]:
    """The host's and the enclave's status."""
    return Call(OPERATOR + "Status", dispatch_pb2.StatusRequest().SerializeToString(), _status)


def resume(intent: intents.HaltIntent, approvals: Sequence[bytes], last: int) -> Call[models.EnclaveStatus]:
    """End a HALT, none after number ``last``; needs the quorum's approvals."""
    request = signer_pb2.Resume(
        scope=int(intent.scope),  # type: ignore[arg-type]
        account=intent.account,
        venue=intent.venue,
        symbol=intent.symbol,
        approvals=approvals,
        last=last,
    )
    return Call(
        OPERATOR + "Resume",
        request.SerializeToString(),
        lambda raw: wire.enclave_status(signer_pb2.EnclaveStatus.FromString(raw)),
    )


def halt_by_administrator(intent: intents.HaltIntent, approval: bytes) -> Call[models.EnclaveStatus]:
    """Stop signing within a scope by one administrator's approval."""
    request = signer_pb2.AdminHalt(
        scope=int(intent.scope),  # type: ignore[arg-type]
        account=intent.account,
        venue=intent.venue,
        symbol=intent.symbol,
        approval=approval,
    )
    return Call(
        OPERATOR + "HaltByAdministrator",
        request.SerializeToString(),
        lambda raw: wire.enclave_status(signer_pb2.EnclaveStatus.FromString(raw)),
    )


def succeed(quorum: bytes, approvals: Sequence[bytes]) -> Call[models.EnclaveStatus]:
    """Put a successor in the quorum's place, before a policy is live."""
    request = signer_pb2.SucceedQuorum(quorum=quorum, approvals=approvals)
    return Call(
        OPERATOR + "Succeed",
        request.SerializeToString(),
        lambda raw: wire.enclave_status(signer_pb2.EnclaveStatus.FromString(raw)),
    )


def pause(for_ms: int) -> Call[models.Status]:
    """The host takes no new orders for a while (1 ms to an hour)."""
    return Call(OPERATOR + "Pause", dispatch_pb2.PauseRequest(for_ms=for_ms).SerializeToString(), _status)


def unpause() -> Call[models.Status]:
    """End a pause."""
    return Call(OPERATOR + "Unpause", dispatch_pb2.UnpauseRequest().SerializeToString(), _status)


def receipts(boot: bytes, from_sequence: int, limit: int) -> Call[dispatch_pb2.StoredReceipts]:
    """A page of receipts from the host's journal; ``boot`` empty: of the newest."""
    request = dispatch_pb2.StoredReceiptsRequest(boot=boot, from_sequence=from_sequence, limit=limit)
    return Call(OPERATOR + "Receipts", request.SerializeToString(), dispatch_pb2.StoredReceipts.FromString)


def load_policy(policy: bytes, approvals: Sequence[bytes]) -> Call[models.Loaded]:
    """Give the enclave a policy in its canonical form."""
    request = signer_pb2.LoadPolicy(policy=policy, approvals=approvals)
    return Call(OPERATOR + "LoadPolicy", request.SerializeToString(), _loaded)


def attest(nonce: bytes) -> Call[bytes]:
    """Ask for an attestation document; whoever asked verifies it."""
    request = signer_pb2.Attest(nonce=nonce)
    return Call(
        OPERATOR + "Attest", request.SerializeToString(), lambda raw: signer_pb2.Attested.FromString(raw).document
    )


def provision_bundle(account: str, bundle: bytes, approvals: Sequence[bytes]) -> Call[models.Loaded]:
    """Give the enclave one account's credential, sealed to its own key."""
    request = signer_pb2.Provision(account=account, bundle=bundle, approvals=approvals)
    return Call(OPERATOR + "Provision", request.SerializeToString(), _loaded)


def unseal(account: str, bundle: bytes, approvals: Sequence[bytes]) -> Call[models.Loaded]:
    """Have the host ask KMS to open one account's sealed credential for the enclave."""
    request = signer_pb2.Provision(account=account, bundle=bundle, approvals=approvals)
    return Call(OPERATOR + "Unseal", request.SerializeToString(), _loaded)


def provision(account: str, credential: bytes, approvals: Sequence[bytes]) -> Call[models.Loaded]:
    """Give the development stand-in one account's credential in clear."""
    request = signer_pb2.Provision(account=account, credential=credential, approvals=approvals)
    return Call(OPERATOR + "Provision", request.SerializeToString(), _loaded)
