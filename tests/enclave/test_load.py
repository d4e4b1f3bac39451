"""A policy is checked as if no compiler had: everything that is wrong, in one report."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.policy.compiler import compile_policy
from enclave_signer.errors import BadPolicy
from enclave_signer.model import OrderType
from enclave_signer.policy.load import load
from enclave_signer.policy.prepared import shape
from enclave_signer.venues.declaration import Gap
from enclave_signer.venues.registry import VENUES
from tests.enclave.enclave_rig import (
    BTC,
    ETH,
    account,
    canonical,
    denial,
    empty,
    exposure,
    grant,
    instrument,
    limit,
    policy,
    ready,
    tiny,
)

VENUE = {"tiny": tiny(uses=3)}


def mistakes(document: object) -> list[str]:
    with pytest.raises(BadPolicy) as caught:
        load(canonical(document), VENUE)
    return str(caught.value).splitlines()


def full() -> dict[str, Any]:
    return policy(
        account(count_uses=3, denials=[denial()], exposures=[exposure()], limits=[limit()]),
    )


def test_a_full_policy_loads() -> None:
    loaded = load(canonical(full()), VENUE)
    assert (loaded.deployment, loaded.version, loaded.max_age_ms) == ("test", 1, 60_000)
    assert loaded.accounts["main"].listings[BTC].price_max.text == "100"


WRONG: list[tuple[tuple[str | int, ...], object, str]] = [
    (("format",), "casemate.policy.v2", "format"),
    (("deployment",), "a b", "deployment"),
    (("version",), 0, "version"),
    (("version",), True, "version"),
    (("version",), "1", "version"),
    (("max_age_ms",), 60_001, "max_age_ms"),
    (("engines",), [], "engines"),
    (("engines", 0, "accounts"), ["elsewhere"], "engines[0].accounts"),
    (("accounts", 0, "name"), "", "accounts[0].name"),
    (("accounts", 0, "venue"), "binance", "accounts[0].venue"),
    (("accounts", 0, "environment"), "moon", "accounts[0].environment"),
    (("accounts", 0, "margin_mode"), "cross", "accounts[0].instruments[0].kind"),
    (("accounts", 0, "hedged"), 1, "accounts[0].hedged"),
    (("accounts", 0, "read_only"), None, "accounts[0].read_only"),
    (("accounts", 0, "accept"), ["anything"], "accounts[0].accept"),
    (("accounts", 0, "accept"), ["replayable", "body-unsigned"], "accounts[0].accept"),
    (("accounts", 0, "accept"), ["replayable", "replayable"], "accounts[0].accept"),
    (("accounts", 0, "count_uses"), 4, "accounts[0].count_uses"),
    (("accounts", 0, "count_uses"), 2, "accounts[0].count_uses"),
    (("accounts", 0, "max_open_orders"), 1_000_001, "accounts[0].max_open_orders"),
    (("accounts", 0, "instruments", 0, "tick_size"), "0.010", "accounts[0].instruments[0].tick_size"),
    (("accounts", 0, "instruments", 0, "tick_size"), "0", "accounts[0].instruments[0].tick_size"),
    (("accounts", 0, "instruments", 0, "tick_size"), 1, "accounts[0].instruments[0].tick_size"),
    (("accounts", 0, "instruments", 0, "price_min"), "100", "accounts[0].instruments[0].price_max"),
    (("accounts", 0, "instruments", 0, "price_max"), None, "accounts[0].instruments[0].price_max"),
    (("accounts", 0, "instruments", 0, "contract_size"), "2", "accounts[0].instruments[0].contract_size"),
    (("accounts", 0, "instruments", 0, "settle"), "BTC", "accounts[0].instruments[0].settle"),
    (("accounts", 0, "instruments", 0, "settle"), "EUR", "accounts[0].instruments[0].settle"),
    (("accounts", 0, "instruments", 0, "base"), "ETH", "accounts[0].instruments[0].symbol"),
    (("accounts", 0, "instruments", 0, "venue_symbol"), "BAD", "accounts[0].instruments[0].venue_symbol"),
    (("accounts", 0, "instruments", 0, "venue_symbol"), "ETHUSDT", "accounts[0].instruments"),
    (("accounts", 0, "grants", 0, "engines"), ["stranger"], "accounts[0].grants[0].engines"),
    (("accounts", 0, "grants", 0, "symbols"), ["XRP/USDT"], "accounts[0].grants[0].symbols"),
    (("accounts", 0, "grants", 0, "operations"), ["WITHDRAW"], "accounts[0].grants[0].operations"),
    (("accounts", 0, "grants", 0, "operations"), ["HALT"], "accounts[0].grants[0].operations"),
    (("accounts", 0, "grants", 0, "operations"), [], "accounts[0].grants[0].operations"),
    (("accounts", 0, "grants", 0, "types"), [], "accounts[0].grants[0].types"),
    (("accounts", 0, "grants", 0, "max_notional"), None, "accounts[0].grants[0].max_notional"),
    (("accounts", 0, "grants", 0, "max_deviation_bps"), 5, "accounts[0].grants[0].reference_max_age_ms"),
    (("accounts", 0, "grants", 0, "hours"), [[0, 1441]], "accounts[0].grants[0].hours"),
    (("accounts", 0, "grants", 0, "hours"), [[60, 60]], "accounts[0].grants[0].hours"),
    (("accounts", 0, "grants", 0, "hours"), [[60]], "accounts[0].grants[0].hours"),
    (("accounts", 0, "grants", 0, "days"), [7], "accounts[0].grants[0].days"),
    (("accounts", 0, "grants", 0, "days"), [1, 0], "accounts[0].grants[0].days"),
    (("accounts", 0, "denials", 0, "sides"), ["LEFT"], "accounts[0].denials[0].sides"),
    (("accounts", 0, "limits", 0, "window_ms"), 999, "accounts[0].limits[0].window_ms"),
    (("accounts", 0, "limits", 0, "window_ms"), 86_400_001, "accounts[0].limits[0].window_ms"),
    (("accounts", 0, "limits", 0, "max_notional"), None, "accounts[0].limits[0].max_notional"),
    (("accounts", 0, "limits", 0, "symbols"), [BTC], "accounts[0].limits"),
    (("accounts", 0, "limits", 0, "max_orders"), 0, "accounts[0].limits[0].max_orders"),
    (("accounts", 0, "exposures", 0, "symbol"), "XRP/USDT", "accounts[0].exposures[0].symbol"),
    (("accounts", 0, "exposures", 0, "max_quantity"), None, "accounts[0].exposures[0].max_notional"),
]


@pytest.mark.parametrize(("path", "value", "named"), WRONG)
def test_one_mistake_is_named_by_its_path(path: tuple[str | int, ...], value: object, named: str) -> None:
    document = full()
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert any(line.startswith(f"{named}: ") for line in mistakes(document)), mistakes(document)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _places(inner, (*path, index))
    return found


def test_every_key_is_required_and_no_other_is_known() -> None:
    for path in _places(full()):
        if not isinstance(path[-1], str):
            continue
        document = full()
        place: Any = document
        for part in path[:-1]:
            place = place[part]
        removed = copy.copy(place.pop(path[-1]))
        assert mistakes(document)
        place[path[-1]] = removed
        place["unknown"] = 0
        assert any("unknown" in line and "no such key" in line for line in mistakes(document))


def test_all_mistakes_are_in_one_report() -> None:
    document = full()
    document["version"] = 0
    document["accounts"][0]["grants"][0]["sides"] = ["LEFT", "RIGHT"]
    document["accounts"][0]["instruments"][1]["lot_size"] = "-1"
    document["accounts"][0]["typo"] = 1
    lines = mistakes(document)
    assert {line.split(": ", maxsplit=1)[0] for line in lines} == {
        "version",
        "accounts[0].grants[0].sides",
        "accounts[0].instruments[1].lot_size",
        "accounts[0].typo",
    }
    assert any("'LEFT': expected one of BUY, SELL" in line for line in lines)


def test_a_report_without_end_is_cut() -> None:
    document = full()
    document["accounts"][0]["grants"][0]["sides"] = [f"S{n:05}" for n in range(5000)]
    lines = mistakes(document)
    assert len(lines) == 1001
    assert lines[-1] == "and 4000 more"


@pytest.mark.parametrize("value", [None, 1, "x", [], [1], {"a": 1}])
@pytest.mark.parametrize("path", [path for path in _places(full()) if path])
def test_a_value_of_another_type_is_a_mistake_and_never_a_crash(path: tuple[str | int, ...], value: object) -> None:
    document = full()
    place: Any = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    with suppress(BadPolicy):
        load(canonical(document), VENUE)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadPolicy):
        load(data, VENUE)


def test_lists_must_be_sorted_and_without_repeats() -> None:
    for wrong in ([account("b"), account("a")], [account("a"), account("a")]):
        assert any(line.startswith("accounts: ") for line in mistakes(policy(*wrong)))


def test_a_limit_on_notional_needs_one_settle_currency() -> None:
    other = instrument("ETH/EUR")
    document = policy(
        account(
            count_uses=3,
            instruments=[instrument(BTC), other],
            grants=[grant(symbols=[BTC])],
            limits=[limit(symbols=[BTC, "ETH/EUR"])],
        )
    )
    assert any(line.startswith("accounts[0].limits[0].symbols: ") for line in mistakes(document))
    document["accounts"][0]["limits"] = [
        limit("a", symbols=[BTC]),
        limit("b", symbols=["ETH/EUR"]),
        limit("c", symbols=[BTC, "ETH/EUR"], max_notional=None, max_orders=5),
    ]
    load(canonical(document), VENUE)


def test_fewer_uses_than_declared_need_the_word_replayable() -> None:
    document = policy(account(count_uses=1, accept=[Gap.REPLAYABLE.value]))
    assert load(canonical(document), VENUE).accounts["main"].count_uses == 1


@settings(max_examples=60, deadline=None)
@given(types=st.sets(st.sampled_from(["LIMIT", "MARKET", "STOP_LIMIT"]), min_size=1))
def test_market_is_granted_only_where_it_is_named(types: set[str]) -> None:
    enclave = ready(policy(account(grants=[grant(types=sorted(types))])))
    live = enclave.service._judge.live
    assert live is not None
    grants = live.seats["mm"]["main"].scopes[BTC].grants
    named = {
        kind.name
        for kind in OrderType
        for key in grants
        if key in {shape(operation, side, kind, time) for operation in (1, 4) for side in (1, 2) for time in range(5)}
    }
    assert named == types


def test_what_the_compiler_writes_the_enclave_accepts() -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "policy.toml"
    uses = {name: venue.declaration.uses for name, venue in VENUES.items()}
    compiled = compile_policy(example.read_text(), declared_uses=uses)
    loaded = load(compiled.canonical, VENUES)
    assert loaded.digest.hex() == compiled.digest
    assert {ETH, BTC} <= set(loaded.accounts["binance-main"].listings)


def test_loading_twice_changes_nothing_that_a_bad_policy_touches() -> None:
    enclave = ready()
    before = enclave.status()
    assert enclave.load({"format": "casemate.policy.v1"}).not_judged.reason == "BAD_POLICY"
    after = enclave.status()
    assert (before.policy_digest, before.phase) == (after.policy_digest, after.phase)
    assert empty().load(policy()).loaded.policy_version == 1


KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw().hex()
DAEMON = {"mode": "daemon", "key": KEY, "longest_ms": 300_000, "predecessors": ["1" * 96, "2" * 96]}


def test_s13_a_policy_names_its_duty_daemon() -> None:
    loaded = load(canonical({**full(), "duty": DAEMON}), VENUE).duty
    assert (loaded.key.hex(), loaded.longest_ms) == (DAEMON["key"], 300_000)
    assert loaded.predecessors == {b"\x11" * 48, b"\x22" * 48}


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"mode": "nobody"}, "duty.mode"),
        ({"key": "00" * 32}, "duty.key"),
        ({"key": ""}, "duty.key"),
        ({"longest_ms": 9_999}, "duty.longest_ms"),
        ({"longest_ms": 3_600_001}, "duty.longest_ms"),
        ({"predecessors": ["0" * 96]}, "duty.predecessors"),
        ({"predecessors": ["2" * 96, "1" * 96]}, "duty.predecessors"),
        ({"predecessors": ["1" * 95]}, "duty.predecessors"),
        ({"more": 1}, "duty.more"),
        ({"mode": "on_parent", "longest_ms": 0, "predecessors": []}, "duty.key"),
        ({"mode": "on_parent", "key": "", "predecessors": []}, "duty.longest_ms"),
        ({"mode": "on_parent", "key": "", "longest_ms": 0}, "duty.predecessors"),
    ],
)
def test_s13_a_duty_that_is_not_one_is_refused(changes: dict[str, object], at: str) -> None:
    (line,) = mistakes({**full(), "duty": {**DAEMON, **changes}})
    assert line.startswith(f"{at}: ")


def test_s13_a_policy_without_duty_is_refused() -> None:
    document = full()
    del document["duty"]
    assert mistakes(document)[0] == "duty: nothing: expected a map"


def test_s13_an_engine_cannot_hold_the_duty_key() -> None:
    document = {**full(), "duty": DAEMON}
    document["engines"][0]["public_key"] = KEY
    (line,) = mistakes(document)
    assert line.startswith("duty.key: ")
