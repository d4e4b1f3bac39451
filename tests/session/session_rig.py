"""A real enclave with real sessions over a pretended security module, and engines that open sessions with it."""

from __future__ import annotations

import hashlib
import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate import AttestedSealer, OrderIntent, Pins
from casemate.calls import Calls
from casemate.failures import not_judged
from casemate.policy import compile_policy
from casemate.session.sealer import ATTEST, OPEN
from casemate_mock.fake_nitro import ClearKeys, EverybodyApproves
from casemate_mock.nitro import FakeChain, FakeNsm, measure
from enclave_signer.service import Service
from enclave_signer.session.sessions import Sessions
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate import intents
    from casemate.sealing import Step
    from signer_api.v1 import intent_pb2

SECOND: Final = 1_000_000_000
HOUR: Final = 3600 * SECOND
START: Final = 1_790_000_000 * SECOND
MEASUREMENTS: Final = {index: measure(b"image part %d" % index) for index in (0, 1, 2)}
# Keys are slow to make and prove nothing by being new.
CHAIN: Final = FakeChain()
POLICY: Final = """
format = "casemate.policy.v1"
deployment = "rig"
version = {version}
max_age = "60s"
duty = "on_parent"
{engines}
[[account]]
name = "main"
venue = "binance"
margin_mode = "cash"
accept = ["method-unsigned", "path-unsigned", "host-unsigned", "query-body-joined", "body-unsigned", "query-unsigned",
  "fixed-validity", "replayable"]
count_uses = 1
max_open_orders = 1000
[[account.instrument]]
symbol = "BTC/USDT"
venue_symbol = "BTCUSDT"
tick_size = "0.01"
lot_size = "0.001"
price_band = ["10000", "100000"]
[[account.grant]]
name = "trade"
engines = "*"
symbols = "*"
operations = ["CREATE", "CANCEL", "QUERY"]
max_notional = "1000000"
[[account.limit]]
name = "hourly"
symbols = "*"
window = "1h"
max_notional = "100000000000"
"""
ENGINE: Final = '[[engine]]\nname = "{name}"\naccounts = ["main"]\n{key}'


def key_of(name: str) -> Ed25519PrivateKey:
    """The key of an engine: always the same one."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


@dataclass
class Clock:
    """Time as the test says."""

    now: int = START

    def now_ns(self) -> int:
        """Return it."""
        return self.now


class Dice:
    """Randomness that is the system's, or a stated sequence of bytes."""

    def __init__(self, stated: bytes = b"") -> None:
        self._stated = stated

    def bytes(self, count: int) -> bytes:
        """Return the next stated bytes; the system's when those are used up."""
        if not self._stated:
            return os.urandom(count)
        taken, self._stated = self._stated[:count], self._stated[count:]
        assert len(taken) == count
        return taken


@dataclass
class Rig:
    """One boot of an enclave, and the way to it."""

    clock: Clock = field(default_factory=Clock)
    chain: FakeChain = CHAIN
    debug: bool = False
    measurements: dict[int, bytes] = field(default_factory=lambda: dict(MEASUREMENTS))
    dice: Dice = field(default_factory=Dice)
    # Sees, and may change, everything between engine and enclave: (bytes to the enclave) -> bytes.
    tamper: Callable[[Step], Step] = lambda step: step

    def __post_init__(self) -> None:
        self.nsm = FakeNsm(
            chain=self.chain,
            now_ms=lambda: self.clock.now // 1_000_000,
            random_bytes=os.urandom,
            measurements=self.measurements,
            debug=self.debug,
        )
        self.sessions = Sessions(self.clock, self.dice, self.nsm)
        self.service = Service(
            self.clock,
            Dice(),
            self.sessions,
            EverybodyApproves(),
            ClearKeys(EverybodyApproves()),
            sessions=self.sessions,
            boot_key=self.sessions.keys.receipts,
        )
        self.ids = itertools.count(1)

    # --- the operator's part

    def policy(self, version: int = 1, engines: tuple[str, ...] = ("mm", "other"), *, keyless: str = "") -> bytes:
        """Return a policy that names the engines' keys, but for ``keyless``."""
        tables = (
            ENGINE.format(
                name=name,
                key="" if name == keyless else f'public_key = "{key_of(name).public_key().public_bytes_raw().hex()}"\n',
            )
            for name in engines
        )
        return compile_policy(POLICY.format(version=version, engines="".join(tables))).canonical

    def load(self, policy: bytes | None = None) -> Rig:
        """Load policy and credential."""
        self.load_policy(policy or self.policy())
        credential = cbor2.dumps({"apiKey": "k" * 64, "secret": "s" * 64}, canonical=True)
        self.ask(provision=signer_pb2.Provision(account="main", credential=credential))
        return self

    def load_policy(self, policy: bytes) -> signer_pb2.EnclaveReply:
        """Load a policy alone."""
        return self.ask(load_policy=signer_pb2.LoadPolicy(policy=policy))

    # --- the host's part

    def ask(self, **call: Any) -> signer_pb2.EnclaveReply:
        """Ask the enclave; raises as the client would for what is not judged."""
        raw = self.service.handle(signer_pb2.EnclaveRequest(request_id=7, **call).SerializeToString())
        reply = signer_pb2.EnclaveReply.FromString(raw)
        if reply.WhichOneof("answer") == "not_judged":
            why = reply.not_judged
            raise not_judged(why.reason, why.message, why.field, retry_can_help=why.retry_can_help)
        return reply

    def carry(self, step: Step) -> bytes:
        """Do what the host does with a call on the way to a session."""
        step = self.tamper(step)
        if step.method == ATTEST:
            return self.ask(attest=signer_pb2.Attest.FromString(step.request)).attested.SerializeToString()
        assert step.method == OPEN
        asked = signer_pb2.OpenSession.FromString(step.request)
        return self.ask(open_session=asked).session_opened.SerializeToString()

    def sign(self, sealed: intent_pb2.SealedIntent) -> signer_pb2.Judged:
        """Have an intent judged."""
        return self.ask(sign=sealed).judged

    # --- the engine's part

    def pins(self, **changes: Any) -> Pins:
        """What an engine of this rig expects."""
        expected: dict[str, Any] = {"pcrs": {0: MEASUREMENTS[0]}, "deployment": "rig", "root": CHAIN.root}
        return Pins(**(expected | changes))

    def sealer(self, name: str = "mm", **options: Any) -> AttestedSealer:
        """An engine's sealer without a session."""
        options.setdefault("pins", self.pins())
        options.setdefault("sign", key_of(name).sign)
        return AttestedSealer(name, clock=self.clock.now_ns, **options)

    def open(self, sealer: AttestedSealer) -> AttestedSealer:
        """Open a session."""
        opening = sealer.opening()
        try:
            step = next(opening)
            while True:
                try:
                    answer = self.carry(step)
                except Exception as error:  # noqa: BLE001 - as the gateway does
                    step = opening.throw(error)
                else:
                    step = opening.send(answer)
        except StopIteration:
            return sealer

    def opened(self, name: str = "mm", **options: Any) -> AttestedSealer:
        """An engine's sealer with a session."""
        return self.open(self.sealer(name, **options))

    def order(self, **changes: Any) -> intents.OrderIntent:
        """A good order."""
        wanted = {"client_order_id": f"id-{next(self.ids):06}", "quantity": "0.1", "price": "50000"} | changes
        return OrderIntent.limit("main", "binance", "BTC/USDT", "BUY", **wanted)

    def sealed(self, sealer: AttestedSealer, **changes: Any) -> intent_pb2.SealedIntent:
        """A good order, sealed."""
        return Calls(sealer, self.clock.now_ns).request(self.order(**changes)).sealed
