"""A policy as the administrators signed it: checked, immutable, not yet prepared for judging.

The canonical form writes out every default, so nothing here is optional but where None says "no such bound".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.decimals import Amount
    from enclave_signer.model import Instrument, Operation, OrderType, Placement, Side, TimeInForce
    from enclave_signer.venues.base import Venue
    from enclave_signer.venues.declaration import Gap


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument and the absolute band of its prices."""

    instrument: Instrument
    price_min: Amount
    price_max: Amount


@dataclass(frozen=True, slots=True)
class Hours:
    """When a rule holds, in UTC: [start, end) minutes of the day (start > end wraps) and days, Monday 0.

    What is empty holds always.
    """

    spans: tuple[tuple[int, int], ...]
    days: frozenset[int]


@dataclass(frozen=True, slots=True)
class Grant:
    """What engines may do; a create needs one that permits it in full."""

    name: str
    engines: frozenset[str]
    symbols: frozenset[str]
    operations: frozenset[Operation]
    sides: frozenset[Side]
    types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    require_post_only: bool
    require_reduce_only: bool
    max_quantity: Amount | None
    max_notional: Amount | None
    max_deviation_bps: int | None
    reference_max_age_ms: int | None
    hours: Hours


@dataclass(frozen=True, slots=True)
class Denial:
    """What nobody may do, whatever is granted; an empty set matches everything."""

    name: str
    engines: frozenset[str]
    symbols: frozenset[str]
    operations: frozenset[Operation]
    sides: frozenset[Side]
    types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    hours: Hours


@dataclass(frozen=True, slots=True)
class Limit:
    """A rolling limit over symbols of one settle currency."""

    name: str
    symbols: frozenset[str]
    window_ms: int
    max_notional: Amount | None
    max_orders: int | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """A bound on the worst case of one symbol, for each side."""

    name: str
    symbol: str
    max_notional: Amount | None
    max_quantity: Amount | None


@dataclass(frozen=True, slots=True)
class Account:
    """One account at one venue, with its rules."""

    name: str
    venue: Venue
    placement: Placement
    read_only: bool
    accept: frozenset[Gap]
    count_uses: int
    max_open_orders: int
    listings: Mapping[str, Listing]
    grants: tuple[Grant, ...]
    denials: tuple[Denial, ...]
    limits: tuple[Limit, ...]
    exposures: tuple[Exposure, ...]


class DutyMode(Enum):
    """From whom the right to make new orders comes (S13)."""

    DAEMON = "daemon"
    ON_PARENT = "on_parent"


@dataclass(frozen=True, slots=True)
class Duty:
    """Who grants a boot its duty: an Ed25519 public key; for how long at most; which images' counters it continues.

    With ``on_parent`` there is no key, and no grant is needed. ``predecessors`` are values of PCR0.
    """

    mode: DutyMode
    key: bytes
    longest_ms: int
    predecessors: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole of it. ``digest`` is the SHA-256 of the canonical bytes."""

    deployment: str
    version: int
    digest: bytes
    max_age_ms: int
    engines: Mapping[str, frozenset[str]]
    accounts: Mapping[str, Account]
    duty: Duty
    # Ed25519, 32 bytes each: with what an engine opens sessions. An engine without one opens none.
    engine_keys: Mapping[str, bytes] = field(default_factory=dict)
