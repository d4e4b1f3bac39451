"""Exposure is never exceeded and never netted, whatever is signed, amended and closed in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signer_api.v1 import intent_pb2
from tests.enclave.enclave_rig import SECOND, Enclave, exposure, order, plain, ready, with_account

MOST = 10
QUANTITIES = st.integers(1, 12)
TIMES = st.sampled_from([intent_pb2.TIME_IN_FORCE_GTC, intent_pb2.TIME_IN_FORCE_IOC])


@dataclass
class Known:
    """One order as the oracle remembers it."""

    buy: bool
    largest: int
    filled: int | None = None


@dataclass
class Oracle:
    """Everything that was signed, and what the engine said of it."""

    orders: dict[str, Known] = field(default_factory=dict)

    def worst(self) -> tuple[int, int]:
        """Longest and shortest that the account can become: every open order fills, those of one side alone."""
        closed = [each for each in self.orders.values() if each.filled is not None]
        position = sum((each.filled or 0) * (1 if each.buy else -1) for each in closed)
        open_ = [each for each in self.orders.values() if each.filled is None]
        return (
            position + sum(each.largest for each in open_ if each.buy),
            position - sum(each.largest for each in open_ if not each.buy),
        )


class Trading(RuleBasedStateMachine):
    """Random trading against one exposure limit."""

    enclave: Enclave
    oracle: Oracle

    @initialize()
    def start(self) -> None:
        self.enclave = ready(with_account(exposures=[exposure(max_quantity=str(MOST))], max_open_orders=1000))
        self.oracle = Oracle()

    def _times(self) -> dict[str, Any]:
        seen = self.enclave.service._seen
        return {"created_at": 0, "valid_until": max(seen, self.enclave.clock.now) + 10 * SECOND}

    @rule(buy=st.booleans(), quantity=QUANTITIES, time=TIMES)
    def create(self, *, buy: bool, quantity: int, time: int) -> None:
        name = f"o-{len(self.oracle.orders)}"
        side = intent_pb2.SIDE_BUY if buy else intent_pb2.SIDE_SELL
        before = self.oracle.worst()
        decided = self.enclave.rule(
            order(client_order_id=name, side=side, quantity=str(quantity), time_in_force=time, **self._times())
        )
        worst = before[0] + quantity if buy else -before[1] + quantity
        assert decided == ("grant:g" if worst <= MOST else "exposure:x")
        if decided == "grant:g":
            self.oracle.orders[name] = Known(buy, quantity)

    @precondition(lambda self: bool(self.oracle.orders))
    @rule(data=st.data(), quantity=QUANTITIES)
    def amend(self, data: st.DataObject, quantity: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.oracle.orders)))
        known = self.oracle.orders[name]
        decided = self.enclave.rule(plain("amend", client_order_id=name, quantity=str(quantity), **self._times()))
        if decided == "grant:g":
            assert known.filled is None
            known.largest = max(known.largest, quantity)
        else:
            assert decided in {"exposure:x", "unknown_order"}

    @precondition(lambda self: bool(self.oracle.orders))
    @rule(data=st.data(), filled=st.integers(0, 12))
    def close(self, data: st.DataObject, filled: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.oracle.orders)))
        known = self.oracle.orders[name]
        decided = self.enclave.rule(
            plain("order_closed", client_order_id=name, filled_quantity=str(filled), **self._times())
        )
        if decided == "order_closed":
            assert known.filled is None
            assert filled <= known.largest
            known.filled = filled
        else:
            assert known.filled is not None or filled > known.largest

    @rule(seconds=st.integers(-100, 100))
    def wait(self, seconds: int) -> None:
        self.enclave.later(seconds=seconds)

    @invariant()
    def never_exceeded(self) -> None:
        longest, shortest = self.oracle.worst()
        assert longest <= MOST
        assert shortest >= -MOST


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
