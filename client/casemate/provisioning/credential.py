"""Reading an account's credential from its file. Nothing of it is ever in an error."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Final

import cbor2

from casemate.provisioning.errors import SealError

if TYPE_CHECKING:
    from pathlib import Path

FIELDS: Final = ("apiKey", "secret", "password", "uid", "privateKey", "walletAddress", "twofa")
# The enclave's own bound.
MAX_CREDENTIAL: Final = 16_384
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path) -> bytes:
    """Read a file that only its owner can read; raises OSError, or SealError if others can."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS:
            message = f"{path}: others can read this credential: chmod 600 it"
            raise SealError(message)
        return file.read(MAX_CREDENTIAL + 1)


def parse(data: bytes, name: str) -> dict[str, str]:
    """Read a JSON object of ccxt's field names and their texts; ``name`` is the file's. Raises SealError."""
    try:
        fields = json.loads(data) if len(data) <= MAX_CREDENTIAL else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not fields or not all(isinstance(value, str) for value in fields.values()):
        message = f"{name}: expected a JSON object of field names and texts, at most {MAX_CREDENTIAL} bytes"
        raise SealError(message)
    unknown = sorted(field for field in fields if field not in FIELDS)
    if unknown:
        # A field's name could be a pasted key, too: it is not repeated.
        message = f"{name}: {len(unknown)} unknown field(s): expected ccxt's names: {', '.join(FIELDS)}"
        raise SealError(message)
    return fields


def canonical(fields: dict[str, str]) -> bytes:
    """Return the form that is sealed."""
    return cbor2.dumps(fields, canonical=True)
