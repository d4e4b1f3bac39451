"""Judging without signing: what a policy would have said to a sequence of intents, counters and all.

The same judge as in the enclave. What only a venue file can refuse while it builds a request (details beyond what
the venue declares) is not seen here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from enclave_signer.decode import decode_intent
from enclave_signer.errors import Refused
from enclave_signer.ledger import Ledger
from enclave_signer.model import Amend, Halt, Order, OrderClosed
from enclave_signer.policy.judge import Judge, Repeat
from enclave_signer.policy.load import load
from enclave_signer.policy.prepared import TRADING
from enclave_signer.venues.registry import VENUES
from enclave_signer.venues.shapes import check_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.model import Intent
    from enclave_signer.policy.case import Case, Numbers
    from enclave_signer.venues.base import Venue

_CAPACITY: Final = 262_144


class Verdict(NamedTuple):
    """The decision, the rule that refused or the grant that allowed, its numbers. ``repeated``: nothing counted."""

    allowed: bool
    rule: str
    reason: str
    numbers: Numbers
    repeated: bool = False


class Simulator:
    """An enclave's judgement over time, without keys."""

    def __init__(self, policy: bytes, *, venues: Mapping[str, Venue] = VENUES, capacity: int = _CAPACITY) -> None:
        """Take a canonical policy; raises BadPolicy."""
        self._judge = Judge(Ledger(capacity))
        self._policy = load(policy, venues)
        self._loaded = False
        self._seen = 0

    def judge(self, engine: str, intent: bytes, now_ns: int) -> Verdict:
        """Judge one serialised ``Intent`` and count it if allowed; raises Malformed. Time never goes backwards."""
        self._seen = now = max(self._seen, now_ns)
        if not self._loaded:
            self._judge.load(self._policy, now).ask_no_duty()
            self._loaded = True
        decoded = decode_intent(intent)
        try:
            return self._decide(engine, decoded, intent, now)
        except Refused as refusal:
            return Verdict(allowed=False, rule=refusal.rule, reason=refusal.reason, numbers=refusal.numbers)

    def _decide(self, engine: str, intent: Intent, raw: bytes, now: int) -> Verdict:
        if isinstance(intent, Halt):
            self._judge.halt(engine, intent, now)
            return _yes("halt")
        seat = self._judge.seat(engine, intent.account, getattr(intent, "venue", None))
        if isinstance(intent, OrderClosed):
            self._judge.close(seat, intent, now)
            return _yes("order_closed")
        if isinstance(intent, Order):
            created = self._judge.create(seat, intent, raw, now)
            if isinstance(created, Repeat):
                return Verdict(allowed=True, rule="", reason="", numbers=(), repeated=True)
            _check_support(created, intent)
            self._judge.count_create(created, raw, b"")
            return _granted(created)
        if isinstance(intent, Amend):
            amended = self._judge.amend(seat, intent, now)
            if isinstance(amended, Repeat):
                return Verdict(allowed=True, rule="", reason="", numbers=(), repeated=True)
            self._judge.count_amend(amended, intent, b"")
            return _granted(amended)
        return _granted(self._judge.plain(seat, intent, now))


def _check_support(case: Case, order: Order) -> None:
    if case.scope is not None:
        account = case.seat.desk.account
        check_shape(order, case.scope.instrument, account.placement, account.venue.declaration)


def _granted(case: Case) -> Verdict:
    numbers = (("notional", case.worth()),) if case.operation in TRADING else ()
    return _yes(case.granted_by(), numbers)


def _yes(rule: str, numbers: Numbers = ()) -> Verdict:
    return Verdict(allowed=True, rule=rule, reason="", numbers=numbers)
