"""Opening sessions and telling who sent an intent (S3).

Two messages open a session. The first is a Noise handshake with the attested key; it proves nothing about the
engine. The second, inside the channel, is the engine's Ed25519 signature over the handshake's hash, under a key that
the live policy names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from enclave_signer.errors import Malformed, NotAuthenticated, TooLarge, WrongPhase
from enclave_signer.session import forms
from enclave_signer.session.boot import BootKeys, Witness
from enclave_signer.session.noise import KEY_BYTES, NoiseError, respond
from enclave_signer.session.table import Session, Table

if TYPE_CHECKING:
    from enclave_signer.policy.model import Policy
    from enclave_signer.ports import Clock, Randomness, SecurityModule, Sender

HANDLE_BYTES: Final = 16
LEAST_NONCE: Final = 16
MOST_NONCE: Final = 64
MAX_HANDSHAKE_MESSAGE: Final = 1024


class Sessions:
    """The authenticator of an enclave that has a security module. Not for threads, as the service."""

    unauthenticated = False

    def __init__(self, clock: Clock, randomness: Randomness, module: SecurityModule) -> None:
        """Make this boot's keys; nothing can be opened before a policy is live."""
        self._clock = clock.now_ns
        self._random = randomness.bytes
        self.keys = BootKeys(randomness.bytes)
        self._witness = Witness(module)
        self._table = Table()
        self._engines: dict[str, Ed25519PublicKey] = {}
        self._statement = b""
        self._prologue = b""
        self._seen = 0

    def __repr__(self) -> str:
        """Show no key."""
        return f"<Sessions {len(self._table)} live>"

    def policy_changes(self, policy: Policy, quorum: bytes) -> None:
        """End every session: the next ones are opened under this policy. Raises NoDocument.

        Called when everything else about the policy was found good, and before it goes live.
        """
        self._witness.seal(quorum, policy.digest)
        self._table.clear()
        self._engines = {name: Ed25519PublicKey.from_public_bytes(key) for name, key in policy.engine_keys.items()}
        self._statement = forms.user_data(
            policy, quorum, self.keys.session_public, self.keys.receipt_public, self.keys.provision_public
        )
        self._prologue = forms.prologue(self._statement)

    def attest(self, nonce: bytes, public_key: bytes = b"") -> bytes:
        """Return an attestation document that carries the nonce, and a public key if there is one. Raises NotJudged."""
        if nonce and not LEAST_NONCE <= len(nonce) <= MOST_NONCE:
            message = f"nonce: {len(nonce)} bytes: expected none, or {LEAST_NONCE} to {MOST_NONCE}"
            raise Malformed(message, field="nonce")
        return self._witness.document(self._live_statement(), nonce, self._now(), public_key)

    def measured(self) -> bytes | None:
        """Return PCR0, what the image measures; None if the security module does not say."""
        return self._witness.measured()

    def open(self, handle: bytes, message: bytes) -> tuple[bytes, bytes]:
        """Take one of the two messages; returns the handle and the message that answer it. Raises NotJudged."""
        if len(message) > MAX_HANDSHAKE_MESSAGE or len(handle) > HANDLE_BYTES:
            text = f"message: at most {MAX_HANDSHAKE_MESSAGE} bytes, and a handle of {HANDLE_BYTES}"
            raise TooLarge(text, field="message")
        self._live_statement()
        try:
            return self._claimed(handle, message) if handle else self._begun(message)
        except NoiseError:
            text = "message: refused; verify a new document and begin again"
            raise NotAuthenticated(text, field="message") from None

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> Sender:
        """Return who sealed the intent, or raise NotAuthenticated."""
        found = self._table.get(session, self._now())
        if found is None:
            message = "session: unknown, expired or ended; open another one"
            raise NotAuthenticated(message, field="session")
        if not found.accepts(counter, intent, mac):
            message = "mac: not of this session, counter and intent"
            raise NotAuthenticated(message, field="mac")
        if not found.window.take(counter):
            message = "counter: used before, or too far behind the latest"
            raise NotAuthenticated(message, field="counter")
        return found.sender

    def _begun(self, message: bytes) -> tuple[bytes, bytes]:
        ephemeral = X25519PrivateKey.from_private_bytes(self._random(KEY_BYTES))
        said, answer, channel = respond(self.keys.session, ephemeral, self._prologue, message)
        if said:
            text = "message: the first message carries no payload"
            raise Malformed(text, field="message")
        handle = self._random(HANDLE_BYTES)
        self._table.begin(handle, channel, self._now())
        return handle, answer

    def _claimed(self, handle: bytes, message: bytes) -> tuple[bytes, bytes]:
        now = self._now()
        channel = self._table.finish(handle, now)
        if channel is None:
            text = "handle: no such handshake, or it took too long"
            raise NotAuthenticated(text, field="handle")
        claim = forms.read_claim(channel.decrypt(message), channel.handshake_hash)
        if claim is None:
            text = "message: not a claim"
            raise Malformed(text, field="message")
        self._check(claim)
        if claim.alone:
            self._table.end_of(claim.engine)
        else:
            self._table.end_of(claim.engine, claim.replaces)
        secret, name = self._random(forms.SECRET_BYTES), self._random(forms.SESSION_BYTES)
        session = Session(name, claim.engine, forms.keys(secret, channel.handshake_hash), now)
        self._table.add(session, now)
        return b"", channel.encrypt(forms.grant(name, secret, now, session.expires_at))

    def _check(self, claim: forms.Claim) -> None:
        key = self._engines.get(claim.engine)
        if key is None:
            text = "engine: the policy names no public key for it"
            raise NotAuthenticated(text, field="engine")
        try:
            key.verify(claim.signature, claim.signed)
        except InvalidSignature:
            text = "signature: not by the key that the policy names for this engine"
            raise NotAuthenticated(text, field="signature") from None

    def _live_statement(self) -> bytes:
        if not self._statement:
            text = "no policy is live"
            raise WrongPhase(text)
        return self._statement

    def _now(self) -> int:
        """Return the clock's time, or the latest seen: a clock that goes backwards lengthens no session."""
        now = self._clock()
        self._seen = max(self._seen, now)
        return self._seen
