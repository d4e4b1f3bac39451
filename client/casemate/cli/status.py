"""``casemate status``: enclave, host and venues, and whether any new order could be signed now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from casemate import models, wire
from casemate.attestation.times import readable
from casemate.cli import connection
from casemate.cli.output import DONE, NO, print_json, print_lines, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_NS_IN_MS: Final = 1_000_000
# As the enclave has it: nothing is signed past this drift of its clock.
_MOST_DRIFT_NS: Final = 2_000_000_000


def add_status(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate status``."""
    parser = commands.add_parser(
        "status",
        help="enclave, host and venues",
        description="Show enclave, host and venues, all of it the host's word. Exit code 0 only if new orders could be"
        " signed and sent now: 1 where the enclave is out of reach or not READY, the host is paused, a HALT of scope"
        " ALL stands, duty is required and no grant is in force or the boot is retired, or the clock has drifted too"
        " far. A HALT of one account, venue or symbol is shown, stops orders there alone, and does not change the code;"
        " nor does a grant for some of the accounts.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout; `stopped` says why none can")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=status)


def status(arguments: argparse.Namespace) -> int:
    """Show the status; 0 if new orders could be signed and sent."""
    with connection.connect(arguments) as gateway:
        found = gateway.status()
    stopped = list(stops(found))
    if arguments.json:
        print_json({**wire.to_json(found), "stopped": stopped})
    else:
        print_lines(_lines(found))
        print_lines(f"NO NEW ORDERS: {reason}" for reason in stopped)
    return NO if stopped else DONE


def stops(found: models.Status) -> Iterator[str]:
    """Yield every reason why no new order at all can be signed and sent."""
    if not found.enclave_reachable:
        yield "the enclave is not reachable"
    else:
        yield from _enclave_stops(found.enclave)
    if found.paused:
        yield "the host is paused"


def _enclave_stops(enclave: models.EnclaveStatus) -> Iterator[str]:
    if enclave.phase is not models.Phase.READY:
        yield f"the enclave is {_phase(enclave)}"
    yield from (f"HALT {named(halt)}" for halt in enclave.halts if halt.scope is models.HaltScope.ALL)
    duty = enclave.duty
    if duty is not None and duty.required and (duty.retired or not duty.accounts):
        yield "the boot is retired" if duty.retired else "no grant of duty is in force"
    if abs(enclave.clock_drift) > _MOST_DRIFT_NS:
        yield f"the enclave's clock is {_drift(enclave)} off, at most {_MOST_DRIFT_NS // _NS_IN_MS} ms are accepted"


def _lines(found: models.Status) -> Iterator[str]:
    if found.enclave_reachable:
        yield from _enclave_lines(found.enclave)
    else:
        yield "enclave: NOT REACHABLE"
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
    yield from table(["venue", "health", "connections", "queued", "why"], rows)


def _enclave_lines(enclave: models.EnclaveStatus) -> Iterator[str]:
    yield f"enclave: {_phase(enclave)}, judged {enclave.judged}, refused {enclave.refused}"
    yield f"policy:  version {enclave.policy_version}, {enclave.policy_digest or 'none'}"
    without = [name for name in enclave.accounts if name not in enclave.provisioned]
    yield f"accounts with a key: {_list(enclave.provisioned)}, without: {_list(without)}"
    if enclave.boot_key:
        yield f"boot key: {enclave.boot_key}"
    if enclave.clock_drift:
        yield f"clock:   {_drift(enclave)} against the security module's"
    if enclave.quorum:
        yield f"quorum:  generation {enclave.quorum_generation}, {enclave.quorum}"
    if enclave.unauthenticated:
        yield "WARNING: this enclave is the development stand-in: it believes every sender's name"
    yield from (f"HALT {named(halt)}" for halt in enclave.halts)
    if enclave.duty is not None and enclave.duty.required:
        yield f"duty:    {_duty_words(enclave.duty)}"


def _phase(enclave: models.EnclaveStatus) -> str:
    return enclave.phase.name if enclave.phase else "in a phase that this version does not know"


def _drift(enclave: models.EnclaveStatus) -> str:
    return f"{enclave.clock_drift / _NS_IN_MS:+.0f} ms"


def _list(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names) or "none"


def _duty_words(duty: models.DutyStatus) -> str:
    if duty.retired:
        return "RETIRED: this boot signs cancels and reads only"
    if not duty.accounts:
        return "NO GRANT: new orders are refused"
    return f"grant {duty.sequence} until {readable(duty.not_after // _NS_IN_MS)} for {_list(duty.accounts)}"


def named(halt: models.Halt) -> str:
    """Return a HALT in words: what it covers, who asked for it, its number and since when."""
    by = f"by {halt.by}" if halt.by else ""
    details = [f"number {halt.number}"] if halt.number else []
    details += [f"since {readable(halt.since // _NS_IN_MS)}"] if halt.since else []
    more = f"({', '.join(details)})" if details else ""
    return " ".join(part for part in (halt.scope.name, halt.account, halt.venue, halt.symbol, by, more) if part)
