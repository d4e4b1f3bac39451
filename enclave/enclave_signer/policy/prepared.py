"""A policy made ready: whatever the policy alone decides is decided here, once, when it loads.

A *desk* is an account, a *seat* is one engine at a desk, a *scope* is one symbol before a seat. Judging an order
is finding its scope by two dictionary look-ups; what its grants and denials are depends on its operation and its
shape (side, type, time in force), and is looked up by one number. So it costs the same however long the lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from enclave_signer.model import Operation, OrderType, Side, TimeInForce
from enclave_signer.venues.declaration import Gap, ValidityKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from enclave_signer.budget import Budget
    from enclave_signer.exposure import Book
    from enclave_signer.halts import Standing
    from enclave_signer.ledger import AccountLedger, Ledger
    from enclave_signer.model import Instrument
    from enclave_signer.policy.model import Account, Denial, Exposure, Grant, Limit, Policy
    from enclave_signer.windows import Window

NS_IN_MS: Final = 1_000_000
# Notionals are integers of 10**-54: quantity, contract size and price have 18 places each.
NOTIONAL_PLACES: Final = 54
_TO_NOTIONAL: Final = 10**36
TRADING: Final = frozenset({Operation.CREATE, Operation.AMEND})
_NO_TIME: Final = 0
# Later than any time on the wire.
FOREVER: Final = 1 << 64


def shape(operation: int, side: int, kind: int, time: int) -> int:
    """Number what grants and denials of trading are indexed by; ``time`` is 0 for MARKET."""
    return operation << 10 | side << 6 | kind << 3 | time


@dataclass(slots=True, eq=False)
class RollingLimit:
    """A limit with its ring; maxima are None where there is no such bound."""

    name: str
    window: Window
    budget: Budget
    max_spent: int | None
    max_count: int | None


@dataclass(slots=True, eq=False)
class ExposureLimit:
    """A bound on the worst case in units of quantity, whichever of its two forms is the tighter."""

    name: str
    max_units: int


@dataclass(slots=True, eq=False)
class GrantBounds:
    """A grant's numbers in the units of judging; None where there is no such bound."""

    grant: Grant
    max_units: int | None
    max_notional: int | None
    reference_max_age_ns: int
    always: bool


@dataclass(slots=True, eq=False)
class Desk:
    """One account, with what its venue and policy say of every request."""

    account: Account
    ledger: AccountLedger
    max_age_ns: int
    # For each operation the gaps of its signature that the account does not accept.
    gaps: Mapping[Operation, tuple[str, ...]]
    fixed: bool
    fixed_accepted: bool
    shortest_ms: int
    longest_ns: int
    uses: int
    fits_client_order_id: Callable[[str], re.Match[str] | None]
    # Creates and amends are signed before this moment (nanoseconds UTC); see the rule ``duty``. Never, until somebody
    # who knows of grants has said so: a fault on the way there signs nothing.
    duty_until: int = 0

    @property
    def name(self) -> str:
        """Name of the account."""
        return self.account.name


@dataclass(slots=True, eq=False)
class Scope:
    """What one engine may do with one symbol of one account, and what counts it."""

    desk: Desk
    instrument: Instrument
    tick: int
    lot: int
    price_min: int
    price_max: int
    # What one unit of quantity is worth at most, and what divides a quote quantity into base at most.
    unit_value: int
    # Operation -> name of a grant that gives it, with all that its signature is good for.
    operations: Mapping[Operation, str]
    grants: Mapping[int, tuple[GrantBounds, ...]]
    denials: Mapping[int, tuple[Denial, ...]]
    limits: tuple[RollingLimit, ...]
    book: Book
    exposures: tuple[ExposureLimit, ...]
    halt: Standing | None = None


@dataclass(slots=True, eq=False)
class Seat:
    """One engine at one account."""

    engine: str
    desk: Desk
    scopes: Mapping[str, Scope]
    # For what names no symbol, or one that is not there: operation -> grant of it for any symbol.
    operations: Mapping[Operation, str]
    denials: Mapping[int, tuple[Denial, ...]]
    halt: Standing | None = None


@dataclass(slots=True, eq=False)
class Prepared:
    """A whole policy, ready."""

    policy: Policy
    desks: Mapping[str, Desk]
    # By engine, then by account.
    seats: Mapping[str, Mapping[str, Seat]] = field(default_factory=dict)

    def every_seat(self) -> Iterator[Seat]:
        """Yield all seats."""
        for own in self.seats.values():
            yield from own.values()

    def ask_no_duty(self) -> None:
        """Judge as if every account were on duty for ever: what the policy alone says."""
        for desk in self.desks.values():
            desk.duty_until = FOREVER

    def apply_halts(self, ledger: Ledger) -> None:
        """Note at every seat and scope which HALT covers it."""
        for seat in self.every_seat():
            at = (seat.desk.name, seat.desk.account.venue.name)
            seat.halt = ledger.halts.covering(at, "")
            for symbol, scope in seat.scopes.items():
                scope.halt = ledger.halts.covering(at, symbol)


def prepare(policy: Policy, ledger: Ledger, now: int) -> Prepared:
    """Make a policy ready, on top of what this boot has counted."""
    desks = {name: _desk(account, ledger, policy.max_age_ms) for name, account in policy.accounts.items()}
    windows = {name: desk.ledger.limits(desk.account.limits, now) for name, desk in desks.items()}
    seats = {
        engine: {name: _seat(engine, desks[name], windows[name]) for name in sorted(own)}
        for engine, own in policy.engines.items()
    }
    prepared = Prepared(policy, desks, seats)
    for engine, own in policy.engines.items():
        ledger.halts.widen(engine, own)
    ledger.halts.widen_administrators(frozenset(policy.accounts))
    prepared.apply_halts(ledger)
    return prepared


def _desk(account: Account, ledger: Ledger, max_age_ms: int) -> Desk:
    declared = account.venue.declaration
    fixed = declared.validity.kind is ValidityKind.FIXED
    # A fixed validity is the validity rule's business: it is no gap for an order that outlives the signature.
    accepted = account.accept | ({Gap.FIXED_VALIDITY} if fixed else frozenset())
    return Desk(
        account=account,
        ledger=ledger.account(account.name),
        max_age_ns=max_age_ms * NS_IN_MS,
        gaps={
            operation: tuple(sorted(gap.value for gap in gaps - accepted))
            for operation, gaps in declared.gaps.items()
            if gaps - accepted
        },
        fixed=fixed,
        fixed_accepted=Gap.FIXED_VALIDITY in account.accept,
        shortest_ms=declared.validity.shortest_ms,
        longest_ns=declared.validity.longest_ms * NS_IN_MS,
        uses=account.count_uses,
        fits_client_order_id=re.compile(declared.client_order_id, re.ASCII).fullmatch,
    )


def _seat(engine: str, desk: Desk, windows: Mapping[str, Window]) -> Seat:
    grants = [grant for grant in desk.account.grants if engine in grant.engines]
    denials = [each for each in desk.account.denials if not each.engines or engine in each.engines]
    # Most symbols share their rules: each set of them is indexed once.
    indexed: dict[tuple[str, ...], _Rules] = {}
    return Seat(
        engine=engine,
        desk=desk,
        scopes={
            symbol: _scope(desk, symbol, _rules(desk, symbol, grants, denials, indexed), windows)
            for symbol in desk.account.listings
        },
        operations=_operations(grants, desk),
        denials=_index_denials([each for each in denials if _concerns_account(each, desk)], desk),
    )


def _concerns_account(denial: Denial, desk: Desk) -> bool:
    """Whether a denial is about balances: of every symbol, by name, or about what a read of them is also good for."""
    also = desk.account.venue.declaration.also.get(Operation.BALANCES, frozenset())
    reads = bool(also) and (not denial.operations or bool(also & denial.operations))
    return not denial.symbols or Operation.BALANCES in denial.operations or reads


class _Rules(NamedTuple):
    """What grants and denials come to for a symbol."""

    operations: Mapping[Operation, str]
    grants: Mapping[int, tuple[GrantBounds, ...]]
    denials: Mapping[int, tuple[Denial, ...]]


def _rules(
    desk: Desk, symbol: str, grants: list[Grant], denials: list[Denial], indexed: dict[tuple[str, ...], _Rules]
) -> _Rules:
    given = [grant for grant in grants if symbol in grant.symbols]
    denied = [each for each in denials if not each.symbols or symbol in each.symbols]
    # No name is empty, so an empty one parts the two lists.
    key = (*(each.name for each in given), "", *(each.name for each in denied))
    found = indexed.get(key)
    if found is None:
        found = indexed[key] = _Rules(_operations(given, desk), _index_grants(given), _index_denials(denied, desk))
    return found


def _scope(desk: Desk, symbol: str, rules: _Rules, windows: Mapping[str, Window]) -> Scope:
    account, listing = desk.account, desk.account.listings[symbol]
    instrument = listing.instrument
    unit_value = instrument.contract_size.units * listing.price_max.units
    return Scope(
        desk=desk,
        instrument=instrument,
        tick=instrument.tick_size.units,
        lot=instrument.lot_size.units,
        price_min=listing.price_min.units,
        price_max=listing.price_max.units,
        unit_value=unit_value,
        operations=rules.operations,
        grants=rules.grants,
        denials=rules.denials,
        limits=tuple(
            _rolling(each, desk.ledger, windows[each.name]) for each in account.limits if symbol in each.symbols
        ),
        book=desk.ledger.book(symbol),
        exposures=tuple(_bound(each, unit_value) for each in account.exposures if each.symbol == symbol),
    )


def _operations(grants: list[Grant], desk: Desk) -> dict[Operation, str]:
    """Grant of each operation, left out where the signature is good for more than is granted."""
    given: dict[Operation, str] = {}
    for grant in grants:
        for operation in grant.operations:
            given.setdefault(operation, grant.name)
    also = desk.account.venue.declaration.also
    return {operation: name for operation, name in given.items() if also.get(operation, frozenset()) <= given.keys()}


def missing_rights(seat: Seat, scope: Scope | None, operation: Operation) -> frozenset[Operation]:
    """Operations that the signature is good for and that no grant gives; for explanations."""
    also = seat.desk.account.venue.declaration.also.get(operation, frozenset())
    given = {
        right
        for grant in seat.desk.account.grants
        if seat.engine in grant.engines and (scope is None or scope.instrument.symbol in grant.symbols)
        for right in grant.operations
    }
    return frozenset(({operation} | also) - given)


def _index_grants(grants: list[Grant]) -> dict[int, tuple[GrantBounds, ...]]:
    index: dict[int, list[GrantBounds]] = {}
    for grant in grants:
        bounds = GrantBounds(
            grant=grant,
            max_units=grant.max_quantity.units if grant.max_quantity else None,
            max_notional=grant.max_notional.units * _TO_NOTIONAL if grant.max_notional else None,
            reference_max_age_ns=(grant.reference_max_age_ms or 0) * NS_IN_MS,
            always=not (grant.hours.spans or grant.hours.days),
        )
        for operation in grant.operations & TRADING:
            for key in _shapes(operation, grant.sides, grant.types, grant.times_in_force):
                index.setdefault(key, []).append(bounds)
    return {key: tuple(found) for key, found in index.items()}


def _index_denials(denials: list[Denial], desk: Desk) -> dict[int, tuple[Denial, ...]]:
    """Denials by shape: what is denied is denied too as the other use of a signature (S2)."""
    also = desk.account.venue.declaration.also
    index: dict[int, list[Denial]] = {}
    for each in denials:
        for operation in Operation:
            meant = {operation, *also.get(operation, ())} & (each.operations or frozenset(Operation))
            for key in {key for what in meant for key in _denied_shapes(each, what, operation)}:
                index.setdefault(key, []).append(each)
    return {key: tuple(found) for key, found in index.items()}


def _denied_shapes(denial: Denial, what: Operation, operation: Operation) -> Iterator[int]:
    """Yield the shapes of ``operation`` that are denied because ``what``, which it is good for, is."""
    if what in TRADING:
        sides, types = denial.sides or Side, denial.types or OrderType
        yield from _shapes(
            operation, sides, types, denial.times_in_force or TimeInForce, market=not denial.times_in_force
        )
        return
    # A cancel or a read has no side, type or time in force. A denial that has them is about orders, unless it
    # names the operation: then it is meant, and a denial errs on the side of refusing.
    about_orders = denial.sides or denial.types or denial.times_in_force
    if about_orders and what not in denial.operations:
        return
    if operation in TRADING:
        yield from _shapes(operation, Side, OrderType, TimeInForce)
    else:
        yield shape(operation, 0, 0, 0)


def _shapes(
    operation: int,
    sides: Iterable[Side],
    types: Iterable[OrderType],
    times: Iterable[TimeInForce],
    *,
    market: bool = True,
) -> Iterator[int]:
    """Yield every shape. A MARKET order has no time in force: ``market`` says whether it is meant all the same."""
    for side, kind in product(sides, types):
        if kind is not OrderType.MARKET:
            yield from (shape(operation, side, kind, time) for time in times)
        elif market:
            yield shape(operation, side, kind, _NO_TIME)


def _rolling(limit: Limit, ledger: AccountLedger, window: Window) -> RollingLimit:
    return RollingLimit(limit.name, window, ledger.budget(limit.name), most_spent(limit), limit.max_orders)


def most_spent(limit: Limit) -> int | None:
    """Return a limit's maximum of notional in the units of judging."""
    return limit.max_notional.units * _TO_NOTIONAL if limit.max_notional else None


def _bound(exposure: Exposure, unit_value: int) -> ExposureLimit:
    bounds = []
    if exposure.max_quantity is not None:
        bounds.append(exposure.max_quantity.units)
    if exposure.max_notional is not None:
        bounds.append(exposure.max_notional.units * _TO_NOTIONAL // unit_value)
    return ExposureLimit(exposure.name, min(bounds))


def quote_notional(units: int) -> int:
    """Return the notional of an order that states ``units`` of the quote currency."""
    return units * _TO_NOTIONAL


def most_base(quote_units: int, scope: Scope) -> int:
    """Return the most quantity that a quote quantity can buy or sell in the band: at its lowest price, rounded up."""
    contract = scope.instrument.contract_size.units
    return -(-quote_units * _TO_NOTIONAL // (scope.price_min * contract))
