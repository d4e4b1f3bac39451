"""What a hostile host can make of one signed request: other cuts, other addresses, edits of every part.

Pure: requests in, requests out. Each mutant names the parts that were changed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from casemate_mock.venues.wire import VenueRequest


class Mutant(NamedTuple):
    """A changed request: which parts were changed (method, host, path, query, body, header, border), and how."""

    changed: frozenset[str]
    how: str
    request: VenueRequest


def mutants(
    request: VenueRequest,
    addresses: Iterable[tuple[str, str]],
    hosts: Iterable[str],
    swaps: Mapping[str, str],
) -> Iterator[Mutant]:
    """Every mutant; ``addresses`` and ``hosts`` are the venue's, ``swaps`` says which value to put for which."""
    hosts = tuple(hosts)
    yield from readdressed(request, tuple(addresses), hosts)
    yield from recut(request)
    yield from edited_query(request, swaps)
    yield from edited_body(request, swaps)
    yield from edited_headers(request, swaps)


# --- addresses


def readdressed(
    request: VenueRequest, addresses: tuple[tuple[str, str], ...], hosts: tuple[str, ...]
) -> Iterator[Mutant]:
    """Other methods, paths and hosts, with the parameters where they were, all in the query, or all in the body."""
    for host in dict.fromkeys((request.host, *hosts)):
        headers = {**request.headers, "host": host}
        for method, path in ((request.method, request.path), *addresses):
            changed = {
                name
                for name, old, new in (
                    ("host", request.host, host),
                    ("method", request.method, method),
                    ("path", request.path, path),
                )
                if old != new
            }
            if not changed:
                continue
            for where, query, body in _placements(request):
                mutant = replace(request, method=method, path=path, query=query, body=body, headers=headers)
                yield Mutant(frozenset(changed), f"{method} {host}{path}, parameters {where}", mutant)


def _placements(request: VenueRequest) -> Iterator[tuple[str, str, bytes]]:
    yield "as they were", request.query, request.body
    if request.query and not request.body:
        yield "in the body", "", request.query.encode()
    if request.body and not request.query:
        yield "in the query", request.body.decode(), b""


def recut(request: VenueRequest) -> Iterator[Mutant]:
    """Move the border between query and body to every other place of the two joined."""
    joined = request.query + request.body.decode()
    for place in range(len(joined) + 1):
        query, body = joined[:place], joined[place:].encode()
        if (query, body) != (request.query, request.body):
            yield Mutant(frozenset({"border"}), f"cut at {place}", replace(request, query=query, body=body))


# --- edits


def edited_query(request: VenueRequest, swaps: Mapping[str, str]) -> Iterator[Mutant]:
    """Edits of each parameter of the query, and parameters added."""
    for how, query in _edited_form(request.query, swaps):
        yield Mutant(frozenset({"query"}), f"query: {how}", replace(request, query=query))


def edited_body(request: VenueRequest, swaps: Mapping[str, str]) -> Iterator[Mutant]:
    """Edits of each field of a JSON or form body, and fields added."""
    text = request.body.decode()
    edits = _edited_json(text, swaps) if text[:1] in {"{", "["} else _edited_form(text, swaps)
    for how, body in edits:
        yield Mutant(frozenset({"body"}), f"body: {how}", replace(request, body=body.encode()))


def edited_headers(request: VenueRequest, swaps: Mapping[str, str]) -> Iterator[Mutant]:
    """Headers with another value, left out, or added; the Host header is an address and not among them."""
    for name, value in request.headers.items():
        if name == "host":
            continue
        rest = {other: kept for other, kept in request.headers.items() if other != name}
        yield Mutant(frozenset({"header"}), f"without {name}", replace(request, headers=rest))
        for other in _others(value, swaps):
            headers = {**rest, name: other}
            yield Mutant(frozenset({"header"}), f"{name} altered", replace(request, headers=headers))
    for name, value in (
        ("content-type", "application/json"),
        ("content-type", "text/plain"),
        ("x-extra", "1"),
    ):
        headers = {**request.headers, name: value}
        yield Mutant(frozenset({"header"}), f"{name}: {value}", replace(request, headers=headers))


def _edited_form(text: str, swaps: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    pairs = parse_qsl(text, keep_blank_values=True)
    for index, (name, value) in enumerate(pairs):
        rest = [*pairs[:index], *pairs[index + 1 :]]
        yield f"without {name}", _form(rest)
        for other in _others(value, swaps):
            yield f"{name}={other}", _form([*pairs[:index], (name, other), *pairs[index + 1 :]])
            yield f"{name}={other} added behind", f"{text}&{_form([(name, other)])}"
            yield f"{name}={other} added in front", f"{_form([(name, other)])}&{text}"
        yield f"{name} renamed", _form([*pairs[:index], (f"{name}x", value), *pairs[index + 1 :]])
    for extra in ("x=1", "limit=1", "order_status=OPEN"):
        yield f"{extra} added", f"{text}&{extra}" if text else extra
    for value, other in swaps.items():
        if text and value not in text:
            yield f"symbol={other} added", f"{text}&symbol={other}"


def _form(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def _edited_json(text: str, swaps: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    document = json.loads(text)
    for how, edited in _variants(document, swaps):
        yield how, json.dumps(edited, separators=(",", ":"))
    if isinstance(document, dict):
        yield "x added", json.dumps({**document, "x": "1"}, separators=(",", ":"))
    yield "blanks added", json.dumps(document, indent=1)


def _variants(value: Any, swaps: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Every document that differs in one leaf or lacks one member."""
    if isinstance(value, dict):
        for name, inner in value.items():
            rest = {other: kept for other, kept in value.items() if other != name}
            yield f"without {name}", rest
            for how, edited in _variants(inner, swaps):
                yield f"{name}: {how}", {**value, name: edited}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for how, edited in _variants(inner, swaps):
                yield f"[{index}]: {how}", [*value[:index], edited, *value[index + 1 :]]
                yield f"[{index}]: and {how}", [*value, edited]
    elif isinstance(value, bool):
        yield f"{not value}", not value
    elif isinstance(value, int):
        yield f"{value + 1}", value + 1
        if str(value) in swaps:
            yield swaps[str(value)], int(swaps[str(value)])
    elif isinstance(value, str):
        for other in _others(value, swaps):
            yield other, other


def _others(value: str, swaps: Mapping[str, str]) -> Iterator[str]:
    if value in swaps:
        yield swaps[value]
    yield f"{value}1"
    yield f"1{value}"
