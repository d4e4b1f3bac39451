"""Logs: JSON lines, and nothing in them that could be a live signature."""

from __future__ import annotations

import json
import logging

import pytest

from host_dispatch.telemetry.logs import JsonLines, redact

SECRET = "q7Zt" * 16


def line(message: str, *arguments: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("casemate.host", logging.WARNING, __file__, 1, message, arguments, None)
    record.__dict__.update(extra)
    return dict(json.loads(JsonLines().format(record)))


def test_a_line_is_one_json_object_with_its_fields() -> None:
    found = line("broke after %d", 3, fields={"venue": "okx", "ms": 5})
    assert found["message"] == "broke after 3"
    assert (found["level"], found["venue"], found["ms"]) == ("warning", "okx", 5)


def test_whatever_is_as_long_as_a_signature_is_hidden() -> None:
    found = line(f"sent {SECRET}", fields={"url": f"https://h/p?a=1&sig={SECRET}", "mac": SECRET})
    assert SECRET not in json.dumps(found)
    assert found["url"] == "https://h/p?[hidden]"


def int_of(text: str) -> int:
    return int(text)


def test_an_exceptions_text_stays_out_of_the_line() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        int_of(SECRET)
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "fault", (), (ValueError, caught.value, caught.tb))
    found = json.loads(JsonLines().format(record))
    assert found["exception"] == "ValueError"
    assert "test_an_exceptions_text" in found["at"][0]
    assert SECRET not in json.dumps(found)


def test_ids_and_symbols_are_left_alone() -> None:
    assert redact("order casemate-0123456789abcdef of BTC/USDT") == "order casemate-0123456789abcdef of BTC/USDT"
