"""`casemate policy check | compile`, `casemate venues`: what a new user must be told before the first order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from casemate.cli.main import main
from casemate.errors import PolicyError
from casemate.policy import compile_policy
from casemate.tools import policy_check, venues
from enclave_signer.venues.registry import VENUES
from tests.client.test_policy_compiler import SMALL

EXAMPLE = Path(__file__).parents[2] / "examples" / "policy.toml"
PUBLIC_KEY = "5a8b317441a6c6e898deb9adfca1c550e2a9fb114c51b8e5b8df7a74b632dc7f"
GAPS = '["host-unsigned", "method-unsigned", "path-unsigned", "query-body-joined", "replayable"]'
BINANCE = SMALL.replace('venue = "okx"', 'venue = "binance"').replace("count_uses = 1", f"accept = {GAPS}")
BINANCE = BINANCE.replace('["CREATE", "CANCEL"]', '["CREATE"]')
BINANCE = BINANCE.replace("[[engine]]\n", f'[[engine]]\npublic_key = "{PUBLIC_KEY}"\n')


def warnings(text: str) -> list[str]:
    """What `policy check` warns of."""
    return list(policy_check.check(policy_check.compile_checked(text)).warnings)


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ("max_orders = 100", "one create counts 600000 times, limit hourly allows 100 orders"),
        ('max_quantity = "0.001"', "0.006 quantity at least, exposure most allows 0.001 quantity"),
        ('max_notional = "1500"', "1500.003 notional at least, exposure most allows 1500 notional"),
    ],
)
def test_a_bound_that_no_create_can_pass_is_warned_of(bound: str, said: str) -> None:
    text = BINANCE.replace('"5000.0"', '"5000.0"\n' + bound)
    if "orders" not in bound:
        text = BINANCE + f'[[account.exposure]]\nname = "most"\nsymbol = "BTC/USDT"\n{bound}\n'
    found = [warning for warning in warnings(text) if "every CREATE will be refused" in warning]
    assert len(found) == 1
    assert said in found[0]


def test_a_notional_below_one_lot_counted_as_often_as_declared_is_warned_of() -> None:
    # One lot of 0.00000001 at 250000.50 counted 600000 times is 1500.003.
    assert warnings(BINANCE.replace('"5000.0"', '"1500.003"')) == []
    (found,) = warnings(BINANCE.replace('"5000.0"', '"1500.002"'))
    assert found == (
        "main: every CREATE will be refused: one create counts 600000 times, one lot at price_max 1500.003 notional"
        " at least, limit hourly allows 1500.002 notional"
    )


def test_of_several_symbols_only_the_one_that_cannot_pass_is_named() -> None:
    # One lot counted twice is 5 for BTC/USDT and 4 for ETH/USDT.
    (found,) = warnings(EXAMPLE.read_text(encoding="utf-8").replace('"5000000"', '"4.5"'))
    assert "every CREATE of BTC/USDT will be refused" in found


def test_a_grant_smaller_than_one_lot_is_warned_of() -> None:
    (found,) = warnings(BINANCE.replace('"1000"', '"0.0025"'))
    assert "grant quotes permits no CREATE of BTC/USDT" in found


def test_the_summary_says_count_uses_and_times_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy.toml"
    times = 'max_notional = "1000"\nhours = ["08:00-17:30"]\ndays = ["mon", "sat"]'
    policy.write_text(BINANCE.replace('max_notional = "1000"', times))
    assert main(["policy", "check", str(policy)]) == 0
    shown = capsys.readouterr().out
    assert "count_uses 600000" in shown
    assert "08:00-17:30 UTC on mon, sat" in shown
    assert shown.endswith("0 mistakes, 0 warnings\n")


def test_strict_makes_a_warning_a_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(BINANCE.replace('"5000.0"', '"1"'))
    assert main(["policy", "check", str(policy)]) == 0
    assert main(["policy", "check", "--strict", str(policy)]) == 1
    assert capsys.readouterr().out.endswith("0 mistakes, 1 warning\n")


def test_the_example_passes_the_strict_check() -> None:
    assert main(["policy", "check", "--strict", str(EXAMPLE)]) == 0


def test_mistakes_of_venue_and_of_compiler_stand_in_one_report_for_check_and_compile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(SMALL.replace('"okx"', '"binnance"').replace("version = 3", "version = 0"))
    shown = []
    for command in ("check", "compile"):
        assert main(["policy", command, str(policy)]) == 1
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert 'account(main).venue: "binnance": expected one of' in shown[0]
    assert '(did you mean "binance"?)' in shown[0]
    assert "version: 0: expected" in shown[0]
    assert shown[0].endswith("2 mistakes, 0 warnings\n")
    assert not policy.with_suffix(".cbor").exists()


def test_an_unknown_venue_is_the_only_mistake_where_count_uses_is_left_out() -> None:
    with pytest.raises(PolicyError) as caught:
        policy_check.compile_checked(BINANCE.replace('"binance"', '"binnance"'))
    assert [getattr(mistake, "path", "") for mistake in caught.value.mistakes] == ["account(main).venue"]


def test_compile_warns_on_stderr_and_says_where_it_cannot_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(BINANCE.replace('"5000.0"', '"1"'))
    assert main(["policy", "compile", str(policy)]) == 0
    streams = capsys.readouterr()
    assert "warning: main: every CREATE will be refused" in streams.err
    assert "warning" not in streams.out
    policy.write_text(SMALL)
    for name in [name for name in sys.modules if name.startswith("casemate.tools.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "enclave_signer", None)
    for name in [name for name in sys.modules if name.startswith("enclave_signer.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["policy", "compile", str(policy)]) == 0
    assert "not checked against what the venues declare" in capsys.readouterr().err


def test_mistakes_name_what_has_a_name_and_count_what_has_none() -> None:
    second = '[[account.grant]]\nengines = "*"\nsymbols = "*"\noperations = ["QUERY"]\n[[account.limit]]'
    text = SMALL.replace('"1000"', "1000").replace("[[account.limit]]", second)
    with pytest.raises(PolicyError) as caught:
        compile_policy(text)
    paths = {getattr(mistake, "path", "") for mistake in caught.value.mistakes}
    assert paths == {"account(main).grant(quotes).max_notional", "account(main).grant[1].name"}


def test_venues_lists_the_gaps_of_all_operations() -> None:
    known: dict[str, dict[str, Any]] = {venue["venue"]: venue for venue in venues.describe()}
    for name, venue in known.items():
        assert venue["every_gap"] == sorted({gap for gaps in venue["gaps"].values() for gap in gaps})
        assert set(venue["gaps"]) <= {operation.name for operation in VENUES[name].declaration.operations}
    assert "query-body-joined (QUERY, OPEN_ORDERS)" in venues.table()


def test_an_engine_without_a_key_is_warned_of_and_keys_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("public_key")]
    assert warnings(text) == []
    (found,) = warnings(text.replace(lines[0], "", 1))
    assert found.startswith("mm-1: no public_key: it can never open a session")
    policy = tmp_path / "policy.toml"
    policy.write_text(text.replace(lines[0], "", 1), encoding="utf-8")
    assert main(["policy", "check", str(policy), "--strict"]) == 1
    shown = capsys.readouterr().out
    assert "engine mm-1: public key none, binance-main" in shown
    key = lines[1].split('"')[1]
    assert f"engine hedger: public key {key}, okx-hedge" in shown
