"""Sealed credentials made without the product's code, and one boot of an enclave that takes nothing else.

The quorum is the real one, the security module a pretended one; bundles are written here from docs/sealed-keys.md.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import InitVar, dataclass, field
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from casemate.attestation import parse
from casemate_mock.fake_nitro import EverybodyAuthenticates
from casemate_mock.nitro import FakeChain, FakeNsm, measure, seal_envelope
from enclave_signer.nitro.cms import Recipient
from enclave_signer.nitro.recipients import RsaRecipients
from enclave_signer.sealed.keys_in import SealedKeys
from enclave_signer.service import Service
from enclave_signer.session.sessions import Sessions
from signer_api.v1 import signer_pb2
from tests.enclave.enclave_rig import ACCOUNT, START, Clock, Enclave, TinyVenue, account, canonical, policy
from tests.enclave.quorum_rig import HOUR, admins, approvals
from tests.enclave.quorum_rig import quorum as quorum_of

DEPLOYMENT: Final = "test"
ARN: Final = "arn:aws:kms:us-east-1:123456789012:key/0b2b7a44-9f3b-4a44-8a55-6a9c9f1f0d11"
CHAIN: Final = FakeChain()
MEASUREMENTS: Final = {index: measure(b"part %d" % index) for index in (0, 1, 2)}
SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
SECRET: Final = "rig-secret-of-the-sealed-account"  # noqa: S105 - a made-up one; tests look for it in what leaves
# Making one takes a while, and a test that needs a fresh one asks for it.
POOL: Final = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(3)]


def credential(**changes: str) -> bytes:
    return canonical({"apiKey": "sealed-key", "secret": SECRET, **changes})


def label(**changes: Any) -> dict[str, Any]:
    named = {"deployment": DEPLOYMENT, "account": ACCOUNT, "purpose": "credential", "version": 1, "created": 7}
    return {**named, **changes}


def context_of(fields: dict[str, Any]) -> dict[str, str]:
    return {name: str(fields[name]) for name in ("deployment", "account", "purpose", "version")}


@dataclass
class KmsSealed:
    """A bundle through KMS, and the data key that KMS would give back for it."""

    fields: dict[str, Any]
    key: bytes

    @property
    def bundle(self) -> bytes:
        return canonical(self.fields)


def kms_sealed(data: bytes = b"", key: bytes = b"", **changes: Any) -> KmsSealed:
    """Seal; ``changes`` are made before the encryption, so that it covers them."""
    named = label(**{name: changes.pop(name) for name in list(changes) if name in label()})
    head = {
        "format": "casemate.bundle.v1",
        **named,
        "sealed": "kms",
        "key_id": ARN,
        "context": context_of(named),
        "wrapped_key": b"wrapped by KMS, whatever that is",
        "nonce": os.urandom(12),
        **changes,
    }
    used = key or os.urandom(32)
    bound = b"casemate.bundle.kms.v1\0" + canonical(head)
    ciphertext = AESGCM(used).encrypt(head["nonce"], data or credential(), bound)
    return KmsSealed({**head, "ciphertext": ciphertext}, used)


def content(data: bytes = b"", **changes: Any) -> bytes:
    made = {"format": "casemate.credential.v1", **label(), "salt": bytes(range(32)), "credential": data or credential()}
    return canonical({**made, **changes})


def direct_sealed(inner: bytes, boot: bytes, key: bytes, **changes: Any) -> bytes:
    """Seal a content to a boot; ``changes`` are made before the encryption."""
    said = cbor2.loads(inner)
    head = {
        "format": "casemate.bundle.v1",
        **{name: said[name] for name in label()},
        "sealed": "hpke",
        "boot": boot,
        "content": hashlib.sha256(inner).digest(),
        **changes,
    }
    info = b"casemate.bundle.hpke.v1\0" + canonical(head)
    both = SUITE.encrypt(inner, X25519PublicKey.from_public_bytes(key), info)
    return canonical({**head, "enc": both[:32], "ciphertext": both[32:]})


def signed(subject: bytes, *signers: int, **changes: Any) -> list[bytes]:
    """Administrators' approvals of what has this digest."""
    said = {"subject": subject.hex(), "account": ACCOUNT, "version": 1, "sequence": 1}
    said |= {"not_before": START - HOUR, "not_after": START + HOUR}
    return approvals(*(signers or (0, 1)), kind="credential", **(said | changes))


@dataclass
class Boot:
    """One boot of an enclave whose keys come in sealed only."""

    document: dict[str, Any] = field(default_factory=lambda: policy(account(), version=7))
    fresh: bool = False
    # Whether the policy goes in at once.
    load: InitVar[bool] = True

    def __post_init__(self, load: bool) -> None:
        self.clock, self.venue = Clock(), TinyVenue()
        nsm = FakeNsm(
            chain=CHAIN,
            now_ms=lambda: self.clock.now // 1_000_000,
            random_bytes=os.urandom,
            measurements=MEASUREMENTS,
        )
        sessions = Sessions(self.clock, _Random(), nsm)
        self.key, self.boot = sessions.keys.provision_public, sessions.keys.receipt_public
        self.quorum = quorum_of(self.boot)
        keys = iter(POOL)
        recipients = RsaRecipients() if self.fresh else RsaRecipients(lambda: Recipient(next(keys)))
        self.keys_in = SealedKeys(self.quorum, recipients, sessions.keys.provision, self.boot)
        self.ends: list[bool] = []
        self.service = Service(
            self.clock,
            _Random(),
            EverybodyAuthenticates(),
            self.quorum,
            self.keys_in,
            sessions=sessions,
            venues={"tiny": self.venue},
            end=lambda: self.ends.append(True),
            boot_key=sessions.keys.receipts,
        )
        self.enclave = Enclave(self.venue, self.clock, self.service)
        if load:
            self.load_policy()

    def load_policy(self) -> None:
        """Load the policy, approved."""
        data = canonical(self.document)
        right = approvals(
            0,
            1,
            subject=hashlib.sha256(data).hexdigest(),
            version=self.document["version"],
            not_before=START - HOUR,
            not_after=START + HOUR,
        )
        loaded = self.enclave.call(load_policy=signer_pb2.LoadPolicy(policy=data, approvals=right))
        assert loaded.WhichOneof("answer") == "loaded", loaded.not_judged.message

    def public_key(self) -> bytes:
        """Ask for a document for KMS; its public key."""
        asked = signer_pb2.Attest(purpose=signer_pb2.DOCUMENT_PURPOSE_KMS)
        reply = self.enclave.call(attest=asked)
        assert reply.WhichOneof("answer") == "attested", reply.not_judged.message
        return parse(reply.attested.document).public_key or b""

    def envelope(self, key: bytes, public_key: bytes = b"", **options: Any) -> bytes:
        """What KMS answers for a data key."""
        return seal_envelope(
            key,
            public_key or self.public_key(),
            content_key=os.urandom(32),
            initialisation_vector=os.urandom(16),
            **options,
        )

    def provision(
        self, bundle: bytes, envelope: bytes = b"", approved: list[bytes] | None = None, name: str = ACCOUNT
    ) -> signer_pb2.EnclaveReply:
        given = signed(hashlib.sha256(bundle).digest()) if approved is None else approved
        message = signer_pb2.Provision(account=name, bundle=bundle, envelope=envelope, approvals=given)
        return self.enclave.call(provision=message)

    def reason(self, *arguments: Any, **options: Any) -> tuple[str, str]:
        """Provision what must be refused; the reason and the field."""
        reply = self.provision(*arguments, **options)
        assert reply.WhichOneof("answer") == "not_judged", reply
        return reply.not_judged.reason, reply.not_judged.field

    @property
    def phase(self) -> int:
        return self.enclave.status().phase


class _Random:
    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


def fields_of(bundle: bytes, **changes: Any) -> bytes:
    """Return a bundle with some fields changed after it was sealed; None takes one away."""
    said = {**cbor2.loads(bundle), **changes}
    return canonical({name: value for name, value in said.items() if value is not None})


__all__ = ["admins"]
