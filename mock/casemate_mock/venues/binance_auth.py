"""Binance's signed parameters: who sends, whether the signature and the clock hold, and what is read.

Rules (binance-spot-api-docs, rest-api.md, "Request security"): the signature covers query string and body
joined *without* a separator, less the signature itself; `timestamp < serverTime + 1000 and serverTime -
timestamp <= recvWindow`; recvWindow is at most 60000 and 5000 by default; every parameter sent must be one
that the endpoint reads.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

from casemate_mock.venues.config import VenueKey
from casemate_mock.venues.fields import decimal_or_none
from casemate_mock.venues.signatures import decode_base64, ed25519_matches, hmac_hex_matches
from casemate_mock.venues.wire import MalformedError, VenueFault, VenueRequest, form_dict, json_reply

DEFAULT_RECV_WINDOW = Decimal(5000)
MAX_RECV_WINDOW = Decimal(60000)
AHEAD_MS = 1000

_NUMBER = re.compile(r"[0-9]{1,20}")


def fail(code: int, message: str, status: int = 400, headers: dict[str, str] | None = None) -> VenueFault:
    """Build an error in Binance's shape."""
    return VenueFault(json_reply({"code": code, "msg": message}, status, headers))


class Params:
    """Parameters of one request that remember which of them were read."""

    def __init__(self, values: dict[str, str]) -> None:
        """Take the decoded parameters, without the signature."""
        self._values = values
        self._read: set[str] = set()

    def optional(self, name: str) -> str | None:
        """Value or None."""
        self._read.add(name)
        return self._values.get(name)

    def ignore(self, *names: str) -> None:
        """Accept parameters that change nothing here."""
        self._read.update(names)

    def required(self, name: str) -> str:
        """Value; -1102 when absent or empty."""
        value = self.optional(name)
        if not value:
            raise missing(name)
        return value

    def integer(self, name: str) -> int | None:
        """Non-negative integer or None; -1102 when malformed."""
        value = self.optional(name)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value):
            raise missing(name)
        return int(value)

    def decimal(self, name: str) -> Decimal | None:
        """Plain decimal or None; -1100 when malformed."""
        value = self.optional(name)
        if value is None:
            return None
        if not value:
            raise missing(name)
        number = decimal_or_none(value)
        if number is None:
            legal = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
            raise fail(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
        return number

    def boolean(self, name: str) -> bool:
        """Whether `true` was sent."""
        value = self.optional(name)
        if value not in {None, "true", "false"}:
            raise missing(name)
        return value == "true"

    def finish(self) -> None:
        """Refuse what the endpoint did not read: -1104."""
        read = len(self._read & set(self._values))
        if read != len(self._values):
            sent = len(self._values)
            raise fail(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def missing(name: str) -> VenueFault:
    """Error -1102."""
    return fail(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


@dataclass(frozen=True, slots=True)
class _Cut:
    signed: str
    signature: str | None
    values: dict[str, str]


def unsigned_params(request: VenueRequest) -> Params:
    """Parameters of a public endpoint."""
    return Params(_cut(request).values)


def signed_params(request: VenueRequest, key: VenueKey, now_ms: int) -> Params:
    """Verify clock and signature; raises VenueFault with Binance's code."""
    cut = _cut(request)
    params = Params(cut.values)
    timestamp, window = params.integer("timestamp"), params.decimal("recvWindow")
    if timestamp is None:
        raise missing("timestamp")
    if window is not None and window > MAX_RECV_WINDOW:
        raise fail(-1131, "recvWindow must be less than 60000.")
    if cut.signature is None:
        raise missing("signature")
    _check_clock(timestamp, DEFAULT_RECV_WINDOW if window is None else window, now_ms)
    if not _signature_holds(key, cut.signed.encode(), cut.signature):
        raise fail(-1022, "Signature for this request is not valid.")
    return params


def key_of(request: VenueRequest, keys: dict[str, VenueKey]) -> VenueKey:
    """Find the key of the X-MBX-APIKEY header."""
    name = request.header("X-MBX-APIKEY")
    if not name:
        raise fail(-2014, "API-key format invalid.", 401)
    if name not in keys:
        raise fail(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    return keys[name]


def _check_clock(timestamp: int, window: Decimal, now_ms: int) -> None:
    if timestamp >= now_ms + AHEAD_MS:
        raise fail(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > window:
        raise fail(-1021, "Timestamp for this request is outside of the recvWindow.")


def _signature_holds(key: VenueKey, message: bytes, signature: str) -> bool:
    match key.kind:
        case "hmac":
            return hmac_hex_matches(key.secret or "", message, signature.lower())
        case "ed25519":
            return ed25519_matches(key.public_key_pem or "", message, decode_base64(signature))
        case "es256":
            return False
        case _:
            assert_never(key.kind)


def _cut(request: VenueRequest) -> _Cut:
    try:
        query, body = request.query, request.body.decode("ascii")
    except UnicodeDecodeError as error:
        message = "body is not a form"
        raise MalformedError(message) from error
    query, first = _without_signature(query)
    body, second = _without_signature(body)
    if len(first + second) > 1:
        message = "Duplicate values for parameter 'signature' detected."
        raise MalformedError(message)
    # "If a parameter is sent in both, the query string's value is used" (rest-api.md, general information).
    values = form_dict(body) | form_dict(query)
    signature = next(iter(form_dict("&".join(first + second)).values()), None)
    return _Cut(query + body, signature, values)


def _without_signature(text: str) -> tuple[str, list[str]]:
    parts = text.split("&") if text else []
    found = [part for part in parts if part.startswith("signature=")]
    return "&".join(part for part in parts if not part.startswith("signature=")), found
