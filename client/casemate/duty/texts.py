"""The state as text: one JSON document, sorted, so that two states are equal if their texts are."""

from __future__ import annotations

import base64
import contextlib
import json
import types
import typing
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

from casemate.duty.errors import StateLost
from casemate.duty.model import State

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = "casemate.duty.state.v1"
# What states that older versions wrote do not have: its default holds for them.
_LATER: Final = {"used", "full_until"}


def state_text(state: State) -> str:
    """Write a state."""
    return json.dumps({"format": FORMAT, "state": _plain(state)}, sort_keys=True)


def read_state(text: str) -> State:
    """Read a state; raises StateLost for anything that `state_text` did not write."""
    state = None
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        document = json.loads(text)
        state = _made(State, document["state"]) if document["format"] == FORMAT else None
    if not isinstance(state, State):
        message = "the state is damaged or of another version: see docs/duty-officer.md"
        raise StateLost(message)
    return state


def _plain(value: object) -> Any:  # noqa: ANN401 - plain JSON values
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return [[_plain(key), _plain(each)] for key, each in value.items()]
    return value


def _made(kind: Any, value: Any) -> Any:  # noqa: ANN401 - types as values, and JSON
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _made(arguments[0], value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_made(each, one) for each, one in zip(kinds, value, strict=True))
    if origin is dict:
        return {_made(arguments[0], key): _made(arguments[1], each) for key, each in value}
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, value)
    if kind is bytes:
        return base64.b64decode(value, validate=True)
    if type(value) is not kind:
        raise TypeError
    return value


def _object(kind: type, value: Mapping[str, Any]) -> object:
    hints = typing.get_type_hints(kind)
    if not hints.keys() - _LATER <= value.keys() <= hints.keys():
        raise ValueError
    return kind(**{name: _made(hint, value[name]) for name, hint in hints.items()})
