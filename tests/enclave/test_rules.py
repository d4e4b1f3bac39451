"""Each rule by a table: what it lets pass, what it refuses, and by which name."""

from __future__ import annotations

from typing import Any

import pytest

from enclave_signer.model import Operation
from enclave_signer.venues.declaration import Gap, Validity, ValidityKind
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import (
    ACCOUNT,
    BTC,
    DECLARATION,
    ETH,
    MS,
    SECOND,
    START,
    account,
    denial,
    exposure,
    grant,
    instrument,
    limit,
    market,
    order,
    plain,
    policy,
    ready,
    tiny,
    with_account,
)

SELL = intent_pb2.SIDE_SELL
IOC, FOK, GTD = intent_pb2.TIME_IN_FORCE_IOC, intent_pb2.TIME_IN_FORCE_FOK, intent_pb2.TIME_IN_FORCE_GTD
STOP = intent_pb2.ORDER_TYPE_STOP_LIMIT
ALLOWED = "grant:g"
QUOTED = market(quantity=None, quote_quantity="100")


def granted(**changes: Any) -> dict[str, Any]:
    return with_account(grants=[grant(**changes)])


CASES: list[tuple[str, dict[str, Any] | None, intent_pb2.Intent, str]] = [
    ("a plain order", None, order(), ALLOWED),
    ("a stop", None, order(type=STOP, stop_price="60"), ALLOWED),
    ("a market order", None, market(), ALLOWED),
    ("a market order by quote quantity", None, QUOTED, ALLOWED),
    ("another engine's account", None, order(account="other"), "account"),
    ("another venue than the account's", None, order(venue="elsewhere"), "account"),
    ("no end", None, order(valid_until=None), "max_age"),
    ("an end that is past", None, order(valid_until=START), "max_age"),
    ("an end one nanosecond too far", None, order(valid_until=START + 60 * SECOND + 1), "max_age"),
    ("the furthest end", None, order(valid_until=START + 60 * SECOND), ALLOWED),
    ("created in the future", None, order(created_at=START + 2 * SECOND), "max_age"),
    ("created a little ahead, as clocks are", None, order(created_at=START + SECOND), ALLOWED),
    ("a create for a read-only account", with_account(read_only=True), order(), "read_only"),
    ("a read for a read-only account", with_account(read_only=True), plain("balances"), ALLOWED),
    ("no grant of CREATE", granted(operations=["QUERY"]), order(), "operation"),
    ("no grant for this symbol", granted(symbols=[ETH]), order(), "operation"),
    ("an unknown symbol", None, order(symbol="XRP/USDT"), "instrument"),
    ("a cancel of an unknown symbol", None, plain("cancel", symbol="XRP/USDT", client_order_id="a"), "instrument"),
    ("a price off tick", None, order(price="50.001"), "precision"),
    ("a stop price off tick", None, order(type=STOP, stop_price="60.001"), "precision"),
    ("a quantity off lot", None, order(quantity="1.0001"), "precision"),
    ("a price below the band", None, order(price="9.99"), "band"),
    ("a price above the band", None, order(price="100.01"), "band"),
    ("a price at the lower edge", None, order(price="10"), ALLOWED),
    ("a price at the upper edge", None, order(price="100"), ALLOWED),
    ("a stop price outside the band", None, order(type=STOP, stop_price="100.01"), "band"),
    ("a side that is not granted", granted(sides=["BUY"]), order(side=SELL), "side"),
    ("a type that is not granted", granted(types=["LIMIT"]), market(), "type"),
    ("a time in force that is not granted", granted(times_in_force=["GTC"]), order(time_in_force=IOC), "time_in_force"),
    ("not post-only where it must be", granted(require_post_only=True), order(), "post_only"),
    ("post-only where it must be", granted(require_post_only=True), order(post_only=True), ALLOWED),
    ("not reduce-only where it must be", granted(require_reduce_only=True), order(), "reduce_only"),
    ("reduce-only where it must be", granted(require_reduce_only=True), order(reduce_only=True), ALLOWED),
    ("before the hours", granted(hours=[[300, 600]]), order(), "hours"),
    ("within the hours, start inclusive", granted(hours=[[240, 600]]), order(), ALLOWED),
    ("at the end of the hours, exclusive", granted(hours=[[100, 240]]), order(), "hours"),
    ("hours that wrap midnight", granted(hours=[[1320, 300]]), order(), ALLOWED),
    ("another day", granted(days=[0, 5]), order(), "hours"),
    ("the day", granted(days=[4]), order(), ALLOWED),
    ("more quantity than granted", granted(max_quantity="0.999"), order(), "max_quantity"),
    ("as much quantity as granted", granted(max_quantity="1"), order(), ALLOWED),
    # Valued at the top of the band, 100, whatever the order's own price.
    ("more notional than granted", granted(max_notional="99.99"), order(price="10"), "max_notional"),
    ("as much notional as granted", granted(max_notional="100"), order(), ALLOWED),
    (
        "more quote than granted",
        granted(max_notional="99"),
        QUOTED,
        "max_notional",
    ),
    # 100 of quote buy 10 at the lowest price of the band.
    (
        "quote that could buy too much",
        granted(max_quantity="9"),
        QUOTED,
        "max_quantity",
    ),
    (
        "quote that cannot buy too much",
        granted(max_quantity="10"),
        QUOTED,
        ALLOWED,
    ),
    ("an id in another format", None, order(client_order_id="a" * 37), "client_order_id"),
    ("the longest id", None, order(client_order_id="a" * 36), ALLOWED),
    ("a limit on notional", with_account(limits=[limit(max_notional="99")]), order(), "limit:day"),
    ("a limit on orders", with_account(limits=[limit(), limit("few", max_orders=1)], count_uses=1), order(), ALLOWED),
    ("an exposure by quantity", with_account(exposures=[exposure(max_quantity="0.999")]), order(), "exposure:x"),
    (
        "an exposure by notional",
        with_account(exposures=[exposure(max_quantity=None, max_notional="99")]),
        order(),
        "exposure:x",
    ),
    (
        "an exposure of another symbol",
        with_account(exposures=[exposure(symbol=ETH, max_quantity="0.1")]),
        order(),
        ALLOWED,
    ),
    ("what the venue cannot say", None, order(tag="unsupported"), "venue_support"),
    ("a cancel", None, plain("cancel", client_order_id="a"), ALLOWED),
    ("a cancel by the venue's id", None, plain("cancel", venue_order_id="123"), ALLOWED),
    ("a cancel-all", None, plain("cancel_all"), ALLOWED),
    ("a query", None, plain("query", client_order_id="a"), ALLOWED),
    ("open orders", None, plain("open_orders"), ALLOWED),
    (
        "open orders without the right to cancel all",
        granted(operations=["OPEN_ORDERS"]),
        plain("open_orders"),
        "operation",
    ),
    ("an amend of nothing", None, plain("amend", client_order_id="a", quantity="1"), "unknown_order"),
    ("a close of nothing", None, plain("order_closed", client_order_id="a", filled_quantity="0"), "unknown_order"),
]


@pytest.mark.parametrize(("_name", "document", "intent", "rule"), CASES, ids=[case[0] for case in CASES])
def test_the_rule_decides(_name: str, document: dict[str, Any] | None, intent: intent_pb2.Intent, rule: str) -> None:
    assert ready(document).rule(intent) == rule


def test_an_unknown_engine_is_refused() -> None:
    assert ready().rule(order(), engine="stranger") == "engine"


DENIED = [
    ("everything", denial(), order(), "denied"),
    ("reads too", denial(), plain("balances"), "denied"),
    ("this side", denial(sides=["BUY"]), order(), "denied"),
    ("another side", denial(sides=["SELL"]), order(), ALLOWED),
    ("this symbol", denial(symbols=[BTC]), order(), "denied"),
    ("another symbol", denial(symbols=[ETH]), order(), ALLOWED),
    ("this time in force", denial(times_in_force=["GTC"]), order(), "denied"),
    ("a time in force, which a market order has not", denial(times_in_force=["IOC"]), market(), ALLOWED),
    ("this type", denial(types=["MARKET"]), market(), "denied"),
    ("this operation", denial(operations=["CANCEL"]), plain("cancel", client_order_id="a"), "denied"),
    ("a side, not cancels", denial(sides=["BUY"]), plain("cancel", client_order_id="a"), ALLOWED),
    ("a symbol, not balances", denial(symbols=[BTC]), plain("balances"), ALLOWED),
    (
        "a side of a cancel by name: when in doubt, refused",
        denial(sides=["SELL"], operations=["CANCEL_ALL"]),
        plain("cancel_all"),
        "denied",
    ),
    ("these hours", denial(hours=[[240, 241]]), order(), "denied"),
    ("other hours", denial(hours=[[241, 242]]), order(), ALLOWED),
    ("the weekend", denial(days=[5, 6]), order(), ALLOWED),
]


@pytest.mark.parametrize(("_name", "rule_", "intent", "decided"), DENIED, ids=[case[0] for case in DENIED])
def test_a_denial_beats_every_grant(
    _name: str, rule_: dict[str, object], intent: intent_pb2.Intent, decided: str
) -> None:
    assert ready(with_account(denials=[rule_])).rule(intent) == decided


def reference(**changes: Any) -> intent_pb2.Intent:
    return order(**{"reference_price": "50", "reference_time": START - SECOND, **changes})


REFERENCES = [
    ("at the reference", reference(), ALLOWED),
    ("one percent above", reference(price="50.5"), ALLOWED),
    ("one percent below", reference(price="49.5"), ALLOWED),
    ("a tick more than one percent above", reference(price="50.51"), "reference"),
    ("a tick more than one percent below", reference(price="49.49"), "reference"),
    ("no reference", order(), "reference"),
    ("an old reference", reference(reference_time=START - 2 * SECOND - 1), "reference"),
    ("a reference from the future", reference(reference_time=START + 2 * SECOND), "reference"),
    # A reference may not widen the band.
    ("a reference outside the band", reference(price="101", reference_price="101"), "band"),
    (
        "an order without a price",
        market(reference_price="50", reference_time=START - SECOND),
        "reference",
    ),
]


@pytest.mark.parametrize(("_name", "intent", "rule"), REFERENCES, ids=[case[0] for case in REFERENCES])
def test_a_reference_only_tightens_the_band(_name: str, intent: intent_pb2.Intent, rule: str) -> None:
    assert ready(granted(max_deviation_bps=100, reference_max_age_ms=2000)).rule(intent) == rule


def test_one_grant_must_permit_an_order_in_full() -> None:
    # Together they would permit it; neither does.
    document = with_account(grants=[grant("a", sides=["SELL"]), grant("b", max_quantity="0.5")])
    enclave = ready(document)
    judged = enclave.judged(order())
    assert judged.verdict.rule == "max_quantity"
    assert {number.name: number.value for number in judged.verdict.numbers} == {
        "quantity": "1",
        "limit": "0.5",
        "grant": "b",
    }
    assert enclave.rule(order(quantity="0.5", client_order_id="o-2")) == "grant:b"


def test_the_closest_grant_names_the_refusal() -> None:
    document = with_account(
        grants=[grant("a", max_quantity="0.5"), grant("b", max_notional="99", require_post_only=True)]
    )
    assert ready(document).rule(order()) == "max_quantity"


def test_the_first_refusal_in_the_order_of_judging_wins() -> None:
    document = with_account(limits=[limit(max_notional="1")], exposures=[exposure(max_quantity="0.001")])
    enclave = ready(document)
    assert enclave.rule(order(price="9.999", valid_until=START)) == "max_age"
    assert enclave.rule(order(price="9.999")) == "precision"
    assert enclave.rule(order(price="9.99")) == "band"
    assert enclave.rule(order()) == "limit:day"


def test_a_gap_is_refused_unless_the_account_accepts_it_by_name() -> None:
    gaps = {Operation.CREATE: frozenset({Gap.BODY_UNSIGNED, Gap.HOST_UNSIGNED})}
    venue = tiny(gaps=gaps)
    assert ready(with_account(), venue).rule(order()) == "signature_gaps"
    assert ready(with_account(accept=["host-unsigned"]), tiny(gaps=gaps)).rule(order()) == "signature_gaps"
    both = with_account(accept=["body-unsigned", "host-unsigned"])
    assert ready(both, tiny(gaps=gaps)).rule(order()) == ALLOWED
    assert ready(with_account(), tiny(gaps=gaps)).rule(plain("balances")) == ALLOWED


@pytest.mark.parametrize(
    "intent",
    [
        plain("cancel", client_order_id="a"),
        plain("cancel_all"),
        plain("query", client_order_id="a"),
        plain("open_orders"),
        plain("balances"),
    ],
)
def test_a_gap_of_a_cancel_or_a_read_needs_to_be_accepted_too(intent: intent_pb2.Intent) -> None:
    gaps = {operation: frozenset({Gap.PATH_UNSIGNED}) for operation in Operation}
    assert ready(with_account(), tiny(gaps=gaps)).rule(intent) == "signature_gaps"
    assert ready(with_account(accept=["path-unsigned"]), tiny(gaps=gaps)).rule(intent) == ALLOWED


def test_a_window_ends_with_the_intent_or_at_the_venues_longest() -> None:
    enclave = ready()
    enclave.judged(order(valid_until=START + 10 * SECOND + 999_999))
    assert enclave.venue.sites[0].stamps[-1].valid_until_ms == (START + 10 * SECOND) // MS
    judged = enclave.judged(order(client_order_id="o-2", valid_until=START + 60 * SECOND))
    assert enclave.venue.sites[0].stamps[-1].valid_until_ms == (START + 20 * SECOND) // MS
    assert judged.request.valid_until == START + 20 * SECOND
    assert enclave.rule(order(client_order_id="o-3", valid_until=START + 99 * MS)) == "validity"
    assert enclave.rule(order(client_order_id="o-4", valid_until=START + 100 * MS)) == ALLOWED


def test_a_fixed_validity_must_end_before_the_intent_unless_accepted() -> None:
    validity = Validity(ValidityKind.FIXED, "timestamp", 30_000, 30_000)
    gaps = {Operation.CREATE: frozenset({Gap.FIXED_VALIDITY})}
    enclave = ready(with_account(), tiny(validity=validity, gaps=gaps))
    assert enclave.rule(order(valid_until=START + 30 * SECOND - 1)) == "validity"
    assert enclave.rule(order(valid_until=START + 30 * SECOND)) == ALLOWED
    accepting = ready(with_account(accept=["fixed-validity"]), tiny(validity=validity, gaps=gaps))
    assert accepting.judged(order()).request.valid_until == START + 10 * SECOND


def test_a_limit_over_orders_counts_every_possible_use() -> None:
    venue = tiny(uses=5)
    document = with_account(accept=["replayable"], count_uses=3, limits=[limit(max_orders=8, max_notional="1000000")])
    enclave = ready(document, venue)
    assert [enclave.rule(order(client_order_id=f"o-{n}")) for n in range(3)] == [ALLOWED, ALLOWED, "limit:day"]


def test_a_limit_on_notional_counts_every_possible_use() -> None:
    document = with_account(accept=["replayable"], count_uses=3, limits=[limit(max_notional="599.99")])
    enclave = ready(document, tiny(uses=5))
    assert enclave.rule(order()) == ALLOWED
    judged = enclave.judged(order(client_order_id="o-2"))
    assert judged.verdict.rule == "limit:day"
    assert {number.name: number.value for number in judged.verdict.numbers}["charge"] == "300"


def test_an_exposure_counts_every_possible_use() -> None:
    document = with_account(accept=["replayable"], count_uses=3, exposures=[exposure(max_quantity="2.999")])
    assert ready(document, tiny(uses=5)).rule(order()) == "exposure:x"


def test_a_limit_rolls_over_all_its_symbols() -> None:
    enclave = ready(with_account(limits=[limit(max_notional="250", window_ms=1000)]))
    assert enclave.rule(order()) == ALLOWED
    assert enclave.rule(order(symbol=ETH, client_order_id="o-2")) == ALLOWED
    judged = enclave.judged(order(client_order_id="o-3"))
    assert judged.verdict.rule == "limit:day"
    numbers = {number.name: number.value for number in judged.verdict.numbers}
    assert (numbers["charge"], numbers["spent"], numbers["limit"]) == ("100", "200", "250")
    enclave.later(ms=1000)
    assert enclave.rule(order(client_order_id="o-3")) == "limit:day"
    enclave.later(ms=8)
    assert enclave.rule(order(client_order_id="o-3")) == ALLOWED


def test_a_refused_order_counts_nothing() -> None:
    enclave = ready(with_account(limits=[limit(max_orders=1)], exposures=[exposure(max_quantity="1")]))
    for refused in (order(tag="unsupported"), order(price="9"), order(client_order_id="x" * 40)):
        assert enclave.rule(refused) != ALLOWED
    assert enclave.rule(order()) == ALLOWED


def test_an_order_is_allowed_by_the_named_grant_and_shows_its_notional() -> None:
    verdict = ready().judged(order(quantity="1.5")).verdict
    assert verdict.decision == signer_pb2.DECISION_ALLOW
    assert (verdict.rule, verdict.policy_version) == (ALLOWED, 1)
    assert [(number.name, number.value) for number in verdict.numbers] == [("notional", "150")]


def test_contracts_are_valued_with_their_size() -> None:
    swap = "BTC/USDT:USDT"
    document = policy(
        account(
            margin_mode="cross",
            instruments=[instrument(swap, contract_size="0.1", lot_size="1")],
            grants=[grant(symbols=[swap], max_notional="50")],
            limits=[limit(symbols=[swap])],
        )
    )
    enclave = ready(document)
    assert enclave.rule(order(symbol=swap, quantity="6")) == "max_notional"
    assert enclave.rule(order(symbol=swap, quantity="5")) == ALLOWED


def test_an_account_keeps_so_many_open_orders_and_no_more() -> None:
    enclave = ready(with_account(max_open_orders=2))
    rules = [enclave.rule(order(client_order_id=f"o-{n}")) for n in range(3)]
    assert rules == [ALLOWED, ALLOWED, "open_orders_full"]
    closed = plain("order_closed", client_order_id="o-0", filled_quantity="0")
    assert enclave.rule(closed) == "order_closed"
    assert enclave.rule(order(client_order_id="o-2")) == ALLOWED


def test_a_full_table_refuses_and_evicts_nothing() -> None:
    enclave = ready(with_account(), capacity=2)
    rules = [enclave.rule(order(client_order_id=f"o-{n}")) for n in range(3)]
    assert rules == [ALLOWED, ALLOWED, "table_full"]
    assert enclave.rule(order(client_order_id="o-0", quantity="2")) == "duplicate"
    # Resting orders stay beyond their validity; only a close makes room.
    enclave.later(seconds=100)
    late = {"created_at": START, "valid_until": enclave.clock.now + SECOND}
    assert enclave.rule(order(client_order_id="o-3", **late)) == "table_full"
    assert enclave.rule(plain("order_closed", client_order_id="o-1", filled_quantity="1", **late)) == "order_closed"
    assert enclave.rule(order(client_order_id="o-3", **late)) == ALLOWED


def test_declared_gaps_are_those_of_the_declaration() -> None:
    # The rig's venue leaves nothing open, so that the tables above are about the other rules.
    assert not any(DECLARATION.gaps.values())
    assert ready().status().accounts == [ACCOUNT]
