"""The closed vocabularies of a policy."""

from __future__ import annotations

from typing import Final

OPERATIONS: Final = ("CREATE", "CANCEL", "CANCEL_ALL", "AMEND", "QUERY", "OPEN_ORDERS", "BALANCES", "LOGON")
# Operations that can make or enlarge an order: a grant of one of them needs a bound on notional.
SIZED: Final = frozenset({"CREATE", "AMEND"})
SIDES: Final = ("BUY", "SELL")
TYPES: Final = ("LIMIT", "MARKET", "STOP_LIMIT")
TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK", "GTD")
REQUIREMENTS: Final = ("post_only", "reduce_only")
ENVIRONMENTS: Final = ("production", "testnet")
MARGIN_MODES: Final = ("cash", "cross", "isolated")
# What a venue's signature may leave open; docs/policy.md says what each word gives a hostile host.
GAPS: Final = (
    "method-unsigned",
    "host-unsigned",
    "path-unsigned",
    "query-unsigned",
    "body-unsigned",
    "query-body-joined",
    "replayable",
    "fixed-validity",
)
