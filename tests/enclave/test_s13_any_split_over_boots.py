"""Whatever boots an order sequence is split over, whenever they die, and whatever twin lives on: no limit is exceeded.

The oracle is naive: a list of what every boot signed, summed anew for every order. A daemon stands beside it as
docs/duty.md says: it grants one boot at a time, keeps the last checkpoint, and waits for the end of the last grant
unless the boot was retired. Boots that were given up live on, and the host goes on sending them orders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from tests.enclave.duty_rig import Boot, boot, duty_policy, said
from tests.enclave.enclave_rig import (
    BTC,
    ENGINE,
    ETH,
    SECOND,
    START,
    TinyVenue,
    account,
    exposure,
    instrument,
    limit,
    order,
    plain,
)

if TYPE_CHECKING:
    from signer_api.v1 import signer_pb2

LIMITS: Final = {"minute": (60, 1_000, 8), "three": (180, 1_600, 100)}
MOST_OPEN: Final = 12
HALT: Final = {"scope": "SYMBOL", "account": "", "venue": "", "symbol": ETH, "by": ENGINE}


def document() -> dict[str, Any]:
    limits = [
        limit(name, window_ms=seconds * 1000, max_notional=str(most), max_orders=count)
        for name, (seconds, most, count) in sorted(LIMITS.items())
    ]
    instruments = [instrument(BTC, price_min="50"), instrument(ETH, price_min="50")]
    exposures = [exposure(max_quantity=str(MOST_OPEN))]
    return duty_policy(account(instruments=instruments, limits=limits, exposures=exposures))


class Signed(NamedTuple):
    """One order that some boot signed: notional at the top of the band."""

    at: int
    notional: int
    nonce: int
    boot: int


@dataclass
class World:
    """All boots, the daemon, and the oracle."""

    venue: TinyVenue = field(default_factory=TinyVenue)
    now: int = START
    boots: list[Boot] = field(default_factory=list)
    signed: list[Signed] = field(default_factory=list)
    # By (boot, name): side and quantity of what was not closed.
    open: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    until: int = 0
    stored: signer_pb2.Checkpoint | None = None
    halted: bool = False
    orders: int = 0

    def start(self) -> None:
        self.boots.append(boot(document(), now=self.now, venue=self.venue))

    def order(self, which: int, quantity: int, side: int, symbol: str) -> None:
        """Send an order to any boot that was ever started; the oracle judges what is signed."""
        number = which % len(self.boots)
        one = self.boots[number]
        one.clock.now = self.now
        self.orders += 1
        name = f"o-{self.orders}"
        asked = order(
            symbol=symbol,
            side=side,
            quantity=str(quantity),
            client_order_id=name,
            created_at=self.now,
            valid_until=self.now + SECOND,
        )
        judged = one.judged(asked)
        if judged.HasField("request"):
            nonce = int(re.search(rb"nonce=([0-9]+)", judged.request.body)[1])  # type: ignore[index]
            self.judge(Signed(self.now, quantity * 100, nonce, number))
            if symbol == BTC:
                self.open[number, name] = (side, quantity)
                self.judge_open(side)

    def judge(self, one: Signed) -> None:
        assert all(before.nonce < one.nonce for before in self.signed), "a nonce went back"
        self.signed.append(one)
        for name, (seconds, most, count) in LIMITS.items():
            inside = [each for each in self.signed if each.at > self.now - seconds * SECOND]
            assert sum(each.notional for each in inside) <= most, name
            assert len(inside) <= count, name

    def judge_open(self, side: int) -> None:
        assert sum(quantity for of, quantity in self.open.values() if of == side) <= MOST_OPEN

    def close(self) -> None:
        """The engine says of the latest boot's orders that they can fill no more."""
        number = len(self.boots) - 1
        for boot_number, name in list(self.open):
            if boot_number == number:
                closed = plain("order_closed", client_order_id=name, filled_quantity="0", created_at=self.now)
                closed.order_closed.valid_until = self.now + SECOND
                self.boots[number].clock.now = self.now
                if self.boots[number].rule(closed) == "order_closed":
                    del self.open[boot_number, name]

    def renew(self, share: int) -> None:
        """Grant the latest boot again, if it was granted before."""
        one = self.boots[-1]
        one.clock.now = self.now
        if one.granted and not one.status().duty.retired:
            end = max(self.now + 30 * SECOND, self.until + 1)
            self.until = one.grant(share=[1, share], halts=self.halts(), not_after=end).not_after

    def checkpoint(self) -> None:
        one = self.boots[-1]
        one.clock.now = self.now
        if one.granted:
            self.stored = one.checkpoint()
            self.halted = self.halted or bool(said(self.stored)["halts"])

    def retire(self) -> None:
        one = self.boots[-1]
        one.clock.now = self.now
        reply = one.retire()
        if reply.WhichOneof("answer") == "checkpoint":
            self.stored = reply.checkpoint
            self.halted = self.halted or bool(said(self.stored)["halts"])

    def succeed(self, share: int, *, lost: bool) -> None:
        """Start another boot and give it the duty as a daemon does; ``lost``: nobody has a checkpoint any more."""
        retired = self.stored is not None and not lost and said(self.stored)["retired"]
        retired = retired and said(self.stored)["boot"] == self.boots[-1].id()  # type: ignore[arg-type]
        if not retired:
            self.now = max(self.now, self.until)
        self.start()
        one = self.boots[-1]
        changes: dict[str, Any] = {"share": [1, share], "halts": self.halts(), "not_after": self.now + 30 * SECOND}
        if lost or self.stored is None:
            self.until = one.grant(fresh=False, **changes).not_after
        else:
            self.until = one.go_on(self.stored, self.until, **changes).not_after
        self.stored = None if lost else self.stored
        if self.halted:
            assert any(halt.symbol == ETH for halt in one.status().halts), "a HALT was forgotten"

    def halt(self) -> None:
        one = self.boots[-1]
        one.clock.now = self.now
        asked = plain("halt", scope=4, symbol=ETH, created_at=self.now, valid_until=self.now + SECOND)
        assert one.rule(asked) == "halt"

    def halts(self) -> list[dict[str, str]]:
        return [HALT] if self.halted else []


SHARE: Final = st.sampled_from([1, 1, 2, 3])
ORDER: Final = st.tuples(
    st.just("order"),
    st.sampled_from([-1, -1, -1, -1, 0, 1]),
    st.sampled_from([1, 1, 2, 3]),
    st.integers(1, 2),
    st.sampled_from([BTC, ETH]),
)
STEP: Final = st.one_of(
    ORDER,
    ORDER,
    ORDER,
    st.tuples(st.just("pass"), st.sampled_from([SECOND, 7 * SECOND, 29 * SECOND, 59 * SECOND])),
    st.tuples(st.just("checkpoint")),
    st.tuples(st.just("close")),
    st.tuples(st.sampled_from(["renew"] * 6 + ["halt"]), SHARE),
)
# What one boot goes through, how it ends, and its successor's share. Most end in a crash or in order.
LIFE: Final = st.tuples(
    st.lists(STEP, min_size=4, max_size=14),
    st.sampled_from(["crash", "crash", "crash", "retire", "retire", "retire", "lose"]),
    SHARE,
)


def buy(quantity: int, symbol: str = BTC) -> tuple[object, ...]:
    return "order", -1, quantity, 1, symbol


# A boot spends its share, is granted another one after its checkpoint, spends that, and is lost.
AGAIN: Final = (
    [
        ([buy(3, ETH), buy(2, ETH), ("checkpoint",), ("renew", 2), buy(3, ETH), buy(2, ETH)], "crash", 1),
        ([buy(3, ETH), buy(2, ETH)], "crash", 1),
    ],
    2,
)
# A boot opens what its checkpoint does not show, and is lost; its successor waits until the limit is free again.
OPENED: Final = (
    [
        ([buy(3), buy(2)], "crash", 1),
        ([*[("pass", 29 * SECOND), ("renew", 1)] * 2, ("pass", 7 * SECOND), buy(3), buy(3), buy(2)], "crash", 1),
    ],
    2,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(LIFE, min_size=2, max_size=5), SHARE)
@example(*AGAIN)
@example(*OPENED)
def test_s13_no_split_over_boots_exceeds_a_limit_or_an_exposure_or_repeats_a_nonce(
    lives: list[tuple[list[tuple[Any, ...]], str, int]], share: int
) -> None:
    world = World()
    world.start()
    world.until = world.boots[0].grant(share=[1, share], not_after=START + 30 * SECOND).not_after
    world.checkpoint()
    for steps, end, share_of_next in lives:
        for step in steps:
            live(world, step)
        if end == "retire":
            world.retire()
        world.succeed(share_of_next, lost=end == "lose")
        world.checkpoint()
    boots = len({each.boot for each in world.signed})
    event(f"signed by {boots} boots: {min(len(world.signed), 10)}")


def live(world: World, step: tuple[Any, ...]) -> None:
    match step:
        case "order", which, quantity, side, symbol:
            world.order(which, quantity, side, symbol)
        case "pass", by:
            world.now += by
        case "renew", share:
            world.renew(share)
        case ("checkpoint",):
            world.checkpoint()
        case ("close",):
            world.close()
        case "halt", _:
            world.halt()
        case _:
            raise AssertionError(step)
