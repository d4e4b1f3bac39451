"""A whole enclave in one process, on a clock that the test moves, with a venue small enough to read at a glance."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import cbor2

from casemate_mock.fake_nitro import ClearKeys, EverybodyApproves, EverybodyAuthenticates
from enclave_signer.credentials import Credential, HmacKey, required
from enclave_signer.errors import BadPolicy, Unsupported
from enclave_signer.model import Kind, Operation, OrderType, TimeInForce, WireRequest
from enclave_signer.service import Service
from enclave_signer.venues.declaration import Abilities, Declaration, Gap, Part, Validity, ValidityKind
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enclave_signer.model import (
        Amend,
        Balances,
        Cancel,
        CancelAll,
        Instrument,
        OpenOrders,
        Order,
        Placement,
        Query,
        Stamp,
    )
    from enclave_signer.ports import Authenticator, Authority

SECOND: Final = 1_000_000_000
MS: Final = 1_000_000
# Friday 2025-11-21, 04:00 UTC.
START: Final = 1_763_697_600 * SECOND
ENGINE: Final = "mm"
ACCOUNT: Final = "main"
BTC, ETH = "BTC/USDT", "ETH/USDT"
SECRET: Final = "rig-secret-0123456789abcdef"  # noqa: S105 - a made-up one; tests look for it in what leaves

_OPERATIONS: Final = frozenset(
    operation for operation in Operation if operation not in {Operation.ORDER_CLOSED, Operation.HALT, Operation.LOGON}
)
_ABILITIES: Final = Abilities(
    quote_quantity=True,
    reduce_only=True,
    hedge=True,
    triggers={},
    self_trade={},
    stop_times=frozenset(TimeInForce),
    stop_post_only=True,
    post_only_times=frozenset({TimeInForce.GTC}),
)
DECLARATION: Final = Declaration(
    scheme="test",
    covers=frozenset(Part),
    gaps={operation: frozenset() for operation in _OPERATIONS},
    validity=Validity(ValidityKind.WINDOW, "window", shortest_ms=100, longest_ms=20_000),
    single_use="id",
    uses=1,
    also={Operation.OPEN_ORDERS: frozenset({Operation.CANCEL_ALL})},
    operations=_OPERATIONS,
    kinds=frozenset(Kind),
    order_types=dict.fromkeys(Kind, frozenset(OrderType)),
    times_in_force=dict.fromkeys(Kind, frozenset(TimeInForce)),
    client_order_id="[A-Za-z0-9_-]{1,36}",
    credential_fields=("apiKey", "secret"),
    abilities=dict.fromkeys(Kind, _ABILITIES),
)


@dataclass
class Clock:
    """Time as the test says."""

    now: int = START

    def now_ns(self) -> int:
        return self.now


class Randomness:
    """No randomness at all."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)


@dataclass
class TinySite:
    """Builds requests that show what they were built of."""

    key: HmacKey = field(repr=False)
    stamps: list[Stamp] = field(default_factory=list)

    def _request(self, method: str, what: str, stamp: Stamp) -> WireRequest:
        self.stamps.append(stamp)
        text = f"{what}&t={stamp.now_ms}&until={stamp.valid_until_ms}&nonce={stamp.nonce}"
        signature = self.key.sign(text.encode()).hex()
        return WireRequest(method, f"https://tiny.test/{text}", (("sig", signature),), text.encode())

    def create(self, order: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        if order.tag == "unsupported":
            raise Unsupported("tag", "tag: not this one")
        if order.tag == "broken":
            raise ZeroDivisionError(SECRET)
        size = order.quantity or order.quote_quantity
        return self._request(
            "POST", f"create-{instrument.venue_symbol}-{order.client_order_id}-{size.text if size else ''}", stamp
        )

    def cancel(self, cancel: Cancel, instrument: Instrument, stamp: Stamp) -> WireRequest:
        which = cancel.client_order_id or cancel.venue_order_id
        return self._request("DELETE", f"cancel-{instrument.venue_symbol}-{which}-{cancel.conditional}", stamp)

    def cancel_all(self, cancel: CancelAll, instrument: Instrument, stamp: Stamp) -> WireRequest:
        return self._request("DELETE", f"cancel_all-{instrument.venue_symbol}-{cancel.side}", stamp)

    def amend(self, amend: Amend, original: Order, instrument: Instrument, stamp: Stamp) -> WireRequest:
        old = original.quantity.text if original.quantity else ""
        new = amend.quantity.text if amend.quantity else ""
        return self._request("PUT", f"amend-{instrument.venue_symbol}-{original.client_order_id}-{old}-{new}", stamp)

    def query(self, query: Query, instrument: Instrument, stamp: Stamp) -> WireRequest:
        return self._request("GET", f"query-{instrument.venue_symbol}-{query.client_order_id}-{query.closed}", stamp)

    def open_orders(self, read: OpenOrders, instrument: Instrument, stamp: Stamp) -> WireRequest:
        return self._request("GET", f"open-{instrument.venue_symbol}-{read.conditional}", stamp)

    def balances(self, read: Balances, stamp: Stamp) -> WireRequest:
        return self._request("GET", f"balances-{read.account}", stamp)

    def logon(self, stamp: Stamp) -> WireRequest:
        return self._request("WEBSOCKET", "logon", stamp)


@dataclass
class TinyVenue:
    """A venue whose declaration the test chooses."""

    declaration: Declaration = DECLARATION
    name: str = "tiny"
    sites: list[TinySite] = field(default_factory=list)

    def credential(self, fields: Mapping[str, str]) -> Credential:
        return Credential(required(fields, "apiKey"), HmacKey(required(fields, "secret").encode()))

    def check_instrument(self, instrument: Instrument) -> None:
        if instrument.venue_symbol == "BAD":
            raise BadPolicy("not a symbol of this venue", field="venue_symbol")

    def site(self, placement: Placement, credential: Credential) -> TinySite:  # noqa: ARG002 - a venue's interface
        assert isinstance(credential.key, HmacKey)
        made = TinySite(credential.key)
        self.sites.append(made)
        return made


def tiny(**changes: Any) -> TinyVenue:
    """A tiny venue that declares something else."""
    return TinyVenue(replace(DECLARATION, **changes))


# --- policies


def instrument(symbol: str = BTC, **changes: object) -> dict[str, object]:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    return {
        "symbol": symbol,
        "venue_symbol": symbol.replace("/", "").replace(":", "-"),
        "base": base,
        "quote": quote,
        "settle": settle or quote,
        "kind": "swap" if settle else "spot",
        "tick_size": "0.01",
        "lot_size": "0.001",
        "contract_size": "1",
        "price_min": "10",
        "price_max": "100",
        **changes,
    }


def grant(name: str = "g", **changes: object) -> dict[str, object]:
    return {
        "name": name,
        "engines": [ENGINE],
        "symbols": [BTC, ETH],
        "operations": sorted(operation.name for operation in _OPERATIONS),
        "sides": ["BUY", "SELL"],
        "types": ["LIMIT", "MARKET", "STOP_LIMIT"],
        "times_in_force": ["FOK", "GTC", "GTD", "IOC"],
        "require_post_only": False,
        "require_reduce_only": False,
        "max_quantity": None,
        "max_notional": "1000000",
        "max_deviation_bps": None,
        "reference_max_age_ms": None,
        "hours": [],
        "days": [],
        **changes,
    }


def denial(name: str = "d", **changes: object) -> dict[str, object]:
    made: dict[str, object] = {
        key: [] for key in ("engines", "symbols", "operations", "sides", "types", "times_in_force", "hours", "days")
    }
    return {**made, "name": name, **changes}


def limit(name: str = "day", **changes: object) -> dict[str, object]:
    return {
        "name": name,
        "symbols": [BTC, ETH],
        "window_ms": 86_400_000,
        "max_notional": "1000000000",
        "max_orders": None,
        **changes,
    }


def exposure(name: str = "x", **changes: object) -> dict[str, object]:
    return {"name": name, "symbol": BTC, "max_notional": None, "max_quantity": "10", **changes}


def account(name: str = ACCOUNT, **changes: Any) -> dict[str, object]:
    return {
        "name": name,
        "venue": "tiny",
        "environment": "testnet",
        "margin_mode": "cash",
        "hedged": False,
        "read_only": False,
        "accept": [],
        "count_uses": 1,
        "max_open_orders": 100,
        "instruments": [instrument(BTC), instrument(ETH)],
        "grants": [grant()],
        "denials": [],
        "limits": [limit()],
        "exposures": [],
        **changes,
    }


def policy(*accounts: dict[str, object], **changes: object) -> dict[str, Any]:
    """A policy document; without accounts it has the one that everything is permitted."""
    used = list(accounts) or [account()]
    return {
        "format": "casemate.policy.v1",
        "deployment": "test",
        "version": 1,
        "max_age_ms": 60_000,
        "duty": {"mode": "on_parent", "key": "", "longest_ms": 0, "predecessors": []},
        "engines": [{"name": ENGINE, "accounts": sorted(str(each["name"]) for each in used)}],
        "accounts": used,
        **changes,
    }


def canonical(document: object) -> bytes:
    return cbor2.dumps(document, canonical=True)


# --- intents


def order(**changes: Any) -> intent_pb2.Intent:
    """A limit buy of 1 at 50; changes by field name, None takes a field away."""
    fields = {
        "account": ACCOUNT,
        "venue": "tiny",
        "symbol": BTC,
        "side": intent_pb2.SIDE_BUY,
        "type": intent_pb2.ORDER_TYPE_LIMIT,
        "time_in_force": intent_pb2.TIME_IN_FORCE_GTC,
        "quantity": "1",
        "price": "50",
        "client_order_id": "o-1",
        "created_at": START,
        "valid_until": START + 10 * SECOND,
        **changes,
    }
    return intent_pb2.Intent(
        order=intent_pb2.OrderIntent(**{key: value for key, value in fields.items() if value is not None})
    )


def market(**changes: Any) -> intent_pb2.Intent:
    return order(**{"type": intent_pb2.ORDER_TYPE_MARKET, "time_in_force": None, "price": None, **changes})


def plain(kind: str, **changes: Any) -> intent_pb2.Intent:
    """Any other intent, valid for ten seconds."""
    made = intent_pb2.Intent()
    inner = getattr(made, kind)
    inner.SetInParent()
    names = inner.DESCRIPTOR.fields_by_name
    defaults = {
        "account": ACCOUNT if kind != "halt" else "",
        "venue": "tiny" if kind != "halt" else "",
        "symbol": BTC if kind != "halt" else "",
        "created_at": START,
        "valid_until": START + 10 * SECOND,
    }
    for key, value in {**{key: value for key, value in defaults.items() if key in names}, **changes}.items():
        setattr(inner, key, value)
    return made


# --- the enclave


@dataclass
class Enclave:
    """The service with its clock, and short words for what one says to it."""

    venue: TinyVenue
    clock: Clock
    service: Service
    requests: int = 0

    def call(self, **call: Any) -> signer_pb2.EnclaveReply:
        self.requests += 1
        request = signer_pb2.EnclaveRequest(request_id=self.requests, **call)
        reply = signer_pb2.EnclaveReply.FromString(self.service.handle(request.SerializeToString()))
        assert reply.request_id == self.requests
        return reply

    def load(self, document: object) -> signer_pb2.EnclaveReply:
        return self.call(load_policy=signer_pb2.LoadPolicy(policy=canonical(document)))

    def provision(self, name: str = ACCOUNT, **fields: str) -> signer_pb2.EnclaveReply:
        known = {"apiKey": f"key-{name}", "secret": SECRET, **fields}
        return self.call(provision=signer_pb2.Provision(account=name, credential=canonical(known)))

    def sign(self, intent: intent_pb2.Intent, engine: str = ENGINE) -> signer_pb2.EnclaveReply:
        return self.call(sign=intent_pb2.SealedIntent(session=engine.encode(), intent=intent.SerializeToString()))

    def judged(self, intent: intent_pb2.Intent, engine: str = ENGINE) -> signer_pb2.Judged:
        reply = self.sign(intent, engine)
        assert reply.WhichOneof("answer") == "judged", reply
        return reply.judged

    def rule(self, intent: intent_pb2.Intent, engine: str = ENGINE) -> str:
        """The deciding rule; a refusal never carries a request."""
        judged = self.judged(intent, engine)
        if judged.verdict.decision != signer_pb2.DECISION_ALLOW:
            assert judged.verdict.decision == signer_pb2.DECISION_REFUSE
            assert not judged.HasField("request")
            assert judged.verdict.reason
        return judged.verdict.rule

    def derived(self, name: str, operation: Any, account_name: str = ACCOUNT) -> signer_pb2.EnclaveReply:
        request = signer_pb2.DerivedRequest(account=account_name, client_order_id=name, operation=operation)
        return self.call(derived=request)

    def resume(self, scope: Any = intent_pb2.HALT_SCOPE_ALL, **target: Any) -> signer_pb2.EnclaveReply:
        target.setdefault("last", max((halt.number for halt in self.status().halts), default=0))
        return self.call(resume=signer_pb2.Resume(scope=scope, **target))

    def status(self) -> signer_pb2.EnclaveStatus:
        return self.call(status=signer_pb2.StatusRequest()).status

    def later(self, **by: int) -> None:
        self.clock.now += by.get("seconds", 0) * SECOND + by.get("ms", 0) * MS


def empty(
    venue: TinyVenue | None = None,
    *,
    authenticator: Authenticator | None = None,
    authority: Authority | None = None,
    capacity: int = 1000,
) -> Enclave:
    """An enclave without a policy."""
    clock, place, approves = Clock(), venue or TinyVenue(), authority or EverybodyApproves()
    service = Service(
        clock,
        Randomness(),
        authenticator or EverybodyAuthenticates(),
        approves,
        ClearKeys(approves),
        venues={place.name: place},
        capacity=capacity,
    )
    return Enclave(place, clock, service)


def ready(document: dict[str, Any] | None = None, venue: TinyVenue | None = None, *, capacity: int = 1000) -> Enclave:
    """An enclave with a policy and every credential."""
    made = empty(venue, capacity=capacity)
    used = copy.deepcopy(document) if document is not None else policy()
    reply = made.load(used)
    assert reply.WhichOneof("answer") == "loaded", reply.not_judged.message
    for each in used["accounts"]:
        assert made.provision(each["name"]).WhichOneof("answer") == "loaded"
    return made


def with_account(**changes: Any) -> dict[str, Any]:
    """A policy whose one account differs."""
    return policy(account(**changes))


def accepting(*gaps: Gap) -> list[str]:
    return sorted(gap.value for gap in gaps)
