"""Bybit's envelope, errors and authentication."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from casemate_mock.venues.config import VenueKey
from casemate_mock.venues.signatures import hmac_hex_matches
from casemate_mock.venues.wire import VenueFault, VenueRequest, VenueResponse, json_reply

AHEAD_MS = 1000
DEFAULT_RECV_WINDOW = "5000"
_NUMBER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and with what: the body's or query's values."""

    account: str
    values: Mapping[str, object]
    now_ms: int


def reply(
    now_ms: int, result: object, code: int = 0, message: str = "OK", headers: Mapping[str, str] | None = None
) -> VenueResponse:
    """Wrap a result in the v5 envelope."""
    envelope = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": now_ms}
    return json_reply(envelope, headers=headers)


def fault(now_ms: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> VenueFault:
    """Build an error in the v5 envelope."""
    return VenueFault(reply(now_ms, {}, code, message, headers))


def category_kind(caller: Caller) -> str:
    """Kind of instrument of the parameter `category`."""
    kinds = {"spot": "spot", "linear": "swap"}
    category = caller.values.get("category")
    if category not in kinds:
        raise fault(caller.now_ms, 10001, "params error: Category is invalid")
    return kinds[str(category)]


def authenticate(request: VenueRequest, keys: Mapping[str, VenueKey], now_ms: int) -> VenueKey:
    """Verify key, clock and signature; raises VenueFault with 10003, 10002 or 10004."""
    key = keys.get(request.header("X-BAPI-API-KEY"))
    if key is None:
        raise fault(now_ms, 10003, "API key is invalid.")
    timestamp = request.header("X-BAPI-TIMESTAMP")
    window = request.header("X-BAPI-RECV-WINDOW") or DEFAULT_RECV_WINDOW
    if not _NUMBER.fullmatch(timestamp) or not _NUMBER.fullmatch(window):
        raise fault(now_ms, 10001, "params error: timestamp or recv_window")
    if not now_ms - int(window) <= int(timestamp) < now_ms + AHEAD_MS:
        message = "invalid request, please check your server timestamp or recv_window param. "
        numbers = f"req_timestamp[{timestamp}],server_timestamp[{now_ms}],recv_window[{window}]"
        raise fault(now_ms, 10002, message + numbers)
    payload = request.query.encode() if request.method == "GET" else request.body
    text = (timestamp + key.api_key + request.header("X-BAPI-RECV-WINDOW")).encode() + payload
    if key.kind != "hmac" or not hmac_hex_matches(key.secret or "", text, request.header("X-BAPI-SIGN")):
        raise fault(now_ms, 10004, "error sign! please check your signature generation algorithm.")
    return key
