"""``casemate quorum sign-successor | succeed``: another quorum without another image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from casemate import wire
from casemate.cli import connection
from casemate.cli.output import DONE, print_json, print_lines
from casemate.cli.quorum import add_approvals, add_signing, approvals_of, sign
from casemate.cli.scope import add_scope, scope_of
from casemate.cli.usage import UsageError
from casemate.quorum.errors import QuorumError
from casemate.quorum.files import MAX_FILE, read_quorum
from casemate.quorum.statements import QUORUM, successor_fields

if TYPE_CHECKING:
    import argparse


def add_succession(inner: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """Add all three to ``casemate quorum``."""
    signing = inner.add_parser(
        "sign-successor",
        help="approve another quorum",
        description="Approve, as one administrator of the quorum in force, the one that takes its place. Make it first:"
        " `casemate quorum make --after OLD.cbor`.",
    )
    signing.add_argument("file", type=Path, metavar="NEW.cbor")
    signing.add_argument("--after", required=True, type=Path, metavar="OLD.cbor", help="the quorum in force")
    add_signing(signing, "366d", "the successor's generation")
    signing.add_argument("--json", action="store_true", help="one JSON document on stdout")
    signing.set_defaults(run=sign_successor)
    giving = inner.add_parser(
        "succeed",
        help="give the enclave another quorum",
        description="Put an approved successor in the quorum's place. The enclave takes it before its first policy"
        " alone, and forgets it when it ends: give it anew after every boot, each generation in turn, until the next"
        " image holds it.",
    )
    giving.add_argument("file", type=Path, metavar="NEW.cbor")
    add_approvals(giving)
    giving.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(giving, engine=False)
    giving.set_defaults(run=succeed)
    add_halt(inner)


def sign_successor(arguments: argparse.Namespace) -> int:
    """Approve a successor."""
    new, old = _read(arguments.file), _read(arguments.after)
    said, before = _said(arguments.file, new), _said(arguments.after, old)
    if (said["deployment"], said["generation"]) != (before["deployment"], before["generation"] + 1):
        message = (
            f"{arguments.file}: expected generation {before['generation'] + 1} of deployment {before['deployment']},"
            f" got generation {said['generation']} of {said['deployment']}"
        )
        raise UsageError(message)
    fields = successor_fields(new, said["generation"], old)
    arguments.sequence = arguments.sequence or said["generation"]
    return sign(arguments, QUORUM, said["deployment"], fields, arguments.file.stem)


def succeed(arguments: argparse.Namespace) -> int:
    """Hand a successor in; 0 if the enclave took it."""
    data, approvals = _read(arguments.file), approvals_of(arguments)
    _said(arguments.file, data)
    with connection.connect(arguments) as gateway:
        after = gateway.succeed(data, approvals)
    if arguments.json:
        print_json(wire.to_json(after))
    else:
        print_lines([f"taken: quorum of generation {after.quorum_generation}, {after.quorum}"])
    return DONE


def add_halt(inner: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate quorum halt``."""
    parser = inner.add_parser(
        "halt",
        help="stop signing, by one administrator",
        description="Hand in a HALT that one administrator signed (`casemate quorum sign-halt`): every account within"
        " its scope stops making new orders. No engine is needed.",
    )
    add_scope(parser)
    parser.add_argument("--approval", required=True, action="append", type=Path, metavar="FILE", help="the signed halt")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=halt)


def halt(arguments: argparse.Namespace) -> int:
    """Hand a HALT in; 0 if the enclave took it."""
    intent = scope_of(arguments)
    approvals = approvals_of(arguments)
    if len(approvals) != 1:
        message = "--approval: one administrator's is enough, and just one is taken"
        raise UsageError(message)
    with connection.connect(arguments) as gateway:
        after = gateway.halt_by_administrator(intent, approvals[0])
    if arguments.json:
        print_json(wire.to_json(after))
    else:
        print_lines([f"HALTED ({intent.scope.name}); halts in force: {len(after.halts)}"])
    return DONE


def _said(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return read_quorum(data)
    except QuorumError as error:
        message = f"{path}: {error}"
        raise UsageError(message) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE)
    except OSError as error:
        raise UsageError(str(error)) from None
