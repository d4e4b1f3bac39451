"""Execution reports to whoever watches: replayed from the journal, then live, without gap or repeat.

A watcher that cannot keep up is cut off with the last sequence it got; it loses nothing, because it resumes from
the journal. Dispatch never waits for a watcher.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.journal.records import JournalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from host_dispatch.journal.records import Entry, Journal

_PAGE: Final = 512


class Watcher:
    """One subscription to what is committed from now on."""

    __slots__ = ("_accounts", "_limit", "_queue", "_wake", "overrun")

    def __init__(self, accounts: frozenset[str], limit: int) -> None:
        """``accounts`` empty: all. ``limit``: reports that may wait unread."""
        self._accounts = accounts
        self._limit = limit
        self._queue: deque[tuple[int, bytes]] = deque()
        self._wake = asyncio.Event()
        self.overrun = False

    def offer(self, sequence: int, account: str, payload: bytes) -> None:
        """Queue one report, or give the watcher up."""
        if self.overrun or not self.wants(account):
            return
        if len(self._queue) >= self._limit:
            self.overrun = True
            # What is queued may still be delivered: it is in order and without a gap.
        else:
            self._queue.append((sequence, payload))
        self._wake.set()

    def wants(self, account: str) -> bool:
        """Whether reports of this account are watched."""
        return not self._accounts or account in self._accounts

    async def next(self) -> tuple[int, bytes] | None:
        """Return the next report, None after an overrun."""
        while not self._queue:
            if self.overrun:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()


class ExecutionHub:
    """Hands committed reports to watchers."""

    def __init__(self, *, buffer: int) -> None:
        """``buffer``: reports that may wait for one watcher."""
        self._buffer = buffer
        self._watchers: set[Watcher] = set()
        # Sequence of the last record that was handed out.
        self.head = 0

    def publish(self, group: Sequence[Entry]) -> None:
        """Hand a committed group out; called in the order of commits."""
        self.head = group[-1].event.sequence
        if not self._watchers:
            return
        for entry in group:
            if entry.publish:
                event = entry.event
                for watcher in self._watchers:
                    watcher.offer(event.sequence, event.account, event.payload)

    async def follow(self, journal: Journal, start: int, accounts: Iterable[str]) -> AsyncIterator[bytes]:
        """Yield serialised reports from sequence ``start`` on, for ever; raises NotTakenError SLOW_CONSUMER."""
        watcher = Watcher(frozenset(accounts), self._buffer)
        last = max(start - 1, 0)
        # No await between seeing that nothing is left to replay and subscribing: nothing can fall between.
        while last < self.head:
            upto = self.head
            try:
                page = await journal.reports(last, upto, _PAGE)
            except JournalError as error:
                raise NotTakenError(Reason.JOURNAL_UNAVAILABLE, str(error)) from error
            for sequence, account, payload in page:
                if watcher.wants(account):
                    yield payload
                last = sequence
            if len(page) < _PAGE:
                last = upto
        self._watchers.add(watcher)
        try:
            while (item := await watcher.next()) is not None:
                # A start beyond the head: what comes before it was not asked for.
                if item[0] >= start:
                    last = item[0]
                    yield item[1]
        finally:
            self._watchers.discard(watcher)
        message = "the watcher was too slow; watch again from last_sequence + 1"
        raise NotTakenError(Reason.SLOW_CONSUMER, message, extra=(("last_sequence", str(last)),))
