"""What happens before the first order and after the last one, each step as one line with its facts."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.x509.oid import NameOID

from casemate.attestation import verify
from casemate.errors import NotAttested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509

    from casemate.attestation import Attestation
    from casemate.demo.stack import DemoStack
    from casemate.gateway import Gateway
    from casemate.models import Status
    from casemate.session import AttestedSealer, Pins

_NONCE_BYTES: Final = 32
_NS_IN_MS: Final = 1_000_000
_NS_IN_S: Final = 1_000_000_000
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was done; ``detail`` says it for people, ``facts`` are plain JSON values."""

    name: str
    detail: str
    facts: Mapping[str, Any]

    def line(self) -> str:
        """One line."""
        return f"✓ {self.name:<20} {self.detail}"

    def as_json(self) -> dict[str, Any]:
        """The step in the ``--json`` document."""
        return {"step": self.name, "detail": self.detail, **self.facts}


async def attested(gateway: Gateway, pins: Pins) -> tuple[Step, Step]:
    """Ask for a document with a fresh nonce and verify it as an engine does; raises NotAttested."""
    nonce = os.urandom(_NONCE_BYTES)
    document = await gateway.attest(nonce)
    now = time.time_ns()
    boot, _ = pins.check(document, nonce, now)
    found = verify(
        document, at=now // _NS_IN_MS, pcrs=pins.pcrs, nonce=nonce, max_age_ms=pins.max_age_ms, root=pins.root
    )
    pcr0 = found.pcrs[0].hex()
    measured = Step(
        "enclave measured",
        f"PCR0 {pcr0[:_SHOWN]}… is the pinned one, module {found.module_id}",
        {"pcr0": pcr0, "module_id": found.module_id, "deployment": boot.deployment},
    )
    return measured, _verified(found, pins.root, now // _NS_IN_MS)


def _verified(found: Attestation, root: x509.Certificate | None, now_ms: int) -> Step:
    name = "aws.nitro-enclaves" if root is None else _common_name(root)
    age = now_ms - found.timestamp_ms
    return Step(
        "document verified",
        f"chain to the root {name}, our nonce, {age} ms old",
        {"root": name, "age_ms": age, "valid_until_ms": found.valid_until_ms},
    )


def _common_name(root: x509.Certificate) -> str:
    (name,) = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def approved(stack: DemoStack, status: Status) -> Step:
    """What administrators signed is what is live; raises NotAttested if it is not."""
    done, quorum = stack.done["policy"], stack.quorum
    version, digest = status.enclave.policy_version, status.enclave.policy_digest
    if (version, digest) != (done["version"], done["digest"]):
        message = "another policy is live than the one that administrators signed"
        raise NotAttested(message)
    threshold, admins = quorum["threshold"], len(quorum["admins"])
    return Step(
        "policy live",
        f"version {version}, {digest[:_SHOWN]}…, signed by {threshold} of {admins} administrators",
        {"version": version, "digest": digest, "threshold": threshold, "admins": admins},
    )


def provisioned(stack: DemoStack) -> Step:
    """The credentials that the enclave took."""
    done, quorum = stack.done["credentials"], stack.quorum
    how = done["sealed"]
    return Step(
        "keys provisioned",
        f"{len(done['accounts'])} accounts, each signed by {quorum['threshold']}, {how}",
        {"accounts": done["accounts"], "sealed": done["sealed"]},
    )


def on_duty(stack: DemoStack) -> Step:
    """The grant in force: new orders need one."""
    duty = stack.done["duty"]
    left = (duty["not_after"] - time.time_ns()) // _NS_IN_S
    share = f"{stack.share} of every limit"
    return Step(
        "duty granted",
        f"grant {duty['sequence']} for {len(duty['accounts'])} accounts, {share}, good for {left} s more",
        {
            "share": stack.share,
            "sequence": duty["sequence"],
            "not_after": duty["not_after"],
            "accounts": duty["accounts"],
        },
    )


async def opened(gateway: Gateway, sealer: AttestedSealer, engine: str) -> Step:
    """Open an engine's session. Raises NotAttested, NotReady."""
    await gateway.open_session()
    boot = sealer.boot
    key = boot.session_key.hex() if boot else ""
    session = sealer.session.hex()
    return Step(
        "session opened",
        f"{engine} {session[:_SHOWN]}…, with the attested key {key[:_SHOWN]}…",
        {"engine": engine, "session": session, "session_key": key},
    )
