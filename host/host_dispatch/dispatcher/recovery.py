"""Accounting for what an earlier process left behind (D5), before the accounts concerned take new orders."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.clock import Moment
from host_dispatch.dispatcher import machine as m
from host_dispatch.dispatcher.dispatch import END, Dispatch, recovered
from host_dispatch.journal.records import EventKind
from host_dispatch.outcome import Operation, OrderState

if TYPE_CHECKING:
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.journal.records import OrderRow, StoredOrder

_log = logging.getLogger("casemate.host.recovery")


async def recover(runner: Runner) -> int:
    """Account for every unfinished intent; returns how many there were. Call before serving.

    INTENT without SENDING: no byte left and none ever will: EXPIRED, NOT_SENT. SENDING without an outcome: UNKNOWN,
    and the venue is asked; the account takes no new orders until it has answered, or the bound is reached.
    """
    unfinished = await runner.journal.unfinished()
    recorded = [_recorded(_account_for(runner, stored)) for stored in unfinished]
    await asyncio.gather(*recorded)
    if unfinished:
        _log.warning("an earlier process left intents behind", extra={"fields": {"count": len(unfinished)}})
        asyncio.get_running_loop().call_later(runner.settings.recovery_ms / 1000, runner.intake.stop_recovering)
    return len(unfinished)


def _recorded(dispatch: Dispatch) -> asyncio.Future[None]:
    """Return a future of the moment at which what became of it is in the journal."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    dispatch.wait(
        END, lambda _, *, repeated: None if future.done() or repeated else future.set_result(None), repeated=False
    )
    return future


def _account_for(runner: Runner, stored: StoredOrder) -> Dispatch:
    row = stored.row
    if stored.kind == EventKind.INTENT:
        unsent = _dispatch(runner, row)
        runner.end_unsent(unsent)
        return unsent
    dispatch = recovered(_routing(row), row.intent, runner.settings.repeats, runner.sites.get(row.venue), runner)
    dispatch.view = wire.ExecutionReport.FromString(stored.payload)
    if runner.resolver.can_ask(dispatch):
        runner.intake.recovering(dispatch)
    runner.resume_unknown(dispatch, recorded=stored.kind == EventKind.UNKNOWN)
    return dispatch


def _dispatch(runner: Runner, row: OrderRow) -> Dispatch:
    machine = m.OrderMachine(Operation(row.operation), row.valid_until, runner.settings.repeats)
    dispatch = Dispatch(
        _routing(row), row.intent, machine, runner.sites.get(row.venue), runner, Moment.now(runner.clock)
    )
    dispatch.state = OrderState.PENDING
    return dispatch


def _routing(row: OrderRow) -> wire.Routing:
    return wire.Routing(
        account=row.account,
        venue=row.venue,
        symbol=row.symbol,
        client_order_id=row.client_order_id,
        operation=row.operation,  # type: ignore[arg-type] # stored as the wire's value
        valid_until=row.valid_until,
    )
