"""Cancels, amends and reads of the six venues are what ccxt sends for them, and their signatures hold."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pytest

from enclave_signer.venues.registry import VENUES
from tests.agreement.ccxt_offline import caught
from tests.agreement.comparable import ccxts, ours
from tests.agreement.dry_running import answer, dry_run
from tests.agreement.signatures import holds
from tests.agreement.subjects import SUBJECTS, Subject

CLIENT: Final = "4242"
ORDER: Final = "1234567890"
ORIGINAL: Final = {
    "side": "BUY",
    "type": "LIMIT",
    "time_in_force": "GTC",
    "quantity": "2",
    "price": "50000.5",
    "client_order_id": CLIENT,
}


class Same(NamedTuple):
    """One request in both languages: our line, ccxt's call."""

    op: str
    intent: dict[str, Any]
    call: str
    args: tuple[Any, ...]


def both(subject: Subject) -> list[Same]:
    """Every request other than creates that both can make at this venue."""
    symbol, venue = subject.symbol, subject.venue
    by_client = {"clientOrderId": CLIENT} if venue != "bybit" else {"orderLinkId": CLIENT}
    shown: dict[str, Any] = {"acknowledged": True} if venue == "bybit" else {}
    same = [
        Same("cancel", {"venue_order_id": ORDER}, "cancel_order", (ORDER, symbol)),
        Same("query", {"venue_order_id": ORDER}, "fetch_order", (ORDER, symbol, shown)),
        Same("open_orders", {}, "fetch_open_orders", (symbol,)),
        Same("balance", {}, "fetch_balance", ()),
    ]
    if venue not in {"coinbase", "backpack"}:
        same.append(Same("cancel", {"client_order_id": CLIENT}, "cancel_order", (None, symbol, by_client)))
    if venue in {"binance", "binanceusdm", "okx"}:
        same.append(Same("query", {"client_order_id": CLIENT}, "fetch_order", (None, symbol, by_client)))
    if venue in {"binance", "binanceusdm", "bybit", "backpack"}:
        same.append(Same("cancel_all", {}, "cancel_all_orders", (symbol,)))
    return same + _amends(subject) + _stops(subject)


def _amends(subject: Subject) -> list[Same]:
    if subject.venue == "backpack" or (subject.venue, subject.kind) == ("binance", "spot"):
        return []
    changed = {"client_order_id": CLIENT, "quantity": "1.5", "price": "49999.5"}
    order = ORDER if subject.venue == "coinbase" else None
    # The venue's own names: ccxt sends its unified one along as a parameter (test_known_disagreements).
    name = _CLIENT_ID_FIELDS[subject.venue]
    params = {name: CLIENT} if name else {}
    intent = changed | ({"venue_order_id": ORDER} if order else {})
    return [Same("amend", intent, "edit_order", (order, subject.symbol, "limit", "buy", "1.5", "49999.5", params))]


_CLIENT_ID_FIELDS: Final = {
    "binance": "origClientOrderId",
    "binanceusdm": "origClientOrderId",
    "bybit": "orderLinkId",
    "okx": "clOrdId",
    "kraken": "cl_ord_id",
    "coinbase": "",
}


def _stops(subject: Subject) -> list[Same]:
    stop, symbol = {"conditional": True}, subject.symbol
    apart = subject.venue == "okx" or (subject.kind == "swap" and subject.venue in {"binance", "binanceusdm"})
    if not apart:
        return []
    client = {"clientOrderId": CLIENT, "trigger": True}
    return [
        Same("query", stop | {"client_order_id": CLIENT}, "fetch_order", (None, symbol, dict(client))),
        Same("query", stop | {"venue_order_id": ORDER}, "fetch_order", (ORDER, symbol, {"trigger": True})),
        Same("cancel", stop | {"client_order_id": CLIENT}, "cancel_order", (None, symbol, dict(client))),
        Same("cancel", stop | {"venue_order_id": ORDER}, "cancel_order", (ORDER, symbol, {"trigger": True})),
        Same("open_orders", stop, "fetch_open_orders", (symbol, None, None, {"trigger": True})),
    ]


CASES: Final = [(subject, same) for subject in SUBJECTS for same in both(subject)]


@pytest.mark.parametrize(
    ("subject", "same"), CASES, ids=lambda part: part.name if isinstance(part, Subject) else part.op
)
def test_request_is_what_ccxt_sends(subject: Subject, same: Same) -> None:
    more = {"original": ORIGINAL} if same.op == "amend" else {}
    sent = dry_run(subject, same.op, same.intent, **more)
    theirs = ccxts(caught(subject, same.call, *same.args), subject.venue)
    _mend(theirs.fields, subject, same)
    assert ours(sent, subject.venue) == theirs
    assert holds(sent, subject)


def _mend(fields: dict[str, Any], subject: Subject, same: Same) -> None:
    """Right ccxt's known mistakes (test_known_disagreements)."""
    if subject.venue == "kraken" and same.call == "fetch_order":
        fields["trades"] = "true"
    if "binance" in subject.venue and same.call == "edit_order":
        del fields["orderId"]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_what_a_venue_does_not_declare_is_refused_by_name(subject: Subject) -> None:
    declared = {operation.name for operation in VENUES[subject.venue].declaration.operations}
    tried = {
        "CANCEL_ALL": answer(subject, "cancel_all", {}),
        "AMEND": answer(
            subject,
            "amend",
            {"client_order_id": CLIENT, "venue_order_id": ORDER, "quantity": "1.5"},
            original=ORIGINAL,
        ),
    }
    for name, shown in tried.items():
        assert ("error" in shown) is (name not in declared), (name, shown)
        if "error" in shown:
            assert shown["error"]["reason"] == "VENUE_SUPPORT"
