"""`casemate venues`: what each venue's file declares, for machines and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enclave_signer.venues.registry import VENUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from enum import Enum

    from enclave_signer.model import Kind
    from enclave_signer.venues.declaration import Abilities, Declaration


def describe() -> list[dict[str, Any]]:
    """Return one JSON-ready object for each venue, in the order of their names.

    Durations are milliseconds; operations, types and times in force are the wire's names without prefix.
    """
    return [_describe(name, VENUES[name].declaration) for name in sorted(VENUES)]


def table() -> str:
    """Return the same as text, one paragraph a venue."""
    return "\n\n".join(_paragraph(venue) for venue in describe())


def _describe(name: str, declared: Declaration) -> dict[str, Any]:
    return {
        "venue": name,
        "scheme": declared.scheme,
        "credentials": list(declared.credential_fields),
        "client_order_id": declared.client_order_id,
        "covers": _values(declared.covers),
        "gaps": {operation.name: _values(gaps) for operation, gaps in sorted(declared.gaps.items())},
        "every_gap": _values({gap for gaps in declared.gaps.values() for gap in gaps}),
        "also": {operation.name: _names(others) for operation, others in sorted(declared.also.items())},
        "validity": {
            "kind": declared.validity.kind.value,
            "field": declared.validity.field,
            "shortest_ms": declared.validity.shortest_ms,
            "longest_ms": declared.validity.longest_ms,
        },
        "single_use": declared.single_use,
        "uses": declared.uses,
        "operations": _names(declared.operations),
        "kinds": {kind.value: _kind(kind, declared) for kind in sorted(declared.kinds, key=lambda kind: kind.value)},
        "limits": declared.limits,
        "notes": list(declared.notes),
    }


def _kind(kind: Kind, declared: Declaration) -> dict[str, Any]:
    abilities: Abilities = declared.abilities[kind]
    return {
        "order_types": _names(declared.order_types[kind]),
        "times_in_force": _names(declared.times_in_force[kind]),
        "stop_times_in_force": _names(abilities.stop_times),
        "quote_quantity": abilities.quote_quantity,
        "reduce_only": abilities.reduce_only,
        "hedged": abilities.hedge,
        "trigger_by": _names(abilities.triggers),
        "self_trade_prevention": _names(abilities.self_trade),
    }


def _paragraph(venue: Mapping[str, Any]) -> str:
    validity = venue["validity"]
    window = f"{validity['kind']} {validity['shortest_ms']}..{validity['longest_ms']} ms by {validity['field']}"
    lines = [
        venue["venue"],
        f"  signature   {venue['scheme']}",
        f"  covers      {', '.join(venue['covers'])}",
        f"  gaps        {', '.join(_gap_words(venue)) or 'none'}",
        f"  validity    {window}",
        f"  single use  {venue['single_use'] or 'nothing; a create counts ' + str(venue['uses']) + ' times at worst'}",
        f"  operations  {', '.join(venue['operations'])}",
    ]
    for kind, can in venue["kinds"].items():
        lines.append(f"  {kind:<11} {', '.join(can['order_types'])}; {', '.join(can['times_in_force'])}")
    lines.append(f"  client ids  {venue['client_order_id']}")
    lines.append(f"  limits      {venue['limits'] or 'not stated'}")
    lines.extend(f"  note        {note}" for note in venue["notes"])
    return "\n".join(lines)


def _gap_words(venue: Mapping[str, Any]) -> Iterator[str]:
    """Every word that a policy may have to accept; those of a few operations alone name them."""
    for gap in venue["every_gap"]:
        having = [name for name in venue["operations"] if gap in venue["gaps"].get(name, ())]
        yield gap if len(having) == len(venue["operations"]) else f"{gap} ({', '.join(having)})"


def _values(members: Iterable[Enum]) -> list[str]:
    return sorted(str(member.value) for member in members)


def _names(members: Iterable[Enum]) -> list[str]:
    return [member.name for member in sorted(members, key=lambda member: int(member.value))]
