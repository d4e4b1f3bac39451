"""The sessions that live. Bounded: what is full refuses, and never ends a live session of somebody else."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from enclave_signer.errors import SessionsFull
from enclave_signer.ports import Sender
from enclave_signer.session import forms
from enclave_signer.session.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from enclave_signer.session.noise import Channel

MAX_SESSIONS: Final = 4096
MAX_OF_ONE_ENGINE: Final = 64
MAX_HANDSHAKES: Final = 256
_SECOND_NS: Final = 1_000_000_000
SESSION_NS: Final = 3600 * _SECOND_NS
HANDSHAKE_NS: Final = 10 * _SECOND_NS


class Session:
    """One engine's session: its keys, and which counters were used."""

    __slots__ = ("_intent_key", "_reply_key", "engine", "expires_at", "id", "opened_at", "sender", "window")

    def __init__(self, session: bytes, engine: str, keys: tuple[bytes, bytes], opened_at: int) -> None:
        """``keys`` are those of intents and of replies; times in nanoseconds UTC."""
        self.id = session
        self.engine = engine
        self._intent_key, self._reply_key = keys
        self.opened_at = opened_at
        self.expires_at = opened_at + SESSION_NS
        self.window = Window()
        self.sender = Sender(engine, opened_at, self.prove)

    def __repr__(self) -> str:
        """Show no key."""
        return f"<Session of {self.engine}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "keys cannot be serialised"
        raise TypeError(message)

    def accepts(self, counter: int, intent: bytes, mac: bytes) -> bool:
        """Whether the MAC is whole and right; in constant time."""
        expected = hmac.digest(self._intent_key, forms.intent_text(self.id, counter, intent), "sha256")
        return hmac.compare_digest(expected, mac)

    def prove(
        self,
        counter: int,
        verdict: bytes,
        request_digest: bytes,
        receipt_digest: bytes,
        repeated: bool,  # noqa: FBT001 - a port
    ) -> bytes:
        """Return the MAC of a reply."""
        text = forms.reply_text(self.id, counter, verdict, request_digest, receipt_digest, repeated=repeated)
        return hmac.digest(self._reply_key, text, "sha256")


class Handshake(NamedTuple):
    """A handshake whose engine has not said who it is."""

    channel: Channel
    until: int


class Table:
    """Live sessions by id, and handshakes under way by handle."""

    __slots__ = ("_handshakes", "_live", "_of")

    def __init__(self) -> None:
        """Begin empty."""
        self._live: dict[bytes, Session] = {}
        self._of: dict[str, int] = {}
        self._handshakes: OrderedDict[bytes, Handshake] = OrderedDict()

    def __len__(self) -> int:
        """Return how many sessions live."""
        return len(self._live)

    def get(self, session: bytes, now: int) -> Session | None:
        """Return a live session."""
        found = self._live.get(session)
        if found is None or now < found.expires_at:
            return found
        self._end(found)
        return None

    def begin(self, handle: bytes, channel: Channel, now: int) -> None:
        """Remember a handshake; the oldest one makes room: anybody can begin one, so nothing hangs on it."""
        while len(self._handshakes) >= MAX_HANDSHAKES:
            self._handshakes.popitem(last=False)
        self._handshakes[handle] = Handshake(channel, now + HANDSHAKE_NS)

    def finish(self, handle: bytes, now: int) -> Channel | None:
        """Take a handshake out: it has one try."""
        found = self._handshakes.pop(handle, None)
        return found.channel if found is not None and now < found.until else None

    def add(self, session: Session, now: int) -> None:
        """Let a session live, or raise SessionsFull."""
        if len(self._live) >= MAX_SESSIONS or self._of.get(session.engine, 0) >= MAX_OF_ONE_ENGINE:
            for old in [each for each in self._live.values() if now >= each.expires_at]:
                self._end(old)
        if self._of.get(session.engine, 0) >= MAX_OF_ONE_ENGINE:
            message = f"sessions: {session.engine} has {MAX_OF_ONE_ENGINE} that live; open one that ends the others"
            raise SessionsFull(message, field="sessions")
        if len(self._live) >= MAX_SESSIONS:
            message = f"sessions: {MAX_SESSIONS} live already"
            raise SessionsFull(message, field="sessions")
        self._live[session.id] = session
        self._of[session.engine] = self._of.get(session.engine, 0) + 1

    def end_of(self, engine: str, only: bytes | None = None) -> None:
        """End an engine's sessions, or one of them."""
        for session in list(self._sessions_of(engine)):
            if only is None or session.id == only:
                self._end(session)

    def clear(self) -> None:
        """End everything."""
        self._live.clear()
        self._of.clear()
        self._handshakes.clear()

    def _sessions_of(self, engine: str) -> Iterator[Session]:
        return (session for session in self._live.values() if session.engine == engine)

    def _end(self, session: Session) -> None:
        del self._live[session.id]
        left = self._of[session.engine] - 1
        if left:
            self._of[session.engine] = left
        else:
            del self._of[session.engine]
