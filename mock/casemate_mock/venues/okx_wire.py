"""OKX's envelope, errors and authentication (okx.com/docs-v5, "REST authentication")."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hmac import compare_digest

from casemate_mock.venues.config import VenueKey
from casemate_mock.venues.signatures import hmac_base64_matches
from casemate_mock.venues.wire import VenueFault, VenueRequest, VenueResponse, json_reply

VALID_MS = 30_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and with what: the query's values, and the body as parsed."""

    account: str
    query: Mapping[str, str]
    body: object
    now_ms: int


def reply(data: list[object], code: str = "0", message: str = "") -> VenueResponse:
    """Wrap data in the v5 envelope."""
    return json_reply({"code": code, "msg": message, "data": data})


def fault(code: str, message: str, status: int = 200) -> VenueFault:
    """Build an error of the whole request."""
    return VenueFault(json_reply({"code": code, "msg": message, "data": []}, status))


def instruction_reply(results: list[dict[str, object]]) -> VenueResponse:
    """Answer instructions one by one: 0 when all succeeded, 1 when none did, 2 for a mixture."""
    failed = sum(1 for result in results if result["sCode"] != "0")
    if not failed:
        return reply(list(results))
    partial = failed < len(results)
    message = "Bulk operation partially succeeded." if partial else "All operations failed"
    return reply(list(results), "2" if partial else "1", message)


def authenticate(request: VenueRequest, keys: Mapping[str, VenueKey], clock_ms: Callable[[], int]) -> VenueKey:
    """Verify key, passphrase, clock and signature; raises VenueFault with HTTP 401."""
    for name, code in (
        ("OK-ACCESS-KEY", "50103"),
        ("OK-ACCESS-PASSPHRASE", "50104"),
        ("OK-ACCESS-SIGN", "50106"),
    ):
        if not request.header(name):
            raise fault(code, f"Request header {name} can not be empty.", 401)
    if not request.header("OK-ACCESS-TIMESTAMP"):
        raise fault("50107", "Request header OK-ACCESS-TIMESTAMP can not be empty.", 401)
    key = keys.get(request.header("OK-ACCESS-KEY"))
    if key is None:
        raise fault("50111", "Invalid OK-ACCESS-KEY", 401)
    if not compare_digest((key.passphrase or "").encode(), request.header("OK-ACCESS-PASSPHRASE").encode()):
        raise fault("50105", "Request header OK-ACCESS-PASSPHRASE incorrect.", 401)
    _check_clock(request, clock_ms())
    text = (request.header("OK-ACCESS-TIMESTAMP") + request.method + request.target).encode() + request.body
    if not hmac_base64_matches((key.secret or "").encode(), text, request.header("OK-ACCESS-SIGN")):
        raise fault("50113", "Invalid Sign", 401)
    return key


def _check_clock(request: VenueRequest, now_ms: int) -> None:
    sent = _iso_ms(request.header("OK-ACCESS-TIMESTAMP"))
    if sent is None:
        raise fault("50112", "Invalid OK-ACCESS-TIMESTAMP", 401)
    if abs(now_ms - sent) > VALID_MS:
        raise fault("50102", "Timestamp request expired", 401)
    deadline = request.header("expTime")
    # expTime is a header that the signature does not cover: whoever carries the request may drop it.
    if deadline and (not deadline.isdecimal() or int(deadline) < now_ms):
        raise fault("50036", "The expTime can't be earlier than the current system time.")


def _iso_ms(text: str) -> int | None:
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
