"""The compiler: every mistake in one report, and one canonical form for everything that means the same."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.errors import PolicyError
from casemate.policy import Mistake, compile_policy

EXAMPLE = (Path(__file__).parents[2] / "examples" / "policy.toml").read_text(encoding="utf-8")
SMALL = """
format = "casemate.policy.v1"
deployment = "desk"
version = 3
max_age = "10s"
duty = "on_parent"
[[engine]]
name = "mm-1"
accounts = ["main"]
[[account]]
name = "main"
venue = "okx"
count_uses = 1
[[account.instrument]]
symbol = "BTC/USDT"
venue_symbol = "BTC-USDT"
tick_size = "0.10"
lot_size = "0.00000001"
price_band = ["10000", "250000.50"]
[[account.grant]]
name = "quotes"
engines = "*"
symbols = "*"
operations = ["CREATE", "CANCEL"]
max_notional = "1000"
[[account.limit]]
name = "hourly"
symbols = "*"
window = "1h"
max_notional = "5000.0"
"""


def mistakes_of(text: str) -> dict[str, Mistake]:
    """The mistakes by path."""
    with pytest.raises(PolicyError) as caught:
        compile_policy(text)
    return {mistake.path: mistake for mistake in caught.value.mistakes if isinstance(mistake, Mistake)}


def test_writes_out_every_default_and_expands_every_star() -> None:
    assert cbor2.loads(compile_policy(SMALL).canonical) == {
        "format": "casemate.policy.v1",
        "deployment": "desk",
        "version": 3,
        "max_age_ms": 10_000,
        "duty": {"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []},
        "engines": [{"name": "mm-1", "accounts": ["main"]}],
        "accounts": [
            {
                "name": "main",
                "venue": "okx",
                "environment": "production",
                "margin_mode": "cash",
                "hedged": False,
                "read_only": False,
                "accept": [],
                "count_uses": 1,
                "max_open_orders": 10_000,
                "instruments": [
                    {
                        "symbol": "BTC/USDT",
                        "venue_symbol": "BTC-USDT",
                        "base": "BTC",
                        "quote": "USDT",
                        "settle": "USDT",
                        "kind": "spot",
                        "tick_size": "0.1",
                        "lot_size": "0.00000001",
                        "contract_size": "1",
                        "price_min": "10000",
                        "price_max": "250000.5",
                    }
                ],
                "grants": [
                    {
                        "name": "quotes",
                        "engines": ["mm-1"],
                        "symbols": ["BTC/USDT"],
                        "operations": ["CANCEL", "CREATE"],
                        "sides": ["BUY", "SELL"],
                        "types": ["LIMIT"],
                        "times_in_force": ["FOK", "GTC", "GTD", "IOC"],
                        "require_post_only": False,
                        "require_reduce_only": False,
                        "max_quantity": None,
                        "max_notional": "1000",
                        "max_deviation_bps": None,
                        "reference_max_age_ms": None,
                        "hours": [],
                        "days": [],
                    }
                ],
                "denials": [],
                "limits": [
                    {
                        "name": "hourly",
                        "symbols": ["BTC/USDT"],
                        "window_ms": 3_600_000,
                        "max_notional": "5000",
                        "max_orders": None,
                    }
                ],
                "exposures": [],
            }
        ],
    }


def test_market_orders_are_permitted_only_where_they_are_named() -> None:
    types = compile_policy(SMALL).document["accounts"][0]["grants"][0]["types"]
    assert types == ["LIMIT"]
    assert 'types = "*"' not in SMALL
    starred = SMALL.replace('max_notional = "1000"', 'max_notional = "1000"\ntypes = "*"')
    assert mistakes_of(starred)["account(main).grant(quotes).types"].expected == "a list that names at least one"


def test_the_canonical_bytes_are_what_cbor_calls_canonical() -> None:
    for text in (SMALL, EXAMPLE):
        compiled = compile_policy(text)
        assert cbor2.dumps(cbor2.loads(compiled.canonical), canonical=True) == compiled.canonical


def test_order_of_tables_lists_and_trailing_zeros_make_no_difference() -> None:
    shuffled = (
        SMALL.replace('["CREATE", "CANCEL"]', '["CANCEL", "CREATE", "CANCEL"]')
        .replace('"0.10"', '"0.1"')
        .replace('"1h"', '"60m"')
        .replace('venue = "okx"\ncount_uses = 1', 'count_uses = 1\nvenue = "okx"\nenvironment = "production"')
    )
    assert shuffled != SMALL
    assert compile_policy(shuffled).canonical == compile_policy(SMALL).canonical


def test_every_mistake_is_reported_with_path_value_and_expectation() -> None:
    broken = (
        SMALL.replace("version = 3", "version = 0")
        .replace('"10s"', '"10 seconds"')
        .replace("count_uses = 1", 'count_uses = "many"\nacept = []')
        .replace('"0.10"', "0.10")
        .replace('"CREATE"', '"CRAETE"')
        .replace('engines = "*"', 'engines = ["mm-2"]')
        .replace('"250000.50"', '"9000"')
        .replace('window = "1h"', 'window = "25h"')
    )
    found = mistakes_of(broken)
    assert set(found) == {
        "version",
        "max_age",
        "account(main).count_uses",
        "account(main).acept",
        "account(main).instrument(BTC/USDT).tick_size",
        "account(main).instrument(BTC/USDT).price_band",
        "account(main).grant(quotes).operations[0]",
        "account(main).grant(quotes).engines[0]",
        "account(main).limit(hourly).window",
    }
    assert found["account(main).acept"].expected.endswith('(did you mean "accept"?)')
    assert found["account(main).grant(quotes).operations[0]"].value == '"CRAETE"'
    assert '(did you mean "CREATE"?)' in found["account(main).grant(quotes).operations[0]"].expected
    assert found["account(main).instrument(BTC/USDT).tick_size"].value == "0.10"
    assert found["account(main).instrument(BTC/USDT).tick_size"].expected == 'a decimal in quotes: "0.10"'


@pytest.mark.parametrize(
    ("change", "path", "expected"),
    [
        (('price_band = ["10000", "250000.50"]', ""),
         "account(main).instrument(BTC/USDT).price_band", "without a band"),
        (('max_notional = "5000.0"', "max_orders = 5"), "account(main).limit", "a rolling limit with max_notional"),
        (('max_notional = "1000"', ""), "account(main).grant(quotes).max_notional", "CREATE and AMEND need a bound"),
        (('"BTC/USDT"', '"BTC/USD:BTC"'),
         "account(main).instrument(BTC/USD:BTC).symbol", "inverse contracts are not supported yet"),
        (('"BTC/USDT"', '"BTC/USDT:USDT"'), "account(main).instrument(BTC/USDT:USDT).symbol", "a spot pair"),
        (("count_uses = 1", ""), "account(main).count_uses", "how often limits count one create"),
        (('accounts = ["main"]', 'accounts = ["mian"]'), "engine(mm-1).accounts", '(did you mean "main"?)'),
        (('max_notional = "1000"', 'max_notional = "1e3"'), "account(main).grant(quotes).max_notional", "no exponent"),
        (('max_notional = "1000"', 'max_notional = "0"'),
         "account(main).grant(quotes).max_notional", "greater than zero"),
        (('max_notional = "1000"', "max_notional = 1000"),
         "account(main).grant(quotes).max_notional", 'in quotes: "1000"'),
        (('max_notional = "1000"', 'max_notional = "1000"\nmax_deviation_bps = 5'),
         "account(main).grant(quotes).reference_max_age", "how old a reference price may be"),
        (('max_notional = "1000"', 'max_notional = "1000"\nhours = ["8-17"]'),
         "account(main).grant(quotes).hours[0]", "HH:MM"),
        (('max_notional = "1000"', 'max_notional = "1000"\nhours = ["08:00-08:00"]'),
         "account(main).grant(quotes).hours[0]", "an end that differs"),
        (('max_notional = "1000"', 'max_notional = "1000"\ndays = ["monday"]'),
         "account(main).grant(quotes).days[0]", "mon"),
        (("version = 3", "version = true"), "version", "a whole number"),
        (('format = "casemate.policy.v1"', ""), "format", "casemate.policy.v1"),
    ],
)  # fmt: skip
def test_one_mistake_is_named_alone(change: tuple[str, str], path: str, expected: str) -> None:
    assert change[0] in SMALL
    found = mistakes_of(SMALL.replace(*change))
    assert path in found
    assert expected in found[path].expected


def test_two_of_one_name_are_refused() -> None:
    grant = SMALL[SMALL.index("[[account.grant]]") : SMALL.index("[[account.limit]]")]
    assert "account(main).grant[1].name" in mistakes_of(SMALL.replace(grant, grant + grant))


def test_a_limit_over_two_settle_currencies_is_refused() -> None:
    second = SMALL[SMALL.index("[[account.instrument]]") : SMALL.index("[[account.grant]]")]
    second = second.replace("USDT", "USDC")
    found = mistakes_of(SMALL.replace("[[account.grant]]", second + "[[account.grant]]"))
    assert "one settle currency, not of USDC, USDT" in found["account(main).limit(hourly).symbols"].expected


def test_hours_and_days_become_minutes_and_numbers() -> None:
    spans = 'hours = ["22:00-06:00", "00:00-24:00", "08:30-17:00"]\ndays = ["sun", "mon"]'
    text = SMALL.replace('max_notional = "1000"', f'max_notional = "1000"\n{spans}')
    grant = compile_policy(text).document["accounts"][0]["grants"][0]
    assert grant["hours"] == [[0, 1440], [510, 1020], [1320, 360]]
    assert grant["days"] == [0, 6]


def test_what_a_denial_leaves_out_matches_everything_also_later() -> None:
    text = SMALL + '[[account.deny]]\nname = "no-sells"\nsides = ["SELL"]\nsymbols = "*"\n'
    (denial,) = compile_policy(text).document["accounts"][0]["denials"]
    assert denial == {
        "name": "no-sells",
        "engines": [],
        "symbols": [],
        "operations": [],
        "sides": ["SELL"],
        "types": [],
        "times_in_force": [],
        "hours": [],
        "days": [],
    }


def test_count_uses_defaults_to_what_the_venue_declares() -> None:
    text = SMALL.replace("count_uses = 1", "")
    compiled = compile_policy(text, declared_uses={"okx": 960})
    assert compiled.document["accounts"][0]["count_uses"] == 960


def test_text_that_is_no_toml_is_one_mistake() -> None:
    (mistake,) = mistakes_of("version = ").values()
    assert mistake.expected == "a TOML document"


@settings(max_examples=60, deadline=None)
@given(st.recursive(
    st.one_of(st.booleans(), st.integers(), st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.lists(inner, max_size=3), max_leaves=4,
), st.sampled_from([
    "version", "max_age", "duty", "deployment", "accounts", "venue", "count_uses", "symbol", "tick_size", "price_band",
    "engines", "operations", "max_notional", "window", "symbols",
]))  # fmt: skip
def test_any_value_in_any_field_compiles_or_is_reported_and_never_crashes(value: object, field: str) -> None:
    text = re.sub(rf"(?m)^{field} = .*$", lambda _: f"{field} = {toml(value)}", SMALL, count=1)
    try:
        compiled = compile_policy(text)
    except PolicyError as error:
        assert error.mistakes, "no mistake named"  # noqa: PT017 - either way is right
    else:
        assert cbor2.dumps(cbor2.loads(compiled.canonical), canonical=True) == compiled.canonical


def toml(value: object) -> str:
    """Write a value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(f"\\U{ord(char):08x}" if ord(char) < 0xD800 else "x" for char in value) + '"'
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case float():
            return repr(value) if "e" not in repr(value) else f"{value:.3f}"
        case _:
            return str(value)


decimals = st.decimals(min_value="0.00000001", max_value=10**9, places=8).map(lambda value: format(value, "f"))


@settings(max_examples=60, deadline=None)
@given(decimals, decimals, st.integers(1, 60_000), st.permutations(["CREATE", "CANCEL", "QUERY", "AMEND"]))
def test_what_is_written_is_what_the_enclave_reads(tick: str, notional: str, age: int, operations: list[str]) -> None:
    text = (
        SMALL.replace('"0.10"', f'"{tick}"')
        .replace('"1000"', f'"{notional}"')
        .replace('"10s"', f'"{age}ms"')
        .replace('["CREATE", "CANCEL"]', str(operations).replace("'", '"'))
    )
    read = cbor2.loads(compile_policy(text).canonical)
    assert read["max_age_ms"] == age
    (account,) = read["accounts"]
    assert Decimal(account["instruments"][0]["tick_size"]) == Decimal(tick)
    assert Decimal(account["grants"][0]["max_notional"]) == Decimal(notional)
    assert account["grants"][0]["operations"] == sorted(operations)


KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
DAEMON = f'[duty]\nkey = "{KEY}"\nlongest = "5m"\npredecessors = ["{"22" * 48}", "{"11" * 48}"]\n'


def with_duty(text: str) -> str:
    """The small policy with a duty table, which TOML wants after the plain fields."""
    return SMALL.replace('duty = "on_parent"\n', text)


def test_s13_a_duty_daemon_is_compiled_with_its_bounds() -> None:
    duty = compile_policy(with_duty(DAEMON)).document["duty"]
    assert duty == {"mode": "daemon", "key": KEY, "longest_ms": 300_000, "predecessors": ["11" * 48, "22" * 48]}


def test_s13_predecessors_default_to_none() -> None:
    text = with_duty(f'[duty]\nkey = "{KEY}"\nlongest = "10s"\n')
    assert compile_policy(text).document["duty"]["predecessors"] == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "duty"),
        ('duty = "daemon"\n', "duty"),
        ("duty = true\n", "duty"),
        (DAEMON.replace(KEY, KEY[:-1]), "duty.key"),
        (DAEMON.replace("5m", "9s"), "duty.longest"),
        (DAEMON.replace("5m", "61m"), "duty.longest"),
        (DAEMON.replace("22" * 48, "00" * 48), "duty.predecessors[0]"),
        (DAEMON + "share = 1\n", "duty.share"),
        ('[duty]\nlongest = "5m"\n', "duty.key"),
    ],
)
def test_s13_a_duty_that_says_nothing_clear_does_not_compile(text: str, path: str) -> None:
    assert list(mistakes_of(with_duty(text))) == [path]


def test_s13_an_engines_key_is_no_duty_key() -> None:
    text = with_duty(DAEMON).replace('accounts = ["main"]\n', f'accounts = ["main"]\npublic_key = "{KEY}"\n', 1)
    assert list(mistakes_of(text)) == ["duty.key"]
