"""Every recorded request of ccxt's for these venues, where the shared recordings are at hand.

What they prove is proved without them by the tests beside this one; here it is a second recording, by other hands.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.agreement.ccxt_offline import Sent
from tests.agreement.comparable import Comparable, ccxts, ours
from tests.agreement.dry_running import answer
from tests.agreement.signatures import holds
from tests.agreement.subjects import BY_NAME, COINBASE_NAME, Subject

_SHARED: Final = Path(os.environ.get("CASEMATE_SHARED", Path(__file__).parents[3] / "shared"))
_RECORDED: Final = _SHARED / "oracle" / "captures.json"
SUBJECTS: Final = (
    "binance-spot",
    "binance-swap",
    "binanceusdm-swap",
    "bybit-spot",
    "bybit-swap",
    "okx-spot",
    "okx-swap",
    "kraken-spot",
    "coinbase-spot",
    "backpack-spot",
    "backpack-swap",
)
CLIENT_IDS: Final = ("newClientOrderId", "orderLinkId", "clOrdId", "cl_ord_id", "clientId", "client_order_id", "tag")
RECORDED_ID: Final = "c0ffee0123456789"
# ccxt was given a price for market buys and made quote quantities of it at these venues.
QUOTE: Final = {"binance-spot": "25000.2", "bybit-spot": "25000.25", "coinbase-spot": "25000.25"}
# Binance was recorded with ten seconds, everything else with ccxt's usual windows.
VALID_MS: Final = {"binance": 10_000, "binanceusdm": 10_000, "coinbase": 120_000}
NOW_MS: Final = 1_700_000_000_123
ORDER_ID: Final = "1234567890"


def recorded(subject: str) -> dict[str, Any]:
    if not _RECORDED.exists():
        pytest.skip(f"the shared recordings are not at {_RECORDED}; the other agreement tests prove the same")
    venue, _, kind = subject.partition("-")
    cases: dict[str, Any] = json.loads(_RECORDED.read_text())[venue][kind]
    return cases


def line(name: str, subject: Subject) -> tuple[str, dict[str, Any]]:
    """The op and intent of a recorded case."""
    match name:
        case "cancel":
            return "cancel", {"venue_order_id": ORDER_ID}
        case "fetch_order":
            return "query", {"venue_order_id": ORDER_ID}
        case "fetch_open_orders":
            return "open_orders", {}
        case "fetch_balance":
            return "balance", {}
        case _:
            return "create", _created(name, subject)


def _created(name: str, subject: Subject) -> dict[str, Any]:
    kind, side, *how = name.split("_")
    client = "77" if subject.venue == "backpack" else RECORDED_ID
    intent: dict[str, Any] = {"side": side.upper(), "type": kind.upper(), "client_order_id": client}
    if kind == "market":
        quote = QUOTE.get(subject.name) if side == "buy" else None
        return intent | ({"quote_quantity": quote} if quote else {"quantity": _quantity(subject)})
    time = how[0].upper() if how and how[0] in {"ioc", "fok"} else "GTC"
    intent |= {"quantity": _quantity(subject), "price": "50000.5", "time_in_force": time}
    return intent | ({"post_only": True} if how == ["postonly"] else {})


def _quantity(subject: Subject) -> str:
    return "3" if subject.kind == "swap" else "0.5"


def known(name: str) -> Subject:
    """The subject with the API key's name of the recordings."""
    subject = BY_NAME[name]
    credentials = dict(subject.credentials)
    if subject.venue == "okx":
        credentials["password"] = "test-passphrase"  # noqa: S105 - the recordings' own
    if subject.venue == "coinbase":
        credentials["apiKey"] = COINBASE_NAME
    return replace(subject, credentials=tuple(credentials.items()))


def without_ids(made: Comparable) -> Comparable:
    """Most recordings let ccxt make up the client order id; ours is always the caller's."""
    kept = {name: value for name, value in made.fields.items() if name not in CLIENT_IDS}
    return made._replace(fields=kept)


@pytest.mark.parametrize("name", SUBJECTS)
def test_recorded_requests_are_what_dry_run_shows(name: str) -> None:
    subject = known(name)
    compared = 0
    for case, wanted in recorded(name).items():
        if not isinstance(wanted, dict) or "error" in wanted or "method" not in wanted:
            continue
        op, intent = line(case, subject)
        valid = (NOW_MS + VALID_MS.get(subject.venue, 5_000)) * 1_000_000
        shown = answer(subject, op, intent | {"valid_until": str(valid)})
        assert "error" not in shown, (case, shown)
        sent = Sent(**shown)
        theirs = ccxts(Sent(wanted["method"], wanted["url"], wanted["headers"], wanted["body"]), subject.venue)
        if subject.venue == "kraken" and case == "fetch_order":
            theirs.fields["trades"] = "true"
        if case == "limit_buy_cid" and subject.venue not in {"backpack", "coinbase"}:
            assert ours(sent, subject.venue) == theirs, case
        theirs.fields.pop("clientOrderId", None)
        assert without_ids(ours(sent, subject.venue)) == without_ids(theirs), case
        assert holds(sent, subject), case
        compared += 1
    assert compared >= 11
