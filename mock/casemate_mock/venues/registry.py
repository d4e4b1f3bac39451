"""Venues by name."""

from collections.abc import Callable, Sequence
from random import Random

from casemate_mock.exchange.instrument import VenueInstrument
from casemate_mock.venues.backpack import Backpack
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.binance import Binance
from casemate_mock.venues.bybit import Bybit
from casemate_mock.venues.coinbase import Coinbase
from casemate_mock.venues.config import VenueKey, VenueSettings
from casemate_mock.venues.kraken import Kraken
from casemate_mock.venues.okx import Okx

VENUES: dict[str, type[SimulatedVenue]] = {
    "binance": Binance,
    "binanceusdm": Binance,
    "bybit": Bybit,
    "okx": Okx,
    "kraken": Kraken,
    "coinbase": Coinbase,
    "backpack": Backpack,
}


def create_venue(
    name: str,
    keys: Sequence[VenueKey],
    instruments: Sequence[VenueInstrument],
    *,
    clock_ms: Callable[[], int],
    rng: Random,
    settings: VenueSettings | None = None,
) -> SimulatedVenue:
    """Build a venue by ccxt name; `clock_ms` gives milliseconds UTC. Raises KeyError for a name unknown."""
    return VENUES[name](keys, instruments, clock_ms=clock_ms, rng=rng, settings=settings or VenueSettings())
