"""Coinbase's bearer tokens (docs.cdp.coinbase.com, "API key authentication"): one JWT a request.

Claims: `iss` cdp or coinbase-cloud, `sub` the key's name, `nbf` reached, `exp` not reached and at most 120 s
after `nbf`, `uri` "METHOD host/path" without the query (`uris`, a list, is what the EdDSA clients send). The
body is in no claim: whoever holds a token may put any body under it.
"""

import json
from collections.abc import Mapping
from typing import Any, assert_never

from casemate_mock.venues.config import VenueKey
from casemate_mock.venues.signatures import decode_base64url, ed25519_matches, es256_matches
from casemate_mock.venues.wire import VenueFault, VenueRequest, VenueResponse

MAX_LIFE_S = 120
_ISSUERS = {"cdp", "coinbase-cloud"}
_LOOPBACK = ("127.0.0.1", "localhost")
_PARTS = 3


def unauthorized() -> VenueFault:
    """Coinbase does not say what was wrong."""
    return VenueFault(VenueResponse(status=401, body=b"Unauthorized\n", headers={"Content-Type": "text/plain"}))


def authenticate(request: VenueRequest, keys: Mapping[str, VenueKey], now_ms: int) -> VenueKey:
    """Verify the token; raises VenueFault with HTTP 401."""
    scheme, _, token = request.header("Authorization").partition(" ")
    parts = token.split(".")
    if scheme != "Bearer" or len(parts) != _PARTS:
        raise unauthorized()
    header, claims = _decode(parts[0]), _decode(parts[1])
    key = keys.get(str(claims.get("sub", "")))
    if key is None or header.get("kid") != key.api_key:
        raise unauthorized()
    signature = decode_base64url(parts[2])
    if not _signature_holds(key, header.get("alg"), f"{parts[0]}.{parts[1]}".encode(), signature):
        raise unauthorized()
    if not _claims_hold(claims, request, now_ms // 1000):
        raise unauthorized()
    return key


def _signature_holds(key: VenueKey, algorithm: object, message: bytes, signature: bytes | None) -> bool:
    # The algorithm belongs to the key, never to the token: a token that names another one is refused.
    match key.kind:
        case "es256":
            return algorithm == "ES256" and es256_matches(key.public_key_pem or "", message, signature)
        case "ed25519":
            return algorithm == "EdDSA" and ed25519_matches(key.public_key_pem or "", message, signature)
        case "hmac":
            return False
        case _:
            assert_never(key.kind)


def _claims_hold(claims: Mapping[str, Any], request: VenueRequest, now_s: int) -> bool:
    start, end = claims.get("nbf"), claims.get("exp")
    if type(start) is not int or type(end) is not int:
        return False
    timely = start <= now_s < end and end - start <= MAX_LIFE_S
    return timely and claims.get("iss") in _ISSUERS and _addresses(claims, request)


def _addresses(claims: Mapping[str, Any], request: VenueRequest) -> bool:
    named = [claims["uri"]] if "uri" in claims else claims.get("uris", [])
    allowed = {f"{request.method} {request.host}{request.path}"}
    if request.host.startswith(_LOOPBACK):
        # ccxt strips only "https://" from the URL that it signs; a test's plain URL keeps its scheme.
        allowed.add(f"{request.method} http://{request.host}{request.path}")
    return isinstance(named, list) and any(uri in allowed for uri in named)


def _decode(part: str) -> dict[str, Any]:
    raw = decode_base64url(part)
    try:
        value = json.loads(raw or b"null")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise unauthorized()
    return value
