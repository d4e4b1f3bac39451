"""SQL of the journal. Whole groups go in as one statement of many rows.

sqlite3 gives the interpreter lock up for each step, and getting it back from a busy event loop can cost
milliseconds: one step for sixty-four rows instead of sixty-four.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from host_dispatch.journal.records import UNWATCHED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

# Rows a statement; powers of two, so that few statements are ever prepared.
_SIZES: Final = (128, 64, 32, 16, 8, 4, 2, 1)

_EVENT_COLUMNS: Final = "sequence, time, account, client_order_id, operation, kind, intent, payload"
_ORDER_COLUMNS: Final = (
    "intent, sequence, account, client_order_id, operation, venue, symbol, state, placed, ended, valid_until"
)
#: What the tables must have, whatever version they say they are of.
COLUMNS: Final = ((_EVENT_COLUMNS, "events"), (_ORDER_COLUMNS, "orders"))


def _rows(columns: str, count: int) -> str:
    row = "(" + ", ".join("?" * len(columns.split(","))) + ")"
    return ", ".join([row] * count)


@cache
def insert_events(count: int) -> str:
    """Return an insert of ``count`` events."""
    return f"INSERT INTO events ({_EVENT_COLUMNS}) VALUES {_rows(_EVENT_COLUMNS, count)}"  # noqa: S608 - constants


@cache
def upsert_orders(count: int) -> str:
    """Return an insert-or-update of ``count`` orders; ``placed`` never goes back to 0."""
    return (
        f"INSERT INTO orders ({_ORDER_COLUMNS}) VALUES {_rows(_ORDER_COLUMNS, count)} "  # noqa: S608 - constants
        "ON CONFLICT (intent) DO UPDATE SET sequence = excluded.sequence, state = excluded.state, "
        "placed = max(placed, excluded.placed), ended = excluded.ended"
    )


def execute_rows(connection: sqlite3.Connection, kind: str, rows: Sequence[NamedTuple]) -> None:
    """Run ``insert_events`` (kind "events") or ``upsert_orders`` ("orders") over all rows, in order."""
    statement = insert_events if kind == "events" else upsert_orders
    for start, size in chunks(len(rows)):
        parameters = [value for row in rows[start : start + size] for value in row]
        connection.execute(statement(size), parameters)


def chunks(count: int) -> Iterator[tuple[int, int]]:
    """Cut so many rows into (start, size): few sizes, so that few statements are ever prepared."""
    start = 0
    for size in _SIZES:
        while count - start >= size:
            yield start, size
            start += size


_SELECT_STORED: Final = """
SELECT o.intent, o.sequence, o.account, o.client_order_id, o.operation, o.venue, o.symbol, o.state, o.placed,
       o.ended, o.valid_until, e.kind, e.payload
FROM orders AS o JOIN events AS e ON e.sequence = o.sequence
"""

#: The create of one client order id. One that may have left for the venue counts before later ones that did not.
SELECT_ORDER: Final = (
    _SELECT_STORED
    + "WHERE o.account = ?1 AND o.client_order_id = ?2 AND o.operation = 1 AND (?3 = 0 OR o.intent < ?3) "
    "ORDER BY o.placed DESC, o.intent DESC LIMIT 1"
)

SELECT_UNFINISHED: Final = _SELECT_STORED + "WHERE o.ended = 0 ORDER BY o.intent"

_UNWATCHED: Final = ", ".join(str(int(kind)) for kind in sorted(UNWATCHED))

SELECT_REPORTS: Final = (
    "SELECT sequence, account, payload FROM events "  # noqa: S608 - constants
    f"WHERE sequence > ? AND sequence <= ? AND kind NOT IN ({_UNWATCHED}) ORDER BY sequence LIMIT ?"
)

SELECT_HEAD: Final = "SELECT coalesce(max(sequence), 0) FROM events"


def select_orders(states: int, *, any_account: bool) -> str:
    """Return a list of creates; parameters: account unless any, the states, the limit."""
    account = "" if any_account else "AND o.account = ? "
    wanted = f"AND o.state IN ({', '.join('?' * states)}) " if states else ""
    return f"{_SELECT_STORED}WHERE o.operation = 1 {account}{wanted}ORDER BY o.intent DESC LIMIT ?"
