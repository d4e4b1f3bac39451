"""Filters that an order must pass before anything is locked: tick, lot, minimum size and notional."""

from decimal import Decimal

from casemate_mock.exchange.arithmetic import is_multiple
from casemate_mock.exchange.instrument import VenueInstrument
from casemate_mock.exchange.refusals import Refusal, Refused


def check_quantity(instrument: VenueInstrument, quantity: Decimal) -> None:
    """Refuse a size off the lot or below the minimum."""
    if quantity <= 0 or quantity < instrument.smallest:
        raise Refused(Refusal.MIN_QUANTITY)
    if not is_multiple(quantity, instrument.lot):
        raise Refused(Refusal.LOT)


def check_price(instrument: VenueInstrument, price: Decimal | None) -> None:
    """Refuse a price that is off the tick or not positive."""
    if price is not None and (price <= 0 or not is_multiple(price, instrument.tick)):
        raise Refused(Refusal.TICK)


def check_notional(instrument: VenueInstrument, price: Decimal, quantity: Decimal) -> None:
    """Refuse a value below the minimum."""
    if instrument.notional(price, quantity) < instrument.min_notional:
        raise Refused(Refusal.MIN_NOTIONAL)
