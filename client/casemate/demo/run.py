"""The demonstration's course: start, attest, open sessions, play, settle, cancel, close, account for every order."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from casemate.calls import SECOND
from casemate.demo import account, play, receipts, steps, summary
from casemate.demo.plan import plan_orders
from casemate.demo.stack import DemoStack, has_kms
from casemate.demo.tape import generate, read_tape
from casemate.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from casemate.demo.account import Book
    from casemate.demo.play import Played
    from casemate.demo.steps import Step
    from casemate.models import Status
    from casemate.session import AttestedSealer

_VALIDITY_NS: Final = 50 * SECOND
# The officer looks five times a second.
_WITNESSED_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to play. ``tape`` None: the generator."""

    tape: Path | None
    orders: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened. ``problems`` is empty if and only if every order is accounted for."""

    options: Options
    steps: Sequence[Step]
    played: Sequence[Played]
    book: Book
    canceled: int
    seconds: float
    status: Status
    problems: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """The whole outcome as one JSON document."""
        table = summary.by_venue(self.played, self.book)
        return {
            "tape": str(self.options.tape) if self.options.tape else None,
            "seed": self.options.seed,
            "steps": [step.as_json() for step in self.steps],
            "seconds": round(self.seconds, 3),
            "orders": summary.total(table),
            "by_account": table,
            "refused_by_rule": summary.by_rule(self.played),
            "canceled_at_the_end": self.canceled,
            "latency_us": summary.by_stage(self.played),
            "enclave": {
                "policy_version": self.status.enclave.policy_version,
                "policy_digest": self.status.enclave.policy_digest,
                "judged": self.status.enclave.judged,
                "refused": self.status.enclave.refused,
                "unauthenticated": self.status.enclave.unauthenticated,
                "boot_key": self.status.enclave.boot_key,
            },
            "accounted_for": not self.problems,
            "missing": list(self.problems),
        }


class Show(NamedTuple):
    """Who gets told: what happens now, each step that was done, and how many orders are done of how many."""

    say: Callable[[str], None]
    step: Callable[[Step], None]
    progress: Callable[[int, int], None]


async def run(options: Options, show: Show) -> Outcome:
    """Play the demonstration."""
    trades = read_tape(options.tape) if options.tape else generate(options.orders, options.seed)
    random = Random(options.seed)  # noqa: S311 - a demonstration's shape, no secret
    show.say("starting the simulated venues, the mock enclave and the host")
    async with DemoStack((*(("--kms",) if has_kms() else ()), "--duty")) as stack:
        markets = stack.markets()
        planned = plan_orders(trades, markets, options.orders, random)
        # One engine that may trade, one that may not.
        sealers = {name: stack.profile(name).sealer() for name in (stack.engine, stack.reader)}
        gateways = {name: _gateway(stack.gateway, sealer) for name, sealer in sealers.items()}
        async with gateways[stack.engine] as gateway, gateways[stack.reader] as reader:
            await gateway.wait_ready()
            done = []
            async for step in _steps(stack, gateways, sealers):
                done.append(step)
                show.step(step)
            show.say(f"playing {len(planned)} orders into {len({market.account for market in markets})} accounts")
            began = time.monotonic()
            played = await play.play(gateway, reader, planned, lambda count: show.progress(count, len(planned)))
            seconds = time.monotonic() - began
            servers = tuple(dict.fromkeys(market.server for market in markets))
            await play.read_journal(gateway, played)
            resting = account.resting(await _book(stack, servers))
            show.say(f"cancelling {len(resting)} resting orders")
            canceled = await play.cancel_resting(gateway, played, resting)
            book = await _book(stack, servers)
            show.say("closing orders and reading the journal")
            await play.close_orders(gateway, played, _filled(book))
            status = await gateway.status()
            show.say("checking every receipt against the witness")
            audited = await _audited(stack, show)
    problems = account.problems_of(played, book) + audited.problems
    done += audited.steps
    return Outcome(
        options=options,
        steps=done,
        played=played,
        book=book,
        canceled=canceled,
        seconds=seconds,
        status=status,
        problems=problems,
    )


async def _steps(
    stack: DemoStack, gateways: Mapping[str, Gateway], sealers: Mapping[str, AttestedSealer]
) -> AsyncIterator[Step]:
    """Do what comes before the first order."""
    gateway, pins = gateways[stack.engine], stack.profile(stack.engine).pins
    assert pins is not None  # noqa: S101 - the stack's profiles have them
    for step in await steps.attested(gateway, pins):
        yield step
    yield steps.approved(stack, await gateway.status())
    yield steps.provisioned(stack)
    yield steps.on_duty(stack)
    for name, sealer in sealers.items():
        yield await steps.opened(gateways[name], sealer, name)


class _Audited(NamedTuple):
    steps: list[Step]
    problems: list[str]


async def _audited(stack: DemoStack, show: Show) -> _Audited:
    """Check the receipts, once the witness has seen the last of them."""
    pins = stack.profile(stack.engine).pins
    assert pins is not None  # noqa: S101 - the stack's profiles have them
    await asyncio.sleep(_WITNESSED_S)
    step, problems = await asyncio.to_thread(receipts.verified, stack.journal, stack.witness, pins)
    if step is None:
        return _Audited([], problems)
    show.step(step)
    return _Audited([step], problems)


def _gateway(target: str, sealer: AttestedSealer) -> Gateway:
    return Gateway(target, sealer, validity_ns=_VALIDITY_NS)


async def _book(stack: DemoStack, servers: Sequence[str]) -> dict[tuple[str, str], list[Mapping[str, str]]]:
    return account.book_of([order for server in servers for order in await stack.venue_orders(server)])


def _filled(book: Book) -> dict[tuple[str, str], str]:
    return {key: orders[0]["filled"] for key, orders in book.items()}
