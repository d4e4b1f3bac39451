"""Attacks on every kind of request of a venue, and what they achieve.

Each mutant is tried in fresh worlds: instead of the original, after it, and (for what makes or changes an order) after
that order was changed by somebody else. It *passes* if the venue accepts it and it does something that the original, or
its plain repetition, does not.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from casemate_mock.exchange import OrderStatus
from enclave_signer import model
from enclave_signer.errors import Unsupported
from enclave_signer.model import Operation
from enclave_signer.venues.declaration import Gap
from tests.contract.attacks import mutants
from tests.contract.contract_rig import ACCOUNT, CASES, REFERENCE, Bench, Case, as_received, exact, make_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemate_mock.venues.wire import VenueRequest, VenueResponse
    from tests.contract.attacks import Mutant
    from tests.contract.contract_rig import Keys

# Orders that rest before an attack: the target and a bystander in the first symbol, one in the second.
TARGET, BYSTANDER, ELSEWHERE = "2001", "2002", "2003"
WORDS: Final = {
    "method": Gap.METHOD_UNSIGNED,
    "host": Gap.HOST_UNSIGNED,
    "path": Gap.PATH_UNSIGNED,
    "query": Gap.QUERY_UNSIGNED,
    "body": Gap.BODY_UNSIGNED,
    "border": Gap.QUERY_BODY_JOINED,
}
# Where else the same bytes could be sent: other names and other environments of the venue.
HOSTS: Final = {
    "binance": ("api.binance.com", "fapi.binance.com", "api1.binance.com"),
    "binanceusdm": ("fapi.binance.com", "testnet.binancefuture.com"),
    "bybit": ("api.bytick.com", "api-testnet.bybit.com"),
    "okx": ("aws.okx.com",),
    "kraken": ("beta-api.kraken.com",),
    "coinbase": ("api-sandbox.coinbase.com",),
    "backpack": ("api.testnet.backpack.exchange",),
}
# What an address that changes nothing reads, where it is one of our operations.
READS: Final = {
    "/api/v3/order": Operation.QUERY,
    "/fapi/v1/order": Operation.QUERY,
    "/fapi/v1/openOrder": Operation.QUERY,
    "/fapi/v1/algoOrder": Operation.QUERY,
    "/api/v3/openOrders": Operation.OPEN_ORDERS,
    "/fapi/v1/openOrders": Operation.OPEN_ORDERS,
    "/fapi/v1/openAlgoOrders": Operation.OPEN_ORDERS,
    "/api/v3/account": Operation.BALANCES,
    "/fapi/v2/account": Operation.BALANCES,
    "/fapi/v3/account": Operation.BALANCES,
    "/fapi/v2/balance": Operation.BALANCES,
    "/fapi/v3/balance": Operation.BALANCES,
    "/v5/account/wallet-balance": Operation.BALANCES,
}


class Original(NamedTuple):
    """One signed request and what kind it is."""

    operation: Operation
    label: str
    request: VenueRequest


class Pass(NamedTuple):
    """A mutant that did something else: the words it needed, and what it did (a name where no operation fits)."""

    operation: Operation
    changed: frozenset[str]
    did: Operation | str
    how: str
    # It made an order besides one that the same signature had made before.
    again: bool = False


# Kraken's requests without a deadline end when the key's next nonce is used.
ENDED_BY_A_LATER_NONCE: Final = {"kraken"}
VALID_MS: Final = 2_000
STOPS: Final = ("06", "07")
STOP_TARGET: Final = "2006"
STOP: Final = {"type": model.OrderType.STOP_LIMIT, "stop_price": exact("55000"), "price": exact("55100")}
Snapshot = tuple[tuple[object, ...], ...]


# --- the world before an attack


def siblings(case: Case) -> tuple[Case, ...]:
    """The venue's other kind of instrument: a signature must not leak from one to the other unseen."""
    others = (other for other in CASES if other.venue == case.venue and other.kind != case.kind)
    return tuple(others)[:1]


def world(case: Case, keys: Keys) -> Bench:
    """A fresh venue, always the same: orders that rest, stops that wait, of both kinds, and one that is done."""
    bench = Bench(case, keys, siblings=siblings(case))
    rest(bench, bench, "20")
    # Its client id is a beginning of the target's: what is left of an id that was cut.
    assert bench.create(bench.limit(TARGET[:-1])).error is None
    assert bench.create(bench.market("2008")).error is None
    assert bench.create(bench.limit(ELSEWHERE, symbol=bench.eth.symbol), bench.eth).error is None
    for other in siblings(case):
        rest(bench, Bench(other, keys), "21")
    return bench


def rest(bench: Bench, of: Bench, start: str) -> None:
    """Put two orders and two stops into the first symbol that ``of`` trades."""
    site = bench.half.site(of.placement, bench.half.credential(of.keys.fields))
    for number in ("01", "02", "06", "07"):
        terms = STOP if number in STOPS else {}
        request = site.create(of.limit(start + number, **terms), of.btc, bench.stamp())
        assert accepts(bench.case.venue, bench.send(request))


def snapshot(bench: Bench) -> Snapshot:
    """All that the venue keeps of all orders."""
    return tuple(
        (o.venue_id, o.client_id, o.symbol, o.side, o.quantity, o.price, o.stop_price, o.status, o.filled)
        for o in bench.venue.exchange.orders()
    )


def originals(bench: Bench, valid_ms: int | None = None) -> Iterator[Original]:
    """Every kind of request, signed now, in the forms that the venue has."""

    def stamp() -> model.Stamp:
        return bench.stamp(valid_ms)

    target = bench.limit(TARGET)
    venue_id = bench.order(TARGET).venue_id
    makers: dict[tuple[Operation, str], Callable[[], model.WireRequest]] = {
        (Operation.CREATE, "limit"): lambda: bench.site.create(bench.limit("2100"), bench.btc, stamp()),
        (Operation.CREATE, "market"): lambda: bench.site.create(bench.market("2100"), bench.btc, stamp()),
        (Operation.CREATE, "ioc"): lambda: bench.site.create(
            bench.limit("2100", time_in_force=model.TimeInForce.IOC, price=exact("60000")), bench.btc, stamp()
        ),
        (Operation.CREATE, "stop"): lambda: bench.site.create(bench.limit("2100", **STOP), bench.btc, stamp()),
        (Operation.CANCEL, "client id"): lambda: bench.site.cancel(bench.cancel(TARGET), bench.btc, stamp()),
        (Operation.CANCEL, "venue id"): lambda: bench.site.cancel(bench.cancel("", venue_id), bench.btc, stamp()),
        (Operation.CANCEL_ALL, "symbol"): lambda: bench.site.cancel_all(bench.cancel_all(), bench.btc, stamp()),
        (Operation.AMEND, "quantity"): lambda: bench.site.amend(
            bench.amend(TARGET, venue_id, quantity=exact("0.4")), target, bench.btc, stamp()
        ),
        (Operation.QUERY, "client id"): lambda: bench.site.query(bench.query(TARGET), bench.btc, stamp()),
        (Operation.QUERY, "venue id"): lambda: bench.site.query(bench.query("", venue_id), bench.btc, stamp()),
        (Operation.QUERY, "closed"): lambda: bench.site.query(bench.query(TARGET, closed=True), bench.btc, stamp()),
        (Operation.OPEN_ORDERS, "symbol"): lambda: bench.site.open_orders(bench.open_orders(), bench.btc, stamp()),
        (Operation.CANCEL, "stop"): lambda: bench.site.cancel(
            bench.cancel(STOP_TARGET, conditional=True),
            bench.btc,
            stamp(),
        ),
        (Operation.QUERY, "stop"): lambda: bench.site.query(
            bench.query(STOP_TARGET, conditional=True), bench.btc, stamp()
        ),
        (Operation.OPEN_ORDERS, "stops"): lambda: bench.site.open_orders(
            bench.open_orders()._replace(conditional=True), bench.btc, stamp()
        ),
        (Operation.CANCEL_ALL, "stops"): lambda: bench.site.cancel_all(
            bench.cancel_all()._replace(conditional=True), bench.btc, stamp()
        ),
        (Operation.BALANCES, "all"): lambda: bench.site.balances(bench.balances(), stamp()),
    }
    for (operation, label), make in makers.items():
        try:
            yield Original(operation, label, as_received(make()))
        except Unsupported:
            continue


def addresses(bench: Bench) -> tuple[tuple[str, str], ...]:
    """Every signed endpoint of the simulated venue, by its own table; plus the methods that one might try there."""
    table = vars(bench.venue)["_signed"]
    known = [key if isinstance(key, tuple) else ("POST", key) for key in table]
    if bench.case.venue == "coinbase":
        found = [bench.order(name).venue_id for name in (TARGET, BYSTANDER)]
        known += [("GET", f"/api/v3/brokerage/orders/historical/{venue_id}") for venue_id in found]
    paths = dict.fromkeys(path for _, path in known)
    return tuple((method, path) for path in paths for method in ("GET", "POST", "PUT", "DELETE"))


def swaps(bench: Bench) -> dict[str, str]:
    """What an attacker would put in place of what stands there."""
    target, bystander = bench.order(TARGET), bench.order(BYSTANDER)
    return {
        bench.btc.venue_symbol: bench.eth.venue_symbol,
        target.venue_id: bystander.venue_id,
        TARGET: BYSTANDER,
        "2100": "2199",
        "0.5": "9",
        "0.4": "9",
        "40000.5": "41000",
        "60000": "61000",
        "BUY": "SELL",
        "Buy": "Sell",
        "buy": "sell",
        "Bid": "Ask",
        "OPEN": "CANCELLED",
        "UNIFIED": "SPOT",
    }


# --- one attack


class Attack:
    """Tries mutants of one original in both worlds; a world is made anew whenever a mutant could have marked it."""

    def __init__(self, case: Case, keys: Keys, original: Original) -> None:
        """Take the measure of the original and of its plain repetition."""
        self._case, self._keys, self._original = case, keys, original
        self._instead, self._after, self._moved = self._fresh(), self._fresh(), self._fresh()
        self.before = snapshot(self._instead)
        self.answer = self._after.venue.handle(original.request)
        assert accepts(case.venue, self.answer), (case.name, original.label, self.answer.body)
        self.once = snapshot(self._after)
        repeated = self._fresh()
        repeated.venue.handle(original.request)
        repeated.venue.handle(original.request)
        self.twice = snapshot(repeated)
        self._move_on()
        self.moved = snapshot(self._moved)
        self._moved.venue.handle(original.request)
        self.moved_back = snapshot(self._moved)
        self._move_on()

    def passes(self, mutant: Mutant) -> Iterator[Pass]:
        """Yield what the mutant achieves, nothing if it fails or does what the original does."""
        answer = self._instead.venue.handle(mutant.request)
        state = snapshot(self._instead)
        if state not in {self.before, self.once}:
            yield self._passed(mutant, what_changed(self.before, state))
        elif state == self.before and accepts(self._case.venue, answer) and answer.body != self.answer.body:
            yield self._passed(mutant, self._read(mutant))
        elif mutant.changed == {"host"} and accepts(self._case.venue, answer):
            # The same deed at another address.
            yield self._passed(mutant, self._original.operation)
        if state != self.before or self._spends(answer):
            self._instead = self._fresh()
        yield from self._passes_after(mutant)
        if self._original.operation in {Operation.CREATE, Operation.AMEND}:
            yield from self._passes_moved(mutant)

    def _passes_after(self, mutant: Mutant) -> Iterator[Pass]:
        answer = self._after.venue.handle(mutant.request)
        state = snapshot(self._after)
        if state not in {self.once, self.twice}:
            did = what_changed(self.once, state)
            yield self._passed(mutant, did)._replace(again=did is self._original.operation is Operation.CREATE)
        if state != self.once or self._spends(answer):
            self._after = self._fresh()
            self._after.venue.handle(self._original.request)

    def _passes_moved(self, mutant: Mutant) -> Iterator[Pass]:
        """Try it after the order that the original made or changed was changed by somebody else."""
        answer = self._moved.venue.handle(mutant.request)
        state = snapshot(self._moved)
        if state not in {self.moved, self.moved_back} and len(state) == len(self.moved):
            yield self._passed(mutant, what_changed(self.moved, state))
        if state != self.moved or self._spends(answer):
            self._move_on()

    def _move_on(self) -> None:
        self._moved = self._fresh()
        self._moved.venue.handle(self._original.request)
        order = self._moved.order("2100" if self._original.operation is Operation.CREATE else TARGET)
        if order.is_open:
            self._moved.venue.exchange.amend(ACCOUNT, order.venue_id, price=REFERENCE - 20_000)

    def _read(self, mutant: Mutant) -> Operation | str:
        """Name what an address tells that changes nothing; parameters may decide."""
        path, query = mutant.request.path, mutant.request.query
        if path == "/v5/order/realtime":
            return Operation.QUERY if "orderId" in query or "orderLinkId" in query else Operation.OPEN_ORDERS
        if path.endswith("/orders/historical/batch"):
            return Operation.OPEN_ORDERS if "order_status=OPEN" in query else Operation.QUERY
        if path == self._original.request.path and mutant.request.method == self._original.request.method:
            return self._original.operation
        return READS.get(path, path)

    def _passed(self, mutant: Mutant, did: Operation | str) -> Pass:
        return Pass(self._original.operation, mutant.changed, did, f"{self._original.label}: {mutant.how}")

    def _spends(self, answer: VenueResponse) -> bool:
        """Whether an answer shows that the venue took note of a request although no order changed: a nonce."""
        return self._case.venue in ENDED_BY_A_LATER_NONCE and accepts(self._case.venue, answer)

    def _fresh(self) -> Bench:
        return world(self._case, self._keys)


def accepts(venue: str, answer: VenueResponse) -> bool:
    """Whether the venue did as it was asked."""
    if not 200 <= answer.status < 300:
        return False
    value = json.loads(answer.body)
    if not isinstance(value, dict):
        return True
    match venue:
        case "binance" | "binanceusdm":
            return not str(value.get("code", "")).startswith("-")
        case "bybit":
            return bool(value["retCode"] == 0)
        case "okx":
            return bool(value["code"] == "0")
        case "kraken":
            return bool(value["error"] == [])
        case "coinbase":
            results = value.get("results", [value])
            return all(result.get("success", True) for result in results)
        case _:
            return True


def what_changed(before: Snapshot, after: Snapshot) -> Operation:
    """Name a change of orders: made, amended, or canceled, one or several."""
    if len(after) > len(before):
        return Operation.CREATE
    canceled = sum(a[7] is OrderStatus.CANCELED is not b[7] for b, a in zip(before, after, strict=True))
    if canceled:
        return Operation.CANCEL if canceled == 1 else Operation.CANCEL_ALL
    return Operation.AMEND


@cache
def assault(case: Case) -> tuple[Pass, ...]:
    """Everything that passes for one case."""
    keys = make_keys(case)
    bench = world(case, keys)
    found: list[Pass] = []
    for original in originals(bench):
        attack = Attack(case, keys, original)
        for mutant in mutants(original.request, addresses(bench), HOSTS[case.venue], swaps(bench)):
            found.extend(attack.passes(mutant))
    return tuple(found)


@cache
def repeated_creates(case: Case) -> bool:
    """Whether the very same bytes can make a second order: at once, or when the first is done."""
    keys = make_keys(case)
    for original in originals(world(case, keys)):
        if original.operation is not Operation.CREATE:
            continue
        bench = world(case, keys)
        bench.venue.handle(original.request)
        bench.venue.handle(original.request)
        first = bench.order("2100")
        if first.is_open:
            bench.venue.exchange.cancel(ACCOUNT, first.venue_id)
        bench.venue.handle(original.request)
        if len(bench.venue.exchange.orders_by_client("2100")) > 1:
            return True
    return False


@cache
def outlived(case: Case, after_ms: int = VALID_MS + 1) -> frozenset[Operation]:
    """Operations of which a request that was signed to be valid for VALID_MS is taken ``after_ms`` later."""
    keys = make_keys(case)
    found = set()
    for original in originals(world(case, keys), VALID_MS):
        bench = world(case, keys)
        bench.now_ms += after_ms
        if accepts(case.venue, bench.venue.handle(original.request)):
            found.add(original.operation)
    return frozenset(found)
