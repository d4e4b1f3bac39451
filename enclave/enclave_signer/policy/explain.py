"""What every rule says about one intent, not only the first that refuses. Pure: nothing is counted or signed.

The intent meets the policy as the first of a boot would: limits are empty, no order is known. Rules that need what
an earlier one found missing (the band of an unknown symbol, the price of an unknown order) are not asked.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from enclave_signer.decode import decode_intent
from enclave_signer.errors import Refused
from enclave_signer.ledger import Ledger
from enclave_signer.model import Amend, Halt, Operation, Order, OrderClosed
from enclave_signer.policy import band, duty, exposures, grants, limits, precision, unknown_order
from enclave_signer.policy.case import OPERATIONS, Case
from enclave_signer.policy.judge import Judge
from enclave_signer.policy.load import load
from enclave_signer.policy.model import DutyMode
from enclave_signer.policy.rules import AMENDED, CREATE_LAST, OTHERS, SCOPED, TRADING_FIRST
from enclave_signer.venues.registry import VENUES
from enclave_signer.venues.shapes import check_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from enclave_signer.model import Intent
    from enclave_signer.policy.case import Numbers, Rule
    from enclave_signer.policy.judge import Plain
    from enclave_signer.policy.prepared import Seat
    from enclave_signer.venues.base import Venue

_CAPACITY: Final = 1
_NEED_SCOPE: Final[tuple[Rule, ...]] = (unknown_order, precision, band, grants, limits, exposures)


class Word(Enum):
    """What a rule says."""

    PASS = "pass"  # noqa: S105 - not a password
    REFUSE = "refuse"
    NOT_ASKED = "not_asked"


class Line(NamedTuple):
    """One rule's word, its reason where it refuses, and the numbers that it looked at."""

    rule: str
    word: Word
    reason: str
    numbers: Numbers


def explain(
    policy: bytes, engine: str, intent: bytes, now_ns: int, *, venues: Mapping[str, Venue] = VENUES
) -> tuple[Line, ...]:
    """Ask every rule, in the order in which they judge.

    ``policy`` is canonical (BadPolicy), ``intent`` a serialised ``Intent`` (Malformed), ``now_ns`` the enclave's clock.
    """
    judge = Judge(Ledger(_CAPACITY))
    prepared = judge.load(load(policy, venues), now_ns)
    prepared.ask_no_duty()
    live = prepared.policy
    lines = _lines(judge, engine, decode_intent(intent), now_ns)
    return tuple(_ungranted(line) if live.duty.mode is DutyMode.DAEMON else line for line in lines)


def _ungranted(line: Line) -> Line:
    """Grants are given while the enclave runs: what one will cover is not the policy's to say."""
    if line.rule != duty.NAME or line.word is not Word.PASS:
        return line
    return Line(duty.NAME, Word.NOT_ASKED, "the order needs a grant of the duty daemon, which is not known here", ())


def _lines(judge: Judge, engine: str, intent: Intent, now: int) -> Iterator[Line]:
    if isinstance(intent, Halt):
        yield _tried("halt", lambda: judge.halt(engine, intent, now))
        return
    try:
        seat = judge.seat(engine, intent.account, getattr(intent, "venue", None))
    except Refused as refusal:
        if refusal.rule == "account":
            yield Line("engine", Word.PASS, "", (("engine", engine),))
        yield Line(refusal.rule, Word.REFUSE, refusal.reason, refusal.numbers)
        return
    yield Line("engine", Word.PASS, "", (("engine", engine),))
    yield Line("account", Word.PASS, "", (("venue", seat.desk.account.venue.name),))
    if isinstance(intent, OrderClosed):
        yield _tried("unknown_order", lambda: judge.close(seat, intent, now))
        return
    yield from _asked(seat, intent, now)


def _asked(seat: Seat, intent: Order | Amend | Plain, now: int) -> Iterator[Line]:
    scope = seat.scopes.get(getattr(intent, "symbol", ""))
    case = Case(OPERATIONS[type(intent)], seat, scope, now, intent.created_at, intent.valid_until)
    case.entry = None
    if isinstance(intent, Order):
        case.trade(intent, None, intent.client_order_id)
        if scope is not None:
            case.size(scope)
    for rule in _rules(case.operation):
        if scope is None and rule in _NEED_SCOPE:
            yield Line(rule.NAME, Word.NOT_ASKED, "there is no such instrument to ask about", ())
        else:
            yield _said(rule, case)
    if isinstance(intent, Order) and scope is not None:
        account = seat.desk.account
        declared = account.venue.declaration
        yield _tried("venue_support", lambda: check_shape(intent, scope.instrument, account.placement, declared))


def _rules(operation: Operation) -> tuple[Rule, ...]:
    if operation is Operation.CREATE:
        return (*TRADING_FIRST, *SCOPED, *CREATE_LAST)
    if operation is Operation.AMEND:
        return (*TRADING_FIRST, *AMENDED)
    return OTHERS[operation]


def _tried(name: str, attempt: Callable[[], None]) -> Line:
    try:
        attempt()
    except Refused as refusal:
        return Line(refusal.rule, Word.REFUSE, refusal.reason, refusal.numbers)
    return Line(name, Word.PASS, "", ())


def _said(rule: Rule, case: Case) -> Line:
    try:
        rule.check(case)
    except Refused as refusal:
        return Line(refusal.rule, Word.REFUSE, refusal.reason, refusal.numbers)
    return Line(rule.NAME, Word.PASS, "", rule.numbers(case))
