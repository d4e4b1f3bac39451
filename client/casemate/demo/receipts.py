"""The end of a demonstration: its receipts are checked as an auditor would, against what the witness saw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from casemate.audit import journal, witness
from casemate.audit.audit import Expected, audit
from casemate.demo.steps import Step

if TYPE_CHECKING:
    from casemate.audit.audit import Audit
    from casemate.session import Pins


def verified(journal_file: str, witness_file: str, pins: Pins) -> tuple[Step | None, list[str]]:
    """Audit the host's journal against the witness's file: the step, or every reason why there is none."""
    with journal.opened(Path(journal_file)) as evidence:
        outcome = audit(evidence, Expected(pcrs=pins.pcrs, root=pins.root), witness.read(Path(witness_file)))
    if outcome.sound:
        return _step(outcome), []
    return None, [f"receipts: {finding.problem}: {finding.text}" for finding in outcome.findings] or [
        "receipts: no witness"
    ]


def _step(outcome: Audit) -> Step:
    receipts = sum(report.receipts for report in outcome.reports)
    heads, seen = (sum(getattr(report, name) for report in outcome.reports) for name in ("heads", "witnessed"))
    tail = sum(report.tail.receipts for report in outcome.reports)
    rest = f", the last {tail} of them under no signed head yet" if tail else ""
    return Step(
        "receipts verified",
        f"{receipts} in one chain{rest}; {heads} signed heads, {seen} of the witness; {outcome.sent} requests match",
        {"receipts": receipts, "heads": heads, "witnessed": seen, "unsigned_tail": tail, "sent": outcome.sent},
    )
