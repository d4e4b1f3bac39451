"""Attacks on one id, one order (S12), on what amends say (S2), and on bounded tables (S10)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from enclave_signer.model import Operation
from enclave_signer.venues.declaration import Validity, ValidityKind
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import (
    ENGINE,
    SECOND,
    START,
    account,
    exposure,
    grant,
    limit,
    market,
    order,
    plain,
    policy,
    ready,
    tiny,
    with_account,
)

if TYPE_CHECKING:
    from tests.enclave.enclave_rig import Enclave

ALLOWED = "grant:g"
IOC = intent_pb2.TIME_IN_FORCE_IOC
HALT_ALL = intent_pb2.HALT_SCOPE_ALL
FIXED = Validity(ValidityKind.FIXED, "timestamp", 30_000, 30_000)


def amend(**changes: Any) -> intent_pb2.Intent:
    return plain("amend", **{"client_order_id": "o-1", **changes})


def sealed(enclave: Enclave, raw: bytes) -> signer_pb2.EnclaveReply:
    return enclave.call(sign=intent_pb2.SealedIntent(session=ENGINE.encode(), intent=raw))


# --- S12


@pytest.mark.parametrize("seconds", [19, 21, 29, 31, 35, 59])
def test_s12_an_intent_that_outlives_its_signature_never_makes_a_second_one(seconds: int) -> None:
    """The venue signs for 20 s at most and the intent lives for 60: the id must be kept for the longer of the two."""
    enclave = ready()
    intent = order(time_in_force=IOC, valid_until=START + 60 * SECOND)
    first = enclave.judged(intent)
    enclave.later(seconds=seconds)
    for name in range(8):
        # Other orders sweep the table.
        enclave.rule(order(client_order_id=f"x-{name}", time_in_force=IOC, valid_until=enclave.clock.now + SECOND))
    again = enclave.judged(intent)
    if seconds < 20:
        assert (again.repeated, again.request) == (True, first.request)
    else:
        assert again.verdict.rule == "duplicate"


def test_s12_a_repeat_never_hands_out_bytes_that_are_dead_at_the_venue() -> None:
    enclave = ready(venue=tiny(validity=FIXED))
    first = enclave.judged(order(valid_until=START + 60 * SECOND))
    assert first.request.valid_until == START + 30 * SECOND
    enclave.later(seconds=30)
    assert enclave.rule(order(valid_until=START + 60 * SECOND)) == "duplicate"


def test_s12_a_fixed_signature_that_outlives_its_intent_keeps_the_id_until_both_are_over() -> None:
    enclave = ready(with_account(accept=["fixed-validity"]), tiny(validity=FIXED))
    assert enclave.rule(order(time_in_force=IOC, valid_until=START + SECOND)) == ALLOWED
    for seconds, expected in ((2, "duplicate"), (27, "duplicate"), (10, "duplicate"), (2, ALLOWED)):
        enclave.later(seconds=seconds)
        enclave.service._ledger.table.sweep(enclave.clock.now, 100)
        assert enclave.rule(order(time_in_force=IOC, valid_until=enclave.clock.now + SECOND)) == expected


def test_s12_an_amend_whose_signature_ended_is_refused_and_not_signed_anew() -> None:
    enclave = ready()
    enclave.judged(order(valid_until=START + 60 * SECOND))
    intent = amend(quantity="2", valid_until=START + 60 * SECOND)
    first = enclave.judged(intent)
    assert enclave.judged(intent).request == first.request
    enclave.later(seconds=21)
    assert enclave.rule(intent) == "duplicate"


def test_s12_an_amends_new_id_is_taken_for_creates_and_amends_and_the_old_one_stays_taken() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.judged(order(client_order_id="o-2"))
    assert enclave.rule(amend(quantity="2", new_client_order_id="n-1")) == ALLOWED
    assert enclave.rule(order(client_order_id="n-1")) == "duplicate"
    assert enclave.rule(amend(client_order_id="o-2", quantity="2", new_client_order_id="n-1")) == "duplicate"
    assert enclave.rule(amend(client_order_id="o-2", quantity="2", new_client_order_id="o-1")) == "duplicate"
    assert enclave.rule(amend(quantity="3", new_client_order_id="o-1")) == "duplicate"
    repeat = enclave.judged(order())
    assert repeat.repeated
    assert "create-BTCUSDT-o-1-1" in repeat.request.url


def test_s12_ids_survive_a_reload_a_close_and_an_account_that_comes_and_goes() -> None:
    enclave = ready()
    enclave.judged(order(valid_until=START + 60 * SECOND))
    enclave.rule(plain("order_closed", client_order_id="o-1", filled_quantity="0"))
    later = order(quantity="2", valid_until=START + 59 * SECOND)
    assert enclave.rule(later) == "duplicate"
    enclave.load(policy(account("other"), version=2))
    enclave.load(policy(account("main"), version=3))
    enclave.provision("main")
    assert enclave.rule(later) == "duplicate"


def test_s7_a_halt_withholds_the_bytes_of_creates_and_amends_from_repeats_too() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.judged(amend(quantity="2"))
    enclave.judged(plain("halt", scope=HALT_ALL))
    assert enclave.rule(order()) == "halted"
    assert enclave.rule(amend(quantity="2")) == "halted"
    batch = intent_pb2.SealedIntent(session=ENGINE.encode(), intent=order().SerializeToString())
    reply = enclave.call(sign_batch=signer_pb2.SealedBatch(intents=[batch, batch]))
    assert [each.judged.verdict.rule for each in reply.judged_batch.answers] == ["halted", "halted"]
    enclave.load(policy(version=2))
    assert enclave.rule(order(client_order_id="o-3")) == "halted"


# --- S2: what an amend says


def test_s2_an_amend_says_in_full_what_was_judged_once_the_host_could_have_held_one_back() -> None:
    """Amend 1 lowers the quantity, amend 2 the price: held back, 1 must not leave its order at the price of 2."""
    said: list[tuple[str, str]] = []
    enclave = ready()
    enclave.judged(order(quantity="10"))
    site = enclave.venue.sites[-1]
    build = site.amend

    def record(what: Any, *rest: Any) -> Any:
        said.append((what.quantity.text if what.quantity else "", what.price.text if what.price else ""))
        return build(what, *rest)

    site.amend = record  # type: ignore[method-assign, assignment]
    assert enclave.rule(amend(quantity="1")) == ALLOWED
    assert enclave.rule(amend(price="99")) == ALLOWED
    assert enclave.rule(amend(quantity="2")) == ALLOWED
    assert said == [("1", ""), ("1", "99"), ("2", "99")]


def test_s2_an_amend_meets_the_grants_as_the_order_that_it_makes_and_cannot_borrow_from_two() -> None:
    small = grant("a", sides=["BUY"], max_quantity="1", max_notional="1000000")
    cheap = grant("b", sides=["BUY"], max_notional="200")
    enclave = ready(with_account(grants=[small, cheap]))
    assert enclave.rule(order(quantity="1")) == "grant:a"
    # 2 units are worth 200 at the top of the band: more than `a` permits, and 2.001 more than either does.
    assert enclave.rule(amend(quantity="2")) == "grant:b"
    assert enclave.rule(amend(quantity="2.001")) == "max_notional"
    assert enclave.rule(amend(price="101")) == "band"
    assert enclave.rule(amend(price="50.005")) == "precision"


def test_an_amend_after_the_close_is_refused_by_any_name_of_the_order() -> None:
    enclave = ready()
    enclave.judged(order())
    enclave.judged(amend(quantity="2", new_client_order_id="n-1"))
    assert enclave.rule(plain("order_closed", client_order_id="n-1", filled_quantity="2")) == "order_closed"
    for name in ("o-1", "n-1"):
        assert enclave.rule(amend(client_order_id=name, quantity="3")) == "unknown_order"
        assert enclave.rule(amend(client_order_id=name, quantity="2")) == "unknown_order"
        assert enclave.rule(plain("order_closed", client_order_id=name, filled_quantity="2")) == "unknown_order"


# --- S10


def test_s10_live_amends_take_room_in_the_table_and_give_it_back() -> None:
    enclave = ready(capacity=10)
    table = enclave.service._ledger.table
    enclave.judged(order(time_in_force=IOC))
    made = [enclave.rule(amend(quantity=f"0.{n:03}")) for n in range(1, 21)]
    assert made == [ALLOWED] * 9 + ["table_full"] * 11
    assert enclave.rule(order(client_order_id="o-2")) == "table_full"
    enclave.later(seconds=21)
    assert enclave.rule(order(client_order_id="o-2", valid_until=enclave.clock.now + SECOND)) == ALLOWED
    assert table.size == 1


def test_s10_an_amend_with_a_new_id_needs_room_for_both() -> None:
    enclave = ready(capacity=3)
    enclave.judged(order())
    enclave.judged(order(client_order_id="o-2"))
    assert enclave.rule(amend(quantity="2", new_client_order_id="n-1")) == "table_full"
    assert enclave.rule(amend(quantity="2")) == ALLOWED
    assert enclave.service._ledger.table.size == 3


@pytest.mark.parametrize("closed_after", [1, 25])
def test_s10_the_tables_count_returns_to_zero_whatever_came_first(closed_after: int) -> None:
    enclave = ready(with_account(exposures=[exposure()]))
    for name in ("o-1", "o-2"):
        enclave.judged(order(client_order_id=name))
        enclave.judged(amend(client_order_id=name, quantity="2", new_client_order_id=f"{name}-new"))
        enclave.judged(amend(client_order_id=name, price="60"))
    enclave.later(seconds=closed_after)
    ends = enclave.clock.now + SECOND
    for name in ("o-1", "o-2-new"):
        closed = plain("order_closed", client_order_id=name, filled_quantity="0", valid_until=ends)
        assert enclave.rule(closed) == "order_closed"
    enclave.later(seconds=100)
    table = enclave.service._ledger.table
    table.sweep(enclave.clock.now, 100)
    assert table.size == 0
    assert enclave.service._ledger.account("main").orders.open == 0


def test_an_id_that_is_free_again_is_not_released_a_second_time_by_the_first_orders_notes() -> None:
    enclave = ready(with_account(max_open_orders=1))
    ends = START + SECOND
    enclave.judged(order(time_in_force=IOC, valid_until=ends))
    enclave.judged(amend(quantity="2", valid_until=ends))
    enclave.judged(amend(quantity="3", valid_until=ends))
    enclave.later(seconds=12)
    enclave.service._ledger.table.sweep(enclave.clock.now, 1)
    assert enclave.rule(order(valid_until=enclave.clock.now + 10 * SECOND)) == ALLOWED
    enclave.service._ledger.table.sweep(enclave.clock.now, 100)
    assert enclave.rule(order(client_order_id="o-2", valid_until=enclave.clock.now + SECOND)) == "open_orders_full"
    assert enclave.service._ledger.table.size == 1


# --- derived requests


def test_a_derived_signature_lives_no_longer_than_the_policy_allows() -> None:
    venue = tiny(validity=FIXED)
    enclave = ready(policy(account(accept=["fixed-validity"]), max_age_ms=60_000), venue)
    enclave.judged(order())
    enclave.load(policy(max_age_ms=10_000, version=2))
    reply = enclave.derived("o-1", signer_pb2.OPERATION_QUERY)
    assert reply.judged.verdict.rule == "validity"
    enclave.load(policy(account(accept=["fixed-validity"]), max_age_ms=10_000, version=3))
    reply = enclave.derived("o-1", signer_pb2.OPERATION_QUERY)
    assert reply.judged.request.valid_until == START + 10 * SECOND


@pytest.mark.parametrize("number", [0, 1, 3, 4, 6, 7, 8, 9, 77, 2**31 - 1])
def test_s3_nothing_but_query_and_cancel_derives_from_an_order(number: int) -> None:
    enclave = ready()
    enclave.judged(order())
    assert enclave.derived("o-1", number).not_judged.reason == "NO_RIGHT"


def test_s2_a_denial_of_what_a_derived_cancel_is_also_good_for_takes_it_back() -> None:
    venue = tiny(also={Operation.CANCEL: frozenset({Operation.CANCEL_ALL})})
    enclave = ready(venue=venue)
    enclave.judged(order())
    assert enclave.derived("o-1", signer_pb2.OPERATION_CANCEL).judged.request.url
    denied = {"name": "d", "operations": ["CANCEL_ALL"]} | {
        key: [] for key in ("engines", "symbols", "sides", "types", "times_in_force", "hours", "days")
    }
    enclave.load(policy(account(denials=[denied]), version=2))
    assert enclave.derived("o-1", signer_pb2.OPERATION_CANCEL).judged.verdict.rule == "operation"
    assert enclave.derived("o-1", signer_pb2.OPERATION_QUERY).judged.request.url


# --- numbers at their edges


@pytest.mark.parametrize(
    ("quantity", "price", "rule"),
    [
        ("999999999999999999", "99.99", ALLOWED),
        ("999999999999999999.999", "99.99", ALLOWED),
        ("1000000000000000000", "50", "quantity"),
        ("0.000000000000000001", "50", "precision"),
        ("0.0000000000000000001", "50", "quantity"),
        ("0.000", "50", "quantity"),
        ("1e3", "50", "quantity"),
        ("+1", "50", "quantity"),
        ("-1", "50", "quantity"),
        ("01", "50", "quantity"),
        ("1.", "50", "quantity"),
        ("1\n", "50", "quantity"),
        ("\u0661", "50", "quantity"),
        ("NaN", "50", "quantity"),
        ("1", "999999999999999999.999999999999999999", "precision"),
    ],
)
def test_numbers_at_their_edges_are_exact_or_refused(quantity: str, price: str, rule: str) -> None:
    most = "999999999999999999"
    wide = with_account(grants=[grant(max_notional=most)], limits=[limit(max_notional=most)])
    huge = quantity.startswith("99999")
    reply = ready(wide).sign(order(quantity=quantity, price=price))
    if reply.WhichOneof("answer") == "not_judged":
        assert (reply.not_judged.reason, reply.not_judged.field) == ("MALFORMED", rule)
    elif huge:
        # Worth 100 times more than any bound can say.
        assert reply.judged.verdict.rule == "max_notional"
        numbers = {each.name: each.value for each in reply.judged.verdict.numbers}
        assert Decimal(numbers["notional"]) == Decimal(quantity) * 100
    else:
        assert reply.judged.verdict.rule == rule


def test_a_market_order_by_quote_amount_cannot_round_its_worst_case_down() -> None:
    enclave = ready(with_account(exposures=[exposure(max_quantity="1")]))
    # The band's lowest price is 10: 10 quote units buy at most 1, and one 10**-18 more is too much.
    assert enclave.rule(market(quantity=None, quote_quantity="10.000000000000000001")) == "exposure:x"
    assert enclave.rule(market(quantity=None, quote_quantity="10")) == ALLOWED
    assert (
        enclave.rule(market(quantity=None, quote_quantity="0.000000000000000001", client_order_id="b")) == "exposure:x"
    )


# --- S3: what was authenticated is what is judged


def _tagged(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return bytes((number << 3 | 2,)) + length + bytes((size,)) + content


SMALL, LARGE = order().SerializeToString(), order(quantity="900").SerializeToString()
INNER = order().order.SerializeToString()


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("the kind twice, merged", SMALL + LARGE),
        ("another kind before it", plain("balances").SerializeToString() + SMALL),
        ("another kind behind it", SMALL + plain("balances").SerializeToString()),
        ("a field twice", _tagged(1, _tagged(7, b"900") + INNER)),
        ("split in two", _tagged(1, INNER[:6]) + _tagged(1, INNER[6:])),
        ("an explicit default", _tagged(1, INNER + b"\x60\x00")),
        ("a number longer than it needs", _tagged(1, INNER + b"\xb0\x01\x81\x00")),
        ("an unknown field", _tagged(1, INNER + b"\xfa\x3f\x01x")),
        ("an unknown field outside", SMALL + b"\xfa\x3f\x01x"),
        ("an unknown group", SMALL + b"\xfb\x3f\xfc\x3f"),
        ("padding by repetition", SMALL * 10),
    ],
)
def test_s3_only_one_reading_of_the_authenticated_bytes_is_judged(name: str, raw: bytes) -> None:
    enclave = ready()
    assert sealed(enclave, raw).not_judged.reason == "MALFORMED", name
    assert enclave.service._ledger.table.size == 0


@pytest.mark.parametrize("field", ["created_at", "valid_until", "expire_at", "reference_time"])
@pytest.mark.parametrize("value", [-(2**63), -1, 2**63 - 1])
@pytest.mark.parametrize("kind", ["order", "amend"])
def test_s12_extreme_times_are_refused(kind: str, field: str, value: int) -> None:
    enclave = ready()
    enclave.judged(order(client_order_id="o-0"))
    extra = {"reference_price": "50"} if field == "reference_time" else {}
    if kind == "order":
        time = {"time_in_force": intent_pb2.TIME_IN_FORCE_GTD} if field == "expire_at" else {}
        intent = order(**extra, **time, **{field: value})
    elif field == "expire_at":
        return
    else:
        intent = amend(client_order_id="o-0", quantity="2", **extra, **{field: value})
    reply = enclave.sign(intent)
    if (field == "expire_at" and value > 0) or (field == "reference_time" and value > 0):
        # A far end is the venue's to refuse; a reference that no grant asks for decides nothing.
        assert reply.judged.verdict.rule == ALLOWED
    elif reply.WhichOneof("answer") == "judged":
        assert reply.judged.verdict.rule == "max_age"
    else:
        assert reply.not_judged.field == field
