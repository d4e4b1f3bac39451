"""What a journal's intents would have met under a policy. Reads the host's SQLite journal and changes nothing.

The journal is the host's word: it shows what the host says it was given, and when.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from casemate.audit import forms
from casemate.errors import PolicyError
from dispatch_api.v1 import dispatch_pb2
from enclave_signer.errors import BadPolicy, NotJudged
from enclave_signer.policy.simulate import Simulator
from signer_api.v1 import intent_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from enclave_signer.policy.simulate import Verdict

# Kinds of event in the journal (docs/journal.md).
_INTENT: Final = 1
_REFUSED: Final = 7


class JournalError(ValueError):
    """The file is no journal that this version can read."""


class Past(NamedTuple):
    """One intent of the journal; ``refused`` is what became of it.

    ``engine`` is who sent it, by the enclave's receipt of its decision; empty where there is none.
    """

    time: int
    engine: str
    intent: bytes
    refused: bool


def replay(policy: bytes, journal: Path, engine: str | None = None) -> dict[str, Any]:
    """Judge every intent at the time when it came; counters run on as they would have. Returns plain values.

    ``engine`` replaces the names in the receipts; without it, intents that have none are left out and counted, and
    a journal that has no receipt of any intent raises JournalError. So does a file that is no journal; PolicyError.
    """
    try:
        simulator = Simulator(policy)
    except BadPolicy as error:
        raise PolicyError(error.message.splitlines()) from None
    counts: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    for past in read(journal):
        if _is_halt(past.intent):
            # The journal has no RESUME: a HALT would stand to the end.
            counts["halts_left_out"] += 1
            continue
        if not (engine or past.engine):
            counts["without_engine"] += 1
            continue
        verdict = _judged(simulator, past, engine)
        counts.update(_marks(past, verdict))
        if verdict is not None and not verdict.allowed:
            rules[verdict.rule] += 1
    if counts["without_engine"] and not counts["intents"]:
        message = f"{journal}: no receipt says which engine sent what: give --engine NAME"
        raise JournalError(message)
    names = (
        "intents",
        "allowed",
        "refused",
        "repeated",
        "not_judged",
        "refused_then_allowed",
        "allowed_then_refused",
        "halts_left_out",
        "without_engine",
    )
    by_rule = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    return {**{name: counts[name] for name in names}, "refused_by_rule": dict(by_rule)}


def _judged(simulator: Simulator, past: Past, engine: str | None) -> Verdict | None:
    try:
        return simulator.judge(engine or past.engine, past.intent, past.time)
    except NotJudged:
        return None


def _is_halt(intent: bytes) -> bool:
    try:
        return bool(intent_pb2.Intent.FromString(intent).WhichOneof("kind") == "halt")
    except DecodeError:
        return False


def _marks(past: Past, verdict: Verdict | None) -> Iterator[str]:
    yield "intents"
    if verdict is None:
        yield "not_judged"
        return
    yield "repeated" if verdict.repeated else "allowed" if verdict.allowed else "refused"
    if past.refused and verdict.allowed:
        yield "refused_then_allowed"
    if not past.refused and not verdict.allowed:
        yield "allowed_then_refused"


def _engines(database: sqlite3.Connection) -> dict[bytes, str]:
    """Return who sent what, by the digest of the intent: an intent that came by a session names no engine itself."""
    found: dict[bytes, str] = {}
    for (receipt,) in database.execute("SELECT receipt FROM receipts"):
        with contextlib.suppress(forms.NotAReceipt):
            read = forms.read_receipt(receipt)
            if read.kind == forms.DECISION:
                decision = forms.read_decision(read)
                found.setdefault(decision.intent, decision.engine)
    return found


def read(journal: Path) -> Iterator[Past]:
    """Yield the intents of a journal, oldest first. Raises JournalError."""
    query = (
        "SELECT i.time, i.payload, EXISTS (SELECT 1 FROM events r WHERE r.intent = i.sequence AND r.kind = ?)"
        " FROM events i WHERE i.kind = ? ORDER BY i.sequence"
    )
    address = f"{journal.resolve().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            engines = _engines(database)
            for time, payload, refused in database.execute(query, (_REFUSED, _INTENT)):
                intent = dispatch_pb2.SubmitRequest.FromString(payload).sealed.intent
                engine = engines.get(hashlib.sha256(intent).digest(), "")
                yield Past(int(time), engine, intent, bool(refused))
    except (sqlite3.Error, DecodeError) as error:
        message = f"{journal}: not a journal that this version reads: {error}"
        raise JournalError(message) from None
