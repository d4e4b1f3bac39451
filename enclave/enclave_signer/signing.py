"""The way of one intent: from who sent it to an encoded ``Judged``.

The order: sizes, sender (over the raw bytes, S3), decode, judge, build and sign, count, answer. Counting comes
between signing and answering, so that nothing leaves signed that was not counted, and nothing is counted that
was refused.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from enclave_signer import encode
from enclave_signer.decode import decode_intent
from enclave_signer.errors import NoRight, NotJudged, Refused, TooLarge, WrongPhase
from enclave_signer.model import (
    Amend,
    Balances,
    Cancel,
    CancelAll,
    Halt,
    Logon,
    OpenOrders,
    Operation,
    Order,
    OrderClosed,
    OrderType,
    Query,
    Stamp,
)
from enclave_signer.policy import signature_gaps, validity
from enclave_signer.policy.case import OPERATIONS, Case
from enclave_signer.policy.judge import Repeat, original
from enclave_signer.policy.prepared import NS_IN_MS, TRADING, Seat
from enclave_signer.receipts import ALLOWED, REFUSED
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from enclave_signer.book import Entry
    from enclave_signer.drift import Drift
    from enclave_signer.ledger import Ledger
    from enclave_signer.model import Instrument, Intent, WireRequest
    from enclave_signer.policy.judge import Judge, Plain
    from enclave_signer.policy.prepared import Desk, Scope
    from enclave_signer.ports import Authenticator
    from enclave_signer.receipts import Chain
    from enclave_signer.venues.base import Site
    from signer_api.v1 import intent_pb2

MAX_INTENT: Final = 4096
MAX_SEAL: Final = 1024
# What limits count of most intents.
_NOTHING: Final = "0"
_NS_IN_US: Final = 1_000
_UNMADE: Final = encode.Parts(b"", b"", repeated=False)
_DERIVED: Final = frozenset({Operation.QUERY, Operation.CANCEL})
_SINGLE: Final = {operation.value: operation for operation in _DERIVED}


class Signing:
    """Judges and signs intents for the live policy."""

    def __init__(
        self,
        authenticator: Authenticator,
        judge: Judge,
        ledger: Ledger,
        chain: Chain,
        now: Callable[[], int],
        random: Callable[[int], bytes],
        *,
        drift: Drift,
    ) -> None:
        """``now`` never goes backwards; ``sites`` are the accounts that can sign."""
        self._drift = drift
        self._identify = authenticator.identify
        self._judge = judge
        self._ledger = ledger
        self._chain = chain
        self._now = now
        self._random = random
        self.sites: Mapping[str, Site] = {}
        self.judged = 0
        self.refused = 0
        # Encoded parts of replies that many orders share, made at first use.
        self._verdicts: dict[str, bytes] = {}
        self._tails: dict[tuple[str, Operation, str], bytes] = {}
        # What the receipt of the intent at hand will say: the rule, and what limits counted.
        self._rule = ""
        self._charged = _NOTHING
        # What the answer is made of, where it was made from parts just now.
        self._made = _UNMADE

    def policy_changed(self) -> None:
        """Forget what was encoded for the policy before."""
        self._verdicts = {}
        self._tails = {}

    def sealed(self, sealed: intent_pb2.SealedIntent) -> bytes:
        """Answer a SealedIntent with an encoded Judged; raises NotJudged."""
        raw, session, mac = sealed.intent, sealed.session, sealed.mac
        if len(raw) > MAX_INTENT:
            raise too_large("intent", f"{MAX_INTENT} bytes")
        if len(session) > MAX_SEAL or len(mac) > MAX_SEAL:
            raise too_large("session", f"{MAX_SEAL} bytes")
        engine, since, prove = self._identify(session, sealed.counter, raw, mac)
        intent = decode_intent(raw)
        now = self._now()
        self._charged, self._made = _NOTHING, _UNMADE
        try:
            if intent.created_at < since:
                raise _before_session(intent.created_at, since)
            answer = self._decide(engine, intent, raw, now)
            self.judged += 1
            verdict, rule = ALLOWED, self._rule
        except Refused as refusal:
            answer = self._no(refusal)
            # What was made before the refusal is not the answer.
            self._made = _UNMADE
            verdict, rule = REFUSED, refusal.rule
        # From here on nothing may leave unless all of it is made: what fails answers INTERNAL (S9, S10).
        parts = encode.parts(answer) if self._made is _UNMADE else self._made
        digest = hashlib.sha256(parts.signed).digest() if parts.signed else b""
        receipt = self._chain.decision(
            now,
            engine,
            intent.account,
            OPERATIONS[type(intent)],
            verdict,
            rule,
            intent=hashlib.sha256(raw).digest(),
            request=digest,
            charged=self._charged,
            counter=sealed.counter,
        )
        answer = encode.with_receipt(answer, receipt)
        if prove is None:
            return answer
        own = self._chain.hash
        mac = prove(sealed.counter, parts.verdict, digest, own, parts.repeated)
        return answer + encode.proof(sealed.counter, parts, digest, own, mac)

    def derived(self, request: signer_pb2.DerivedRequest) -> bytes:
        """Sign the query or cancel of an order that this boot signed: the one right of the host without an engine."""
        operation = _SINGLE.get(request.operation)
        if operation is None:
            message = "operation: only QUERY and CANCEL derive from a signed order"
            raise NoRight(message, field="operation")
        desk = self._judge.desk(request.account)
        entry = None if desk is None else desk.ledger.orders.by_id.get(request.client_order_id)
        listing = None if desk is None or entry is None else desk.account.listings.get(entry.symbol)
        if desk is None or entry is None or listing is None:
            message = "client_order_id: this boot signed no such order, or has forgotten it"
            raise NoRight(message, field="client_order_id")
        site = self._site(desk)
        now = self._now()
        try:
            answer = self._derive(request, operation, desk, entry, listing.instrument, site, now)
            self.judged += 1
            verdict, rule = ALLOWED, "derived"
        except Refused as refusal:
            answer = self._no(refusal)
            verdict, rule = REFUSED, refusal.rule
        signed = encode.parts(answer).signed
        digest = hashlib.sha256(signed).digest() if signed else b""
        receipt = self._chain.decision(
            now,
            "",
            desk.name,
            operation,
            verdict,
            rule,
            intent=b"",
            request=digest,
            charged=_NOTHING,
            counter=0,
        )
        return encode.with_receipt(answer, receipt)

    def _decide(self, engine: str, intent: Intent, raw: bytes, now: int) -> bytes:
        if isinstance(intent, Order):
            if self._drift.stops:
                raise self._drift.refusal()
            return self._create(engine, intent, raw, now)
        if isinstance(intent, Halt):
            self._judge.halt(engine, intent, now)
            return encode.done(self._said("halt"))
        if isinstance(intent, OrderClosed):
            self._judge.close(self._judge.seat(engine, intent.account), intent, now)
            return encode.done(self._said("order_closed"))
        if self._drift.stops:
            raise self._drift.refusal()
        if isinstance(intent, Amend):
            return self._amend(engine, intent, now)
        return self._plain(engine, intent, now)

    def _create(self, engine: str, order: Order, raw: bytes, now: int) -> bytes:
        seat = self._judge.seat(engine, order.account, order.venue)
        site = self._site(seat.desk)
        case = self._judge.create(seat, order, raw, now)
        if isinstance(case, Repeat):
            return self._again(case)
        wire = site.create(order, _scope(case).instrument, self._stamp(case))
        judged = self._yes(case, wire, order.client_order_id)
        self._judge.count_create(case, raw, judged)
        return judged

    def _amend(self, engine: str, amend: Amend, now: int) -> bytes:
        seat = self._judge.seat(engine, amend.account, amend.venue)
        site = self._site(seat.desk)
        case = self._judge.amend(seat, amend, now)
        if isinstance(case, Repeat):
            return self._again(case)
        if case.entry is None:
            raise Refused("fault", "no order to amend")
        wire = site.amend(_said(amend, case), original(case.entry), _scope(case).instrument, self._stamp(case))
        judged = self._yes(case, wire, amend.client_order_id)
        self._judge.count_amend(case, amend, judged)
        return judged

    def _plain(self, engine: str, intent: Plain, now: int) -> bytes:
        seat = self._judge.seat(engine, intent.account, intent.venue)
        site = self._site(seat.desk)
        case = self._judge.plain(seat, intent, now)
        if isinstance(intent, Logon):
            return self._yes(case, site.logon(self._stamp(case)), "")
        if isinstance(intent, Balances):
            return self._yes(case, site.balances(intent, self._stamp(case)), "")
        instrument = _scope(case).instrument
        wire = _build_plain(site, intent, instrument, self._stamp(case))
        return self._yes(case, wire, getattr(intent, "client_order_id", ""))

    def _derive(  # noqa: PLR0917 - what was found of the order
        self,
        request: signer_pb2.DerivedRequest,
        operation: Operation,
        desk: Desk,
        entry: Entry,
        instrument: Instrument,
        site: Site,
        now: int,
    ) -> bytes:
        if self._drift.stops:
            raise self._drift.refusal()
        self._judge.may_derive(operation, desk, entry.symbol, now)
        # Without an intent there is no end to hold but the policy's longest and the venue's.
        until = now + min(desk.max_age_ns, desk.longest_ns)
        case = Case(operation, Seat("", desk, {}, {}, {}), None, now, now, until)
        signature_gaps.check(case)
        validity.check(case)
        name = request.client_order_id
        stop = original(entry).type is OrderType.STOP_LIMIT
        names = (desk.name, desk.account.venue.name, entry.symbol, name, "", now, until, stop)
        intent = Query(*names, request.closed) if operation is Operation.QUERY else Cancel(*names)
        wire = _build_plain(site, intent, instrument, self._stamp(case))
        tail = self._tail(desk, operation, instrument)
        signed = encode.signed_request(wire, name, case.ends_ms * NS_IN_MS, tail)
        return encode.allowed(self._verdict("derived"), signed)

    def _stamp(self, case: Case) -> Stamp:
        now = case.now
        nonce = case.seat.desk.ledger.nonce(now // _NS_IN_US)
        return Stamp(now // NS_IN_MS, nonce, case.ends_ms, self._random)

    def _yes(self, case: Case, wire: WireRequest, client_order_id: str) -> bytes:
        scope, operation = case.scope, case.operation
        instrument = None if scope is None else scope.instrument
        tail = self._tail(case.seat.desk, operation, instrument)
        signed = encode.signed_request(wire, client_order_id, case.ends_ms * NS_IN_MS, tail)
        if operation is Operation.LOGON:
            signed = encode.in_order(signed)
        verdict = self._said(case.granted_by())
        if operation in TRADING:
            worth = case.worth()
            verdict = encode.with_notional(verdict, worth)
            self._charged = worth if case.seat.desk.uses == 1 else case.charged()
        self._made = encode.Parts(verdict, signed, repeated=False)
        return encode.allowed(verdict, signed)

    def _again(self, repeat: Repeat) -> bytes:
        """Answer as the first time; the receipt names the same rule and request, and that nothing was counted."""
        self._rule = signer_pb2.Verdict.FromString(encode.parts(repeat.judged).verdict).rule
        return encode.repeated(repeat.judged)

    def _no(self, refusal: Refused) -> bytes:
        self.judged += 1
        self.refused += 1
        return encode.refused(refusal, self._judge.version)

    def _said(self, rule: str) -> bytes:
        """Return the verdict of an allowed intent, and keep its rule for the receipt."""
        self._rule = rule
        return self._verdict(rule)

    def _verdict(self, rule: str) -> bytes:
        found = self._verdicts.get(rule)
        if found is None:
            found = self._verdicts[rule] = encode.allow_verdict(rule, self._judge.version)
        return found

    def _tail(self, desk: Desk, operation: Operation, instrument: Instrument | None) -> bytes:
        key = (desk.name, operation, instrument.symbol if instrument else "")
        found = self._tails.get(key)
        if found is None:
            venue = desk.account.venue.name
            found = self._tails[key] = encode.request_tail(desk.name, venue, operation, instrument)
        return found

    def _site(self, desk: Desk) -> Site:
        site = self.sites.get(desk.name)
        if site is None:
            message = f"account: {desk.name} has no credential yet"
            raise WrongPhase(message, field="account")
        return site


def too_large(field: str, most: str) -> NotJudged:
    """Return the error for what is over a stated limit."""
    return TooLarge(f"{field}: at most {most}", field=field)


def _before_session(created_at: int, since: int) -> Refused:
    # S12: an intent that was handed over once is never authenticated anew.
    numbers = (("created_at", str(created_at)), ("session_opened", str(since)))
    return Refused("session_start", "created before its session opened", numbers)


def _scope(case: Case) -> Scope:
    if case.scope is None:
        raise Refused("instrument", "no instrument")
    return case.scope


def _said(amend: Amend, case: Case) -> Amend:
    """Say in full what was judged, if the order was amended before: the host may have held that amend back (S2)."""
    if case.entry is None or case.entry.order is None:
        return amend
    return amend._replace(quantity=case.order.quantity, price=case.order.price)


def _build_plain(
    site: Site, intent: Cancel | CancelAll | Query | OpenOrders | Balances, instrument: Instrument, stamp: Stamp
) -> WireRequest:
    match intent:
        case Cancel():
            return site.cancel(intent, instrument, stamp)
        case CancelAll():
            return site.cancel_all(intent, instrument, stamp)
        case Query():
            return site.query(intent, instrument, stamp)
        case OpenOrders():
            return site.open_orders(intent, instrument, stamp)
        case Balances():
            return site.balances(intent, stamp)
