"""The whole of it on one stage: what ships in the enclave over a pretended module, honest people, and the host's hands.

Real are the service, its sessions, the quorum, duty with a key off the host, keys that come in sealed, and the engines'
own sealers. Statements of administrators and of the duty officer are written here, from the documents alone.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate import AttestedSealer, Pins
from casemate.attestation import parse
from casemate.failures import not_judged
from casemate.session.sealer import ATTEST, OPEN
from casemate_mock.nitro import FakeChain, FakeNsm, measure, seal_envelope
from enclave_signer.nitro.cms import Recipient
from enclave_signer.nitro.recipients import RsaRecipients
from enclave_signer.quorum import Quorum
from enclave_signer.sealed.keys_in import SealedKeys
from enclave_signer.service import Service
from enclave_signer.session.sessions import Sessions
from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave import enclave_rig, quorum_rig
from tests.enclave.enclave_rig import ACCOUNT, BTC, ENGINE, ETH, SECOND, Clock, TinyVenue, canonical
from tests.sealed import sealed_rig
from tests.session.session_rig import Dice, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from casemate.sealing import Step
    from enclave_signer.drift import Drift
    from enclave_signer.venues.base import Venue

OTHER: Final = "other"
ALT: Final = "alt"
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
MEASUREMENTS: Final = {index: measure(b"the image, part %d" % index) for index in (0, 1, 2)}
FOREIGN: Final = {index: measure(b"another image, part %d" % index) for index in (0, 1, 2)}
CHAIN: Final = FakeChain()
DUTY: Final = Ed25519PrivateKey.from_private_bytes(b"duty" * 8)
# Whatever the host signs with.
HOSTS: Final = Ed25519PrivateKey.from_private_bytes(b"host" * 8)
QUORUM: Final = hashlib.sha256(quorum_rig.quorum_file()).digest()
SECRETS: Final = {name: f"secret-of-{name}-0123456789abcdef" for name in (ACCOUNT, ALT)}
GRANT_TAG: Final = b"casemate.duty.grant.v1\0"
RETIRE_TAG: Final = b"casemate.duty.retire.v1\0"


def public(key: Ed25519PrivateKey) -> bytes:
    """Return the key's 32 public bytes."""
    return key.public_key().public_bytes_raw()


def document(version: int = 1, **changes: Any) -> dict[str, Any]:
    """A policy: two accounts, two engines, one of which has both accounts; new orders need the duty key's grants."""
    accounts = changes.pop("accounts", None) or [
        enclave_rig.account(name, grants=[enclave_rig.grant(engines=sorted(engines))])
        for name, engines in ((ALT, {ENGINE}), (ACCOUNT, {ENGINE, OTHER}))
    ]
    rights = ((ENGINE, [ALT, ACCOUNT]), (OTHER, [ACCOUNT]))
    engines = [{"name": name, "accounts": own, "public_key": public(key_of(name)).hex()} for name, own in rights]
    duty = {"mode": "daemon", "key": public(DUTY).hex(), "longest_ms": 300_000, "predecessors": []}
    return enclave_rig.policy(*accounts, version=version, engines=engines, **{"duty": duty, **changes})


def named(answer: signer_pb2.EnclaveReply) -> tuple[str, str]:
    """Why the enclave did not judge: reason and field."""
    assert answer.WhichOneof("answer") == "not_judged", answer
    return answer.not_judged.reason, answer.not_judged.field


@dataclass
class Boot:
    """One boot of the enclave, before its first policy."""

    clock: Clock = field(default_factory=Clock)
    measurements: dict[int, bytes] = field(default_factory=lambda: dict(MEASUREMENTS))
    chain: FakeChain = CHAIN
    debug: bool = False
    # The real ones, or one that shows what it signs.
    venues: Mapping[str, Venue] = field(default_factory=lambda: {"tiny": TinyVenue()})
    drift: Drift | None = None
    # What the host has done to each step of a handshake.
    tamper: Callable[[Step], Step] = lambda step: step

    def __post_init__(self) -> None:
        self.nsm = FakeNsm(
            chain=self.chain,
            now_ms=lambda: self.clock.now // 1_000_000,
            random_bytes=os.urandom,
            measurements=self.measurements,
            debug=self.debug,
        )
        self.sessions = Sessions(self.clock, Dice(), self.nsm)
        self.key = self.sessions.keys.receipt_public
        keys = itertools.cycle(sealed_rig.POOL)
        quorum = Quorum(quorum_rig.admins(), self.key)
        recipients = RsaRecipients(lambda: Recipient(next(keys)))
        self.service = Service(
            self.clock,
            Dice(),
            self.sessions,
            quorum,
            SealedKeys(quorum, recipients, self.sessions.keys.provision, self.key),
            sessions=self.sessions,
            venues=self.venues,
            boot_key=self.sessions.keys.receipts,
            drift=self.drift,
            capacity=1000,
        )
        self.heard: list[bytes] = []

    # --- the host's hands

    def call(self, **call: Any) -> signer_pb2.EnclaveReply:
        """Hand the enclave a request; everything that leaves it is kept."""
        raw = self.service.handle(signer_pb2.EnclaveRequest(request_id=7, **call).SerializeToString())
        self.heard.append(raw)
        return signer_pb2.EnclaveReply.FromString(raw)

    def ask(self, **call: Any) -> signer_pb2.EnclaveReply:
        """Ask as the engine's SDK would see it: what is not judged is raised."""
        reply = self.call(**call)
        if reply.WhichOneof("answer") == "not_judged":
            why = reply.not_judged
            raise not_judged(why.reason, why.message, why.field, retry_can_help=why.retry_can_help)
        return reply

    def carry(self, step: Step) -> bytes:
        """Pass a step of a handshake on."""
        step = self.tamper(step)
        if step.method == ATTEST:
            return self.ask(attest=signer_pb2.Attest.FromString(step.request)).attested.SerializeToString()
        assert step.method == OPEN
        asked = signer_pb2.OpenSession.FromString(step.request)
        return self.ask(open_session=asked).session_opened.SerializeToString()

    def sign(self, sealed: intent_pb2.SealedIntent) -> signer_pb2.Judged:
        """Have an intent judged."""
        reply = self.call(sign=sealed)
        assert reply.WhichOneof("answer") == "judged", reply
        return reply.judged

    def refused(self, sealed: intent_pb2.SealedIntent) -> str:
        """Hand in what is not authenticated; the field at fault."""
        reason, at = named(self.call(sign=sealed))
        assert reason == "NOT_AUTHENTICATED"
        return at

    def status(self) -> signer_pb2.EnclaveStatus:
        """Ask how it is."""
        return self.call(status=signer_pb2.StatusRequest()).status

    def checkpoint(self) -> signer_pb2.Checkpoint:
        """Ask for what was counted."""
        return self.call(checkpoint=signer_pb2.CheckpointRequest()).checkpoint

    def receipts(self) -> list[bytes]:
        """Ask for the chain."""
        return list(self.call(receipts=signer_pb2.ReceiptsRequest(limit=1000)).receipts.receipts)

    def head(self) -> dict[str, Any]:
        """Ask for the newest head; what it says."""
        said: dict[str, Any] = cbor2.loads(self.status().head.head)
        return said

    def resume(self, last: int, approvals: list[bytes], **target: Any) -> signer_pb2.EnclaveReply:
        """Hand in a RESUME of everything."""
        target.setdefault("scope", intent_pb2.HALT_SCOPE_ALL)
        return self.call(resume=signer_pb2.Resume(last=last, approvals=approvals, **target))

    # --- what else honest people do

    def load(self, said: dict[str, Any], approvals: list[bytes]) -> signer_pb2.EnclaveReply:
        """Hand in a policy."""
        return self.call(load_policy=signer_pb2.LoadPolicy(policy=canonical(said), approvals=approvals))

    def provision(
        self, bundle: Sealed, approvals: list[bytes] | None = None, *, key: bytes = b"", account: str = ""
    ) -> signer_pb2.EnclaveReply:
        """Hand in a bundle with what KMS would answer, or what is encrypted in its place."""
        document = self.ask(attest=signer_pb2.Attest(purpose=signer_pb2.DOCUMENT_PURPOSE_KMS)).attested.document
        envelope = seal_envelope(
            key or bundle.key,
            parse(document).public_key or b"",
            content_key=os.urandom(32),
            initialisation_vector=os.urandom(16),
        )
        return self.call(
            provision=signer_pb2.Provision(
                account=account or bundle.account,
                bundle=bundle.data,
                envelope=envelope,
                approvals=bundle.approvals if approvals is None else approvals,
            )
        )

    def hand_grant(
        self, data: bytes, signature: bytes, checkpoint: signer_pb2.Checkpoint | None = None
    ) -> signer_pb2.EnclaveReply:
        """Hand in a grant."""
        return self.call(grant=signer_pb2.DutyGrant(grant=data, signature=signature, continues=checkpoint))

    def hand_retirement(self, data: bytes, signature: bytes) -> signer_pb2.EnclaveReply:
        """Hand in a retirement."""
        return self.call(retire=signer_pb2.Retire(statement=data, signature=signature))


@dataclass
class Sealed:
    """A sealed credential, its data key, and its approvals."""

    account: str
    data: bytes
    key: bytes
    approvals: list[bytes]


@dataclass
class Stage:
    """One deployment over time: its administrators, its duty officer, and every boot there was."""

    clock: Clock = field(default_factory=Clock)
    # How the first policy differs from the usual one.
    first: InitVar[dict[str, Any] | None] = None
    statements: Any = field(default_factory=lambda: itertools.count(1))
    grants: Any = field(default_factory=lambda: itertools.count(1))
    policies: dict[int, tuple[dict[str, Any], list[bytes]]] = field(default_factory=dict)
    bundles: dict[tuple[str, int], Sealed] = field(default_factory=dict)
    ids: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self, first: dict[str, Any] | None) -> None:
        self.policy(1, **(first or {}))
        self.boot = self.started()
        self.granted(self.boot, fresh=True)

    # --- administrators, two of three of them

    def signed(self, kind: str, *, signers: tuple[int, ...] = (0, 1), **said: Any) -> list[bytes]:
        """Approve, for an hour from now on."""
        times = {"not_before": self.clock.now - SECOND, "not_after": self.clock.now + HOUR}
        sequence = said.pop("sequence", None) or next(self.statements)
        return quorum_rig.approvals(*signers, kind=kind, **{**times, "sequence": sequence, **said})

    def policy(self, version: int = 1, **changes: Any) -> tuple[dict[str, Any], list[bytes]]:
        """A policy with its approvals: once written, always the same."""
        if version not in self.policies:
            said = document(version, **changes)
            subject = hashlib.sha256(canonical(said)).hexdigest()
            self.policies[version] = said, self.signed("policy", subject=subject, version=version)
        return self.policies[version]

    def bundle(self, account: str = ACCOUNT, version: int = 1, **changes: Any) -> Sealed:
        """A sealed credential with its approvals: once made, always the same."""
        if (account, version) not in self.bundles:
            credential = canonical({"apiKey": f"key-of-{account}", "secret": SECRETS[account]})
            made = sealed_rig.kms_sealed(credential, account=account, version=version, **changes)
            subject = hashlib.sha256(made.bundle).hexdigest()
            approvals = self.signed("credential", subject=subject, account=account, version=version)
            self.bundles[account, version] = Sealed(account, made.bundle, made.key, approvals)
        return self.bundles[account, version]

    def resume(self, boot: Boot, last: int, **changes: Any) -> list[bytes]:
        """Approve the end of every HALT up to one."""
        said = {"scope": "ALL", "account": "", "last": last, "boot": boot.key.hex(), **changes}
        return self.signed("resume", **said)

    # --- boots

    def started(self, policy: int = 1, **options: Any) -> Boot:
        """Start an enclave, give it policy and credentials; it is not on duty yet."""
        boot = Boot(clock=self.clock, **options)
        reply = boot.load(*self.policy(policy))
        assert reply.WhichOneof("answer") == "loaded", reply
        for account in (ACCOUNT, ALT):
            reply = boot.provision(self.bundle(account))
            assert reply.WhichOneof("answer") == "loaded", reply
        return boot

    # --- the duty officer

    def grant(self, boot: Boot, key: Ed25519PrivateKey = DUTY, **changes: Any) -> tuple[bytes, bytes]:
        """A right grant for a minute from now on, with changes, and its signature."""
        head = boot.head()
        number = next(self.grants)
        said = {
            "format": "casemate.duty.grant.v1",
            "deployment": "test",
            "boot": boot.key,
            "sequence": number,
            "accounts": [ALT, ACCOUNT],
            "share": [1, 1],
            "policy_version": 1,
            "head": {"seq": head["seq"], "hash": head["hash"]},
            "halts": [],
            "not_before": self.clock.now,
            # A little longer each time: an end has to lie after the one before.
            "not_after": self.clock.now + MINUTE + number,
            "continues": None,
            "fresh": False,
            **changes,
        }
        data = canonical(said)
        return data, key.sign(GRANT_TAG + data)

    def granted(self, boot: Boot, checkpoint: signer_pb2.Checkpoint | None = None, **changes: Any) -> int:
        """Grant, and be taken; when it ends."""
        data, signature = self.grant(boot, **changes)
        reply = boot.hand_grant(data, signature, checkpoint)
        assert reply.WhichOneof("answer") == "granted", reply
        end: int = cbor2.loads(data)["not_after"]
        return end

    def retirement(self, boot: Boot, key: Ed25519PrivateKey = DUTY, **changes: Any) -> tuple[bytes, bytes]:
        """A right retirement, with changes, and its signature."""
        said = {
            "format": "casemate.duty.retire.v1",
            "deployment": "test",
            "boot": boot.key,
            "sequence": next(self.grants),
            "not_before": self.clock.now,
            "not_after": self.clock.now + MINUTE,
            **changes,
        }
        data = canonical(said)
        return data, key.sign(RETIRE_TAG + data)

    # --- engines

    def pins(self, **changes: Any) -> Pins:
        """What an engine of this deployment expects."""
        expected = {"pcrs": {0: MEASUREMENTS[0]}, "deployment": "test", "root": CHAIN.root, "quorum": {QUORUM}}
        return Pins(**{**expected, **changes})

    def engine(self, boot: Boot | None = None, name: str = ENGINE, **options: Any) -> Engine:
        """An honest engine with a session."""
        pins = options.pop("pins", None) or self.pins()
        sign = options.pop("sign", None) or key_of(name).sign
        sealer = AttestedSealer(name, sign, pins, clock=self.clock.now_ns, **options)
        return Engine(self, sealer).opened(boot or self.boot)


@dataclass
class Engine:
    """An honest engine: what it hands over is what the host gets."""

    stage: Stage
    sealer: AttestedSealer

    def opened(self, boot: Boot) -> Engine:
        """Open a session by way of the host."""
        opening = self.sealer.opening()
        try:
            step = next(opening)
            while True:
                try:
                    answer = boot.carry(step)
                except Exception as error:  # noqa: BLE001 - as the gateway does
                    step = opening.throw(error)
                else:
                    step = opening.send(answer)
        except StopIteration:
            return self

    def seal(self, intent: intent_pb2.Intent) -> intent_pb2.SealedIntent:
        """Hand an intent over."""
        return self.sealer.seal(intent.SerializeToString())

    def order(self, **changes: Any) -> intent_pb2.SealedIntent:
        """Hand a good order over: a buy of 1 at 50, worth 100 at most."""
        return self.seal(self.intent(**changes))

    def intent(self, **changes: Any) -> intent_pb2.Intent:
        """A good order, of now."""
        name = {"client_order_id": f"id-{next(self.stage.ids)}"}
        return enclave_rig.order(**{**name, **self.times(), **changes})

    def other(self, kind: str, **changes: Any) -> intent_pb2.SealedIntent:
        """Hand something else over."""
        return self.seal(enclave_rig.plain(kind, **{**self.times(), **changes}))

    def times(self) -> dict[str, int]:
        """Of now, for ten seconds."""
        now = max(self.stage.clock.now, self.sealer.since)
        return {"created_at": now, "valid_until": now + 10 * SECOND}

    def believes(self, sealed: intent_pb2.SealedIntent, judged: signer_pb2.Judged) -> bool:
        """Whether the engine takes this for the enclave's own word on that intent."""
        return self.sealer.proves(sealed.session, sealed.counter, judged.proof, judged.receipt)


def allowed(judged: signer_pb2.Judged) -> bool:
    """Whether something signed came; a refusal never carries a request."""
    yes = judged.verdict.decision == signer_pb2.DECISION_ALLOW
    assert yes or not judged.HasField("request")
    return yes


__all__ = [
    "ACCOUNT",
    "ALT",
    "BTC",
    "CHAIN",
    "DUTY",
    "ENGINE",
    "ETH",
    "FOREIGN",
    "GRANT_TAG",
    "HOSTS",
    "HOUR",
    "MEASUREMENTS",
    "MINUTE",
    "OTHER",
    "QUORUM",
    "RETIRE_TAG",
    "SECOND",
    "SECRETS",
    "Boot",
    "Clock",
    "Engine",
    "Sealed",
    "Stage",
    "allowed",
    "canonical",
    "document",
    "named",
    "public",
]
