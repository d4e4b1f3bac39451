"""No reply makes a reader raise, and no reply without evidence settles a create."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from host_dispatch.outcome import MESSAGE_CHARACTERS, WRITES, ErrorClass, Operation, OrderState
from host_dispatch.venues import backpack, binance_codes, bybit, coinbase, kraken, okx
from host_dispatch.venues.registry import READERS

if TYPE_CHECKING:
    from host_dispatch.outcome import Reading

NAMES: Final = sorted(READERS)
DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?|")
# Words that steer a reader into its branches.
KEYS: Final = [
    "code",
    "msg",
    "message",
    "error",
    "error_response",
    "errors",
    "retCode",
    "retMsg",
    "result",
    "data",
    "list",
    "sCode",
    "sMsg",
    "ordId",
    "orderId",
    "id",
    "txid",
    "count",
    "pending",
    "status",
    "state",
    "orderStatus",
    "algoId",
    "algoStatus",
    "success",
    "success_response",
    "order_id",
    "order",
    "orders",
    "results",
    "accounts",
    "fills",
    "price",
    "qty",
    "executedQty",
    "cummulativeQuoteQty",
    "avgPrice",
    "open",
    "closed",
    "vol",
    "vol_exec",
    "descr",
    "balances",
    "assets",
    "balance",
    "available",
    "locked",
    "details",
    "availBal",
    "frozenBal",
    "ccy",
    "coin",
    "walletBalance",
    "cancelResult",
    "newOrderResult",
    "cancelResponse",
    "newOrderResponse",
    "amendedOrder",
    "orderReports",
    "executedQuantity",
    "executedQuoteQuantity",
    "order_configuration",
]
WORDS: Final = [
    "0",
    "1",
    "200",
    "-2010",
    "-2021",
    "-2022",
    "51000",
    "10001",
    "10006",
    "SUCCESS",
    "FAILURE",
    "NEW",
    "FILLED",
    "live",
    "New",
    "Filled",
    "open",
    "closed",
    "OPEN",
    "NaN",
    "1e5",
    "1e99",
    "-1",
    "00012.50",
    "99999999999999999999999999999999999999999999",
    "EOrder:Insufficient",
    "EService:Busy",
    "INVALID_ORDER",
]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.sampled_from([*WORDS, ""])
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=6),
    ),
    max_leaves=24,
)
# A document in the envelope of each venue, so that what lies deeper is reached too.
enveloped = documents.flatmap(
    lambda inner: st.sampled_from(
        [
            inner,
            {"retCode": 0, "retMsg": "OK", "result": inner},
            {"retCode": 0, "result": {"list": [inner]}},
            {"code": "0", "msg": "", "data": inner},
            {"code": "0", "msg": "", "data": [inner]},
            {"error": [], "result": inner},
            {"success": True, "success_response": inner},
            {"success": False, "error_response": inner},
        ]
    )
)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "X-Bapi-Limit-Reset-Timestamp", "X-Bapi-Limit-Status", "X-MBX-USED-WEIGHT-1M"]),
    st.text(max_size=20) | st.integers().map(str),
    max_size=3,
)
statuses = (
    st.sampled_from([0, 200, 201, 202, 204, 301, 400, 401, 403, 404, 409, 418, 429, 500, 502, 503, 504]) | st.integers()
)
TURNED_AWAY: Final = {403, 418, 429}
KNOWN: Final = {
    "binance": set(binance_codes.CODES) | {"-2010", "-2011"},
    "binanceusdm": set(binance_codes.CODES) | {"-2010", "-2011"},
    "bybit": set(bybit.CODES),
    "okx": set(okx.CODES),
    "coinbase": set(coinbase.CODES),
    "backpack": set(backpack.CODES),
}


def assert_well_formed(reading: Reading, operation: Operation) -> None:
    texts = [reading.filled_quantity, reading.average_price]
    texts += [t for o in reading.orders for t in (o.quantity, o.filled_quantity, o.price, o.average_price)]
    texts += [t for b in reading.balances for t in (b.available, b.locked)]
    assert all(DECIMAL.fullmatch(text) for text in texts)
    assert len(reading.message) <= MESSAGE_CHARACTERS
    assert not reading.message or reading.message.isprintable()
    assert reading.retry_after_ms is None or 0 <= reading.retry_after_ms <= 86_400_000
    if reading.error is ErrorClass.UNKNOWN and operation in WRITES:
        assert reading.state is OrderState.UNKNOWN


def assert_settled_with_evidence(reading: Reading, name: str, status: int, body: bytes) -> None:
    """A create is open, done or rejected only if the reply holds an order's id, a known code or a known status."""
    if reading.state is OrderState.UNKNOWN:
        return
    if reading.error is None:
        assert 200 <= status < 300
        assert reading.venue_order_id
        assert reading.venue_order_id.encode() in body
        return
    assert reading.state is OrderState.REJECTED
    listed = reading.code.upper().removeprefix("PREVIEW_") in KNOWN.get(name, ())
    by_text = name == "kraken" and reading.message.casefold().startswith(tuple(start for start, _ in kraken.ERRORS))
    shown = bool(reading.venue_order_id) and not reading.code
    gateway = name == "coinbase" and status == 401
    stated = name == "coinbase" and reading.error in {
        ErrorClass.BAD_SYMBOL, ErrorClass.UNKNOWN_ORDER, ErrorClass.CLOCK_OR_NONCE,
    }  # fmt: skip
    duplicate = reading.error is ErrorClass.DUPLICATE_CLIENT_ID
    assert status in TURNED_AWAY or listed or by_text or shown or gateway or stated or duplicate


@pytest.mark.parametrize("name", NAMES)
@given(operation=st.sampled_from(Operation), status=statuses, sent=headers, body=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_arbitrary_bytes_never_raise(
    name: str, operation: Operation, status: int, sent: dict[str, str], body: bytes
) -> None:
    reading = READERS[name].read(operation, status, sent, body)
    assert_well_formed(reading, operation)
    READERS[name].usage(sent)


@pytest.mark.parametrize("name", NAMES)
@given(operation=st.sampled_from(Operation), status=statuses, sent=headers, document=enveloped)
@settings(max_examples=200, deadline=None)
@example(operation=Operation.CREATE, status=200, sent={}, document={"orderId": 1, "status": "NEW", "fills": [3]})
@example(
    operation=Operation.AMEND,
    status=409,
    sent={},
    document={"code": -2021, "data": {"cancelResult": "SUCCESS"}},
)
def test_arbitrary_json_never_raises_and_settles_a_create_only_with_evidence(
    name: str, operation: Operation, status: int, sent: dict[str, str], document: Any
) -> None:
    body = json.dumps(document).encode()
    reading = READERS[name].read(operation, status, sent, body)
    assert_well_formed(reading, operation)
    if operation is Operation.CREATE:
        assert_settled_with_evidence(reading, name, status, body)


HOSTILE: Final = {
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"result":' * 100_000 + b"1" + b"}" * 100_000,
    "huge integer": b'{"orderId": ' + b"9" * 20_000 + b', "status": "NEW"}',
    "NaN": b'{"orderId": 1, "status": "NEW", "executedQty": NaN}',
    "Infinity": b'{"retCode": 0, "result": {"orderId": "1"}, "x": -Infinity}',
    "repeated name": b'{"success": false, "success": true, "success_response": {"order_id": "1"}}',
    "repeated name below": b'{"retCode":0,"result":{"orderId":"1","orderId":"2"}}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"orderId":1,"status":"NEW"}'.encode("utf-16"),
    "lone surrogate": b'{"code":"0","data":[{"ordId":"\\ud800","sCode":"0"}]}',
    "id with line end": b'{"error":[],"result":{"txid":["OAAAAA\\r\\nX: y"]}}',
    "trailing text": b'{"id":"1","status":"New"} {}',
    "nothing": b"",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("operation", sorted(WRITES))
def test_hostile_reply_to_a_write_is_unknown(name: str, body: bytes, operation: Operation) -> None:
    reading = READERS[name].read(operation, 200, {}, body)
    assert (reading.error, reading.state) == (ErrorClass.UNKNOWN, OrderState.UNKNOWN)


@pytest.mark.parametrize("name", NAMES)
def test_message_of_a_venue_cannot_carry_control_characters_or_a_signature(name: str) -> None:
    signature = "ab" * 32
    told = f"bad\x1b[31m\r\nrequest signature={signature} " + "x y " * 200
    bodies = [
        {"code": -1022, "msg": told, "message": told},
        {"retCode": 10004, "retMsg": told},
        {"code": "50113", "msg": told, "data": []},
        {"error": ["EAPI:Invalid signature:" + told]},
        {"error": "unauthorized", "message": told},
    ]
    for body in bodies:
        reading = READERS[name].read(Operation.CREATE, 400, {}, json.dumps(body).encode())
        assert signature not in reading.message
        assert len(reading.message) <= MESSAGE_CHARACTERS
        assert not reading.message or reading.message.isprintable()


@pytest.mark.parametrize("name", NAMES)
def test_unreadable_reply_is_not_quoted(name: str) -> None:
    page = b"<html>cannot reach /api/v3/order?signature=0123456789abcdef</html>"
    reading = READERS[name].read(Operation.CREATE, 502, {}, page)
    assert "signature" not in reading.message
    assert reading.code == "HTTP 502"
