"""One line through dry-run, on ccxt's clock and with the random bytes that ccxt is given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from casemate.tools.dry_run import run
from tests.agreement.ccxt_offline import NOW_MS, WINDOW_MS, Sent

if TYPE_CHECKING:
    from tests.agreement.subjects import Subject

# Coinbase's tokens are as long as ccxt's, two minutes; every other window is ccxt's.
VALID_MS: Final = {"coinbase": 120_000}


def answer(subject: Subject, op: str, intent: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return what dry-run answers, a request or an error."""
    valid = NOW_MS + VALID_MS.get(subject.venue, WINDOW_MS)
    line = subject.line(op, {"valid_until": str(valid * 1_000_000), **intent}, NOW_MS) | more
    (text,) = run([json.dumps(line)], lambda count: b"\xab" * count)
    shown: dict[str, Any] = json.loads(text)
    return shown


def dry_run(subject: Subject, op: str, intent: dict[str, Any], **more: object) -> Sent:
    """Return the request that dry-run shows."""
    shown = answer(subject, op, intent, **more)
    assert "error" not in shown, (op, intent, shown)
    return Sent(**shown)
