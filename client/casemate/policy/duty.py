"""``duty``: who grants a boot of the enclave the right to make new orders. ``"on_parent"``, or a table [duty]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from casemate.policy import fields
from casemate.policy.mistakes import wrong

if TYPE_CHECKING:
    from collections.abc import Collection

    from casemate.policy.table import Table

ON_PARENT: Final = "on_parent"
DAEMON: Final = "daemon"
_EXPECTED: Final = (
    'a table [duty] with the key of the duty daemon, or duty = "on_parent" if everything runs on one machine'
)
_PCR0: Final = "PCR0 of an image, 96 hexadecimal digits in lower case and not all zero"


def read_duty(table: Table, engine_keys: Collection[str | None]) -> dict[str, Any]:
    """Read the field or the table; an engine's key cannot be the duty key, or an engine could grant itself."""
    if isinstance(table.peek("duty"), dict):
        return _daemon(table.table("duty"), engine_keys)
    table.required("duty", _word, _EXPECTED)
    return {"mode": ON_PARENT, "key": "", "longest_ms": 0, "predecessors": []}


def _daemon(table: Table, engine_keys: Collection[str | None]) -> dict[str, Any]:
    key = table.required("key", fields.matching("[0-9a-f]{64}", fields.PUBLIC_KEY), fields.PUBLIC_KEY)
    if key is not None and key in engine_keys:
        table.complain("key", key, "a key that is no engine's: an engine could grant itself")
    duty = {
        "mode": DAEMON,
        "key": key,
        "longest_ms": table.required(
            "longest", fields.duration(10_000, 3_600_000, "10s to 1h"), 'how long one grant may last, such as "5m"'
        ),
        "predecessors": table.default(
            "predecessors", fields.any_of(fields.matching("(?!0{96})[0-9a-f]{96}", _PCR0)), list[str]()
        ),
    }
    table.close()
    return duty


def _word(value: object) -> str:
    if value != ON_PARENT:
        raise wrong(value, _EXPECTED)
    return ON_PARENT
