"""``quorum.cbor``: who may approve, and how many of them it takes. Part of the image, so measured into PCR0.

Canonical CBOR: {"format": "casemate.quorum.v1", "deployment": text, "threshold": M, "admins": [key]}; the keys are
Ed25519 public keys in hexadecimal, sorted, each once. A successor has "generation" too, one more than its
predecessor's; a file without it is of generation 0.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from enclave_signer.canonical import NotCanonical, decode
from enclave_signer.errors import EnclaveError
from enclave_signer.points import is_sound

FORMAT: Final = "casemate.quorum.v1"
MAX_ADMINS: Final = 16
MAX_FILE: Final = 8_192
_KEYS: Final = {"format", "deployment", "threshold", "admins"}
_GENERATION: Final = "generation"
_MOST: Final = (1 << 63) - 1
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class BadQuorum(EnclaveError):
    """The quorum file is not one; the text says what is wrong."""


class Admins(NamedTuple):
    """Public keys in hexadecimal, how many of them approve together, and SHA-256 of the file that says so."""

    deployment: str
    threshold: int
    keys: frozenset[str]
    digest: bytes
    generation: int


def read_admins(data: bytes) -> Admins:
    """Check a quorum file's bytes; raises BadQuorum."""
    if len(data) > MAX_FILE:
        raise BadQuorum(f"larger than {MAX_FILE} bytes")
    try:
        fields = decode(data)
    except NotCanonical as error:
        raise BadQuorum(str(error)) from None
    if not isinstance(fields, dict) or fields.keys() - {_GENERATION} != _KEYS or fields["format"] != FORMAT:
        raise BadQuorum(f"expected a map of {', '.join(sorted(_KEYS))} with format {FORMAT}")
    deployment, threshold, admins = fields["deployment"], fields["threshold"], fields["admins"]
    if not isinstance(deployment, str) or not _NAME.fullmatch(deployment):
        raise BadQuorum("deployment: expected 1 to 64 characters of A-Z a-z 0-9 _ -")
    keys = _keys(admins)
    if type(threshold) is not int or not 1 <= threshold <= len(keys):
        raise BadQuorum(f"threshold: expected 1 to {len(keys)}, the number of admins")
    return Admins(deployment, threshold, frozenset(keys), hashlib.sha256(data).digest(), _generation(fields))


def _generation(fields: dict[str, object]) -> int:
    generation = fields.get(_GENERATION, 0)
    # There is one way to write generation 0: without it.
    if type(generation) is not int or generation > _MOST or (_GENERATION in fields and generation < 1):
        raise BadQuorum("generation: expected a whole number from 1 on, or none for the first")
    return generation


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
