"""`dry-run` itself: one answer a line, errors that name the field, and never a secret."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.tools import venues
from casemate.tools.dry_run import run
from enclave_signer.venues.registry import VENUES

NOW_MS: Final = 1_700_000_000_123
SECRET: Final = "aVerySecretValueIndeed0123456789"  # noqa: S105 - made for these tests
LINE: Final[dict[str, Any]] = {
    "op": "create",
    "venue": "binance",
    "credentials": {"apiKey": "key", "secret": SECRET},
    "instrument": {
        "symbol": "BTC/USDT",
        "venue_symbol": "BTCUSDT",
        "base": "BTC",
        "quote": "USDT",
        "kind": "spot",
        "tick_size": "0.1",
        "lot_size": "0.00001",
        "contract_size": "1",
    },
    "intent": {
        "side": "BUY",
        "type": "LIMIT",
        "time_in_force": "GTC",
        "quantity": "0.5",
        "price": "25000.1",
        "post_only": False,
        "reduce_only": False,
        "client_order_id": "a-1",
    },
    "now_ms": NOW_MS,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The line with one value changed; a path like ``intent.side``."""
    line: dict[str, Any] = json.loads(json.dumps(LINE))
    *outer, last = path.split(".")
    inner = line
    for name in outer:
        inner = inner[name]
    inner[last] = value
    return line


def answers(*lines: str | dict[str, Any]) -> list[dict[str, Any]]:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return [json.loads(answer) for answer in run(texts)]


def test_shows_the_request_exactly_as_it_would_be_sent() -> None:
    (shown,) = answers(LINE)
    assert set(shown) == {"method", "url", "headers", "body"}
    assert (shown["method"], shown["url"]) == ("POST", "https://api.binance.com/api/v3/order")
    assert shown["headers"] == {"X-MBX-APIKEY": "key", "Content-Type": "application/x-www-form-urlencoded"}
    assert shown["body"].startswith("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=25000.1&")
    assert f"&recvWindow=5000&timestamp={NOW_MS}&signature=" in shown["body"]


def test_a_request_without_a_body_shows_null() -> None:
    (shown,) = answers(LINE | {"op": "balance", "intent": {}})
    assert shown["body"] is None
    assert shown["url"].startswith("https://api.binance.com/api/v3/account?")


def test_one_bad_line_answers_in_its_place_and_blank_lines_do_not_count() -> None:
    good, bad, again = answers(LINE, "", "   \n", "{not json", LINE)
    assert good == again
    assert bad["error"]["reason"] == "MALFORMED"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("surprise", 1, "surprise"),
        ("op", "withdraw", "op"),
        ("op", None, "op"),
        ("venue", "nowhere", "venue"),
        ("now_ms", "1700000000123", "now_ms"),
        ("now_ms", -1, "now_ms"),
        ("now_ms", True, "now_ms"),
        ("now_ms", 10**30, "now_ms"),
        ("nonce", 1.5, "nonce"),
        ("credentials", [], "credentials"),
        ("credentials.secret", 5, "credentials.secret"),
        ("credentials.key", "k", "credentials.key"),
        ("credentials.apiKey", "", "apiKey"),
        ("credentials.apiKey", "k\r\nX-Evil: 1", "apiKey"),
        ("credentials.secret", None, "secret"),
        ("credentials.secret", "\ud800", "secret"),
        ("credentials.secret", "-----BEGIN PRIVATE KEY-----\nnonsense", "secret"),
        ("instrument", None, "instrument"),
        ("instrument.venue_symbol", "BTC USDT", "instrument.venue_symbol"),
        ("instrument.venue_symbol", "BTCUSDT&quantity=9", "instrument.venue_symbol"),
        ("instrument.kind", "option", "instrument.kind"),
        ("instrument.tick_size", "0", "instrument.tick_size"),
        ("instrument.lot_size", 0.1, "instrument.lot_size"),
        ("instrument.color", "red", "instrument.color"),
        ("intent", None, "intent"),
        ("intent.side", "SIDE_BUY", "intent.side"),
        ("intent.side", 1, "intent.side"),
        ("intent.side", "UNSPECIFIED", "intent.side"),
        ("intent.type", "limit", "intent.type"),
        ("intent.quantity", 0.5, "intent.quantity"),
        ("intent.quantity", "0", "quantity"),
        ("intent.quantity", "-1", "quantity"),
        ("intent.quantity", "1e400", "quantity"),
        ("intent.quantity", "NaN", "quantity"),
        ("intent.quantity", "0.1234567890123456789", "quantity"),
        ("intent.quantity", "\ud800", "intent.quantity"),
        ("intent.quantity", "0.123456", "intent.quantity"),
        ("intent.price", "25000.15", "intent.price"),
        ("intent.price", None, "price"),
        ("intent.post_only", "yes", "intent.post_only"),
        ("intent.clientOrderId", "x", "intent.clientOrderId"),
        ("intent.client_order_id", "a&quantity=9", "client_order_id"),
        ("intent.client_order_id", "x" * 37, "client_order_id"),
        ("intent.valid_until", "soon", "intent.valid_until"),
        ("intent.valid_until", 1.5, "intent.valid_until"),
        ("intent.time_in_force", "GTD", "expire_at"),
        ("intent.stop_price", "3", "stop_price"),
        ("intent.position_side", "LONG", "position_side"),
        ("intent.reduce_only", True, "reduce_only"),
        ("placement", {"mood": "good"}, "placement.mood"),
        ("placement", {"hedged": 1}, "placement.hedged"),
        ("placement", {"margin_mode": "cross"}, "symbol"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(path: str, value: Any, field: str) -> None:
    (shown,) = answers(changed(path, value))
    assert set(shown) == {"error"}, shown
    assert shown["error"]["field"] == field
    assert shown["error"]["reason"] != "INTERNAL"
    assert shown["error"]["message"]


def test_an_intent_that_is_over_is_refused() -> None:
    (shown,) = answers(changed("intent.valid_until", str(NOW_MS * 1_000_000)))
    assert shown["error"]["reason"] == "VALIDITY"


def test_the_window_never_reaches_past_the_intent() -> None:
    (shown,) = answers(changed("intent.valid_until", str((NOW_MS + 1_234) * 1_000_000 + 999_999)))
    assert "&recvWindow=1234&" in shown["body"]


def test_reads_of_a_symbol_need_no_intent_and_the_nonce_is_the_given_one() -> None:
    kraken = changed("instrument.venue_symbol", "XBTUSDT") | {"venue": "kraken", "op": "open_orders"}
    kraken["credentials"] = {"apiKey": "key", "secret": base64.b64encode(bytes(64)).decode()}
    del kraken["intent"]
    by_clock, by_nonce = answers(kraken, kraken | {"nonce": 1_700_000_000_123_456_789})
    assert by_clock["body"] == f"nonce={NOW_MS}"
    assert by_nonce["body"] == "nonce=1700000000123456789"


def test_a_key_that_occurs_twice_is_refused() -> None:
    (shown,) = answers('{"op": "balance", "op": "create"}')
    assert shown["error"]["field"] == "line"


def test_an_amend_needs_the_order_that_it_changes() -> None:
    line = LINE | {"op": "amend", "intent": {"client_order_id": "a-1", "quantity": "0.4"}}
    missing, built = answers(line, line | {"original": LINE["intent"]})
    assert missing["error"]["field"] == "original"
    assert "newQty=0.4" in built["body"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)


@given(
    path=st.sampled_from(
        [
            *LINE,
            *(f"intent.{name}" for name in LINE["intent"]),
            *(f"instrument.{name}" for name in LINE["instrument"]),
            "credentials.apiKey",
        ]
    ),
    value=json_values,
)
def test_no_value_of_any_key_crashes_or_shows_the_secret(path: str, value: Any) -> None:
    (answer,) = run([json.dumps(changed(path, value))])
    shown = json.loads(answer)
    assert set(shown) in ({"error"}, {"method", "url", "headers", "body"})
    assert shown.get("error", {}).get("reason") != "INTERNAL"
    for form in (SECRET, SECRET.encode().hex(), base64.b64encode(SECRET.encode()).decode()):
        assert form not in answer


@given(text=st.text(max_size=60))
def test_no_line_crashes(text: str) -> None:
    for answer in run(text.splitlines()):
        assert set(json.loads(answer)) == {"error"}


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_a_broken_secret_is_never_repeated(venue: str) -> None:
    for secret in (f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----", f"{SECRET}!", f"é{SECRET}"):
        line = LINE | {"venue": venue, "credentials": {"apiKey": "k", "secret": secret, "password": "p"}}
        (answer,) = run([json.dumps(line)])
        assert SECRET not in answer


def test_venues_describes_each_venue_as_data_and_as_text() -> None:
    described = venues.describe()
    assert [venue["venue"] for venue in described] == sorted(VENUES)
    json.dumps(described)
    for venue in described:
        assert venue["gaps"].keys() == set(venue["operations"])
        assert f"{venue['venue']}\n" in venues.table()
