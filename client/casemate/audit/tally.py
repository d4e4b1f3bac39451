"""What receipts add up to: by hour, engine, account and rule."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from casemate.audit import forms
from casemate.models import Operation

if TYPE_CHECKING:
    from casemate.audit.forms import Decision, Receipt

_NS: Final = 1_000_000_000
HOUR_NS: Final = 3600 * _NS
# Sums of amounts lose no digit: each has at most 128.
_EXACT: Final = Context(prec=200)
TRADING: Final = frozenset({Operation.CREATE, Operation.AMEND})


class Change(NamedTuple):
    """A receipt that is no decision; ``details`` is what it says of its own: texts, numbers, digests as hexadecimal."""

    time: int
    kind: str
    sequence: int
    details: dict[str, str | int]


class Key(NamedTuple):
    """A row of the table. ``hour``: its first nanosecond, UTC; ``engine`` is empty for the host's derived right."""

    hour: int
    engine: str
    account: str
    rule: str


# What a change can say beside what every receipt does (docs/receipts.md); a receipt of a broken enclave says more.
_DETAILS: Final = ("account", "accounts", "sequence", "generation", "scope", "venue", "symbol", "last", "digest")
_LONGEST: Final = 200


def _details(receipt: Receipt) -> dict[str, str | int]:
    said: dict[str, str | int] = {"version": receipt.policy} if receipt.kind == forms.POLICY else {}
    for name in _DETAILS:
        if (value := _shown(receipt.said.get(name))) not in (None, ""):
            said[name] = value
    return said


def _shown(value: object) -> Any:  # noqa: ANN401 - a text, a number or nothing
    match value:
        case bytes():
            return value.hex()[:_LONGEST]
        case str():
            return value[:_LONGEST]
        case int():
            return value
        case list():
            return ",".join(str(each) for each in value)[:_LONGEST]
        case _:
            return None


@dataclass(slots=True)
class Row:
    """What one row holds; ``charged`` is what the limits counted."""

    allowed: int = 0
    refused: int = 0
    charged: Decimal = field(default_factory=Decimal)

    def take(self, other: Row) -> None:
        """Add what another row holds."""
        self.allowed += other.allowed
        self.refused += other.refused
        self.charged = _EXACT.add(self.charged, other.charged)


@dataclass(slots=True)
class Tally:
    """Rows by key, changes of state in their order, and how many receipts it all was."""

    receipts: int = 0
    rows: dict[Key, Row] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def add(self, receipt: Receipt, decision: Decision | None) -> None:
        """Count one receipt."""
        self.receipts += 1
        if decision is None:
            self.changes.append(Change(receipt.time, receipt.kind, receipt.sequence, _details(receipt)))
            return
        hour = receipt.time - receipt.time % HOUR_NS
        row = self._row(Key(hour, decision.engine, decision.account, decision.rule))
        row.allowed += decision.verdict == forms.ALLOWED
        row.refused += decision.verdict == forms.REFUSED
        row.charged = _EXACT.add(row.charged, Decimal(decision.charged))

    def take(self, other: Tally) -> None:
        """Add what another tally holds."""
        self.receipts += other.receipts
        self.changes += other.changes
        for key, row in other.rows.items():
            self._row(key).take(row)

    @property
    def charged(self) -> Decimal:
        """Everything that limits counted."""
        return functools.reduce(_EXACT.add, (row.charged for row in self.rows.values()), Decimal())

    def _row(self, key: Key) -> Row:
        found = self.rows.get(key)
        if found is None:
            found = self.rows[key] = Row()
        return found
