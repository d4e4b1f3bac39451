"""Writes records and prints each group's last sequence after its commit, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from host_dispatch.journal.records import Entry, EventKind, EventRow, OrderRow
from host_dispatch.journal.sqlite import SqliteJournal


def _set(done: asyncio.Event, _: object) -> None:
    done.set()


async def main(path: Path, durability: str) -> None:
    """Write for ever, a few at a time."""
    journal = SqliteJournal(
        path,
        asyncio.get_running_loop(),
        durability=durability,
        committed=lambda group: print(group[-1].event.sequence, flush=True),  # noqa: T201
    )
    while True:
        done = asyncio.Event()
        for number in range(5):
            sequence = journal.next_sequence()
            event = EventRow(sequence, 1, "desk", f"o{sequence}", 1, EventKind.INTENT, sequence, b"x" * 300)
            row = OrderRow(sequence, sequence, "desk", f"o{sequence}", 1, "v", "X/Y", 1, 0, 0, 9)
            journal.append(Entry(event, row, partial(_set, done) if number == 4 else None))
        await done.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
