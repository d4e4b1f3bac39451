"""No sequence of messages exceeds a rolling limit or an exposure, or makes two orders of one id.

The oracle is naive on purpose: it keeps every signature that left the enclave with its time, worth and size, and adds
them up anew each time. It knows nothing of slots, heaps or reloads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from signer_api.v1 import intent_pb2, signer_pb2
from tests.enclave.enclave_rig import (
    BTC,
    ENGINE,
    ETH,
    MS,
    START,
    Enclave,
    account,
    denial,
    exposure,
    grant,
    limit,
    market,
    order,
    plain,
    policy,
    ready,
    tiny,
)

TOP, BOTTOM = 100, 10
OTHER = "other"
IDS = st.sampled_from([f"o-{n}" for n in range(8)])
SYMBOLS = st.sampled_from([BTC, ETH])
ENGINES = st.sampled_from([ENGINE, ENGINE, ENGINE, ENGINE, OTHER, OTHER, "stranger"])
FINE = ["0.001", "0.5", "1", "2.5", "4", "7", "9"]
SIZES = st.sampled_from([*FINE * 2, "12", "0", "1e3", "0.0001", "999999999999999999"])
SIDES = st.sampled_from([intent_pb2.SIDE_BUY, intent_pb2.SIDE_SELL])
TIMES = st.sampled_from([intent_pb2.TIME_IN_FORCE_GTC, intent_pb2.TIME_IN_FORCE_IOC])
USES = st.integers(1, 3)
NOTIONAL, ORDERS, QUANTITY = 3000, 24, 30
WINDOWS_MS = (2_000, 60_000)


@dataclass
class Signed:
    """One signature that left the enclave."""

    at: int
    symbol: str
    worth: Decimal
    uses: int


@dataclass
class Open:
    """One order, as large as it was ever signed."""

    buy: bool
    symbol: str
    engine: str
    size: Decimal
    uses: int
    until: int
    now: Decimal
    reserve: Decimal = Decimal(0)
    # Of an order that states its worth instead of a quantity.
    quote: Decimal | None = None
    filled: Decimal | None = None


@dataclass
class Oracle:
    """Everything that was signed."""

    signed: list[Signed] = field(default_factory=list)
    orders: list[Open] = field(default_factory=list)
    by_id: dict[str, Open] = field(default_factory=dict)
    content: dict[str, tuple[str, bytes, bytes]] = field(default_factory=dict)

    def spent(self, now: int, window_ns: int, symbols: set[str]) -> tuple[Decimal, int]:
        """What the signatures of the window can have been worth, and how many orders they can have made."""
        inside = [each for each in self.signed if each.at > now - window_ns and each.symbol in symbols]
        return sum((each.worth * each.uses for each in inside), Decimal(0)), sum(each.uses for each in inside)

    def worst(self, symbol: str, now: int) -> Decimal:
        """Longest or shortest that the account can become: all of one side fills, nothing of the other."""
        mine = [each for each in self.orders if each.symbol == symbol]
        position = sum(((each.filled or 0) * (1 if each.buy else -1) for each in mine), Decimal(0))
        left = {True: Decimal(0), False: Decimal(0)}
        for each in mine:
            if each.filled is None:
                left[each.buy] += each.reserve
            elif now < each.until:
                left[each.buy] += each.reserve - each.reserve / each.uses
        return max(position + left[True], left[False] - position)


class Hostile(RuleBasedStateMachine):
    """An engine, a stranger and a host that say what they like, in any order, and a clock that goes as it likes."""

    enclave: Enclave
    oracle: Oracle

    @initialize(uses=USES)
    def start(self, uses: int) -> None:
        self.version, self.uses, self.banned, self.halted, self.now = 1, uses, False, False, START
        self.sent: list[tuple[str, bytes]] = []
        self.enclave = ready(self.document(), tiny(uses=3), capacity=40)
        self.oracle = Oracle()

    def document(self, **changes: Any) -> dict[str, Any]:
        hours, minutes = WINDOWS_MS
        rules: dict[str, Any] = {
            "accept": ["replayable"],
            "count_uses": self.uses,
            "max_open_orders": 12,
            "grants": [grant(engines=[ENGINE, OTHER], max_notional="900")],
            "denials": [denial(sides=["SELL"], symbols=[ETH])] if self.banned else [],
            "limits": [
                limit("fast", window_ms=hours, max_orders=ORDERS, max_notional=None),
                limit("slow", window_ms=minutes, max_notional=str(NOTIONAL)),
            ],
            "exposures": [exposure("b", max_quantity=str(QUANTITY)), exposure("e", symbol=ETH, max_quantity="20")],
        }
        engines = [{"name": ENGINE, "accounts": ["main"]}, {"name": OTHER, "accounts": ["main"]}]
        return policy(account(**{**rules, **changes}), version=self.version, engines=engines)

    def say(self, engine: str, intent: intent_pb2.Intent) -> signer_pb2.Judged | None:
        raw = intent.SerializeToString()
        self.sent.append((engine, raw))
        return self.hear(engine, raw)

    def hear(self, engine: str, raw: bytes) -> signer_pb2.Judged | None:
        """Hand the bytes over; whatever came back signed is noted and compared."""
        self.now = max(self.now, self.enclave.clock.now)
        reply = self.enclave.call(sign=intent_pb2.SealedIntent(session=engine.encode(), intent=raw))
        if reply.WhichOneof("answer") == "not_judged":
            assert reply.not_judged.reason == "MALFORMED"
            return None
        judged = reply.judged
        assert judged.HasField("request") <= (judged.verdict.decision == signer_pb2.DECISION_ALLOW)
        if judged.HasField("request"):
            self.note(engine, intent_pb2.Intent.FromString(raw), raw, judged)
        return judged

    def note(self, engine: str, intent: intent_pb2.Intent, raw: bytes, judged: signer_pb2.Judged) -> None:
        request, kind = judged.request, intent.WhichOneof("kind")
        assert engine in {ENGINE, OTHER}
        assert self.now < request.valid_until <= getattr(intent, kind).valid_until
        bytes_ = request.SerializeToString()
        if kind not in {"order", "amend"}:
            return
        assert not self.halted
        if judged.repeated:
            assert (engine, raw, bytes_) in self.oracle.content.values()
            return
        placed = getattr(intent, kind)
        if kind == "order":
            assert not (self.banned and placed.symbol == ETH and placed.side == intent_pb2.SIDE_SELL)
            known = self.oracle.by_id.get(placed.client_order_id)
            assert known is None or self.now >= known.until, "one id, two orders"
            size, worth = sized(placed)
            buy, until = placed.side == intent_pb2.SIDE_BUY, request.valid_until
            made = Open(buy, placed.symbol, engine, size, self.uses, until, size)
            made.quote = Decimal(placed.quote_quantity) if placed.quote_quantity else None
            made.reserve = size * self.uses
            self.oracle.orders.append(made)
            self.oracle.by_id[placed.client_order_id] = made
        else:
            made = self.oracle.by_id[placed.client_order_id]
            assert made.filled is None
            size = made.now = Decimal(placed.quantity) if placed.quantity else made.now
            worth = made.quote or size * TOP
            if placed.quantity:
                made.quote, worth = None, size * TOP
            made.size, made.until = max(made.size, size), max(made.until, request.valid_until)
            made.uses = max(made.uses, self.uses)
            made.reserve = max(made.reserve, size * made.uses)
            if placed.new_client_order_id:
                self.oracle.by_id[placed.new_client_order_id] = made
        assert worth <= 900
        self.oracle.content[f"{len(self.oracle.content)}"] = (engine, raw, bytes_)
        self.oracle.signed.append(Signed(self.now, placed.symbol, worth, self.uses))

    def times(self, left: int) -> dict[str, int]:
        return {"created_at": 0, "valid_until": max(self.now, self.enclave.clock.now) + left * MS}

    @rule(name=IDS, symbol=SYMBOLS, side=SIDES, size=SIZES, time=TIMES, engine=ENGINES, left=st.integers(-1, 70_000))
    def create(self, *, name: str, symbol: str, side: Any, size: str, time: Any, engine: str, left: int) -> None:
        self.say(
            engine,
            order(
                client_order_id=name, symbol=symbol, side=side, quantity=size, time_in_force=time, **self.times(left)
            ),
        )

    @rule(name=IDS, symbol=SYMBOLS, side=SIDES, size=st.sampled_from(["1", "9.99", "100", "333.333", "900"]))
    def create_by_quote(self, name: str, symbol: str, side: Any, size: str) -> None:
        self.say(
            ENGINE,
            market(
                client_order_id=name, symbol=symbol, side=side, quantity=None, quote_quantity=size, **self.times(9_000)
            ),
        )

    @rule(
        name=IDS,
        symbol=SYMBOLS,
        size=SIZES | st.just(""),
        engine=ENGINES,
        new=st.none() | IDS,
        price=st.sampled_from(["", "", "60", "101"]),
        own=st.booleans(),
    )
    def amend(self, *, name: str, symbol: str, size: str, engine: str, new: str | None, price: str, own: bool) -> None:
        known = self.oracle.by_id.get(name)
        self.say(
            engine,
            plain(
                "amend",
                client_order_id=name,
                symbol=known.symbol if known and own else symbol,
                quantity=size,
                price=price,
                new_client_order_id=new or "",
                **self.times(9_000),
            ),
        )

    @rule(name=IDS, engine=ENGINES, filled=SIZES, own=st.booleans())
    def close(self, *, name: str, engine: str, filled: str, own: bool) -> None:
        if own and name in self.oracle.by_id:
            engine = self.oracle.by_id[name].engine
        judged = self.say(
            engine, plain("order_closed", client_order_id=name, filled_quantity=filled, **self.times(9_000))
        )
        if judged is not None and judged.verdict.rule == "order_closed":
            known = self.oracle.by_id[name]
            assert known.engine == engine
            assert known.filled is None, "released twice"
            assert Decimal(filled) <= known.reserve
            known.filled = Decimal(filled)

    @rule(data=st.data(), engine=st.sampled_from([ENGINE, OTHER, ""]))
    def replay(self, data: st.DataObject, engine: str) -> None:
        if self.sent:
            sender, raw = data.draw(st.sampled_from(self.sent))
            if intent_pb2.Intent.FromString(raw).WhichOneof("kind") not in {"order_closed", "halt"}:
                self.hear(engine or sender, raw)

    @rule(data=st.data())
    def batch(self, data: st.DataObject) -> None:
        """A batch of replays is worth no more than each by itself: nothing new may come of it."""
        chosen = data.draw(st.lists(st.sampled_from(self.sent), max_size=5)) if self.sent else []
        chosen = [
            each for each in chosen if b"o-" in each[1] and intent_pb2.Intent.FromString(each[1]).HasField("order")
        ]
        sealed = [intent_pb2.SealedIntent(session=engine.encode(), intent=raw) for engine, raw in chosen]
        self.now = max(self.now, self.enclave.clock.now)
        reply = self.enclave.call(sign_batch=signer_pb2.SealedBatch(intents=sealed))
        for (engine, raw), answer in zip(chosen, reply.judged_batch.answers, strict=True):
            if answer.judged.HasField("request"):
                self.note(engine, intent_pb2.Intent.FromString(raw), raw, answer.judged)

    @rule(ms=st.sampled_from([-100_000, -1, 0, 7, 500, 1_999, 2_000, 9_000, 20_000, 59_999, 60_300, 200_000]))
    def wait(self, ms: int) -> None:
        self.enclave.later(ms=ms)
        self.now = max(self.now, self.enclave.service._now())

    @rule(uses=USES, banned=st.booleans(), names=st.permutations(["fast", "slow"]), narrow=st.booleans())
    def reload(self, *, uses: int, banned: bool, names: list[str], narrow: bool) -> None:
        """A new policy, with limits that swap names, or that leave a symbol and come back to it."""
        self.version += 1
        # A lower count is the administrators' own word about orders to come: what was signed stays counted as it was.
        self.uses, self.banned = uses, banned
        kinds: dict[str, dict[str, Any]] = {
            names[0]: {"window_ms": WINDOWS_MS[0], "max_orders": ORDERS, "max_notional": None},
            names[1]: {"window_ms": WINDOWS_MS[1], "max_notional": str(NOTIONAL)},
        }
        made = [limit(name, **kinds[name]) for name in sorted(names)]
        if narrow:
            made = [{**each, "symbols": [BTC]} if each["max_notional"] is None else each for each in made]
        reply = self.enclave.load(self.document(limits=made))
        assert reply.loaded.policy_version == self.version, reply

    @rule(engine=ENGINES, chance=st.integers(0, 2))
    def halt(self, engine: str, chance: int) -> None:
        if chance:
            return
        judged = self.say(engine, plain("halt", scope=intent_pb2.HALT_SCOPE_ALL, **self.times(9_000)))
        self.halted |= judged is not None and judged.verdict.rule == "halt"

    @rule()
    def resume(self) -> None:
        self.enclave.resume()
        self.halted = False

    @rule(name=IDS, operation=st.sampled_from(signer_pb2.Operation.values()))
    def derive(self, name: str, operation: Any) -> None:
        reply = self.enclave.derived(name, operation)
        if reply.judged.HasField("request"):
            assert operation in {signer_pb2.OPERATION_QUERY, signer_pb2.OPERATION_CANCEL}
            assert name in self.oracle.by_id
            assert reply.judged.request.operation == operation

    @rule(data=st.binary(max_size=60))
    def noise(self, data: bytes) -> None:
        reply = signer_pb2.EnclaveReply.FromString(self.enclave.service.handle(data))
        assert not reply.judged.HasField("request")

    @invariant()
    def limits_hold(self) -> None:
        every = {BTC, ETH}
        worth, _ = self.oracle.spent(self.now, WINDOWS_MS[1] * MS, every)
        assert worth <= NOTIONAL
        assert self.oracle.spent(self.now, WINDOWS_MS[0] * MS, {BTC})[1] <= ORDERS

    @invariant()
    def exposures_hold(self) -> None:
        assert self.oracle.worst(BTC, self.now) <= QUANTITY
        assert self.oracle.worst(ETH, self.now) <= 20

    @invariant()
    def tables_are_bounded(self) -> None:
        table = self.enclave.service._ledger.table
        orders = self.enclave.service._ledger.account("main").orders
        assert 0 <= table.size <= table.capacity
        assert 0 <= orders.open <= 12
        kept = {id(entry): entry for entry in orders.by_id.values()}.values()
        assert table.size == len(orders.by_id) + sum(len(entry.amends or ()) for entry in kept)


def sized(placed: intent_pb2.OrderIntent) -> tuple[Decimal, Decimal]:
    """Most base units and most worth of an order."""
    if placed.quantity:
        return Decimal(placed.quantity), Decimal(placed.quantity) * TOP
    return Decimal(placed.quote_quantity) / BOTTOM, Decimal(placed.quote_quantity)


TestHostile = Hostile.TestCase
# A failure is shown as it was found: to shrink one of this machine takes minutes.
TestHostile.settings = settings(
    max_examples=100,
    stateful_step_count=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
