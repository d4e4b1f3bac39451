"""The stack's duty officer: its configuration, for ``casemate duty run``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Of grants: long enough for a busy machine, short enough to be seen to end.
LENGTH = "60s"
WITNESS = "witness.jsonl"


def configuration(
    gateway: str, key: Path, deployment: str, accounts: Sequence[str], attestation: Mapping[str, Any]
) -> str:
    """Write TOML. Paths are relative to the directory of the key."""
    lines = [
        f"deployment = {json.dumps(deployment)}",
        f"accounts = {json.dumps(list(accounts))}",
        'share = "1/1"',
        f'length = "{LENGTH}"',
        'poll = "200ms"',
        f"key = {json.dumps(key.name)}",
        'state = "file:duty"',
        f'witness = "{WITNESS}"',
        "[pins]",
        f"pcr0 = {json.dumps([attestation['pcrs']['0']])}",
        f"root = {json.dumps(Path(attestation['root']).name)}",
        "[[gateway]]",
        'name = "stack"',
        f"address = {json.dumps(gateway)}",
    ]
    return "\n".join(lines) + "\n"
