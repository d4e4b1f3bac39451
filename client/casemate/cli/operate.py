"""``casemate halt | resume``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from casemate import models, wire
from casemate.cli import connection
from casemate.cli.output import DONE, NO, print_json, print_lines
from casemate.cli.quorum import add_approvals, approvals_of
from casemate.cli.scope import add_scope, scope_of
from casemate.cli.status import named
from casemate.cli.usage import UsageError
from casemate.errors import NotFound
from casemate.quorum.statements import read_approval

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from casemate.intents import HaltIntent


def add_halt(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate halt``."""
    parser = commands.add_parser(
        "halt",
        help="stop signing, now",
        description="Have the enclave refuse everything but cancels and reads, until a resume.",
    )
    add_scope(parser)
    connection.add_options(parser)
    parser.set_defaults(run=halt)


def halt(arguments: argparse.Namespace) -> int:
    """Halt; 0 if the enclave did."""
    intent = scope_of(arguments)
    with connection.connect(arguments) as gateway:
        result = gateway.halt(intent)
    if arguments.json:
        print_json(wire.to_json(result))
    else:
        words = "HALTED" if result.allowed else f"REFUSE by {result.verdict.rule}: {result.verdict.reason}"
        print_lines([f"{words} ({intent.scope.name})"])
    return DONE if result.allowed else NO


def add_resume(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate resume``."""
    parser = commands.add_parser(
        "resume",
        help="end a halt",
        description="End HALTs, whoever asked for them: --scope ALL ends every HALT; any other scope ends those of"
        " exactly the same scope and target. Needs the quorum's approvals; the development stand-in takes none. Exit"
        " code 1 if no such HALT stands.",
    )
    add_scope(parser)
    add_approvals(parser)
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=resume)


def resume(arguments: argparse.Namespace) -> int:
    """Resume; 0 if the enclave did."""
    approvals = approvals_of(arguments)
    intent = scope_of(arguments)
    with connection.connect(arguments) as gateway:
        found = gateway.status()
        _check_stands(found, intent)
        after = gateway.resume(intent, approvals, last=_last(approvals, found))
    if arguments.json:
        print_json(wire.to_json(after))
    else:
        left = ", ".join(map(named, after.halts)) or "none"
        print_lines([f"RESUMED ({intent.scope.name}); halts left: {left}"])
    return DONE


def _last(approvals: Sequence[bytes], found: models.Status) -> int:
    """Return the newest HALT that ends: as it was approved; the newest that stands where nothing is approved."""
    numbers = [read_approval(approval).get("last") for approval in approvals]
    if not numbers:
        return max((halt.number for halt in found.enclave.halts), default=0)
    if not isinstance(numbers[0], int) or numbers.count(numbers[0]) != len(numbers):
        message = "the approvals are not of one RESUME"
        raise UsageError(message)
    return numbers[0]


def _check_stands(found: models.Status, asked: HaltIntent) -> None:
    """Raise NotFound if no HALT of this scope and target stands; an enclave out of reach is the call's to report."""
    target = (asked.scope, asked.account, asked.venue, asked.symbol)
    standing = found.enclave.halts
    ends = asked.scope is models.HaltScope.ALL or any(
        (halt.scope, halt.account, halt.venue, halt.symbol) == target for halt in standing
    )
    if found.enclave_reachable and not (ends and standing):
        message = f"no such HALT stands; standing: {', '.join(map(named, standing)) or 'none'}"
        raise NotFound(message)
