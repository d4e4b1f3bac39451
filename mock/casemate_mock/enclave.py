"""The mock enclave: the real service over a pretended security module. DEVELOPMENT ONLY.

Sessions, quorum, judging, signing and counting are the production code; its attestation proves nothing, as nothing
measures it, and its memory is open to its machine. In the unauthenticated mode stand-ins believe everybody besides.
"""

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from casemate_mock.fake_nitro import ClearKeys, EverybodyApproves, EverybodyAuthenticates
from casemate_mock.nitro import FakeChain, FakeNsm, measure
from enclave_signer import encode
from enclave_signer.admins import Admins, BadQuorum, read_admins
from enclave_signer.boot import make_boot_key
from enclave_signer.boot_codes import BootCode
from enclave_signer.drift import Drift
from enclave_signer.nitro.recipients import RsaRecipients
from enclave_signer.pauses import Pauses
from enclave_signer.ports import Authority, Clock, KeysIn
from enclave_signer.quorum import Quorum
from enclave_signer.receipts import Chain
from enclave_signer.sealed.keys_in import SealedKeys
from enclave_signer.server import CannotListen, Server, serve_until_ended, serve_until_told
from enclave_signer.service import Service
from enclave_signer.session import forms
from enclave_signer.session.sessions import Sessions
from enclave_signer.session.table import Session
from enclave_signer.system import KeptClock, SystemClock, SystemRandomness, pause_counter
from enclave_signer.timekeeping import Timekeeper
from signer_api.v1 import intent_pb2

_LOUD = (
    "casemate-mock enclave: UNAUTHENTICATED, DEVELOPMENT ONLY. It believes every sender's name, checks no MAC, and\n"
    "casemate-mock enclave: takes every policy and credential as approved. Never give it a key that can trade.\n"
)

_LOUD_SESSIONS = (
    "casemate-mock enclave: DEVELOPMENT ONLY. Sessions, quorum and sealed keys are real, the attestation proves\n"
    "casemate-mock enclave: nothing: nobody measured this process, and its host can read its memory.\n"
)

_NS_IN_MS = 1_000_000
# How often the clock is held against the module's: whoever tries it out need not wait.
_COMPARED_S = 1.0

# What the pretended image measures: PCR0 to PCR2 of every mock enclave with sessions.
MEASUREMENTS = {index: measure(b"casemate-mock part %d" % index) for index in (0, 1, 2)}


def make_service(
    *,
    clock: Clock | None = None,
    chain: FakeChain | None = None,
    admins: Admins | None = None,
    pauses: Callable[[], Pauses] = Pauses,
    end: Callable[[], None] = lambda: None,
    module: FakeNsm | None = None,
    drift: Drift | None = None,
) -> Service:
    """Build the real service over the stand-ins. ``clock`` replaces the system's.

    With a ``chain`` its sessions are the real ones, over a pretended security module of that chain; policies and
    credentials are still taken as approved. With ``admins`` as well it is the shipped enclave in all but the module:
    their approvals are needed, and credentials come in sealed only. ``drift`` is of the clock against ``module``'s.
    """
    clock = clock or SystemClock()
    sessions = make_sessions(clock, chain, module) if chain else None
    boot_key = sessions.keys.receipts if sessions else make_boot_key(SystemRandomness())
    authority = Quorum(admins, boot_key.public_bytes()) if admins else EverybodyApproves()
    return Service(
        clock,
        SystemRandomness(),
        sessions or EverybodyAuthenticates(),
        authority,
        _keys_in(authority, sessions, clear=admins is None),
        sessions=sessions,
        pauses=pauses,
        boot_key=boot_key,
        end=end,
        drift=drift,
    )


def _keys_in(authority: Authority, sessions: Sessions | None, *, clear: bool) -> KeysIn:
    if sessions is None:
        return ClearKeys(authority)
    sealed = SealedKeys(authority, RsaRecipients(), sessions.keys.provision, sessions.keys.receipt_public)
    return ClearKeys(authority, sealed) if clear else sealed


def make_sessions(clock: Clock, chain: FakeChain, module: FakeNsm | None = None) -> Sessions:
    """Build the real sessions over one boot of a pretended security module: one on the same clock if none is given."""
    return Sessions(clock, SystemRandomness(), module or make_module(chain, lambda: clock.now_ns() // _NS_IN_MS))


def make_module(chain: FakeChain, now_ms: Callable[[], int]) -> FakeNsm:
    """Build one boot of a pretended security module with a clock of its own."""
    return FakeNsm(chain=chain, now_ms=now_ms, random_bytes=SystemRandomness().bytes, measurements=MEASUREMENTS)


def skewed(skew: Path | None) -> Callable[[], int]:
    """Return the machine's clock in milliseconds UTC, ahead by as many as that file says now; none for no number."""

    def now_ms() -> int:
        ahead = 0
        if skew is not None:
            with contextlib.suppress(OSError, ValueError):
                ahead = int(skew.read_text(encoding="ascii"))
        return SystemClock().now_ns() // _NS_IN_MS + ahead

    return now_ms


def session_keeper(service: Service) -> Sessions:
    """Return the sessions of a service that was made with a chain."""
    sessions = service._sessions  # noqa: SLF001 - to measure
    if not isinstance(sessions, Sessions):
        message = "this service has no sessions"
        raise TypeError(message)
    return sessions


class BenchSession:
    """A session that was put into the table without a handshake: to measure what one costs."""

    def __init__(self, sessions: Sessions, engine: str) -> None:
        """Nothing that ships can do this."""
        secret = os.urandom(80)
        now = time.time_ns()
        self._session = Session(secret[:16], engine, (secret[16:48], secret[48:]), now)
        self._key = secret[16:48]
        self._sessions = sessions
        sessions._table.add(self._session, now)  # noqa: SLF001 - see above

    def seal(self, counter: int, intent: bytes) -> intent_pb2.SealedIntent:
        """Seal as an engine does."""
        mac = hmac.digest(self._key, forms.intent_text(self._session.id, counter, intent), "sha256")
        return intent_pb2.SealedIntent(session=self._session.id, counter=counter, intent=intent, mac=mac)

    def cost(self, sealed: intent_pb2.SealedIntent, judged: bytes, receipt_digest: bytes) -> int:
        """Do what a session adds to one intent: tell the sender, prove the answer. Returns nanoseconds."""
        begin = time.perf_counter_ns()
        sender = self._sessions.identify(sealed.session, sealed.counter, sealed.intent, sealed.mac)
        parts = encode.parts(judged)
        digest = hashlib.sha256(parts.signed).digest()
        if sender.prove is not None:
            mac = sender.prove(sealed.counter, parts.verdict, digest, receipt_digest, parts.repeated)
            encode.proof(sealed.counter, parts, digest, receipt_digest, mac)
        return time.perf_counter_ns() - begin


class BenchChain:
    """A chain beside the service's: to measure what one receipt costs, its part of a head's signature included."""

    def __init__(self) -> None:
        """Begin with a key of its own."""
        self._chain = Chain(make_boot_key(SystemRandomness()), time.time_ns)
        self._chain.policy("bench", 1, bytes(32))

    def cost(self, engine: str, account: str, intent: bytes, judged: bytes, number: int) -> int:
        """Do what the receipt adds to one allowed order. Returns nanoseconds."""
        digest = hashlib.sha256(judged).digest()
        now = time.time_ns()
        begin = time.perf_counter_ns()
        receipt = self._chain.decision(
            now, engine, account, 1, 1, "grant:trade",
            intent=hashlib.sha256(intent).digest(), request=digest, charged="1234.5", counter=number,
        )  # fmt: skip
        encode.with_receipt(judged, receipt)
        return time.perf_counter_ns() - begin


async def serve(
    listen: str,
    *,
    clock: Clock | None = None,
    chain: FakeChain | None = None,
    admins: Admins | None = None,
    skew: Path | None = None,
) -> None:
    """Serve on `listen` (unix:PATH or 127.0.0.1:PORT) until cancelled, or until the boot ends, which raises BootEnded.

    With a ``chain`` and without a ``clock`` of the caller's its own clock is compared with the module's every second,
    as the shipped enclave does every half a minute; the file ``skew`` says by how many milliseconds the module's is
    ahead of the machine's, and may change. Raises ValueError if the address cannot be bound.
    """
    ended = asyncio.Event()
    timed = _Timed.made(chain, skew) if chain is not None and clock is None else None
    server = _server(listen, timed.clock if timed else clock, chain, admins, ended.set, timed)
    keeping = asyncio.create_task(timed.keeper.keep(_COMPARED_S)) if timed else None
    try:
        if await serve_until_ended(server, ended):
            raise BootEnded
    finally:
        if keeping is not None:
            keeping.cancel()


class _Timed(NamedTuple):
    """A clock that is held against a module's."""

    clock: KeptClock
    module: FakeNsm
    drift: Drift
    keeper: Timekeeper

    @classmethod
    def made(cls, chain: FakeChain, skew: Path | None) -> "_Timed":
        """Compare once: nothing is signed before."""
        clock, module, drift = KeptClock(), make_module(chain, skewed(skew)), Drift()
        keeper = Timekeeper(clock, module, drift)
        keeper.compare()
        return cls(clock, module, drift, keeper)


class BootEnded(Exception):
    """A sealed bundle could not be opened; ``code`` is the exit code."""

    code = int(BootCode.BUNDLE)

    def __init__(self) -> None:
        """Say so."""
        super().__init__("a sealed bundle could not be opened: this boot has ended")


def read_quorum(path: Path) -> Admins:
    """Read quorum.cbor; raises OSError, or ValueError for a file that is none."""
    try:
        return read_admins(path.read_bytes())
    except BadQuorum as error:
        message = f"{path}: {error}"
        raise ValueError(message) from None


def _server(
    listen: str,
    clock: Clock | None,
    chain: FakeChain | None = None,
    admins: Admins | None = None,
    end: Callable[[], None] = lambda: None,
    timed: _Timed | None = None,
) -> Server:
    sys.stderr.write(_LOUD_SESSIONS if admins else _LOUD)
    counter = pause_counter()
    service = make_service(
        clock=clock,
        chain=chain,
        admins=admins,
        pauses=lambda: counter.pauses,
        end=end,
        module=timed.module if timed else None,
        drift=timed.drift if timed else None,
    )
    try:
        return Server(service.handle, listen, counter.watch, between=service.sign_head)
    except CannotListen as error:
        raise ValueError(str(error)) from None


async def _serve_until_told(listen: str) -> None:
    await serve_until_told(_server(listen, None))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop: 0; 1 if the address cannot be bound; 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="casemate-mock-enclave", description="The enclave without its walls.")
    parser.add_argument("--listen", required=True, metavar="ADDR", help="unix:PATH or 127.0.0.1:PORT")
    arguments = parser.parse_args(argv)
    try:
        asyncio.run(_serve_until_told(arguments.listen))
    except ValueError as error:
        sys.stderr.write(f"casemate-mock enclave: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
