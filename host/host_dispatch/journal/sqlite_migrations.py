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

_0002_RECEIPTS: Final = """
-- Version 2. The enclave's receipts as it made them, by boot. Only ever added to; a gap is what was lost.
CREATE TABLE boots (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    boot     BLOB    NOT NULL UNIQUE,   -- public key that signs the boot's heads
    since    INTEGER NOT NULL,          -- when the host first met it, nanoseconds UTC
    document BLOB    NOT NULL           -- attestation document that shows the key; empty until there is one
);

CREATE TABLE receipts (
    boot     BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    receipt  BLOB    NOT NULL,          -- canonical CBOR, docs/receipts.md
    PRIMARY KEY (boot, sequence)
) WITHOUT ROWID;

CREATE TABLE heads (
    boot      BLOB    NOT NULL,
    sequence  INTEGER NOT NULL,
    head      BLOB    NOT NULL,         -- canonical CBOR, docs/receipts.md
    signature BLOB    NOT NULL,
    PRIMARY KEY (boot, sequence)
) WITHOUT ROWID;
"""

#: `PRAGMA user_version` says how many of these have been applied.
MIGRATIONS: Final = (_0001_EVENTS, _0002_RECEIPTS)
