"""Opens sessions, seals intents under them, and tells the enclave's word from the host's. No network here."""

from __future__ import annotations

import hmac
import itertools
import os
import time
from typing import TYPE_CHECKING, Final, NoReturn

from google.protobuf.message import DecodeError

from casemate import errors
from casemate.sealing import Step
from casemate.session import forms
from casemate.session.noise import Initiator, NoiseError
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.sealing import Opening
    from casemate.session.forms import Boot, Grant
    from casemate.session.pins import Pins

ATTEST: Final = "/casemate.dispatch.v1.Operator/Attest"
OPEN: Final = "/casemate.dispatch.v1.OrderDispatch/OpenSession"
_NONCE_BYTES: Final = 32
# A session is renewed when this part of its life has passed, and again after a while if that failed.
_RENEW_PERCENT: Final = 80
_RETRY_NS: Final = 10_000_000_000
# Sessions whose answers may still come.
_KEPT: Final = 4


class _Session:
    """One open session. Immutable but for its counter."""

    __slots__ = ("_intent_key", "_reply_key", "boot", "counter", "ends_at", "id", "opened_at", "renew_at")

    def __init__(self, grant: Grant, handshake_hash: bytes, begun: int, boot: Boot) -> None:
        """``begun``: the engine's own clock before the enclave answered, so that its end is never put too late."""
        life = grant.expires_at - grant.opened_at
        self.id = grant.session
        self.boot = boot
        self._intent_key, self._reply_key = forms.keys(grant.secret, handshake_hash)
        self.counter = itertools.count(1)
        self.opened_at = grant.opened_at
        self.renew_at = begun + life * _RENEW_PERCENT // 100
        self.ends_at = begun + life

    def __repr__(self) -> str:
        """Show no key."""
        return f"<session {self.id.hex()}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "keys cannot be serialised"
        raise TypeError(message)

    def seal(self, intent: bytes) -> intent_pb2.SealedIntent:
        counter = next(self.counter)
        mac = forms.intent_mac(self._intent_key, self.id, counter, intent)
        return intent_pb2.SealedIntent(session=self.id, counter=counter, intent=intent, mac=mac)

    def proves(self, counter: int, proof: signer_pb2.VerdictProof, receipt: bytes) -> bool:
        # The flags of the MAC hold one byte a length.
        if not len(proof.request_digest) <= forms.DIGEST_BYTES == len(proof.receipt_digest):
            return False
        expected = forms.reply_mac(self._reply_key, self.id, counter, proof)
        named = hmac.compare_digest(forms.receipt_hash(receipt), proof.receipt_digest)
        return proof.counter == counter and hmac.compare_digest(expected, proof.reply_mac) and named


class AttestedSealer:
    """Seals for one engine under sessions with an attested enclave. May be shared by threads."""

    def __init__(
        self,
        engine: str,
        sign: Callable[[bytes], bytes],
        pins: Pins,
        *,
        alone: bool = False,
        clock: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """``sign`` makes Ed25519 signatures with the key that the policy names for ``engine``; it may be an HSM's.

        ``alone`` ends every other session of this engine when one is opened: for engines that run once. ``clock``
        returns nanoseconds UTC.
        """
        self._engine = engine
        self._sign = sign
        self._pins = pins
        self._alone = alone
        self._clock = clock
        self._random = random
        self._live: _Session | None = None
        self._lost = b""
        self._retry_at = 0
        self._recent: dict[bytes, _Session] = {}

    def __repr__(self) -> str:
        """Show whose it is and no key."""
        return f"<AttestedSealer of {self._engine}>"

    @property
    def since(self) -> int:
        """When the session opened, by the enclave's clock: the earliest moment an intent may say it was created."""
        live = self._live
        return 0 if live is None else live.opened_at

    @property
    def session(self) -> bytes:
        """The open session's id, 16 bytes; empty where none is open. No secret."""
        live = self._live
        return b"" if live is None else live.id

    @property
    def boot(self) -> Boot | None:
        """What the attested boot of the open session said of itself; None where none is open."""
        live = self._live
        return None if live is None else live.boot

    def usable(self) -> bool:
        """Whether there is a session to seal under."""
        live = self._live
        return live is not None and self._clock() < live.ends_at

    def due(self) -> bool:
        """Whether it is time to open one, the first or the next."""
        live, now = self._live, self._clock()
        return live is None or now >= live.ends_at or now >= max(live.renew_at, self._retry_at)

    def postpone(self) -> None:
        """Renewing failed: go on with the present session and try again in a while."""
        self._retry_at = self._clock() + _RETRY_NS

    def lost(self, session: bytes) -> None:
        """The enclave, or who says to be it, does not know this session: open another one before the next intent."""
        live = self._live
        if live is not None and live.id == session:
            self._live, self._lost = None, session

    def seal(self, intent: bytes) -> intent_pb2.SealedIntent:
        """Wrap one serialised ``Intent`` with the session's next counter and a MAC; raises NotReady without session."""
        live = self._live
        if live is None:
            reason = "no session is open"
            raise errors.NotReady("NO_SESSION", reason, retry_can_help=True)
        return live.seal(intent)

    def proves(self, session: bytes, counter: int, proof: signer_pb2.VerdictProof, receipt: bytes) -> bool:
        """Whether the enclave itself gave this answer to that intent, with this receipt."""
        found = self._recent.get(session)
        return found is not None and found.proves(counter, proof, receipt)

    def opening(self) -> Opening:
        """Open a session: yields calls to make, takes their answers. Raises NotAttested, NotJudged."""
        try:
            yield from self._open()
        except errors.NotAllowed:
            # The policy may have changed between document and handshake; a second time it did not.
            yield from self._open()

    def _open(self) -> Opening:
        nonce = self._random(_NONCE_BYTES)
        raw = yield Step(ATTEST, signer_pb2.Attest(nonce=nonce).SerializeToString())
        boot, statement = self._pins.check(_attested(raw), nonce, self._clock())
        try:
            initiator = Initiator(boot.session_key, self._random(forms.KEY_BYTES), forms.prologue(statement))
            opened = _opened((yield Step(OPEN, _open_session(b"", initiator.message))))
            _, channel = initiator.finish(opened.message)
            said = forms.claim(self._engine, self._lost, alone=self._alone)
            signature = self._sign(forms.CLAIM_TAG + channel.handshake_hash + said)
            begun = self._clock()
            raw = yield Step(OPEN, _open_session(opened.handle, channel.send.encrypt(signature + said)))
            grant = forms.read_grant(channel.receive.decrypt(_opened(raw).message))
        except (NoiseError, ValueError) as error:
            message = f"the handshake failed: {error}"
            raise errors.NotAttested(message) from None
        self._use(_Session(grant, channel.handshake_hash, begun, boot))

    def _use(self, session: _Session) -> None:
        kept = [*self._recent.values()][1 - _KEPT :]
        self._recent = {each.id: each for each in (*kept, session)}
        self._live, self._lost = session, b""


def _open_session(handle: bytes, message: bytes) -> bytes:
    return signer_pb2.OpenSession(handle=handle, message=message).SerializeToString()


def _attested(raw: bytes) -> bytes:
    try:
        return signer_pb2.Attested.FromString(raw).document
    except DecodeError:
        message = "the answer to Attest is no Attested"
        raise errors.NotAttested(message) from None


def _opened(raw: bytes) -> signer_pb2.SessionOpened:
    try:
        return signer_pb2.SessionOpened.FromString(raw)
    except DecodeError:
        message = "the answer to OpenSession is no SessionOpened"
        raise errors.NotAttested(message) from None
