"""How KMS decides, as far as our key's policy needs it: the policy of the key, and the caller's own beside it.

Rules of the IAM user guide, "Policy evaluation logic", and the KMS developer guide, "Key policies", for callers of the
key's own account: an explicit denial wins; what the key's policy allows a principal is allowed; the caller's own policy
counts only where the key's policy hands over to the account's root. An operator that is not written here is an error,
never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Statement = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks for what, under which circumstances (condition key -> value)."""

    principal: str
    action: str
    context: Mapping[str, str] = field(default_factory=dict)


def allowed(key_policy: Mapping[str, Any], request: Request, own: Sequence[Statement] = ()) -> bool:
    """Decide. ``own``: statements of the caller's IAM policies."""
    matching = [one for one in key_policy["Statement"] if _named(one, request) and _fits(one, request)]
    own_matching = [one for one in own if _fits(one, request)]
    if any(one["Effect"] == "Deny" for one in (*matching, *own_matching)):
        return False
    if any(one["Effect"] == "Allow" for one in matching):
        return True
    root = request.principal.rpartition(":")[0] + ":root"
    as_root = Request(principal=root, action=request.action, context=request.context)
    handed_over = any(_named(one, as_root) and _fits(one, as_root) for one in key_policy["Statement"])
    return handed_over and any(one["Effect"] == "Allow" for one in own_matching)


def _named(statement: Statement, request: Request) -> bool:
    principal = statement["Principal"]
    if principal == "*":
        return True
    named = _listed(principal["AWS"])
    return "*" in named or request.principal in named


def _fits(statement: Statement, request: Request) -> bool:
    if "NotAction" in statement:
        fits = not any(_like(request.action, pattern) for pattern in _listed(statement["NotAction"]))
    else:
        fits = any(_like(request.action, pattern) for pattern in _listed(statement["Action"]))
    return fits and all(
        _OPERATORS[operator](request.context.get(key), _listed(wanted))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _like(action: str, pattern: str) -> bool:
    return fnmatchcase(action.lower(), pattern.lower())


def _listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _equals(found: str | None, wanted: list[str]) -> bool:
    return found is not None and found in wanted


def _equals_ignoring_case(found: str | None, wanted: list[str]) -> bool:
    return found is not None and found.lower() in [each.lower() for each in wanted]


def _differs_ignoring_case(found: str | None, wanted: list[str]) -> bool:
    # A negated operator is true for a key that is not there.
    return not _equals_ignoring_case(found, wanted)


def _is_missing(found: str | None, wanted: list[str]) -> bool:
    return str(found is None).lower() in wanted


_OPERATORS = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignoring_case,
    "StringNotEqualsIgnoreCase": _differs_ignoring_case,
    "Null": _is_missing,
}
