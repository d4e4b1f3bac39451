"""Verifies a request's signature from the bytes that would be sent; shares nothing with the signer.

Each function takes the request as dry-run shows it and recomputes what the venue's documentation says is signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.agreement.subjects import EDWARDS_PUBLIC, HMAC_SECRET, KRAKEN_SECRET, P256_PUBLIC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.agreement.ccxt_offline import Sent
    from tests.agreement.subjects import Subject

_HALF: Final = 32


def holds(sent: Sent, subject: Subject) -> bool:
    """Tell whether the signature of this request holds."""
    return _VERIFIERS[subject.venue](sent, subject)


def _binance(sent: Sent, subject: Subject) -> bool:
    joined = urlsplit(sent.url).query + (sent.body or "")
    signed, _, signature = joined.rpartition("&signature=")
    if "PRIVATE KEY" in dict(subject.credentials)["secret"]:
        return _edwards(base64.b64decode(unquote(signature)), signed.encode())
    return hmac.compare_digest(_mac(signed, "sha256").hex(), signature)


def _bybit(sent: Sent, subject: Subject) -> bool:
    headers = sent.headers
    payload = sent.body if sent.method == "POST" else urlsplit(sent.url).query
    text = f"{headers['X-BAPI-TIMESTAMP']}{headers['X-BAPI-API-KEY']}{headers['X-BAPI-RECV-WINDOW']}{payload}"
    same_key = headers["X-BAPI-API-KEY"] == dict(subject.credentials)["apiKey"]
    return same_key and hmac.compare_digest(_mac(text, "sha256").hex(), headers["X-BAPI-SIGN"])


def _okx(sent: Sent, _: Subject) -> bool:
    parts = urlsplit(sent.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    text = f"{sent.headers['OK-ACCESS-TIMESTAMP']}{sent.method}{path}{sent.body or ''}"
    made = base64.b64encode(_mac(text, "sha256")).decode()
    return hmac.compare_digest(made, sent.headers["OK-ACCESS-SIGN"])


def _kraken(sent: Sent, _: Subject) -> bool:
    body = sent.body or ""
    nonce = parse_qs(body)["nonce"][0]
    digest = hashlib.sha256((nonce + body).encode()).digest()
    message = urlsplit(sent.url).path.encode() + digest
    made = hmac.new(base64.b64decode(KRAKEN_SECRET), message, hashlib.sha512).digest()
    return hmac.compare_digest(base64.b64encode(made).decode(), sent.headers["API-Sign"])


def _coinbase(sent: Sent, subject: Subject) -> bool:
    token = sent.headers["Authorization"].removeprefix("Bearer ")
    signed, _, signature = token.rpartition(".")
    claims = token_parts(token)[1]
    parts = urlsplit(sent.url)
    wanted = f"{sent.method} {parts.netloc}{parts.path}"
    if wanted not in {claims.get("uri"), *claims.get("uris", [])}:
        return False
    raw = _unpadded(signature)
    if "PRIVATE KEY" not in dict(subject.credentials)["secret"]:
        return _edwards(raw, signed.encode())
    whole = encode_dss_signature(int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))
    try:
        P256_PUBLIC.verify(whole, signed.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return len(raw) == 2 * _HALF


def _backpack(sent: Sent, _: Subject) -> bool:
    parts = urlsplit(sent.url)
    fields: Mapping[str, Any]
    fields = json.loads(sent.body) if sent.body else {k: v[0] for k, v in parse_qs(parts.query).items()}
    words = {True: "true", False: "false"}
    pairs = "".join(f"{k}={words[v] if isinstance(v, bool) else v}&" for k, v in sorted(fields.items()))
    time, window = sent.headers["X-Timestamp"], sent.headers["X-Window"]
    name = _INSTRUCTIONS[sent.method, parts.path]
    text = f"instruction={name}&{pairs}timestamp={time}&window={window}"
    return _edwards(base64.b64decode(sent.headers["X-Signature"]), text.encode())


# docs.backpack.exchange, "Signing requests": the instruction of each endpoint.
_INSTRUCTIONS: Final = {
    ("POST", "/api/v1/order"): "orderExecute",
    ("DELETE", "/api/v1/order"): "orderCancel",
    ("DELETE", "/api/v1/orders"): "orderCancelAll",
    ("GET", "/api/v1/order"): "orderQuery",
    ("GET", "/api/v1/orders"): "orderQueryAll",
    ("GET", "/wapi/v1/history/orders"): "orderHistoryQueryAll",
    ("GET", "/api/v1/capital"): "balanceQuery",
}
_VERIFIERS: Final[Mapping[str, Callable[[Sent, Subject], bool]]] = {
    "binance": _binance,
    "binanceusdm": _binance,
    "bybit": _bybit,
    "okx": _okx,
    "kraken": _kraken,
    "coinbase": _coinbase,
    "backpack": _backpack,
}


def token_parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWT."""
    header, claims, _ = token.split(".")
    return json.loads(_unpadded(header)), json.loads(_unpadded(claims))


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _mac(text: str, name: str) -> bytes:
    return hmac.new(HMAC_SECRET.encode(), text.encode(), name).digest()


def _edwards(signature: bytes, message: bytes) -> bool:
    try:
        EDWARDS_PUBLIC.verify(signature, message)
    except InvalidSignature:
        return False
    return True
