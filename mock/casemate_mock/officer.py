"""The stack's duty officer: its configuration, for ``casemate duty run``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Of grants: long enough for a busy machine, short enough to be seen to end.
LENGTH = "60s"
WITNESS = "witness.jsonl"
# Of every limit, under one grant: what a boot that crashed may have spent unseen, and so what its successor lacks.
SHARE = "1/10"


def configuration(
    gateway: str, key: Path, deployment: str, accounts: Sequence[str], attestation: Mapping[str, Any]
) -> str:
    """Write TOML. Paths are relative to the directory of the key."""
    lines = [
        f"deployment = {json.dumps(deployment)}",
        f"accounts = {json.dumps(list(accounts))}",
        f'share = "{SHARE}"',
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
