"""Key policies, as far as attestation and encryption contexts go. Principals are not told apart: there is one caller.

Denied unless a statement allows, and whatever one allows another may deny. A condition on a key that the request lacks
does not hold, except for the operators that ask just that. An operator that is not known here is refused when the key
is made: a policy that is half understood would be worse than none.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PCR_KEYS: Final = "kms:RecipientAttestation:PCR"
IMAGE_KEY: Final = "kms:RecipientAttestation:ImageSha384"
CONTEXT_KEYS: Final = "kms:EncryptionContext:"


def like(found: str, wanted: str) -> bool:
    """Say whether * and ? match; no other sign means anything to IAM."""
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in wanted)
    return re.fullmatch("".join(parts), found, re.DOTALL) is not None


# (what the request has, what the policy names) -> whether it holds.
_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda found, wanted: found == wanted,
    "StringEqualsIgnoreCase": lambda found, wanted: found.lower() == wanted.lower(),
    "StringLike": like,
}
_NEGATED: Final = {"StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase"}
_NULL: Final = "Null"
# Others (NotAction, NotPrincipal, NotResource) turn a statement's meaning round.
_ELEMENTS: Final = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})
_EVERYTHING: Final = ("*", ["*"])


class MalformedPolicy(ValueError):
    """The policy is not one that is understood here; the text says why."""


def request_keys(pcrs: Mapping[int, bytes] | None, context: Mapping[str, str]) -> dict[str, str]:
    """Return the condition keys of one request, by their names in lower case."""
    keys = {f"{CONTEXT_KEYS}{name}": value for name, value in context.items()}
    if pcrs is not None:
        keys |= {f"{PCR_KEYS}{index}": value.hex() for index, value in pcrs.items()}
        keys[IMAGE_KEY] = pcrs[0].hex()
    return {name.lower(): value for name, value in keys.items()}


def check(policy: str) -> None:
    """Raise MalformedPolicy for a policy that is not fully understood here."""
    for statement in _statements(policy):
        if statement.get("Effect") not in ("Allow", "Deny") or "Action" not in statement:
            message = "a statement needs Effect (Allow or Deny) and Action"
            raise MalformedPolicy(message)
        if unknown := statement.keys() - _ELEMENTS:
            message = f"{min(unknown)} is not known to this stand-in"
            raise MalformedPolicy(message)
        if statement.get("Resource", "*") not in _EVERYTHING:
            message = "Resource: in a key policy that is *, this key"
            raise MalformedPolicy(message)
        for operator in statement.get("Condition", {}):
            if operator not in {*_OPERATORS, *_NEGATED, _NULL}:
                message = f"condition operator {operator} is not known to this stand-in"
                raise MalformedPolicy(message)


def allows(policy: str, action: str, keys: Mapping[str, str]) -> bool:
    """Say whether the policy allows ``action`` (as in "kms:Decrypt") to a request with these condition keys."""
    effects = {
        statement["Effect"]
        for statement in _statements(policy)
        if _is_about(statement, action) and _holds(statement, keys)
    }
    return "Allow" in effects and "Deny" not in effects


def _statements(policy: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        message = "expected a JSON object with Statement"
        raise MalformedPolicy(message) from None
    return found if isinstance(found, list) else [found]


def _is_about(statement: Mapping[str, Any], action: str) -> bool:
    return any(like(action.lower(), each.lower()) for each in _listed(statement["Action"]))


def _holds(statement: Mapping[str, Any], keys: Mapping[str, str]) -> bool:
    return all(
        _condition(operator, keys.get(name.lower()), _listed(wanted))
        for operator, named in statement.get("Condition", {}).items()
        for name, wanted in named.items()
    )


def _condition(operator: str, found: str | None, wanted: list[str]) -> bool:
    if operator == _NULL:
        return wanted == [str(found is None).lower()]
    if operator in _NEGATED:
        return not _condition(_NEGATED[operator], found, wanted)
    return found is not None and any(_OPERATORS[operator](found, each) for each in wanted)


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
