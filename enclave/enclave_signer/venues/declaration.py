"""What a venue's signature does and does not do, as data (DESIGN S2).

A signed request is a bearer token in the hands of a hostile host. Each venue file declares what its
signature covers, what ends its validity, what makes it usable once, and what else the same signature
would be good for. Every shortfall is a word of :class:`Gap`; a policy accepts the words it can live with,
account by account, or the order is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.model import (
        Kind,
        Operation,
        OrderType,
        SelfTradePrevention,
        TimeInForce,
        TriggerBy,
    )


class Part(Enum):
    """Parts of an HTTP request that a signature can cover."""

    METHOD = "method"
    HOST = "host"
    PATH = "path"
    QUERY = "query"
    BODY = "body"


class Gap(Enum):
    """Words for what a signature leaves open; a policy accepts them by name."""

    METHOD_UNSIGNED = "method-unsigned"
    HOST_UNSIGNED = "host-unsigned"
    PATH_UNSIGNED = "path-unsigned"
    QUERY_UNSIGNED = "query-unsigned"
    BODY_UNSIGNED = "body-unsigned"
    # Query and body are signed joined, without a separator: the host can move the border between them.
    QUERY_BODY_JOINED = "query-body-joined"
    # The same signature can make more than one order while it is valid.
    REPLAYABLE = "replayable"
    # No signed field shortens the validity: the venue fixes its length, or only a later nonce ends it.
    FIXED_VALIDITY = "fixed-validity"


class ValidityKind(Enum):
    """How a signature ends."""

    # A signed field bounds it: from the stamp to at most `longest_ms` after it.
    WINDOW = "window"
    # Always `longest_ms` after the stamp.
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Validity:
    """Which signed field ends the signature, and within which bounds (milliseconds)."""

    kind: ValidityKind
    field: str
    shortest_ms: int
    longest_ms: int


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a venue can express for one kind of instrument, beyond order types and times in force.

    The mappings hold the venue's own words; what is not in them is refused (``venue_support``).
    """

    quote_quantity: bool
    reduce_only: bool
    # Whether a hedged account's legs can be addressed.
    hedge: bool
    triggers: Mapping[TriggerBy, str]
    self_trade: Mapping[SelfTradePrevention, str]
    # The times in force that go with post_only, of which IOC and FOK are never one.
    post_only_times: frozenset[TimeInForce]
    # A STOP_LIMIT has fewer times in force, and not everywhere can it be post-only.
    stop_times: frozenset[TimeInForce]
    stop_post_only: bool


@dataclass(frozen=True, slots=True)
class Declaration:
    """Everything that a policy has to know about a venue's signature; sources are named in the venue file."""

    scheme: str
    covers: frozenset[Part]
    # For each operation the gaps of its signed request.
    gaps: Mapping[Operation, frozenset[Gap]]
    validity: Validity
    # What makes a create usable once, in words; empty if nothing does.
    single_use: str
    # How many orders one signed create can make at worst while it is valid: limits count it that often.
    uses: int
    # What else the signature of an operation is good for; a policy must grant these too.
    also: Mapping[Operation, frozenset[Operation]]
    operations: frozenset[Operation]
    kinds: frozenset[Kind]
    order_types: Mapping[Kind, frozenset[OrderType]]
    times_in_force: Mapping[Kind, frozenset[TimeInForce]]
    # Full-match regular expression of the client order ids that the venue takes, within [A-Za-z0-9_-].
    client_order_id: str
    # ccxt's names of the credential fields that the venue needs, e.g. ("apiKey", "secret").
    credential_fields: tuple[str, ...]
    # Order-path rate limits in words, for `casemate venues`.
    limits: str = ""
    notes: tuple[str, ...] = field(default=())
    abilities: Mapping[Kind, Abilities] = field(default_factory=dict)
