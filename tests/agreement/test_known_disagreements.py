"""Where we do not send what ccxt sends, on purpose.

Each is asserted to be still real: a release of ccxt that mends one fails here.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.agreement.ccxt_offline import Sent, caught
from tests.agreement.dry_running import answer, dry_run
from tests.agreement.subjects import BY_NAME, Subject

CLIENT = "77"
LIMIT: dict[str, Any] = {
    "side": "BUY",
    "type": "LIMIT",
    "time_in_force": "GTC",
    "quantity": "2",
    "price": "50000.5",
    "client_order_id": CLIENT,
}


def ccxt_limit(subject: Subject, **params: object) -> Sent:
    return caught(
        subject, "create_order", subject.symbol, "limit", "buy", "2", "50000.5", {"clientOrderId": CLIENT, **params}
    )


def json_body(sent: Sent) -> Any:
    assert sent.body is not None
    return json.loads(sent.body)


def test_ccxt_names_the_client_id_of_an_okx_stop_order_by_a_field_that_the_algo_service_does_not_have() -> None:
    """okx.com/docs-v5, Place algo order: ``algoClOrdId``. ccxt's own cancel and query look it up by that name."""
    subject = BY_NAME["okx-spot"]
    theirs = json_body(ccxt_limit(subject, triggerPrice="51000"))
    assert theirs["clOrdId"] == CLIENT
    assert "algoClOrdId" not in theirs
    stop = LIMIT | {"type": "STOP_LIMIT", "stop_price": "51000"}
    assert json_body(dry_run(subject, "create", stop))["algoClOrdId"] == CLIENT


def test_ccxt_drops_the_client_order_id_at_coinbase() -> None:
    """It makes up one of its own, so a lost reply could not be resolved."""
    subject = BY_NAME["coinbase-spot"]
    assert json_body(ccxt_limit(subject))["client_order_id"].startswith("ccxt-")
    assert json_body(dry_run(subject, "create", LIMIT))["client_order_id"] == CLIENT


def test_ccxt_sends_backpack_an_unknown_field_for_an_id_that_is_no_number() -> None:
    """docs.backpack.exchange, Execute order: ``clientId``, an unsigned number of 32 bits."""
    subject = BY_NAME["backpack-spot"]
    theirs = json_body(
        caught(subject, "create_order", subject.symbol, "limit", "buy", "2", "1", {"clientOrderId": "c0ffee"})
    )
    assert theirs["clientOrderId"] == "c0ffee"
    assert "clientId" not in theirs
    error = answer(subject, "create", LIMIT | {"client_order_id": "c0ffee"})["error"]
    assert (error["reason"], error["field"]) == ("VENUE_SUPPORT", "client_order_id")
    assert json_body(dry_run(subject, "create", LIMIT))["clientId"] == int(CLIENT)


def test_ccxt_signs_a_python_word_for_a_boolean_at_kraken() -> None:
    """docs.kraken.com, Query orders info: ``trades`` is a boolean."""
    subject = BY_NAME["kraken-spot"]
    theirs = caught(subject, "fetch_order", "OABCDE-FGHIJ-KLMNOP", subject.symbol)
    assert parse_qs(theirs.body)["trades"] == ["True"]
    sent = dry_run(subject, "query", {"venue_order_id": "OABCDE-FGHIJ-KLMNOP"})
    assert parse_qs(sent.body)["trades"] == ["true"]


def test_ccxt_loses_digits_of_a_cost_at_coinbase() -> None:
    """It passes the cost through a float."""
    subject = BY_NAME["coinbase-spot"]
    cost = "999999999.99999999"
    theirs = caught(subject, "create_order", subject.symbol, "market", "buy", "1", None, {"cost": cost})
    assert json_body(theirs)["order_configuration"]["market_market_ioc"]["quote_size"] == "1000000000"
    market = {"side": "BUY", "type": "MARKET", "quote_quantity": cost, "client_order_id": CLIENT}
    ours = json_body(dry_run(subject, "create", market))
    assert ours["order_configuration"]["market_market_ioc"]["quote_size"] == cost


def test_ccxt_edits_a_binance_spot_order_by_cancelling_it_and_making_another() -> None:
    """Our amend keeps the order one order, or is refused: a half-done replacement leaves none or two."""
    subject = BY_NAME["binance-spot"]
    theirs = caught(subject, "edit_order", "1", subject.symbol, "limit", "buy", "1", "50000.5")
    assert (theirs.method, urlsplit(theirs.url).path) == ("POST", "/api/v3/order/cancelReplace")
    less = {"client_order_id": CLIENT, "quantity": "1"}
    sent = dry_run(subject, "amend", less, original=LIMIT)
    assert (sent.method, urlsplit(sent.url).path) == ("PUT", "/api/v3/order/amend/keepPriority")
    for change in ({"price": "49999.5"}, {"quantity": "3"}):
        error = answer(subject, "amend", {"client_order_id": CLIENT, **change}, original=LIMIT)["error"]
        assert (error["reason"], error["field"]) == ("VENUE_SUPPORT", next(iter(change)))


def test_ccxt_leaves_the_end_of_a_kraken_order_unsigned() -> None:
    """Without a ``deadline`` a withheld order lives until a higher nonce is used."""
    subject = BY_NAME["kraken-spot"]
    assert "deadline" not in parse_qs(ccxt_limit(subject).body)
    assert parse_qs(dry_run(subject, "create", LIMIT).body)["deadline"] == ["2023-11-14T22:13:25.123Z"]


def test_ccxt_sends_the_word_none_and_its_own_field_names_when_it_edits_by_client_id_at_binance_usdm() -> None:
    """Binance refuses parameters that it does not read."""
    subject = BY_NAME["binance-swap"]
    call = (None, subject.symbol, "limit", "buy", "1", "50000.5", {"clientOrderId": CLIENT})
    theirs = parse_qs(caught(subject, "edit_order", *call).body)
    assert (theirs["orderId"], theirs["clientOrderId"]) == (["None"], [CLIENT])
    sent = dry_run(subject, "amend", {"client_order_id": CLIENT, "quantity": "1"}, original=LIMIT)
    assert not {"orderId", "clientOrderId"} & set(parse_qs(sent.body))
