"""The journal's schema as numbered plain SQL. A migration that has shipped never changes: add the next one.

In a module rather than in ``.sql`` files so that no way of packaging can leave them out.
"""

from __future__ import annotations

from typing import Final

_0001_EVENTS: Final = """
-- Version 1. Events are only ever added; `orders` holds the latest about each intent and can be rebuilt from them.
CREATE TABLE events (
    sequence        INTEGER PRIMARY KEY,
    time            INTEGER NOT NULL,   -- host's wall clock, nanoseconds UTC
    account         TEXT    NOT NULL,
    client_order_id TEXT    NOT NULL,
    operation       INTEGER NOT NULL,   -- casemate.signer.v1.Operation
    kind            INTEGER NOT NULL,   -- docs/journal.md
    intent          INTEGER NOT NULL,   -- sequence of the INTENT event that this one belongs to
    payload         BLOB    NOT NULL    -- INTENT: casemate.dispatch.v1.SubmitRequest; else ExecutionReport
);

CREATE TABLE orders (
    intent          INTEGER PRIMARY KEY,
    sequence        INTEGER NOT NULL,   -- latest event
    account         TEXT    NOT NULL,
    client_order_id TEXT    NOT NULL,
    operation       INTEGER NOT NULL,
    venue           TEXT    NOT NULL,
    symbol          TEXT    NOT NULL,
    state           INTEGER NOT NULL,   -- casemate.dispatch.v1.OrderState
    placed          INTEGER NOT NULL,   -- 1: a byte may have left
    ended           INTEGER NOT NULL,   -- 1: nothing left to do
    valid_until     INTEGER NOT NULL
);

CREATE INDEX orders_by_client_id ON orders (account, client_order_id);
CREATE INDEX orders_unfinished ON orders (intent) WHERE ended = 0;
"""

#: `PRAGMA user_version` says how many of these have been applied.
MIGRATIONS: Final = (_0001_EVENTS,)
