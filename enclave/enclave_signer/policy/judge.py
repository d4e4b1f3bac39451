"""Judging: which rules are asked, what is counted when the answer is yes. Pure but for the ledger it is given.

Undecided is refused: a fault inside a rule becomes a refusal by the rule ``fault``, without its text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from enclave_signer.book import MARGIN_NS, Entry
from enclave_signer.decode import decode_intent
from enclave_signer.errors import EnclaveError, Malformed, Refused
from enclave_signer.halts import ADMINISTRATOR, Standing
from enclave_signer.model import HaltScope, Operation, Order, OrderType, TimeInForce
from enclave_signer.policy import denied, limits, max_age, unknown_order
from enclave_signer.policy.case import OPERATIONS, Case
from enclave_signer.policy.prepared import NS_IN_MS, prepare
from enclave_signer.policy.rules import (
    AMEND_LAST,
    AMENDED,
    CREATE_LAST,
    OTHERS,
    SCOPED,
    TRADING_FIRST,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from enclave_signer.ledger import Ledger
    from enclave_signer.model import (
        Amend,
        Balances,
        Cancel,
        CancelAll,
        Halt,
        Logon,
        OpenOrders,
        OrderClosed,
        Query,
    )
    from enclave_signer.policy.case import Rule
    from enclave_signer.policy.model import Policy
    from enclave_signer.policy.prepared import Desk, Prepared, Seat
    from enclave_signer.ports import Halted

    Plain = Cancel | CancelAll | Query | OpenOrders | Balances | Logon

# What a signed order lets the host ask for without an engine.
_DERIVED: Final = frozenset({Operation.QUERY, Operation.CANCEL})
_RESTING: Final = frozenset({TimeInForce.GTC, TimeInForce.GTD})


class Repeat(NamedTuple):
    """The identical intent came before and its signature still lives: this is the encoded answer of that time."""

    judged: bytes


class Judge:
    """The live policy on top of what this boot has counted."""

    __slots__ = ("_ledger", "_seats", "live", "version")

    def __init__(self, ledger: Ledger) -> None:
        """Judge nothing until a policy is loaded."""
        self._ledger = ledger
        self._seats: dict[str, dict[str, Seat]] = {}
        self.live: Prepared | None = None
        self.version = 0

    def load(self, policy: Policy, now: int) -> Prepared:
        """Make a policy the live one. What was counted stays counted."""
        self.live = prepare(policy, self._ledger, now)
        self._seats = {engine: dict(own) for engine, own in self.live.seats.items()}
        self.version = policy.version
        return self.live

    def seat(self, engine: str, account: str, venue: str | None = None) -> Seat:
        """Find the engine at the account, or refuse by ``engine`` or ``account``."""
        own = self._seats.get(engine)
        if own is None:
            raise Refused("engine", "the policy knows no such engine", (("engine", engine),))
        seat = own.get(account)
        if seat is None:
            raise Refused("account", f"not an account of {engine}", (("account", account),))
        if venue is not None and seat.desk.account.venue.name != venue:
            reason = f"the account is at {seat.desk.account.venue.name}"
            raise Refused("account", reason, (("account", account), ("venue", venue)))
        return seat

    def desk(self, account: str) -> Desk | None:
        """Return an account of the live policy."""
        return None if self.live is None else self.live.desks.get(account)

    def may_derive(self, operation: Operation, desk: Desk, symbol: str, now: int) -> None:
        """Refuse what a derived signature would also be good for, unless some engine has the right to it here."""
        also = desk.account.venue.declaration.also.get(operation, frozenset()) - _DERIVED
        scopes = [own[desk.name].scopes[symbol] for own in self._seats.values() if desk.name in own]
        missing = {
            right
            for right in also
            if not any(right in scope.operations and denied.by(scope.denials, right, now) is None for scope in scopes)
        }
        if missing:
            names = ", ".join(sorted(right.name for right in missing))
            raise Refused("operation", f"no grant gives {names}, which the signature is also good for")

    def create(self, seat: Seat, order: Order, raw: bytes, now: int) -> Case | Repeat:
        """Judge a create."""
        scope = seat.scopes.get(order.symbol)
        case = Case(Operation.CREATE, seat, scope, now, order.created_at, order.valid_until)
        entry = seat.desk.ledger.orders.by_id.get(order.client_order_id)
        case.trade(order, entry, order.client_order_id)
        _ask(TRADING_FIRST, case)
        if entry is not None:
            judged = self._repeated(entry, seat.engine, order, raw, now)
            if judged is not None:
                return Repeat(judged)
        _ask(SCOPED, case)
        if scope is not None:
            case.size(scope)
        _ask(CREATE_LAST, case)
        return case

    def amend(self, seat: Seat, amend: Amend, now: int) -> Case | Repeat:
        """Judge an amend as the new order that it makes."""
        scope = seat.scopes.get(amend.symbol)
        case = Case(Operation.AMEND, seat, scope, now, amend.created_at, amend.valid_until)
        entry = case.entry = seat.desk.ledger.orders.by_id.get(amend.client_order_id)
        _ask(TRADING_FIRST, case)
        if entry is not None and entry.amends is not None and not entry.closed:
            # The policy's version is part of the key: what was signed under another one is judged anew.
            kept = entry.amends.get((seat.engine, self.version, amend))
            if kept is not None and now < kept[1]:
                return Repeat(kept[0])
            if kept is not None:
                raise Refused("duplicate", "the signature of this amend has ended")
        _ask(AMENDED, case)
        if entry is not None and scope is not None:
            case.trade(merged(entry, amend), entry, amend.new_client_order_id)
            case.size(scope)
            # Signatures of another policy's time may still be good for as many orders as they were counted then.
            case.reserve = max(0, case.units * max(entry.uses, seat.desk.uses) - entry.reserved)
        _ask(AMEND_LAST, case)
        return case

    def plain(self, seat: Seat, intent: Plain, now: int) -> Case:
        """Judge a cancel or a read."""
        operation = OPERATIONS[type(intent)]
        scope = seat.scopes.get(getattr(intent, "symbol", ""))
        case = Case(operation, seat, scope, now, intent.created_at, intent.valid_until)
        _ask(OTHERS[operation], case)
        return case

    def close(self, seat: Seat, closed: OrderClosed, now: int) -> None:
        """Judge and carry out an engine's word that its order can fill no more."""
        case = Case(Operation.ORDER_CLOSED, seat, None, now, closed.created_at, closed.valid_until)
        _ask(OTHERS[Operation.ORDER_CLOSED], case)
        orders = seat.desk.ledger.orders
        entry = unknown_order.closable(orders.by_id.get(closed.client_order_id), seat.engine)
        if closed.filled_quantity.units > entry.reserved:
            reason = "more was filled than was signed"
            raise Refused("max_quantity", reason, (("filled_quantity", closed.filled_quantity.text),))
        orders.close(entry, closed.filled_quantity.units, now)

    def halt(self, engine: str, halt: Halt, now: int) -> None:
        """Judge a HALT and put it in force: an engine's covers its own accounts, and must hit something."""
        own = self._seats.get(engine)
        if own is None:
            raise Refused("engine", "the policy knows no such engine", (("engine", engine),))
        seat = next(iter(own.values()), None)
        if seat is None:
            raise Refused("account", f"{engine} has no account")
        if halt.account:
            seat = self.seat(engine, halt.account)
        max_age.check(Case(Operation.HALT, seat, None, now, halt.created_at, halt.valid_until))
        standing = Standing(halt.scope, halt.account, halt.venue, halt.symbol, engine, now, frozenset(own))
        self._must_hit(standing, own.values())
        self._ledger.halts.add(standing, anew=True)
        self.apply_halts()

    def halt_for_administrator(self, scope: HaltScope, halted: Halted, signer: str, now: int) -> None:
        """Put an administrator's HALT in force; it covers every account, and must hit something: raises Malformed."""
        _, account, venue, symbol = halted
        by = f"{ADMINISTRATOR}{signer[:16]}"
        accounts = {} if self.live is None else self.live.policy.accounts
        standing = Standing(scope, account, venue, symbol, by, now, frozenset(accounts))
        places = [((each.name, each.venue.name), name) for each in accounts.values() for name in each.listings]
        if not any(standing.covers(at, name) for at, name in places):
            message = "scope: stops nothing that the policy names"
            raise Malformed(message, field="scope")
        self._ledger.halts.add(standing, anew=True)
        self.apply_halts()

    def apply_halts(self) -> None:
        """Make every seat and scope know the HALTs in force."""
        if self.live is not None:
            self.live.apply_halts(self._ledger)

    @staticmethod
    def _must_hit(halt: Standing, seats: Collection[Seat]) -> None:
        # A mistyped HALT that stops nothing must not look like one that does.
        places = [((seat.desk.name, seat.desk.account.venue.name), symbol) for seat in seats for symbol in seat.scopes]
        if halt.scope is HaltScope.SYMBOL and not any(halt.covers(at, symbol) for at, symbol in places):
            raise Refused("instrument", "no account of the engine trades this", (("symbol", halt.symbol),))
        if halt.scope is HaltScope.VENUE and all(seat.desk.account.venue.name != halt.venue for seat in seats):
            raise Refused("account", "no account of the engine is there", (("venue", halt.venue),))

    def count_create(self, case: Case, raw: bytes, judged: bytes) -> None:
        """Count a create that was allowed and signed, before its signature leaves."""
        scope, order = case.scope, case.order
        if scope is None:
            raise Refused("fault", "no scope")
        ledger = scope.desk.ledger
        limits.count(case)
        scope.book.reserve(order.side, order.position_side, case.reserve)
        ledger.traded.add(order.symbol)
        resting = order.time_in_force in _RESTING or order.type is OrderType.STOP_LIMIT
        entry = Entry(
            case.seat.engine,
            order,
            raw,
            judged,
            valid_until=case.ends_ms * NS_IN_MS,
            keep_until=case.alive_until + MARGIN_NS,
            sticky=resting or bool(scope.exposures),
            reserved=case.reserve,
            uses=scope.desk.uses,
            book=scope.book,
            version=self.version,
        )
        ledger.orders.add(order.client_order_id, entry)
        self._ledger.table.sweep(case.now)

    def count_amend(self, case: Case, amend: Amend, judged: bytes) -> None:
        """Count an amend: its full notional to the limits, what it adds to the exposure, its new id if it has one."""
        scope, entry = case.scope, case.entry
        if scope is None or entry is None:
            raise Refused("fault", "no scope")
        limits.count(case)
        scope.book.reserve(entry.side, entry.leg, case.reserve)
        entry.reserved += case.reserve
        entry.uses = max(entry.uses, scope.desk.uses)
        entry.order = case.order
        if amend.new_client_order_id:
            scope.desk.ledger.orders.rename(entry, amend.new_client_order_id)
        entry.keep_until = max(entry.keep_until, case.alive_until + MARGIN_NS)
        key = (case.seat.engine, self.version, amend)
        self._ledger.table.keep_amend(entry, key, judged, case.ends_ms * NS_IN_MS)
        self._ledger.table.sweep(case.now)

    def _repeated(self, entry: Entry, engine: str, order: Order, raw: bytes, now: int) -> bytes | None:
        """Return the answer of the first time, if this is the same intent and its signature lives."""
        if entry.judged is None or entry.closed or now >= entry.valid_until:
            return None
        if entry.engine != engine or entry.version != self.version:
            return None
        return entry.judged if raw == entry.raw or decode_intent(entry.raw) == order else None


def merged(entry: Entry, amend: Amend) -> Order:
    """Return the order as it will be, with the times and the reference of the amend."""
    order = original(entry)
    return order._replace(
        quantity=amend.quantity or order.quantity,
        price=amend.price or order.price,
        created_at=amend.created_at,
        valid_until=amend.valid_until,
        reference_price=amend.reference_price,
        reference_time=amend.reference_time,
    )


def original(entry: Entry) -> Order:
    """Return the order as this boot last signed it."""
    if entry.order is not None:
        return entry.order
    order = decode_intent(entry.raw)
    if not isinstance(order, Order):
        raise Refused("fault", "not an order")
    return order


def _ask(rules: tuple[Rule, ...], case: Case) -> None:
    try:
        for rule in rules:
            rule.check(case)
    except EnclaveError:
        raise
    except Exception:  # noqa: BLE001 - S10: whatever failed inside a rule, undecided is refused
        raise Refused("fault", "a rule failed; what is undecided is refused") from None
