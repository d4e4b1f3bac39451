"""What every venue does with an order before it writes a byte: refuse what it cannot say, then fill a template.

An order's *shape* is everything but its numbers, ids and times. There are few shapes, so the check of a
shape and the text around the numbers are made once for each instrument and kept; an order then costs one
dictionary look-up and one ``%``. A refusal is never kept: a refused shape is checked again each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from enclave_signer.errors import BadPolicy, Refused, Unsupported
from enclave_signer.model import (
    Kind,
    MarginMode,
    OrderType,
    PositionSide,
    Side,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Hashable

    from enclave_signer.model import Amend, Instrument, Order, Placement, Stamp, TimeInForce
    from enclave_signer.venues.declaration import Abilities, Declaration, Validity

# More shapes than any policy's instruments need; the cache starts anew rather than grow without bound.
_MOST_PLANS: Final = 8192
_OPENING: Final = ((Side.BUY, PositionSide.LONG), (Side.SELL, PositionSide.SHORT))


class Plan(NamedTuple):
    """The text of one shape: a %-template, what fills it, and what writes ``expire_at`` as its last slot."""

    template: str
    values: Callable[[Order], tuple[str, ...]]
    expiry: Callable[[int], str] | None = None

    def fill(self, order: Order) -> str:
        """Write the order's numbers and ids into the template."""
        if self.expiry is None:
            return self.template % self.values(order)
        return self.template % (*self.values(order), self.expiry(order.expire_at))


class Plans:
    """The plans of one site, made at first use."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[Order, Instrument], Plan]) -> None:
        """``make`` checks the order's shape and writes its plan, or raises Unsupported."""
        self._make = make
        self._made: dict[Hashable, Plan] = {}

    def of(self, order: Order, instrument: Instrument) -> Plan:
        """Return the plan of this order's shape for this instrument."""
        # Keyed by what the text depends on, so that another policy's instrument can never meet a stale plan.
        key = (
            instrument.venue_symbol,
            instrument.kind,
            order.side,
            order.type,
            order.time_in_force,
            order.quantity is None,
            order.trigger_by,
            order.post_only,
            order.reduce_only,
            order.position_side,
            order.self_trade_prevention,
        )
        plan = self._made.get(key)
        if plan is None:
            plan = self._make(order, instrument)
            if len(self._made) >= _MOST_PLANS:
                self._made.clear()
            self._made[key] = plan
        return plan


def check_shape(order: Order, instrument: Instrument, placement: Placement, declared: Declaration) -> None:
    """Raise Unsupported for whatever this venue cannot express for this kind of instrument."""
    kind = instrument.kind
    check_kind(instrument, placement, declared)
    if order.type not in declared.order_types[kind]:
        _refuse("type", f"no {order.type.name} orders for {kind.value}")
    abilities = declared.abilities[kind]
    if order.quantity is None and not abilities.quote_quantity:
        _refuse("quote_quantity", "quantities are in base units or contracts only")
    _check_time(order, abilities, declared.times_in_force[kind], kind)
    _check_trigger(order, abilities)
    if order.self_trade_prevention is not None and order.self_trade_prevention not in abilities.self_trade:
        _refuse("self_trade_prevention", f"no word for {order.self_trade_prevention.name}")
    _check_position(order, kind, placement, abilities)


def check_kind(instrument: Instrument, placement: Placement, declared: Declaration) -> None:
    """Refuse kinds that the venue file does not trade, and spot on margin."""
    if instrument.kind not in declared.kinds:
        _refuse("symbol", f"no {instrument.kind.value} here")
    if instrument.kind is Kind.SPOT and placement.margin_mode is not MarginMode.CASH:
        _refuse("symbol", "spot is traded with margin_mode cash only")


def _check_time(order: Order, abilities: Abilities, times: frozenset[TimeInForce], kind: Kind) -> None:
    time = order.time_in_force
    stop = order.type is OrderType.STOP_LIMIT
    if time is not None and (time not in times or (stop and time not in abilities.stop_times)):
        _refuse("time_in_force", f"no {time.name} for {order.type.name} on {kind.value}")
    if not order.post_only:
        return
    if time not in abilities.post_only_times:
        _refuse("post_only", f"post_only goes with {', '.join(sorted(t.name for t in abilities.post_only_times))} only")
    if stop and not abilities.stop_post_only:
        _refuse("post_only", "a STOP_LIMIT cannot be post_only")


def _check_trigger(order: Order, abilities: Abilities) -> None:
    if order.trigger_by is None:
        return
    if order.type is not OrderType.STOP_LIMIT:
        _refuse("trigger_by", "only a STOP_LIMIT watches a price")
    if order.trigger_by not in abilities.triggers:
        _refuse("trigger_by", f"stops cannot watch {order.trigger_by.name}")


def _check_position(order: Order, kind: Kind, placement: Placement, abilities: Abilities) -> None:
    if order.reduce_only and not abilities.reduce_only:
        _refuse("reduce_only", f"no reduce_only for {kind.value}")
    if not (placement.hedged and kind is Kind.SWAP):
        if order.position_side is not None:
            _refuse("position_side", "the account is not hedged" if kind is Kind.SWAP else "spot has no positions")
        return
    if not abilities.hedge:
        _refuse("position_side", "no hedged positions here")
    if order.position_side is None:
        _refuse("position_side", "a hedged account needs LONG or SHORT")
    if order.reduce_only and (order.side, order.position_side) in _OPENING:
        _refuse("reduce_only", "this side only opens the leg that position_side names")


def check_change(amend: Amend) -> None:
    """Refuse an amend that changes nothing."""
    if amend.quantity is None and amend.price is None:
        _refuse("quantity", "an amend changes the quantity, the price or both")


def window_ms(stamp: Stamp, validity: Validity) -> int:
    """Length of the signed window: it ends at ``valid_until_ms`` or after the venue's longest, whichever is first."""
    return min(check_alive(stamp, validity.shortest_ms), validity.longest_ms)


def check_alive(stamp: Stamp, shortest_ms: int = 1) -> int:
    """Milliseconds until ``valid_until_ms``; fewer than ``shortest_ms`` are refused: what is over is never signed."""
    remaining = stamp.valid_until_ms - stamp.now_ms
    if remaining < shortest_ms:
        message = f"{remaining} ms of validity left, the venue needs {shortest_ms}"
        raise Refused("validity", message, (("remaining_ms", str(remaining)),))
    return remaining


def checked(text: str, grammar: re.Pattern[str], field: str) -> str:
    """Return ``text`` if the whole of it is of the grammar, so that no free text reaches a request unread."""
    if grammar.fullmatch(text) is None:
        _refuse(field, f"must be {grammar.pattern}")
    return text


def whole_seconds(expire_at: int) -> int:
    """Nanoseconds to seconds, refusing what would have to be rounded."""
    seconds, rest = divmod(expire_at, 1_000_000_000)
    if rest:
        _refuse("expire_at", "the venue keeps whole seconds only")
    return seconds


def _refuse(field: str, reason: str) -> NoReturn:
    raise Unsupported(field, f"{field}: {reason}")


def check_listed(instrument: Instrument, declared: Declaration, grammar: re.Pattern[str]) -> None:
    """Raise BadPolicy for an instrument that a venue cannot trade or whose venue symbol is malformed."""
    if instrument.kind not in declared.kinds:
        message = f"this venue does not trade {instrument.kind.value}"
        raise BadPolicy(message, field="kind")
    if grammar.fullmatch(instrument.venue_symbol) is None:
        message = f"venue_symbol must be {grammar.pattern}"
        raise BadPolicy(message, field="venue_symbol")
