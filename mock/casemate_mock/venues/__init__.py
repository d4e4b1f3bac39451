"""Simulated venues: each verifies every signature by its own code and answers in the venue's own words.

They import neither `enclave_signer` nor `host_dispatch`: an oracle that shares our code shares our bugs.
"""

from casemate_mock.exchange.instrument import VenueInstrument
from casemate_mock.venues.base import SimulatedVenue
from casemate_mock.venues.config import RateLimit, VenueKey, VenueSettings
from casemate_mock.venues.registry import VENUES, create_venue
from casemate_mock.venues.wire import VenueRequest, VenueResponse

__all__ = [
    "VENUES",
    "RateLimit",
    "SimulatedVenue",
    "VenueInstrument",
    "VenueKey",
    "VenueRequest",
    "VenueResponse",
    "VenueSettings",
    "create_venue",
]
