"""A request taken apart so that two can be compared: method, address, fields with their JSON types, headers.

The tables name everything that is taken away first, and why.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.agreement.signatures import token_parts

if TYPE_CHECKING:
    from tests.agreement.ccxt_offline import Sent

# What ccxt adds of its own: (venue, part, name) -> why it is no part of the order. With a client id of the caller's
# it adds neither of its brokers' prefixes (binance, okx) nor OKX's broker tag.
CCXT_ADDS: Final = {
    ("bybit", "header", "Referer"): "names ccxt as the broker",
    ("backpack", "header", "X-Broker-Id"): "names ccxt as the broker",
    ("coinbase", "field", "client_order_id"): "ccxt makes up an id of its own and drops the caller's",
}
# What we add: the client order id is always ours, and so is the end of validity where ccxt signs none.
WE_ADD: Final = {
    ("kraken", "field", "deadline"): "the signed end of validity, which ccxt leaves out",
    ("coinbase", "field", "client_order_id"): "the caller's id, which ccxt drops",
}
# Differ by nature and are verified by themselves.
SIGNATURES: Final = frozenset({"X-BAPI-SIGN", "OK-ACCESS-SIGN", "API-Sign", "X-Signature", "Authorization"})


class Comparable(NamedTuple):
    """Equal for two requests that say the same; ``token`` is a JWT's header and claims."""

    method: str
    address: str
    fields: dict[str, Any]
    headers: dict[str, str]
    token: tuple[dict[str, Any], dict[str, Any]] | None


def ccxts(sent: Sent, venue: str) -> Comparable:
    """Take apart what ccxt sends, less what it adds; OKX's batch of one becomes the documented single order."""
    made = _taken_apart(sent)
    if venue == "okx" and made.address.endswith("/trade/batch-orders"):
        (only,) = made.fields["[]"]
        made = made._replace(address=made.address.replace("batch-orders", "order"), fields=only)
    return _without(made, venue, CCXT_ADDS)


def ours(sent: Sent, venue: str) -> Comparable:
    """Take apart what we send, less what only we say."""
    return _without(_taken_apart(sent), venue, WE_ADD)


def _without(made: Comparable, venue: str, table: dict[tuple[str, str, str], str]) -> Comparable:
    names = {(part, name) for of, part, name in table if of == venue}
    fields = {name: value for name, value in made.fields.items() if ("field", name) not in names}
    headers = {name: value for name, value in made.headers.items() if ("header", name) not in names}
    return made._replace(fields=fields, headers=headers)


def _taken_apart(sent: Sent) -> Comparable:
    parts = urlsplit(sent.url)
    headers = {name: value for name, value in sent.headers.items() if name not in SIGNATURES}
    bearer = sent.headers.get("Authorization")
    token = token_parts(bearer.removeprefix("Bearer ")) if bearer else None
    fields = _fields(parts.query)
    if sent.body:
        fields |= _body(sent.body)
    fields.pop("signature", None)
    return Comparable(sent.method, f"{parts.scheme}://{parts.netloc}{parts.path}", fields, headers, token)


def _body(text: str) -> dict[str, Any]:
    if text[0] == "{":
        body: dict[str, Any] = json.loads(text)
        return body
    return {"[]": json.loads(text)} if text[0] == "[" else _fields(text)


def _fields(text: str) -> dict[str, Any]:
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    assert len(dict(pairs)) == len(pairs), f"a parameter occurs twice in {text}"
    return dict(pairs)
