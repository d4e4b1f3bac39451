"""Logons over HTTP: what the enclave signs is what the venue takes, and its answer is read for the token in it."""

from __future__ import annotations

import json

import pytest

from host_dispatch.outcome import ErrorClass, Operation
from tests.contract.contract_rig import CASES, Bench, Case, another_secret, make_keys

ASKED = {"binanceusdm": "listenKey", "kraken": "token"}
LOGONS = [case for case in CASES if case.venue in ASKED]


@pytest.mark.parametrize("case", LOGONS, ids=[case.name for case in LOGONS])
def test_the_venue_takes_the_logon_and_its_token_is_read(case: Case) -> None:
    bench = Bench(case, make_keys(case))
    request = bench.site.logon(bench.stamp())
    response = bench.send(request)
    reading = bench.reader.read(Operation.LOGON, response.status, response.headers, response.body)
    said = json.loads(response.body)
    assert reading.token
    assert reading.token == said.get("result", said)[ASKED[case.venue]]
    assert reading.error is None
    assert reading.token not in repr(reading)


def test_a_refused_logon_has_no_token() -> None:
    (case,) = (case for case in LOGONS if case.venue == "kraken")
    keys = make_keys(case)
    bench = Bench(case, another_secret(case, keys))
    reading = bench.ask(Operation.LOGON, bench.site.logon(bench.stamp()))
    assert (reading.error, reading.token) == (ErrorClass.BAD_SIGNATURE, "")


@pytest.mark.parametrize("case", [case for case in CASES if case.venue not in ASKED], ids=lambda case: case.name)
def test_elsewhere_a_logon_is_a_message_and_an_answer_over_http_gives_no_token(case: Case) -> None:
    bench = Bench(case, make_keys(case))
    if case.name != "binance-swap":
        assert bench.site.logon(bench.stamp()).method == "WEBSOCKET"
    if case.venue != "binance":
        reading = bench.reader.read(Operation.LOGON, 200, {}, b'{"token":"t","listenKey":"t"}')
        assert (reading.token, reading.error) == ("", ErrorClass.UNKNOWN)
