"""Requests and replies as values, so that a venue is a pure function and the server a thin shell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRequest:
    """One HTTP request as it arrived: `path` and `query` still encoded, header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def host(self) -> str:
        """The Host header; it names the production host although the connection may lead elsewhere."""
        return self.headers.get("host", "").lower()

    @property
    def target(self) -> str:
        """Path with query, as signed by several venues."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def header(self, name: str) -> str:
        """Value of a header, empty when absent."""
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueResponse:
    """One HTTP reply."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> object:
        """Body read as JSON; for tests."""
        value: object = json.loads(self.body)
        return value


class VenueFault(Exception):
    """Ends the handling of a request with this reply."""

    def __init__(self, response: VenueResponse) -> None:
        """Keep the reply; its status is the text."""
        super().__init__(f"HTTP {response.status}")
        self.response = response


class MalformedError(ValueError):
    """A body or query that cannot be read; the text says what is wrong, never what it contained."""


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> VenueResponse:
    """Reply with compact JSON."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return VenueResponse(status=status, body=body, headers={"Content-Type": "application/json", **(headers or {})})


def form_pairs(text: str) -> list[tuple[str, str]]:
    """Decode `a=1&b=2`, keeping order and repeats. Raises MalformedError for a part without `=`."""
    pairs = []
    for part in text.split("&") if text else []:
        name, equals, value = part.partition("=")
        if not equals:
            message = "parameter without a value"
            raise MalformedError(message)
        pairs.append((unquote_plus(name), unquote_plus(value)))
    return pairs


def form_dict(text: str) -> dict[str, str]:
    """Decode a form in which no name may repeat. Raises MalformedError when one does."""
    pairs = form_pairs(text)
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a parameter was sent twice"
        raise MalformedError(message)
    return found


def json_object(body: bytes) -> dict[str, object]:
    """Read a JSON object whose names do not repeat. Raises MalformedError."""
    value = json_value(body)
    if not isinstance(value, dict):
        message = "body is not a JSON object"
        raise MalformedError(message)
    return value


def json_value(body: bytes) -> object:
    """Read JSON, refusing repeated names, which parsers disagree about. Raises MalformedError."""
    try:
        value: object = json.loads(body, object_pairs_hook=_no_repeats)
    except ValueError as error:
        message = "body is not valid JSON"
        raise MalformedError(message) from error
    return value


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name was sent twice"
        raise MalformedError(message)
    return found
