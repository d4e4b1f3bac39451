"""What the reply to one request says about another order: a cancel's about its create, a query's about anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.dispatcher import machine as m
from host_dispatch.dispatcher.dispatch import absorb
from host_dispatch.journal.records import Entry, EventKind, EventRow, JournalError
from host_dispatch.outcome import Operation, OrderState

if TYPE_CHECKING:
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.journal.records import StoredOrder
    from host_dispatch.outcome import Reading


class Observer:
    """Applies observations to orders, one at a time for each order; a terminal state is never left."""

    def __init__(self, runner: Runner) -> None:
        """``runner`` knows what is under way."""
        self._runner = runner
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}

    def observe(self, account: str, client_order_id: str, reading: Reading) -> None:
        """Note what a reply said about the create of ``client_order_id``, if it said anything."""
        if not client_order_id or reading.state is None or reading.state is OrderState.UNKNOWN:
            return
        under_way = self._runner.active.get((account, client_order_id, int(Operation.CREATE)))
        if under_way is not None:
            self._runner.resolver.apply(under_way, reading, reading.state)
            return
        key = (account, client_order_id)
        task = asyncio.get_running_loop().create_task(self._after(self._busy.get(key), key, reading))
        self._busy[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._busy.get(key) is task:
            del self._busy[key]

    async def _after(self, earlier: asyncio.Task[None] | None, key: tuple[str, str], reading: Reading) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        journal = self._runner.journal
        try:
            stored = await journal.order(*key)
        except JournalError:
            # An observation is a courtesy: the next one brings it again.
            return
        if stored is None or stored.kind == EventKind.INTENT or not stored.row.placed:
            return
        entry = self._entry(stored, reading, reading.state or OrderState.UNKNOWN)
        if entry is not None:
            written = asyncio.Event()
            entry.done = lambda _: written.set()
            journal.append(entry)
            await written.wait()

    def _entry(self, stored: StoredOrder, reading: Reading, state: OrderState) -> Entry | None:
        old = OrderState(stored.row.state) if stored.row.state else None
        new = m.merge(old, state)
        report = wire.ExecutionReport.FromString(stored.payload)
        before = (report.state, report.filled_quantity, report.average_price)
        if old not in m.TERMINAL:
            absorb(report, reading)
        report.state = new  # type: ignore[assignment] # an IntEnum of the wire's values
        if (report.state, report.filled_quantity, report.average_price) == before:
            return None
        report.error_class = wire.ERROR_CLASS_UNSPECIFIED
        sequence, time = self._runner.journal.next_sequence(), self._runner.clock.now_ns()
        report.sequence, report.time = sequence, time
        row = stored.row._replace(sequence=sequence, state=int(new))
        event = EventRow(
            sequence,
            time,
            row.account,
            row.client_order_id,
            row.operation,
            EventKind.UPDATE,
            row.intent,
            report.SerializeToString(),
        )
        return Entry(event, row)
