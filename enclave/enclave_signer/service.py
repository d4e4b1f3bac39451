"""One request's bytes to one reply's bytes: all that the enclave does, pure but for its ports.

In this order, and the first thing that fails answers: the size of the request; the envelope; the phase table (is
this message answered now?); the message itself. An intent's way is in ``signing``; policy, credentials and RESUME
ask the authority first, over the bytes as they came, and are read only then.

Whatever fails that nobody foresaw answers INTERNAL without its text (S1, S10).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from enclave_signer import encode
from enclave_signer.boot import make_boot_key
from enclave_signer.decode import halt_scope
from enclave_signer.drift import NoDrift
from enclave_signer.duty.answers import DutyAnswers
from enclave_signer.duty.officer import BootId, Officer
from enclave_signer.errors import (
    BadCredential,
    BadPolicy,
    Malformed,
    NotAuthenticated,
    NotJudged,
    NotOpened,
    TooLate,
    WrongPhase,
)
from enclave_signer.ledger import Ledger
from enclave_signer.pauses import Pauses
from enclave_signer.phases import ANSWERED, Phase
from enclave_signer.policy.judge import Judge
from enclave_signer.policy.load import load
from enclave_signer.ports import Halted, Provision, Resumed
from enclave_signer.receipts import Chain
from enclave_signer.signing import Signing, too_large
from enclave_signer.vault import Vault
from enclave_signer.venues.registry import VENUES
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from enclave_signer.drift import Drift
    from enclave_signer.policy.prepared import Prepared
    from enclave_signer.ports import Authenticator, Authority, Clock, KeysIn, Randomness, SessionKeeper
    from enclave_signer.receipts import BootKey
    from enclave_signer.venues.base import Venue
    from signer_api.v1 import intent_pb2

MAX_REQUEST: Final = 2 << 20
MAX_POLICY: Final = 1 << 20
MAX_BATCH: Final = 64
MAX_CREDENTIAL: Final = 16_384
MAX_BUNDLE: Final = 32_768
MAX_ENVELOPE: Final = 8_192
MAX_APPROVALS: Final = 64
MAX_APPROVAL: Final = 16_384
# Statements begin and end by the clock. Intents are refused by a verdict of their own: the engine is to know.
_TIMED: Final = frozenset({"load_policy", "provision", "resume", "succeed", "grant", "retire"})
# Order ids of all accounts together; about a kilobyte each, and only while they are needed.
TABLE_CAPACITY: Final = 262_144


class Service:
    """The enclave. Not for threads: one call at a time."""

    def __init__(  # noqa: PLR0913 - the ports, then what tests narrow
        self,
        clock: Clock,
        randomness: Randomness,
        authenticator: Authenticator,
        authority: Authority,
        keys_in: KeysIn,
        *,
        sessions: SessionKeeper | None = None,
        venues: Mapping[str, Venue] = VENUES,
        capacity: int = TABLE_CAPACITY,
        pauses: Callable[[], Pauses] = Pauses,
        boot_key: BootKey | None = None,
        end: Callable[[], None] = lambda: None,
        drift: Drift | None = None,
    ) -> None:
        """Start without policy and credentials, so with almost nothing to answer.

        ``boot_key`` names this boot for those who sign a RESUME, and signs its receipts; without one it makes its own.
        ``sessions`` is the authenticator again, if engines can open sessions with it. ``end`` is called when this boot
        has come to its end, and nothing is answered any more but the status. ``drift`` is of the clock against the
        security module's, where there is one.
        """
        self._clock = clock.now_ns
        self._pauses = pauses
        self._drift = drift or NoDrift()
        self._authenticator = authenticator
        self._sessions = sessions
        self._authority = authority
        self._keys_in = keys_in
        self._end = end
        self._ended = ""
        self._venues = venues
        self._ledger = Ledger(capacity)
        self._judge = Judge(self._ledger)
        self._seen = 0
        self._held = False
        key = boot_key or make_boot_key(randomness)
        self._chain = Chain(key, self._now)
        self._signing = Signing(
            authenticator, self._judge, self._ledger, self._chain, self._now, randomness.bytes, drift=self._drift
        )
        self._vault = Vault()
        self._phase = Phase.AWAITING_POLICY
        boot = BootId(key.public_bytes(), key.sign, sessions.measured if sessions else lambda: None)
        self._officer = Officer(boot, self._ledger, self._judge, authority, self._chain)
        self._duty = DutyAnswers(self._officer, self._now, _approvals)
        self._calls: dict[str, Callable[[signer_pb2.EnclaveRequest], bytes]] = {
            "sign": self._on_sign,
            "sign_batch": self._on_batch,
            "derived": self._on_derived,
            "load_policy": self._on_load_policy,
            "provision": self._on_provision,
            "resume": self._on_resume,
            "status": self._on_status,
            "attest": self._on_attest,
            "open_session": self._on_open_session,
            "succeed": self._on_succeed,
            "halt": self._on_halt,
            "grant": self._duty.grant,
            "checkpoint": self._duty.checkpoint,
            "retire": self._duty.retire,
            "receipts": self._on_receipts,
        }

    def __repr__(self) -> str:
        """Show the phase and nothing else."""
        return f"<Service {self._phase.name}>"

    def handle(self, request: bytes) -> bytes:
        """Answer a serialised EnclaveRequest with a serialised EnclaveReply. Never raises."""
        envelope = signer_pb2.EnclaveRequest()
        try:
            _read(envelope, request)
            return self._calls[self._routed(envelope)](envelope) + encode.reply_head(self._chain.news())
        except NotJudged as error:
            return encode.reply_not_judged(envelope.request_id, error)
        except Exception:  # noqa: BLE001 - S1, S10: a fault of ours is answered without its text
            return encode.reply_not_judged(envelope.request_id, _internal())

    def sign_head(self) -> None:
        """Sign the receipts that have no signature yet: the server's timer calls this between orders."""
        self._chain.head(self._now())

    def _routed(self, envelope: signer_pb2.EnclaveRequest) -> str:
        """Return which call it is, if the phase answers it."""
        call: str | None = envelope.WhichOneof("call")
        if call is None:
            message = "call: one is required"
            raise Malformed(message, field="call")
        if call not in ANSWERED[self._phase]:
            message = f"{call} is not answered in phase {self._phase.name}"
            # A successor comes before the first policy, and no boot forgets its policy.
            raise (TooLate if call == "succeed" else WrongPhase)(message, field=call)
        if call in _TIMED:
            self._now()
            if self._drift.stops:
                raise self._drift.error()
        return call

    def _on_sign(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        return encode.reply_judged(envelope.request_id, self._signing.sealed(envelope.sign))

    def _on_batch(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        intents = envelope.sign_batch.intents
        if len(intents) > MAX_BATCH:
            raise too_large("sign_batch.intents", f"{MAX_BATCH} intents")
        return encode.reply_batch(envelope.request_id, [self._one(each) for each in intents])

    def _one(self, sealed: intent_pb2.SealedIntent) -> bytes | NotJudged:
        """Answer one intent of a batch by itself: the others are not to suffer for it."""
        try:
            return self._signing.sealed(sealed)
        except NotJudged as error:
            return error
        except Exception:  # noqa: BLE001 - as in handle
            return _internal()

    def _on_derived(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        return encode.reply_judged(envelope.request_id, self._signing.derived(envelope.derived))

    def _on_load_policy(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        message = envelope.load_policy
        if len(message.policy) > MAX_POLICY:
            raise too_large("policy", f"{MAX_POLICY} bytes")
        use_up = self._authority.approve_policy(message.policy, _approvals(message.approvals), self._now())
        policy = load(message.policy, self._venues)
        if policy.version <= self._judge.version:
            reason = f"version: {policy.version}: expected more than the live {self._judge.version}"
            raise BadPolicy(reason, field="version")
        live = self._judge.live
        if live is not None and live.policy.deployment != policy.deployment:
            reason = f"deployment: {policy.deployment}: expected {live.policy.deployment}, the live policy's"
            raise BadPolicy(reason, field="deployment")
        try:
            # First what may fail, at a venue that lacks the account's environment: a policy is live in full or not.
            self._vault.keep(policy.accounts.values())
        except BadCredential as error:
            raise BadPolicy(error.message, field=error.field) from None
        if self._sessions is not None:
            self._sessions.policy_changes(policy, self._authority.digest)
        self._chain.policy(policy.deployment, policy.version, policy.digest)
        self._judge.load(policy, self._now())
        self._officer.policy_changed(None if live is None else live.policy)
        self._signing.policy_changed()
        use_up()
        return self._loaded(envelope.request_id)

    def _on_provision(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        message = envelope.provision
        for name, most in (("credential", MAX_CREDENTIAL), ("bundle", MAX_BUNDLE), ("envelope", MAX_ENVELOPE)):
            if len(getattr(message, name)) > most:
                raise too_large(name, f"{most} bytes")
        live = self._live().policy
        asked = Provision(
            message.account, message.credential, message.bundle, message.envelope, _approvals(message.approvals)
        )
        try:
            key = self._keys_in.take(asked, live.deployment, self._now())
        except NotOpened as error:
            self._finish(error.reason)
            raise
        try:
            account = live.accounts.get(message.account)
            if account is None:
                reason = "account: the policy knows no such account"
                raise BadCredential(reason, field="account")
            self._vault.put(account, key.credential)
        finally:
            # What Python lets one wipe; the vault's own texts are not among it.
            key.credential[:] = bytes(len(key.credential))
        self._chain.record("credential", account=message.account, digest=key.subject)
        key.use_up()
        return self._loaded(envelope.request_id)

    def _finish(self, reason: str) -> None:
        """End this boot: keys are forgotten, and nothing is answered any more but the status."""
        self._phase, self._ended = Phase.ENDED, reason
        self._vault = Vault()
        self._signing.sites = {}
        self._end()

    def _on_resume(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        message = envelope.resume
        scope = halt_scope(message.scope, message.account, message.venue, message.symbol)
        resumed = Resumed(scope.name, message.account, message.venue, message.symbol, message.last)
        approvals = _approvals(message.approvals)
        use_up = self._authority.approve_resume(resumed, approvals, self._now())
        self._chain.record("resume", **resumed._asdict(), digest=_statements(approvals))
        self._ledger.halts.resume(scope, message.account, message.venue, message.symbol, message.last)
        self._judge.apply_halts()
        self._officer.resumed()
        use_up()
        return self._on_status(envelope)

    def _on_halt(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        message = envelope.halt
        scope = halt_scope(message.scope, message.account, message.venue, message.symbol)
        halted = Halted(scope.name, message.account, message.venue, message.symbol)
        approval = _approvals([message.approval])[0]
        signer, use_up = self._authority.approve_halt(halted, approval, self._now())
        self._judge.halt_for_administrator(scope, halted, signer, self._now())
        self._chain.record("halt", **halted._asdict(), digest=_statements([approval]))
        use_up()
        return self._on_status(envelope)

    def _on_succeed(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        message = envelope.succeed
        self._authority.succeed(message.quorum, _approvals(message.approvals), self._now())
        self._chain.record("quorum", digest=self._authority.digest, generation=self._authority.generation)
        return self._on_status(envelope)

    def _on_status(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        live = self._judge.live
        status = signer_pb2.EnclaveStatus(
            phase=int(self._phase),  # type: ignore[arg-type]  # the stubs want their own enum
            policy_version=self._judge.version,
            policy_digest=b"" if live is None else live.policy.digest,
            halts=[
                signer_pb2.Halt(
                    scope=int(halt.scope),  # type: ignore[arg-type]  # as above
                    account=halt.account,
                    venue=halt.venue,
                    symbol=halt.symbol,
                    by=halt.by,
                    since=halt.since,
                    number=halt.number,
                )
                for halt in self._ledger.halts
            ],
            accounts=[] if live is None else sorted(live.policy.accounts),
            unauthenticated=self._authenticator.unauthenticated,
            judged=self._signing.judged,
            refused=self._signing.refused,
            clock=self._clock(),
            gc=signer_pb2.GcPauses(**self._pauses()._asdict()),
            boot_key=self._chain.boot,
            ended=self._ended,
            duty=self._duty.status(),
            head=encode.signed_head(self._chain.head(self._now())),
            clock_drift=self._drift.nanoseconds,
            quorum=self._authority.digest,
            quorum_generation=self._authority.generation,
            provisioned=sorted(self._signing.sites),
        )
        return signer_pb2.EnclaveReply(request_id=envelope.request_id, status=status).SerializeToString()

    def _on_attest(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        keeper, asked = self._keeper(), envelope.attest
        if asked.purpose not in signer_pb2.DocumentPurpose.values():
            message = f"purpose: {asked.purpose}: no such purpose"
            raise Malformed(message, field="purpose")
        for_kms = asked.purpose == signer_pb2.DOCUMENT_PURPOSE_KMS
        public_key = self._keys_in.recipient() if for_kms else b""
        attested = signer_pb2.Attested(document=keeper.attest(asked.nonce, public_key))
        return signer_pb2.EnclaveReply(request_id=envelope.request_id, attested=attested).SerializeToString()

    def _on_open_session(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        asked = envelope.open_session
        handle, message = self._keeper().open(asked.handle, asked.message)
        opened = signer_pb2.SessionOpened(handle=handle, message=message)
        return signer_pb2.EnclaveReply(request_id=envelope.request_id, session_opened=opened).SerializeToString()

    def _on_receipts(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        asked = envelope.receipts
        page = self._chain.page(asked.from_sequence, asked.limit)
        head = encode.signed_head(self._chain.head(self._now()))
        receipts = signer_pb2.Receipts(receipts=page, head=head)
        return signer_pb2.EnclaveReply(request_id=envelope.request_id, receipts=receipts).SerializeToString()

    def _keeper(self) -> SessionKeeper:
        if self._sessions is None:
            message = "session: this enclave has no sessions"
            raise NotAuthenticated(message, field="session")
        return self._sessions

    def _loaded(self, request_id: int) -> bytes:
        policy = self._live().policy
        self._signing.sites = sites = self._vault.sites()
        ready = policy.accounts.keys() <= sites.keys()
        self._phase = Phase.READY if ready else Phase.AWAITING_CREDENTIALS
        loaded = signer_pb2.Loaded(
            policy_version=policy.version,
            policy_digest=policy.digest,
            phase=int(self._phase),  # type: ignore[arg-type]  # as above
        )
        return signer_pb2.EnclaveReply(request_id=request_id, loaded=loaded).SerializeToString()

    def _live(self) -> Prepared:
        if self._judge.live is None:
            message = "no policy is live"
            raise WrongPhase(message)
        return self._judge.live

    def _now(self) -> int:
        """Return the clock's time, or the latest seen: a clock that goes backwards loosens nothing."""
        now = self._clock()
        if now <= self._seen:
            self._drift.held(self._seen - now)
            self._held = True
            return self._seen
        if self._held:
            self._drift.held(0)
            self._held = False
        self._seen = now
        return now


def _read(envelope: signer_pb2.EnclaveRequest, request: bytes) -> None:
    if len(request) > MAX_REQUEST:
        raise too_large("request", f"{MAX_REQUEST} bytes")
    try:
        envelope.ParseFromString(request)
    except DecodeError:
        message = "request: not an EnclaveRequest"
        raise Malformed(message, field="request") from None


def _statements(approvals: Sequence[bytes]) -> bytes:
    """Return the digest of the statements by which something was approved, as they came; none for none."""
    return hashlib.sha256(b"".join(approvals)).digest() if approvals else b""


def _approvals(approvals: Sequence[bytes]) -> list[bytes]:
    if len(approvals) > MAX_APPROVALS or any(len(each) > MAX_APPROVAL for each in approvals):
        raise too_large("approvals", f"{MAX_APPROVALS} of {MAX_APPROVAL} bytes")
    return list(approvals)


def _internal() -> NotJudged:
    return NotJudged("internal fault; nothing was decided")
