"""``quorum.cbor``: who may approve, and how many of them it takes. Part of the image, so measured into PCR0.

Canonical CBOR: {"format": "casemate.quorum.v1", "deployment": text, "threshold": M, "admins": [key]}; the keys are
Ed25519 public keys in hexadecimal, sorted, each once.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.errors import EnclaveError
from enclave_signer.points import is_sound

FORMAT: Final = "casemate.quorum.v1"
MAX_ADMINS: Final = 16
MAX_FILE: Final = 8_192
_KEYS: Final = {"format", "deployment", "threshold", "admins"}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class BadQuorum(EnclaveError):
    """The quorum file is not one; the text says what is wrong."""


class Admins(NamedTuple):
    """Public keys in hexadecimal, and how many of them approve together."""

    deployment: str
    threshold: int
    keys: frozenset[str]


def read_admins(data: bytes) -> Admins:
    """Check a quorum file's bytes; raises BadQuorum."""
    if len(data) > MAX_FILE:
        raise BadQuorum(f"larger than {MAX_FILE} bytes")
    try:
        fields = decode(data)
    except NotCanonical as error:
        raise BadQuorum(str(error)) from None
    if not isinstance(fields, dict) or fields.keys() != _KEYS or fields["format"] != FORMAT:
        raise BadQuorum(f"expected a map of {', '.join(sorted(_KEYS))} with format {FORMAT}")
    deployment, threshold, admins = fields["deployment"], fields["threshold"], fields["admins"]
    if not isinstance(deployment, str) or not _NAME.fullmatch(deployment):
        raise BadQuorum("deployment: expected 1 to 64 characters of A-Z a-z 0-9 _ -")
    keys = _keys(admins)
    if type(threshold) is not int or not 1 <= threshold <= len(keys):
        raise BadQuorum(f"threshold: expected 1 to {len(keys)}, the number of admins")
    return Admins(deployment, threshold, frozenset(keys))


def _keys(admins: object) -> list[str]:
    if not isinstance(admins, list) or not 1 <= len(admins) <= MAX_ADMINS:
        raise BadQuorum(f"admins: expected 1 to {MAX_ADMINS} public keys")
    for index, key in enumerate(admins):
        if not isinstance(key, str) or not _HEX.fullmatch(key):
            raise BadQuorum(f"admins[{index}]: expected 64 lower-case hexadecimal digits")
        if not is_sound(bytes.fromhex(key)):
            raise BadQuorum(f"admins[{index}]: not an Ed25519 public key of prime order in canonical form")
    if admins != sorted(set(admins)):
        raise BadQuorum("admins: expected sorted keys, each once")
    return admins
