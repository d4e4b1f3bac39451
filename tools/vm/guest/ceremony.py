"""What administrators do, played in the parent: a policy approved, a credential sealed to one boot's attested key.

As ``casemate seal --direct`` and ``casemate provision`` do it, with everybody's keys in one place.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.provisioning import bundles
from casemate.quorum.statements import CREDENTIAL, POLICY, Terms, approve, credential_fields, policy_fields
from casemate_mock.config import DEMO_ACCOUNTS
from casemate_mock.policy_text import DEPLOYMENT, ENGINE, READER, demo_policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from casemate.gateway import Gateway
    from casemate.session import Pins

ACCOUNT: Final = DEMO_ACCOUNTS[0]
# Orders in a day that the policy permits: few, so that a boot can be seen to count what the one before it spent.
MOST_ORDERS: Final = 100
# The demonstration's limits, and ours. An amount small enough that a grant's part of it fits the exposure rules.
_LIMITS: Final = {
    "max_orders = 200000": f"max_orders = {MOST_ORDERS}",
    'max_notional = "500000000"': 'max_notional = "1000000"',
}
_HOUR_NS: Final = 3_600_000_000_000
_NONCE_BYTES: Final = 32


class Ceremony:
    """One deployment: its policy, its duty key, its credential."""

    def __init__(self, directory: Path, engine: bytes) -> None:
        """``engine``: the public key of who may trade."""
        self.duty = Ed25519PrivateKey.generate()
        self._directory = directory
        self._engine = engine
        self._policy = b""
        self._content = b""

    async def load(self, operator: Gateway, pins: Pins, admins: Sequence[str], timeout_s: float) -> dict[str, Any]:
        """Give the enclave both, approved by these administrators (private keys); raises CasemateError."""
        keys = [Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)) for key in admins]
        policy = await self._compiled()
        now = time.time_ns()
        terms = Terms(deployment=DEPLOYMENT, sequence=1, not_before=now - _HOUR_NS, not_after=now + _HOUR_NS)
        approvals = [approve(key, POLICY, terms, policy_fields(policy)) for key in keys]
        await operator.load_policy(policy, approvals, timeout_s=timeout_s)
        content = self._sealed_later()
        said = credential_fields(ACCOUNT.name, 1, bundles.read(content).subject)
        approvals = [approve(key, CREDENTIAL, terms, said) for key in keys]
        nonce = os.urandom(_NONCE_BYTES)
        boot, _ = pins.check(await operator.attest(nonce, timeout_s=timeout_s), nonce, time.time_ns())
        bundle = bundles.direct_bundle(content, boot.receipt_key, boot.provision_key)
        loaded = await operator.provision_bundle(ACCOUNT.name, bundle, approvals, timeout_s=timeout_s)
        phase = loaded.phase.name if loaded.phase else ""
        return {"policy": hashlib.sha256(policy).hexdigest(), "phase": phase, "boot": boot.receipt_key.hex()}

    def _sealed_later(self) -> bytes:
        if not self._content:
            fields = json.loads((self._directory / "credentials.json").read_text(encoding="utf-8"))[ACCOUNT.name]
            label = bundles.Label(
                deployment=DEPLOYMENT, account=ACCOUNT.name, version=1, created=time.time_ns() // 1_000_000
            )
            credential = cbor2.dumps(fields, canonical=True)
            self._content = bundles.content(label, credential, os.urandom(bundles.SALT_BYTES))
        return self._content

    async def _compiled(self) -> bytes:
        if self._policy:
            return self._policy
        reader = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        keys = {ENGINE: self._engine.hex(), READER: reader}
        text = demo_policy([ACCOUNT], keys, self.duty.public_key().public_bytes_raw().hex())
        for theirs, ours in _LIMITS.items():
            if theirs not in text:
                raise RuntimeError("the policy's limits are written in another way by now")
            text = text.replace(theirs, ours)
        path = self._directory / "policy.toml"
        path.write_text(text, encoding="utf-8")
        compiled = path.with_suffix(".cbor")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "casemate", "policy", "compile", str(path), "-o", str(compiled))
        )
        if await process.wait():
            raise RuntimeError("the policy does not compile")
        self._policy = compiled.read_bytes()
        return self._policy
