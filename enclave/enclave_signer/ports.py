"""The things from outside: clock, randomness, who sent an intent, who approved a statement. Nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Clock(Protocol):
    """The enclave's own clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01T00:00:00Z."""


class Randomness(Protocol):
    """A source of unpredictable bytes."""

    def bytes(self, count: int) -> bytes:
        """Return ``count`` random bytes."""


class Authenticator(Protocol):
    """Tells which engine sealed an intent, over its raw bytes and before they are decoded (S3)."""

    # True only in the development stand-in: the status says so loudly.
    unauthenticated: bool

    def identify(self, session: bytes, counter: int, intent: bytes, mac: bytes) -> str:
        """Return the engine's name in the policy, or raise NotAuthenticated."""


class Resumed(NamedTuple):
    """Which HALT a RESUME ends: the scope's name (ALL, ACCOUNT, VENUE, SYMBOL) and what it covers."""

    scope: str
    account: str
    venue: str
    symbol: str


class Authority(Protocol):
    """Decides whether enough administrators approved (S4). ``now`` is nanoseconds UTC.

    Each call returns what to call once the enclave has taken what was approved: that uses the statement up.
    """

    def approve_policy(self, policy: bytes, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return if the canonical policy is approved, else raise NotApproved."""

    def approve_credential(
        self, account: str, credential: bytes, approvals: Sequence[bytes], now: int
    ) -> Callable[[], None]:
        """Return if the credential is approved for the account, else raise NotApproved."""

    def approve_resume(self, resumed: Resumed, approvals: Sequence[bytes], now: int) -> Callable[[], None]:
        """Return if the RESUME is approved, else raise NotApproved."""
