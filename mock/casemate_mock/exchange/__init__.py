"""A small exchange in memory: accounts, a synthetic book, orders, balances, positions. No I/O.

The venues in :mod:`casemate_mock.venues` translate each venue's requests into calls of :class:`Exchange` and
its answers back into the venue's own JSON.
"""

from casemate_mock.exchange.instrument import VenueInstrument
from casemate_mock.exchange.ledger import Balance, Ledger
from casemate_mock.exchange.liquidity import Liquidity
from casemate_mock.exchange.matching import ClientIdRule, Exchange, ExchangeRules, PostOnlyRule
from casemate_mock.exchange.orders import Fill, Order, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from casemate_mock.exchange.positions import Position
from casemate_mock.exchange.refusals import Refusal, Refused

__all__ = [
    "Balance",
    "ClientIdRule",
    "Exchange",
    "ExchangeRules",
    "Fill",
    "Ledger",
    "Liquidity",
    "Order",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "Position",
    "PostOnlyRule",
    "Refusal",
    "Refused",
    "Side",
    "TimeInForce",
    "VenueInstrument",
]
