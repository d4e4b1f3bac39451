"""Backpack's signatures (docs.backpack.exchange, "Signing requests").

X-Signature is the base64 Ed25519 signature of `instruction=NAME&sorted parameters&timestamp=..&window=..`;
the parameters are those of the query (GET) or the JSON body (POST, DELETE). The API key is the base64 public
key. Host, method and path are covered only as far as the instruction's name goes.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote_plus

from casemate_mock.venues.config import VenueKey
from casemate_mock.venues.signatures import decode_base64, ed25519_matches
from casemate_mock.venues.wire import VenueFault, VenueRequest, form_dict, json_object, json_reply

DEFAULT_WINDOW = "5000"
MAX_WINDOW = 60_000
AHEAD_MS = 1000
INSTRUCTIONS = {
    ("POST", "/api/v1/order"): "orderExecute",
    ("DELETE", "/api/v1/order"): "orderCancel",
    ("GET", "/api/v1/order"): "orderQuery",
    ("GET", "/api/v1/orders"): "orderQueryAll",
    ("DELETE", "/api/v1/orders"): "orderCancelAll",
    ("GET", "/wapi/v1/history/orders"): "orderHistoryQueryAll",
    ("GET", "/api/v1/capital"): "balanceQuery",
}
_NUMBER = re.compile(r"[0-9]{1,20}")


def fault(code: str, message: str, status: int = 400) -> VenueFault:
    """Build an error in Backpack's shape."""
    return VenueFault(json_reply({"code": code, "message": message}, status))


def authenticate(
    request: VenueRequest, keys: Mapping[str, VenueKey], now_ms: int
) -> tuple[VenueKey, dict[str, object]]:
    """Verify key, window and signature. Returns the key and the parameters."""
    key = keys.get(request.header("X-API-Key"))
    if key is None:
        raise fault("UNAUTHORIZED", "Unauthorized", 401)
    values: dict[str, object] = dict(form_dict(request.query))
    if request.method != "GET":
        values = json_object(request.body) if request.body else {}
    timestamp, window = request.header("X-Timestamp"), request.header("X-Window") or DEFAULT_WINDOW
    _check_clock(timestamp, window, now_ms)
    instruction = INSTRUCTIONS[request.method, request.path]
    parts = [f"instruction={instruction}"]
    parts += [f"{name}={_text(value)}" for name, value in sorted(values.items())]
    parts += [f"timestamp={timestamp}", f"window={window}"]
    signature = decode_base64(request.header("X-Signature"))
    public_key = key.public_key_pem or key.api_key
    if key.kind != "ed25519" or not ed25519_matches(public_key, "&".join(parts).encode(), signature):
        raise fault("INVALID_SIGNATURE", "Invalid signature", 401)
    return key, values


def _check_clock(timestamp: str, window: str, now_ms: int) -> None:
    if not _NUMBER.fullmatch(timestamp) or not _NUMBER.fullmatch(window) or int(window) > MAX_WINDOW:
        raise fault("INVALID_CLIENT_REQUEST", "Invalid timestamp or window")
    if not now_ms - int(window) <= int(timestamp) < now_ms + AHEAD_MS:
        raise fault("INVALID_CLIENT_REQUEST", "Request has expired")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote_plus(str(value))
