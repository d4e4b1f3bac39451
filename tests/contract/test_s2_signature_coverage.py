"""S2: what a hostile host can make of a signed request is exactly what its venue declares, no more and no less.

Every kind of request of every venue is cut anew, sent to every other address, edited in every part, sent twice and
sent late, against the simulated venue, which verifies the signature by its own code. Each mutant is tried in two
worlds: instead of the original, and after it. A mutant *passes* if the venue accepts it and it does something that
the original did not: another change of orders or, for what changes nothing, another answer.

Each pass needs the words of the parts that were changed among the operation's declared gaps, and what it did must be
the operation itself or what the declaration says that its signature is also good for. Conversely each declared word
and each declared "also" must be shown by a pass, or stand in :data:`UNSHOWN` with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from enclave_signer.model import Operation
from enclave_signer.venues.declaration import Gap, Part, ValidityKind
from enclave_signer.venues.registry import VENUES
from tests.contract.assault import (
    ENDED_BY_A_LATER_NONCE,
    WORDS,
    accepts,
    assault,
    originals,
    outlived,
    repeated_creates,
    snapshot,
    what_changed,
    world,
)
from tests.contract.contract_rig import CASES, Case, make_keys

if TYPE_CHECKING:
    from enclave_signer.venues.declaration import Declaration
    from tests.contract.assault import Pass

# Reads that no operation of ours names and that a re-addressed signature reaches: the account's own history and
# settings, and the test of an order. Whoever accepts `path-unsigned` accepts them.
OTHER_READS: Final[dict[str, frozenset[str]]] = {
    "binance": frozenset(
        {
            "/api/v3/allOrders",
            "/api/v3/order/test",
            "/fapi/v2/positionRisk",
            "/fapi/v3/positionRisk",
            "/sapi/v1/capital/config/getall",
        }
    ),
    "bybit": frozenset({"/v5/account/info", "/v5/asset/coin/query-info", "/v5/order/history", "/v5/user/query-api"}),
    "okx": frozenset(),
    "kraken": frozenset(),
    "coinbase": frozenset(),
    "backpack": frozenset(),
}
OTHER_READS["binanceusdm"] = OTHER_READS["binance"]


class Unshown(NamedTuple):
    """A declared word that no pass can show here for some operations, and why it is declared all the same."""

    word: Gap | Operation
    operations: frozenset[Operation]
    reason: str


_SENT: Final = frozenset(tuple(Operation)[:7])
_STRAY: Final = Unshown(
    Gap.QUERY_BODY_JOINED,
    _SENT,
    "a cut leaves a stray rest without a name, which the simulated venue refuses; that the real one does is believed,"
    " not documented",
)
_OTHER_METHOD: Final = Unshown(
    Gap.METHOD_UNSIGNED,
    frozenset({Operation.CREATE, Operation.AMEND, Operation.BALANCES}),
    "no endpoint at the same path reads these parameters under another method",
)
UNSHOWN: Final = {
    "binance": (
        _STRAY,
        _OTHER_METHOD,
        Unshown(
            Gap.PATH_UNSIGNED,
            frozenset({Operation.AMEND}),
            "every other endpoint leaves newQty, or a modify's quantity without a type, unread and refuses",
        ),
    ),
    "binanceusdm": (
        _STRAY,
        _OTHER_METHOD,
        Unshown(
            Gap.PATH_UNSIGNED,
            frozenset({Operation.AMEND, Operation.CREATE, Operation.QUERY}),
            "within USD-M no other path reads exactly these parameters; spot's paths are not this venue's",
        ),
    ),
    "bybit": (
        Unshown(
            Gap.METHOD_UNSIGNED,
            _SENT,
            "a GET's text is no JSON and a POST's JSON no query: under another method there is nothing to read",
        ),
        Unshown(
            Gap.PATH_UNSIGNED,
            frozenset({Operation.CANCEL_ALL}),
            "category and symbol alone are enough for no other instruction that the simulated venue has",
        ),
    ),
    "kraken": (
        Unshown(
            Gap.METHOD_UNSIGNED,
            _SENT - {Operation.CANCEL_ALL},
            "private endpoints take POST only; the word stays because the signed text does not hold it",
        ),
    ),
    "coinbase": (
        Unshown(
            Gap.QUERY_UNSIGNED,
            frozenset({Operation.CREATE, Operation.AMEND, Operation.CANCEL, Operation.BALANCES}),
            "these endpoints read nothing in the query that changes what they do",
        ),
    ),
}

# Parts that are not covered and need no word, because the venue reads nothing there.
UNREAD_PARTS: Final = {
    ("kraken", Gap.QUERY_UNSIGNED): "private endpoints read the body only",
    ("coinbase", Gap.BODY_UNSIGNED): "a GET's body is not read",
}


each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_venue = pytest.mark.parametrize("venue", sorted({case.venue for case in CASES}))


def cases_of(venue: str) -> list[Case]:
    """The cases of one venue."""
    return [case for case in CASES if case.venue == venue]


def declaration(venue: str) -> Declaration:
    """What a venue declares."""
    return VENUES[venue].declaration


def words_needed(passed: Pass, gaps: frozenset[Gap]) -> set[Gap | str]:
    """The words that a pass needs; a part for which there is no word (a header) stands for itself."""
    needed = {WORDS.get(part, part) for part in passed.changed}
    if Gap.QUERY_UNSIGNED in gaps and needed == {Gap.QUERY_BODY_JOINED}:
        # Where the query is not signed at all, a border that moves within it opens nothing more.
        needed = {Gap.QUERY_UNSIGNED}
    return needed | ({Gap.REPLAYABLE} if passed.again else set())


def good_for(operation: Operation, declared: Declaration) -> set[Operation]:
    """What an operation's signature may do: itself, and what is declared.

    Several cancels are a cancel where no cancel-all exists that a policy could grant or withhold.
    """
    found = {operation} | declared.also.get(operation, frozenset())
    several = Operation.CANCEL in found and Operation.CANCEL_ALL not in declared.operations
    return found | {Operation.CANCEL_ALL} if several else found


@each_case
def test_s2_nothing_passes_that_is_not_declared(case: Case) -> None:
    declared = declaration(case.venue)
    undeclared = {
        (passed.operation.name, str(passed.did), tuple(sorted(passed.changed)), passed.how)
        for passed in assault(case)
        if not words_needed(passed, declared.gaps[passed.operation]) <= declared.gaps[passed.operation]
        or not (passed.did in good_for(passed.operation, declared) or passed.did in OTHER_READS[case.venue])
    }
    assert undeclared == set()


@each_venue
def test_s2_everything_declared_is_shown_or_explained(venue: str) -> None:
    declared = declaration(venue)
    shown: dict[Operation, set[object]] = {operation: set() for operation in declared.operations}
    for case in cases_of(venue):
        for passed in assault(case):
            shown[passed.operation] |= words_needed(passed, declared.gaps[passed.operation]) | {passed.did}
        for operation in outlived(case):
            shown[operation].add(Gap.FIXED_VALIDITY)
        if repeated_creates(case):
            shown[Operation.CREATE].add(Gap.REPLAYABLE)
    unshown = {
        (operation, word)
        for operation in declared.operations
        for word in declared.gaps[operation] | declared.also.get(operation, frozenset())
        if word not in shown[operation]
    }
    explained = {(operation, row.word) for row in UNSHOWN.get(venue, ()) for operation in row.operations}
    assert unshown == explained


@each_venue
def test_s2_every_part_that_is_not_covered_has_its_word(venue: str) -> None:
    declared = declaration(venue)
    for operation in declared.operations:
        words = declared.gaps[operation] & set(WORDS.values()) - {Gap.QUERY_BODY_JOINED}
        uncovered = {WORDS[part.value] for part in Part if part not in declared.covers}
        assert words <= uncovered
        assert all((venue, word) in UNREAD_PARTS for word in uncovered - words)


@each_case
def test_s2_a_create_repeats_only_where_that_is_declared(case: Case) -> None:
    declared = declaration(case.venue)
    replayable = Gap.REPLAYABLE in declared.gaps[Operation.CREATE]
    assert replayable or not repeated_creates(case)
    assert (declared.uses > 1) == replayable
    assert bool(declared.single_use) == (not replayable)


@each_case
def test_s2_anything_else_that_is_repeated_does_no_more_than_its_own_kind(case: Case) -> None:
    keys = make_keys(case)
    for original in originals(world(case, keys)):
        if original.operation is Operation.CREATE:
            continue
        bench = world(case, keys)
        bench.venue.handle(original.request)
        once = snapshot(bench)
        bench.venue.handle(original.request)
        twice = snapshot(bench)
        assert once == twice or what_changed(once, twice) is original.operation


@each_case
def test_s2_a_signature_ends_when_it_says(case: Case) -> None:
    declared = declaration(case.venue)
    bounded = {operation for operation in declared.operations if Gap.FIXED_VALIDITY not in declared.gaps[operation]}
    assert not bounded & outlived(case)
    if declared.validity.kind is ValidityKind.FIXED or case.venue not in ENDED_BY_A_LATER_NONCE:
        assert not outlived(case, after_ms=declared.validity.longest_ms + 1)


@pytest.mark.parametrize("case", [case for case in CASES if case.venue in ENDED_BY_A_LATER_NONCE], ids=str)
def test_s2_a_later_nonce_ends_what_has_no_other_end(case: Case) -> None:
    keys = make_keys(case)
    for original in originals(world(case, keys)):
        bench = world(case, keys)
        bench.nonce += 1_000_000
        balances = bench.site.balances(bench.balances(), bench.stamp())
        assert accepts(case.venue, bench.send(balances))
        before = snapshot(bench)
        assert not accepts(case.venue, bench.venue.handle(original.request))
        assert snapshot(bench) == before
