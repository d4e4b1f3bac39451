"""Tables of codes and limits: whole, consistent, and in agreement with the wire's enums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from dispatch_api.v1 import dispatch_pb2
from host_dispatch import outcome
from host_dispatch.outcome import ErrorClass, Operation
from host_dispatch.venues import backpack, binance_codes, bybit, coinbase, kraken, okx
from host_dispatch.venues.registry import READERS
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

SENT: Final = frozenset(Operation) - {Operation.ORDER_CLOSED, Operation.HALT, Operation.LOGON}
# Where a logon is a request; elsewhere it is a message for the engine's own socket. Both of binance share their costs.
ASKED_FOR_LOGONS: Final = frozenset({"binance", "binanceusdm", "kraken"})


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (outcome.OrderState, dispatch_pb2.OrderState, "ORDER_STATE_"),
        (outcome.ErrorClass, dispatch_pb2.ErrorClass, "ERROR_CLASS_"),
        (outcome.Operation, signer_pb2.Operation, "OPERATION_"),
    ],
)
def test_enums_have_the_names_and_values_of_the_wire(ours: Any, theirs: Any, prefix: str) -> None:
    wire = {name.removeprefix(prefix): value for name, value in theirs.items() if value}
    assert {member.name: member.value for member in ours} == wire


def test_readers_are_registered_under_their_own_names() -> None:
    assert {name: reader.name for name, reader in READERS.items()} == {name: name for name in READERS}
    assert set(READERS) == {"binance", "binanceusdm", "bybit", "okx", "kraken", "coinbase", "backpack"}


# What the summary of limits and codes says of these venues, one line a cell.
MEANINGS: Final[dict[str, Mapping[ErrorClass, str]]] = {
    "binance": {
        ErrorClass.RATE_LIMITED: "-1003 -1015",
        ErrorClass.INSUFFICIENT_FUNDS: "-2019",
        ErrorClass.BAD_SYMBOL: "-1121",
        ErrorClass.BAD_SIGNATURE: "-1022 -2014 -2015",
        ErrorClass.CLOCK_OR_NONCE: "-1021",
        ErrorClass.DUPLICATE_CLIENT_ID: "-4116",
        ErrorClass.UNKNOWN_ORDER: "-2013",
        ErrorClass.MAINTENANCE: "-1008 -1016",
    },
    "bybit": {
        ErrorClass.RATE_LIMITED: "10006 10018",
        ErrorClass.INSUFFICIENT_FUNDS: "110004 110007 110012 170131",
        ErrorClass.BAD_SIGNATURE: "10003 10004 10007",
        ErrorClass.CLOCK_OR_NONCE: "10002",
        ErrorClass.DUPLICATE_CLIENT_ID: "110072 170141",
        ErrorClass.UNKNOWN_ORDER: "110001 170213",
    },
    "okx": {
        ErrorClass.RATE_LIMITED: "50011 50061",
        ErrorClass.INSUFFICIENT_FUNDS: "51008",
        ErrorClass.BAD_SYMBOL: "51001 51015",
        ErrorClass.BAD_SIGNATURE: "50111 50113",
        ErrorClass.CLOCK_OR_NONCE: "50102 50112",
        ErrorClass.DUPLICATE_CLIENT_ID: "51016",
        ErrorClass.UNKNOWN_ORDER: "51603 51400 51401 51402",
        ErrorClass.MAINTENANCE: "50001 50013 50026",
    },
    "coinbase": {
        ErrorClass.RATE_LIMITED: "rate_limit_exceeded resource_exhausted",
        ErrorClass.INSUFFICIENT_FUNDS: "INSUFFICIENT_FUND PREVIEW_INSUFFICIENT_FUND",
        ErrorClass.BAD_SYMBOL: "INVALID_PRODUCT_ID",
        ErrorClass.BAD_SIGNATURE: "unauthorized",
    },
    "backpack": {
        ErrorClass.RATE_LIMITED: "TOO_MANY_REQUESTS",
        ErrorClass.INSUFFICIENT_FUNDS: "INSUFFICIENT_FUNDS INSUFFICIENT_MARGIN",
        ErrorClass.BAD_SYMBOL: "INVALID_SYMBOL INVALID_MARKET",
        ErrorClass.BAD_SIGNATURE: "INVALID_SIGNATURE UNAUTHORIZED",
        ErrorClass.UNKNOWN_ORDER: "RESOURCE_NOT_FOUND",
        ErrorClass.MAINTENANCE: "MAINTENANCE TRADING_PAUSED",
    },
}
CLASSIFY: Final = {
    "binance": binance_codes.classify,
    "bybit": bybit.classify,
    "okx": okx.classify,
    "coinbase": coinbase.classify,
    "backpack": backpack.classify,
}
CELLS: Final = [
    (venue, error, code) for venue, row in MEANINGS.items() for error, codes in row.items() for code in codes.split()
]


@pytest.mark.parametrize(("venue", "error", "code"), CELLS, ids=[f"{v}-{c}" for v, _, c in CELLS])
def test_code_means_what_the_venue_documents(venue: str, error: ErrorClass, code: str) -> None:
    assert CLASSIFY[venue](code, "") is error


@pytest.mark.parametrize(
    ("venue", "codes"),
    [
        ("binance", "-1000 -1001 -1006 -1007"),
        ("bybit", "10000 10016 170007"),
        ("okx", "50004 51149"),
        ("coinbase", "INTERNAL_SERVER_ERROR UNKNOWN_FAILURE_REASON"),
        ("backpack", "SERVER_ERROR TIMEOUT"),
    ],
)
def test_code_that_documents_an_open_outcome_is_never_definite(venue: str, codes: str) -> None:
    assert {CLASSIFY[venue](code, "") for code in codes.split()} == {ErrorClass.UNKNOWN}


def test_no_table_lists_what_is_no_answer_of_a_venue() -> None:
    tables: list[Mapping[str, ErrorClass]] = [
        binance_codes.CODES, bybit.CODES, okx.CODES, coinbase.CODES, backpack.CODES, dict(kraken.ERRORS),
    ]  # fmt: skip
    for table in tables:
        assert not set(table.values()) & {ErrorClass.NOT_SENT, ErrorClass.UNKNOWN}


def test_no_narrower_text_of_kraken_hides_behind_a_wider_one() -> None:
    starts = [start for start, _ in kraken.ERRORS]
    hidden = [s for i, s in enumerate(starts) if any(s.startswith(earlier) for earlier in starts[:i])]
    assert hidden == []


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_request_costs_something_from_a_bucket_that_can_hold_it(name: str) -> None:
    reader = READERS[name]
    limits = {bucket.name: bucket.limit for bucket in reader.buckets}
    assert len(limits) == len(reader.buckets)
    for operation in SENT:
        costs = reader.cost(operation)
        assert costs
        assert all(0 < cost.weight <= limits[cost.bucket] for cost in costs)
    assert bool(reader.cost(Operation.LOGON)) == (name in ASKED_FOR_LOGONS)
    assert reader.cost(Operation.HALT) == ()
    assert all(bucket.window_ms > 0 for bucket in reader.buckets)
