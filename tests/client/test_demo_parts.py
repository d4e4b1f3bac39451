"""The demonstration's pure parts: the tape, the plan, the accounts and the numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from casemate.demo.account import book_of, problems_of
from casemate.demo.plan import plan_orders
from casemate.demo.play import Played
from casemate.demo.stack import Market
from casemate.demo.summary import by_rule, by_venue, histogram, latencies, percentile, total
from casemate.demo.tape import TapeError, generate, read_tape
from casemate.models import Decision, ExecutionReport, OrderState, OrderType, Stages, SubmitResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPOT = Market(
    account="okx-spot",
    venue="okx",
    server="okx",
    symbol="BTC/USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.00000001"),
    contract_size=Decimal(1),
    reference=Decimal(60_000),
    band=(Decimal(30_000), Decimal(120_000)),
)
SWAP = replace(
    SPOT,
    account="swap",
    venue="bybit",
    server="bybit",
    symbol="BTC/USDT:USDT",
    lot=Decimal(1),
    contract_size=Decimal("0.01"),
)
MARKETS = (SPOT, SWAP)


def allowed(entry: Played, state: OrderState = OrderState.FILLED) -> Played:
    """The order as allowed, and in a state by the journal."""
    order = entry.planned.order
    report = ExecutionReport(
        sequence=1,
        time=1,
        account=order.account,
        venue=order.venue,
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        venue_order_id="v",
        operation=None,
        state=state,
        filled_quantity=None,
        average_price=None,
        error_class=None,
        venue_code="",
        venue_message="",
        verdict=None,
        stages=Stages(journaled=1_000, signed=2_000),
    )
    verdict = Verdict(decision=Decision.ALLOW, rule="grant:trade", reason="")
    entry.result = SubmitResult(verdict=verdict, report=report, authenticated=True)
    entry.journal = report
    entry.total_ns = 5_000_000
    return entry


def refused(entry: Played, rule: str) -> Played:
    """The order as refused by a rule."""
    allowed(entry, OrderState.REFUSED)
    verdict = Verdict(decision=Decision.REFUSE, rule=rule, reason="because")
    entry.result = SubmitResult(verdict=verdict, report=None, authenticated=True)
    return entry


def played(count: int = 1) -> list[Played]:
    """Orders within the policy, not sent yet."""
    planned = plan_orders(generate(50, 1), MARKETS, 50, Random(1))
    return [Played(item) for item in planned if item.rule is None][:count]


def at_venue(entry: Played, status: str = "filled") -> dict[str, str]:
    """The order in the venue's own book."""
    account, client_order_id = entry.key
    return {"account": account, "client_order_id": client_order_id, "status": status, "filled": "1"}


def test_same_seed_same_trades() -> None:
    assert generate(200, 3) == generate(200, 3)
    assert generate(200, 3) != generate(200, 4)


def test_generated_trades_come_in_bursts() -> None:
    times = [trade.at_s for trade in generate(3_000, 5)]
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    # Independent arrivals have 1; bursts have more.
    assert variance / mean**2 > 1.5
    assert times == sorted(times)


def test_reads_a_tape_and_starts_its_clock_at_the_first_trade(tmp_path: Path) -> None:
    tape = tmp_path / "tape.csv"
    tape.write_text("time_s,side,type,price,quantity,trade_id\n10.5,buy,limit,1.10,2,7\n11,sell,market,3,4,8\n")
    first, second = read_tape(tape)
    assert (first.at_s, first.buy, first.price, first.quantity) == (0.0, True, Decimal("1.10"), Decimal(2))
    assert (second.at_s, second.buy) == (0.5, False)


@pytest.mark.parametrize(
    "row",
    ["x,buy,limit,1,1,1", "1,up,limit,1,1,1", "1,buy,limit,0,1,1", "1,buy,limit,NaN,1,1", "nan,buy,limit,1,1,1", "1"],
)
def test_a_bad_line_of_a_tape_is_named(tmp_path: Path, row: str) -> None:
    tape = tmp_path / "tape.csv"
    tape.write_text(f"time_s,side,type,price,quantity,trade_id\n1,buy,limit,1,1,1\n{row}\n")
    with pytest.raises(TapeError, match=r"tape\.csv:3: expected"):
        read_tape(tape)


def test_a_tape_without_its_columns_is_named(tmp_path: Path) -> None:
    tape = tmp_path / "tape.csv"
    tape.write_text("time,side\n")
    with pytest.raises(TapeError, match="time_s, price, quantity missing"):
        read_tape(tape)


def test_every_planned_order_within_the_policy_is_on_tick_and_lot_and_within_the_band() -> None:
    planned = plan_orders(generate(400, 2), MARKETS, 400, Random(2))
    markets = {market.account: market for market in MARKETS}
    assert len(planned) == 400
    assert {item.order.account for item in planned} == set(markets)
    for item in planned:
        if item.rule is not None:
            continue
        market, price, size = markets[item.order.account], Decimal(item.order.price), Decimal(item.order.quantity)
        assert price % market.tick == 0
        assert size % market.lot == 0
        assert size > 0
        assert market.band[0] <= price <= market.band[1]
        assert size * market.contract_size * market.band[1] <= 20_000


def test_every_kind_of_violation_is_planned_and_breaks_what_it_says() -> None:
    planned = [item for item in plan_orders(generate(900, 2), MARKETS, 900, Random(2)) if item.rule]
    by_kind = {item.rule: item for item in planned}
    assert set(by_kind) == {"max_notional", "band", "precision", "instrument", "type", "operation"}
    assert Decimal(by_kind["band"].order.price) > SPOT.band[1]
    assert Decimal(by_kind["precision"].order.price) % SPOT.tick != 0
    assert by_kind["type"].order.type is OrderType.MARKET
    assert by_kind["operation"].by_reader


def test_more_orders_than_trades_play_the_tape_again_with_ids_of_their_own() -> None:
    planned = plan_orders(generate(10, 1), MARKETS, 35, Random(1))
    assert len({item.order.client_order_id for item in planned}) == 35
    assert [item.at_s for item in planned] == sorted(item.at_s for item in planned)


def test_orders_that_agree_everywhere_are_accounted_for() -> None:
    first, second = played(2)
    allowed(first)
    refused(second, "band")
    second.planned = replace(second.planned, rule="band")
    assert problems_of([first, second], book_of([at_venue(first)])) == []


def _in_journal(entry: Played, state: OrderState | None) -> None:
    assert entry.journal is not None
    entry.journal = None if state is None else replace(entry.journal, state=state)


def _planned_for(entry: Played, rule: str) -> None:
    entry.planned = replace(entry.planned, rule=rule)


@pytest.mark.parametrize(
    ("break_it", "finding"),
    [
        (lambda entry: setattr(entry, "result", None), "not answered"),
        (lambda entry: _in_journal(entry, None), "not in the journal"),
        (lambda entry: _in_journal(entry, OrderState.UNKNOWN), "leaves it UNKNOWN"),
        (lambda entry: _in_journal(entry, OrderState.REJECTED), "REJECTED, the venue"),
        (lambda entry: _planned_for(entry, "band"), "allowed, but against the policy"),
        (lambda entry: refused(entry, "limit:x"), "refused by limit:x (because), but within the policy"),
    ],
)
def test_whatever_disagrees_is_found(break_it: Callable[[Played], object], finding: str) -> None:
    (entry,) = played()
    allowed(entry)
    break_it(entry)
    assert any(finding in problem for problem in problems_of([entry], book_of([at_venue(entry)])))


def test_an_order_twice_at_the_venue_or_still_open_or_never_sent_is_found() -> None:
    (entry,) = played()
    allowed(entry)
    assert problems_of([entry], book_of([at_venue(entry)] * 2)) != []
    assert problems_of([entry], book_of([at_venue(entry, "new")])) != []
    stranger = {**at_venue(entry), "client_order_id": "stranger"}
    assert any("never sent" in problem for problem in problems_of([entry], book_of([at_venue(entry), stranger])))
    assert any("venue has 0" in problem for problem in problems_of([entry], {}))


def test_a_refusal_by_another_rule_than_planned_is_found() -> None:
    (entry,) = played()
    refused(entry, "band")
    entry.planned = replace(entry.planned, rule="precision")
    assert any("instead of precision" in problem for problem in problems_of([entry], {}))


def test_counts_and_rules_add_up() -> None:
    first, second, third = played(3)
    allowed(first)
    refused(second, "band")
    table = by_venue([first, second, third], book_of([at_venue(first)]))
    assert total(table) == dict.fromkeys(total(table), 0) | {
        "sent": 3,
        "refused": 1,
        "signed": 1,
        "acknowledged": 1,
        "filled": 1,
        "unanswered": 1,
    }
    assert by_rule([first, second, third]) == {"band": 1}


def test_percentiles_are_nearest_rank() -> None:
    values = list(range(1, 1001))
    assert [percentile(values, name) for name in ("p50", "p90", "p99", "p99.9", "max")] == [500, 900, 990, 999, 1000]
    assert percentile([7], "p50") == 7
    assert latencies([]) is None
    assert latencies([1_500, 2_500]) == {"count": 2, "p50": 1.5, "p90": 2.5, "p99": 2.5, "p99.9": 2.5, "max": 2.5}


def test_the_histogram_counts_every_value() -> None:
    lines = histogram([1_000_000, 1_100_000, 30_000_000])
    assert sum(int(line.split("ms")[1].split()[0]) for line in lines) == 3
    assert histogram([]) == []
