"""``casemate status | halt | resume``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from casemate import models, wire
from casemate.cli import connection
from casemate.cli.output import DONE, NO, print_json, print_lines, table
from casemate.cli.quorum import add_approvals, approvals_of
from casemate.cli.scope import add_scope, scope_of
from casemate.cli.usage import UsageError
from casemate.errors import NotFound
from casemate.quorum.statements import read_approval

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from casemate.intents import HaltIntent


def add_status(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate status``."""
    parser = commands.add_parser(
        "status",
        help="enclave, host and venues",
        description="Show enclave, host and venues. Exit code 0 only if orders could be signed and sent now.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=status)


def status(arguments: argparse.Namespace) -> int:
    """Show the status; 0 if the enclave is ready and the host not paused."""
    with connection.connect(arguments) as gateway:
        found = gateway.status()
    if arguments.json:
        print_json(wire.to_json(found))
    else:
        print_lines(_status_lines(found))
    ready = found.enclave_reachable and found.enclave.phase is models.Phase.READY and not found.paused
    return DONE if ready else NO


def _status_lines(found: models.Status) -> Iterator[str]:
    enclave = found.enclave
    if not found.enclave_reachable:
        yield "enclave: NOT REACHABLE"
    else:
        phase = enclave.phase.name if enclave.phase else "unknown phase"
        yield f"enclave: {phase}, judged {enclave.judged}, refused {enclave.refused}"
        yield f"policy:  version {enclave.policy_version}, {enclave.policy_digest or 'none'}"
        yield f"accounts with a key: {', '.join(enclave.accounts) or 'none'}"
        if enclave.boot_key:
            yield f"boot key: {enclave.boot_key}"
        if enclave.clock_drift:
            yield f"clock:   {enclave.clock_drift / 1e6:+.0f} ms against the security module's"
        if enclave.quorum:
            yield f"quorum:  generation {enclave.quorum_generation}, {enclave.quorum}"
        if enclave.unauthenticated:
            yield "WARNING: this enclave is the development stand-in: it believes every sender's name"
        for halt in enclave.halts:
            yield f"HALT {_named(halt)}"
        if enclave.duty is not None and enclave.duty.required:
            yield f"duty:    {_duty_words(enclave.duty)}"
    paused = ", PAUSED" if found.paused else ""
    yield f"host:    {found.version}, journal at {found.journal_sequence}, unresolved {found.unresolved}{paused}"
    rows = [
        [
            venue.venue,
            venue.health.name if venue.health else "-",
            str(venue.connections),
            str(venue.queued),
            venue.reason,
        ]
        for venue in found.venues
    ]
    if rows:
        yield from table(["venue", "health", "connections", "queued", "reason"], rows)


def _duty_words(duty: models.DutyStatus) -> str:
    if duty.retired:
        return "RETIRED: this boot signs cancels and reads only"
    if not duty.accounts:
        return "NO GRANT: new orders are refused"
    return f"grant {duty.sequence} for {len(duty.accounts)} accounts"


def _named(halt: models.Halt) -> str:
    by = f"by {halt.by}" if halt.by else ""
    number = f"(number {halt.number})" if halt.number else ""
    return " ".join(part for part in (halt.scope.name, halt.account, halt.venue, halt.symbol, by, number) if part)


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
        left = ", ".join(map(_named, after.halts)) or "none"
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
        message = f"no such HALT stands; standing: {', '.join(map(_named, standing)) or 'none'}"
        raise NotFound(message)
