"""What a compiled account permits, one line a rule, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from casemate.policy.fields import DAYS
from enclave_signer.venues.registry import VENUES

if TYPE_CHECKING:
    from collections.abc import Mapping


def summary(account: Mapping[str, Any]) -> dict[str, Any]:
    """Return the account's fields and, under ``permits``, one line for each of its rules."""
    declared = VENUES[account["venue"]].declaration.uses
    permits = [f"count_uses {account['count_uses']}: limits count each create so often (declared: {declared})"]
    permits += [_grant_line(grant) for grant in account["grants"]]
    permits += [f"deny {denial['name']}: {_denial_text(denial)}" for denial in account["denials"]]
    permits += [
        f"limit {limit['name']}: {_bounds(limit)} in {limit['window_ms'] // 1000} s over {', '.join(limit['symbols'])}"
        for limit in account["limits"]
    ]
    permits += [f"exposure {item['name']}: {_bounds(item)} of {item['symbol']}" for item in account["exposures"]]
    fields = ("name", "venue", "environment", "margin_mode", "accept", "count_uses")
    return {**{name: account[name] for name in fields}, "permits": permits}


def duty_line(duty: Mapping[str, Any]) -> str:
    """Say who grants a boot its duty (S13)."""
    if duty["mode"] == "on_parent":
        return (
            "duty on_parent: no grants. New orders are signed after any restart, with counters that start empty, and by"
            " a twin: what stops that (docs/duty.md) needs a duty daemon on another machine"
        )
    predecessors = len(duty["predecessors"])
    images = f", after {predecessors} other images" if predecessors else ""
    longest = duty["longest_ms"] // 1000
    return f"duty daemon {duty['key']}: grants new orders, at most {longest} s at a time; a successor continues{images}"


def _grant_line(grant: Mapping[str, Any]) -> str:
    who = f"{', '.join(grant['engines'])} may {', '.join(grant['operations'])} {', '.join(grant['symbols'])}"
    times = _times(grant)
    when = f", {times}" if times else ""
    if not {"CREATE", "AMEND"} & set(grant["operations"]):
        return f"grant {grant['name']}: {who}{when}"
    how = f"{'/'.join(grant['sides'])} {'/'.join(grant['types'])} {'/'.join(grant['times_in_force'])}"
    needs = [name for name in ("post_only", "reduce_only") if grant[f"require_{name}"]]
    required = f", {' and '.join(needs)} only" if needs else ""
    return f"grant {grant['name']}: {who}; {how}{required}, {_bounds(grant)} an order{when}"


def _bounds(rule: Mapping[str, Any]) -> str:
    names = {"max_notional": "notional", "max_quantity": "quantity", "max_orders": "orders"}
    return " and ".join(f"at most {rule[key]} {word}" for key, word in names.items() if rule.get(key) is not None)


def _denial_text(denial: Mapping[str, Any]) -> str:
    apart = {"name", "hours", "days"}
    parts = [f"{key} {', '.join(value)}" for key, value in denial.items() if value and key not in apart]
    times = _times(denial)
    return "; ".join([*parts, times] if times else parts) or "everything"


def _times(rule: Mapping[str, Any]) -> str:
    """Days and hours in words, such as ``08:00-17:00 UTC on mon, tue``; empty for always."""
    spans = [f"{_clock(start)}-{_clock(end)}" for start, end in rule["hours"]]
    hours = f"{', '.join(spans)} UTC" if spans else ""
    days = f"on {', '.join(DAYS[day] for day in rule['days'])}" + ("" if spans else " (UTC)") if rule["days"] else ""
    return " ".join(part for part in (hours, days) if part)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
