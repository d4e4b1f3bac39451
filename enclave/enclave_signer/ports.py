"""The things from outside: clock, randomness, security module, senders of intents, approvals, keys that come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from enclave_signer.policy.model import Policy


class Clock(Protocol):
    """The enclave's own clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""


class Correctable(Clock, Protocol):
    """A clock that drifts and can be put right."""

    def correct(self, by: int) -> None:
        """Add so many nanoseconds from now on."""


class Randomness(Protocol):
    """A source of unpredictable bytes."""

    def bytes(self, count: int) -> bytes:
        """Return ``count`` random bytes."""


class Register(Protocol):
    """One platform configuration register."""

    @property
    def value(self) -> bytes:
        """What it holds, 48 bytes."""


class SecurityModule(Protocol):
    """What a session needs of the Nitro security module; ``enclave_signer.nitro.Nsm`` has all of it.

    Every method raises an EnclaveError.
    """

    def extend_pcr(self, index: int, data: bytes) -> bytes:
        """Set a register to SHA-384(old value || ``data``) and return the new value."""

    def describe_pcr(self, index: int) -> Register:
        """Return a register."""

    def lock_pcr(self, index: int) -> None:
        """Make a register read-only, and so part of every document."""

    def attestation(
        self, *, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """Return a signed attestation document that carries these fields."""


class Sender(NamedTuple):
    """Who sealed an intent."""

    # The engine's name in the policy.
    engine: str
    # Nanoseconds UTC: when its session opened. An intent created before that is refused.
    since: int = 0
    # Authenticates the answer for the engine: (counter, encoded verdict, digest of the request, hash of the receipt,
    # whether it is a repeat) -> MAC. None where there is no session.
    prove: Callable[[int, bytes, bytes, bytes, bool], bytes] | None = None


class Authenticator(Protocol):
    """Tells which engine sealed an intent, over its raw bytes and before they are decoded (S3)."""

    # True only in the development stand-in: the status says so loudly.
    unauthenticated: bool

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> Sender:
        """Return who sealed the intent, or raise NotAuthenticated."""


class SessionKeeper(Authenticator, Protocol):
    """An authenticator whose sessions engines open by themselves."""

    def policy_changes(self, policy: Policy, quorum: bytes) -> None:
        """End every session, because this policy is about to go live; raises NotJudged to hold it back.

        ``quorum`` is the digest of who approved it.
        """

    def attest(self, nonce: bytes, public_key: bytes = b"") -> bytes:
        """Return an attestation document, which carries ``public_key`` if there is one; or raise NotJudged."""

    def measured(self) -> bytes | None:
        """Return what the image measures, PCR0; None if nothing says so."""

    def open(self, handle: bytes, message: bytes) -> tuple[bytes, bytes]:
        """Answer a handshake message by a handle and a message, or raise NotJudged."""


class Resumed(NamedTuple):
    """Which HALT a RESUME ends: the scope's name (ALL, ACCOUNT, VENUE, SYMBOL), what it covers, the newest's number."""

    scope: str
    account: str
    venue: str
    symbol: str
    last: int


class Halted(NamedTuple):
    """What an administrator's HALT stops: the scope's name, and what it covers."""

    scope: str
    account: str
    venue: str
    symbol: str


class Marks(NamedTuple):
    """The latest statement of each kind, and the latest version of each account's credential."""

    sequences: Mapping[str, int]
    bundles: Mapping[str, int]


class Authority(Protocol):
    """Decides whether enough administrators approved (S4). ``now`` is nanoseconds UTC.

    Each approval returns what to call once the enclave has taken what was approved: that uses the statement up.
    """

    @property
    def digest(self) -> bytes:
        """SHA-256 of who decides: PCR16 commits to it."""

    @property
    def generation(self) -> int:
        """How many successions lie behind it."""

    def succeed(self, quorum: bytes, approvals: Sequence[bytes], now: int) -> None:
        """Let the quorum in this file decide from now on, or raise NotApproved."""

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return if the canonical policy is approved, else raise NotApproved."""

    def approve_credential(
        self, account: str, version: int, subject: bytes, approvals: Sequence[bytes], now: int
    ) -> Callable[[], None]:
        """Return if the credential whose digest is ``subject`` is approved for the account, else raise NotApproved.

        ``version`` is the credential's own; it has to be newer than the account's latest.
        """

    def approve_halt(self, halted: Halted, approval: bytes, now: int) -> tuple[str, Callable[[], None]]:
        """Return who asks for the HALT, else raise NotApproved: any one administrator may."""

    def approve_resume(self, resumed: Resumed, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return if the RESUME is approved, else raise NotApproved."""

    def approve_duty(self, statement: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return if the grant or retirement is approved, else raise NotApproved."""

    def marks(self) -> Marks:
        """Return how far statements and credentials have come, for a checkpoint."""

    def carry(self, marks: Marks) -> None:
        """Accept nothing that is older than what another boot had accepted."""


class Provision(NamedTuple):
    """What a Provision message brings; sizes are checked."""

    account: str
    credential: bytes
    bundle: bytes
    envelope: bytes
    approvals: Sequence[bytes]


class KeyIn(NamedTuple):
    """A credential that came in."""

    # Canonical CBOR in clear. Whoever takes it overwrites it.
    credential: bytearray
    # SHA-256 of what was approved.
    subject: bytes
    # Uses the approvals up.
    use_up: Callable[[], None]

    def __repr__(self) -> str:
        """Show no credential."""
        return "<KeyIn>"


class KeysIn(Protocol):
    """The way by which credentials come in."""

    def recipient(self) -> bytes:
        """Return a fresh public key (DER SubjectPublicKeyInfo) to which KMS may encrypt once, or raise NotJudged."""

    def take(self, provision: Provision, deployment: str, now: int) -> KeyIn:
        """Return the credential, or raise NotJudged; NotOpened ends the boot."""


class Recipients(Protocol):
    """Keys to which KMS encrypts, each good for one envelope."""

    def new(self) -> bytes:
        """Return the public half of a fresh key, DER SubjectPublicKeyInfo."""

    def open(self, envelope: bytes) -> bytearray | None:
        """Return the 32 bytes in an envelope to one of the keys, which is then gone; None whatever is wrong."""
