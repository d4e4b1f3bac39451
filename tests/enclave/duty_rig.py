"""Boots of an enclave whose policy demands grants, and the holder of the duty key beside them.

The forms are made here without the product's code: a map, cbor2, a tag and a signature.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate_mock.fake_nitro import EverybodyApproves, EverybodyAuthenticates
from enclave_signer.credentials import Ed25519Key
from enclave_signer.service import Service
from signer_api.v1 import signer_pb2
from tests.enclave.enclave_rig import ACCOUNT, SECOND, START, Clock, Enclave, Randomness, TinyVenue, policy

if TYPE_CHECKING:
    from enclave_signer.policy.model import Policy
    from enclave_signer.ports import Authority

DUTY: Final = Ed25519PrivateKey.from_private_bytes(b"duty" * 8)
OTHER: Final = Ed25519PrivateKey.from_private_bytes(b"else" * 8)
IMAGE: Final = hashlib.sha384(b"this image").digest()
OLDER: Final = hashlib.sha384(b"the image before").digest()
FOREIGN: Final = hashlib.sha384(b"no image of ours").digest()
MINUTE: Final = 60 * SECOND
GRANT_TAG: Final = b"casemate.duty.grant.v1\0"
RETIRE_TAG: Final = b"casemate.duty.retire.v1\0"
CHECKPOINT_TAG: Final = b"casemate.checkpoint.v1\0"


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def duty(**changes: object) -> dict[str, object]:
    """The field of the policy."""
    made = {"mode": "daemon", "key": public(DUTY).hex(), "longest_ms": 300_000, "predecessors": [OLDER.hex()]}
    return {**made, **changes}


def duty_policy(*accounts: dict[str, object], **changes: object) -> dict[str, Any]:
    return policy(*accounts, **{"duty": duty(), **changes})


@dataclass
class Attested:
    """Stands where the sessions are: all that duty asks of them is what the image measures."""

    pcr0: bytes | None = IMAGE
    unauthenticated: bool = True

    def measured(self) -> bytes | None:
        return self.pcr0

    def policy_changes(self, policy: Policy, *_: object) -> None:
        """No session ends."""


@dataclass
class Boot(Enclave):
    """One boot of the enclave, and the words of the duty officer about it."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    granted: int = 0

    def id(self) -> bytes:
        return public(self.key)

    def head(self) -> dict[str, object]:
        chain = self.service._chain
        return {"seq": chain.sequence, "hash": chain.hash}

    def statement(self, **changes: Any) -> dict[str, Any]:
        """What a right grant says: all of the account for a minute from now; fresh if it is the first."""
        made = {
            "format": "casemate.duty.grant.v1",
            "deployment": "test",
            "boot": self.id(),
            "sequence": self.granted + 1,
            "accounts": [ACCOUNT],
            "share": [1, 1],
            "policy_version": 1,
            "head": self.head(),
            "halts": [],
            "not_before": self.clock.now,
            # A little longer each time: an end has to lie after the one before.
            "not_after": self.clock.now + MINUTE + self.granted,
            "continues": None,
            "fresh": not self.granted,
        }
        return {**made, **changes}

    def hand_in(
        self,
        said: object,
        key: Ed25519PrivateKey = DUTY,
        checkpoint: signer_pb2.Checkpoint | None = None,
    ) -> signer_pb2.EnclaveReply:
        data = cbor2.dumps(said, canonical=True)
        message = signer_pb2.DutyGrant(grant=data, signature=key.sign(GRANT_TAG + data), continues=checkpoint)
        return self.call(grant=message)

    def grant(self, checkpoint: signer_pb2.Checkpoint | None = None, **changes: Any) -> signer_pb2.DutyStatus:
        """Grant, and be taken."""
        reply = self.hand_in(self.statement(**changes), checkpoint=checkpoint)
        assert reply.WhichOneof("answer") == "granted", reply.not_judged.message
        self.granted = reply.granted.duty.sequence
        return reply.granted.duty

    def refused(self, checkpoint: signer_pb2.Checkpoint | None = None, **changes: Any) -> str:
        """Grant, and be refused: the field at fault."""
        reply = self.hand_in(self.statement(**changes), checkpoint=checkpoint)
        assert reply.not_judged.reason == "NOT_APPROVED", reply
        return reply.not_judged.field

    def go_on(self, checkpoint: signer_pb2.Checkpoint, until: int, **changes: Any) -> signer_pb2.DutyStatus:
        """Grant the first time, from another boot's checkpoint."""
        return self.grant(checkpoint, continues=continues(checkpoint, until), fresh=False, **changes)

    def checkpoint(self) -> signer_pb2.Checkpoint:
        reply = self.call(checkpoint=signer_pb2.CheckpointRequest())
        assert reply.WhichOneof("answer") == "checkpoint", reply
        self.key.public_key().verify(reply.checkpoint.signature, CHECKPOINT_TAG + reply.checkpoint.checkpoint)
        return reply.checkpoint

    def retire(self, key: Ed25519PrivateKey = DUTY, **changes: Any) -> signer_pb2.EnclaveReply:
        said = {
            "format": "casemate.duty.retire.v1",
            "deployment": "test",
            "boot": self.id(),
            "sequence": self.granted + 1,
            "not_before": self.clock.now,
            "not_after": self.clock.now + MINUTE,
            **changes,
        }
        data = cbor2.dumps(said, canonical=True)
        return self.call(retire=signer_pb2.Retire(statement=data, signature=key.sign(RETIRE_TAG + data)))


def continues(checkpoint: signer_pb2.Checkpoint, until: int, pcr0: bytes = IMAGE) -> dict[str, object]:
    digest = hashlib.sha256(checkpoint.checkpoint).digest()
    return {"checkpoint": digest, "pcr0": pcr0.hex(), "until": until}


def said(checkpoint: signer_pb2.Checkpoint) -> dict[str, Any]:
    """What a checkpoint says."""
    read: dict[str, Any] = cbor2.loads(checkpoint.checkpoint)
    assert cbor2.dumps(read, canonical=True) == checkpoint.checkpoint, "not canonical"
    return read


def boot(
    document: dict[str, Any] | None = None,
    *,
    now: int = START,
    pcr0: bytes | None = IMAGE,
    authority: Authority | None = None,
    venue: TinyVenue | None = None,
    loaded: bool = True,
) -> Boot:
    """A boot with a policy and its credentials, and no grant yet."""
    key, place, clock = Ed25519PrivateKey.generate(), venue or TinyVenue(), Clock(now)
    service = Service(
        clock,
        Randomness(),
        EverybodyAuthenticates(),
        authority or EverybodyApproves(),
        sessions=Attested(pcr0),  # type: ignore[arg-type]  # what duty does not ask for is not there
        venues={place.name: place},
        capacity=1000,
        boot_key=Ed25519Key(key),
    )
    made = Boot(place, clock, service, key=key)
    if loaded:
        used = duty_policy() if document is None else document
        reply = made.load(used)
        assert reply.WhichOneof("answer") == "loaded", reply.not_judged.message
        for each in used["accounts"]:
            made.provision(str(each["name"]))
    return made
