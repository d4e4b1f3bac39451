"""An administrator's own key: a PEM file that only its owner can read."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.quorum.errors import QuorumError

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def new_key(path: Path) -> str:
    """Make a key in a new file of mode 0600; returns the public key in hexadecimal. Raises OSError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # Exclusive: a key that lies there already is never written over, nor followed through a link.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return public_text(key)


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a key; raises OSError, or QuorumError for a file that others can read or that holds no such key."""
    with path.open("rb") as file:
        if _others_can_read(os.fstat(file.fileno())):
            message = f"{path}: others can read this key: chmod 600 it"
            raise QuorumError(message)
        data = file.read()
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path}: expected an unencrypted Ed25519 private key in PEM"
        raise QuorumError(message)
    return key


def _others_can_read(status: os.stat_result) -> bool:
    """Say whether anybody but the owner may.

    A file of root's own user and group that its group may read is how systemd's LoadCredential hands a key to one
    service's user: by an access list, which shows as the group's right.
    """
    open_to = status.st_mode & _OTHERS
    return bool(open_to) and not (status.st_uid == status.st_gid == 0 and open_to == stat.S_IRGRP)


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public key in hexadecimal."""
    return key.public_key().public_bytes_raw().hex()
