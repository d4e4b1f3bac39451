"""A clock that is not to be trusted (S11): what it does while nobody looks must not loosen anything later."""

from __future__ import annotations

import pytest

from enclave_signer.drift import BOUND_NS, Drift
from signer_api.v1 import signer_pb2
from tests.hostile.stage import (
    MINUTE,
    QUORUM,
    SECOND,
    Boot,
    Clock,
    Stage,
    allowed,
    named,
)
from tests.hostile.test_hostile_duty import FEW, few_orders, orders


class Watched:
    """A stage whose boot compares its clock with the module's, which goes right."""

    def __init__(self) -> None:
        self.stage = Stage(first={"accounts": few_orders()})
        self.drift = Drift()
        self.clock = Clock(self.stage.clock.now)
        self.compare()
        self.boot = Boot(self.clock, drift=self.drift)
        assert self.boot.load(*self.stage.policy()).WhichOneof("answer") == "loaded"
        for account in ("main", "alt"):
            assert self.boot.provision(self.stage.bundle(account)).WhichOneof("answer") == "loaded"
        self.stage.granted(self.boot, fresh=True, not_after=self.stage.clock.now + 3 * MINUTE)

    def compare(self) -> None:
        self.drift.compare(self.clock.now, self.stage.clock.now // 1_000_000, self.clock.now)

    def later(self, by: int, ahead: int = 0) -> None:
        """Time goes on, and the boot's clock is this far ahead of it."""
        self.stage.clock.now += by
        self.clock.now = self.stage.clock.now + ahead

    def rule(self) -> str:
        engine = self.stage.engine(self.boot)
        valid_until = self.stage.clock.now + 50 * SECOND
        return self.boot.sign(engine.order(valid_until=valid_until)).verdict.rule


@pytest.mark.parametrize("seen_by", ["checkpoint", "status"])
def test_s11_a_clock_that_was_ahead_for_a_while_signs_nothing_until_time_has_caught_up(seen_by: str) -> None:
    watched = Watched()
    assert orders(watched.stage, watched.boot) == FEW
    watched.later(5 * SECOND, ahead=40 * SECOND)
    watched.compare()
    assert watched.drift.stops
    # What needs no right clock is answered meanwhile, and the enclave's time never goes back.
    if seen_by == "checkpoint":
        watched.boot.checkpoint()
    else:
        watched.boot.status()
    watched.later(20 * SECOND)
    watched.compare()
    # Its time is 20 s ahead now: the limit would be free too early, and stamps would be wrong.
    assert watched.rule() == "clock_drift"
    derived = signer_pb2.DerivedRequest(account="main", client_order_id="id-1", operation=signer_pb2.OPERATION_CANCEL)
    assert watched.boot.call(derived=derived).judged.verdict.rule == "clock_drift"
    assert named(watched.boot.hand_grant(*watched.stage.grant(watched.boot)))[0] == "CLOCK_DRIFT"
    watched.later(20 * SECOND)
    assert watched.rule() == "limit:few"
    watched.later(20 * SECOND)
    watched.stage.granted(watched.boot, not_after=watched.stage.clock.now + 4 * MINUTE)
    assert watched.rule() == "grant:g"


def test_s11_a_clock_that_is_set_back_a_little_goes_on_from_where_it_was() -> None:
    watched = Watched()
    assert watched.rule() == "grant:g"
    watched.later(0, ahead=-BOUND_NS + SECOND)
    watched.compare()
    engine = watched.stage.engine(watched.boot)
    assert allowed(watched.boot.sign(engine.order()))
    assert watched.boot.status().quorum == QUORUM
