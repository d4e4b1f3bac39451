"""Kraken's envelope and authentication (docs.kraken.com, "Spot REST authentication").

API-Sign is the base64 HMAC-SHA512, under the base64-decoded secret, of the path and SHA-256(nonce + body).
The nonce must rise with every request of a key; a request that fails after its signature held has used its
nonce up.
"""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from casemate_mock.venues.config import VenueKey
from casemate_mock.venues.fields import decimal_or_none, text_or_none
from casemate_mock.venues.signatures import decode_base64, hmac_base64_matches, sha256
from casemate_mock.venues.wire import (
    MalformedError,
    VenueFault,
    VenueRequest,
    VenueResponse,
    form_dict,
    json_object,
    json_reply,
)

_NONCE = re.compile(r"[0-9]{1,20}")
_MAX_NONCE = 2**64 - 1
# The documentation allows 60 s; one more forgives clocks.
MAX_AHEAD_MS = 61_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and with what."""

    account: str
    values: Mapping[str, object]
    now_ms: int

    def text(self, name: str) -> str | None:
        """Text of a parameter, None when absent or empty."""
        return text_or_none(self.values, name)

    def decimal(self, name: str) -> Decimal | None:
        """Plain decimal or None. Raises VenueFault when malformed."""
        text = self.text(name)
        if text is None:
            return None
        value = decimal_or_none(text)
        if value is None:
            raise fault(f"EGeneral:Invalid arguments:{name}")
        return value

    def flag(self, name: str) -> bool:
        """Whether `true` was sent."""
        return str(self.values.get(name, "")).lower() == "true"


def reply(result: object) -> VenueResponse:
    """Wrap a result."""
    return json_reply({"error": [], "result": result})


def fault(message: str, status: int = 200) -> VenueFault:
    """Build an error; Kraken answers errors with HTTP 200."""
    return VenueFault(json_reply({"error": [message]}, status))


def authenticate(
    request: VenueRequest, keys: Mapping[str, VenueKey], nonces: MutableMapping[str, int]
) -> tuple[VenueKey, dict[str, object]]:
    """Verify key, signature and nonce; `nonces` holds each key's highest. Returns key and parameters."""
    values = _values(request)
    key = keys.get(request.header("API-Key"))
    if key is None:
        raise fault("EAPI:Invalid key")
    nonce = str(values.get("nonce", ""))
    secret = decode_base64(key.secret or "")
    message = request.path.encode() + sha256(nonce.encode() + request.body)
    if secret is None or not hmac_base64_matches(secret, message, request.header("API-Sign"), "sha512"):
        raise fault("EAPI:Invalid signature")
    if not _NONCE.fullmatch(nonce) or not nonces.get(key.api_key, -1) < int(nonce) <= _MAX_NONCE:
        raise fault("EAPI:Invalid nonce")
    nonces[key.api_key] = int(nonce)
    return key, values


def check_deadline(caller: Caller) -> None:
    """Refuse an instruction whose `deadline` (RFC 3339) has passed, or lies more than 60 s ahead."""
    text = caller.text("deadline")
    if text is None:
        return
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise fault("EGeneral:Invalid arguments:deadline") from error
    if moment.tzinfo is None:
        raise fault("EGeneral:Invalid arguments:deadline")
    ahead_ms = int(moment.timestamp()) * 1000 + moment.microsecond // 1000 - caller.now_ms
    if ahead_ms <= 0:
        raise fault("EService:Deadline elapsed")
    if ahead_ms > MAX_AHEAD_MS:
        raise fault("EGeneral:Invalid arguments:deadline")


def _values(request: VenueRequest) -> dict[str, object]:
    if request.header("Content-Type").startswith("application/json"):
        return json_object(request.body)
    try:
        return dict(form_dict(request.body.decode("ascii")))
    except UnicodeDecodeError as error:
        message = "body is not a form"
        raise MalformedError(message) from error
