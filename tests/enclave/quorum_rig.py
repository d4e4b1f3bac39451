"""Administrators with keys of their own, and statements made without the product's code."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclave_signer.admins import Admins, read_admins
from enclave_signer.quorum import Quorum

NOW: Final = 1_763_697_600_000_000_000
HOUR: Final = 3_600_000_000_000
BOOT: Final = bytes(range(32))
KEYS: Final = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5)]
# The fourth is an outsider.
PUBLIC: Final = [key.public_key().public_bytes_raw().hex() for key in KEYS]
POLICY: Final = cbor2.dumps({"format": "casemate.policy.v1", "deployment": "test", "version": 7}, canonical=True)
# The digest of some bundle.
CREDENTIAL: Final = hashlib.sha256(b"a sealed credential").digest()


def quorum_file(**changes: Any) -> bytes:
    document = {"format": "casemate.quorum.v1", "deployment": "test", "threshold": 2, "admins": sorted(PUBLIC[:3])}
    return cbor2.dumps({**document, **changes}, canonical=True)


def admins() -> Admins:
    return read_admins(quorum_file())


def quorum(boot: bytes = BOOT) -> Quorum:
    return Quorum(admins(), boot)


def statement(kind: str, signer: int, /, **changes: Any) -> dict[str, Any]:
    """What a right statement says, with changes; a field changed to None is left out."""
    kinds: dict[str, dict[str, Any]] = {
        "quorum": {},
        "policy": {"subject": hashlib.sha256(POLICY).hexdigest(), "version": 7},
        "credential": {"subject": CREDENTIAL.hex(), "account": "main", "version": 1},
        "resume": {"scope": "ACCOUNT", "account": "main", "venue": "", "symbol": "", "last": 1, "boot": BOOT.hex()},
        "halt": {"scope": "ACCOUNT", "account": "main", "venue": "", "symbol": ""},
        "grant": {"subject": hashlib.sha256(b"a grant").hexdigest()},
    }
    said = {
        "format": "casemate.statement.v1",
        "kind": kind,
        "deployment": "test",
        "sequence": 3,
        "not_before": NOW - HOUR,
        "not_after": NOW + HOUR,
        "signer": PUBLIC[signer],
        **kinds[kind],
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def signed(key: int, tag: str, data: bytes) -> bytes:
    return KEYS[key].sign(f"casemate.approval.{tag}.v1".encode() + b"\0" + data) + data


def approval(signer: int, of: str = "policy", /, **changes: Any) -> bytes:
    """One administrator's approval, signed rightly whatever it says."""
    return signed(signer, of, cbor2.dumps(statement(of, signer, **changes), canonical=True))


def approvals(*signers: int, kind: str = "policy", **changes: Any) -> list[bytes]:
    return [approval(signer, kind, **changes) for signer in signers]
