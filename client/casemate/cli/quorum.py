"""``casemate admin-key | quorum``, and what signing and loading have in common."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate import models
from casemate.cli.names import name_of as _name
from casemate.cli.names import whole as _whole
from casemate.cli.output import DONE, note, print_json, print_lines
from casemate.cli.scope import add_scope, scope_of
from casemate.cli.usage import UsageError
from casemate.errors import shown
from casemate.quorum.errors import QuorumError
from casemate.quorum.files import MAX_FILE, approval_text, quorum_bytes, read_approval_file, read_quorum
from casemate.quorum.keys import new_key, public_text, read_key
from casemate.quorum.statements import RESUME, Terms, approve, resume_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}
_OPTION: Final = "--approval"
_ENDING: Final = ".approval"
_SECOND: Final = 1_000_000_000
_NS_IN_MS: Final = 1_000_000
_LONGEST_S: Final = 366 * 86_400


def add_admin_key(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate admin-key``."""
    parser = commands.add_parser("admin-key", help="an administrator's own key", description="An administrator's key.")
    inner = parser.add_subparsers(dest="key_command", required=True, metavar="COMMAND", title="commands")
    new = inner.add_parser(
        "new",
        help="make a key",
        description="Make an Ed25519 key in a new file that only you can read (PEM, mode 0600), on the offline machine"
        " where it stays. Prints the public key, which goes into the quorum.",
    )
    new.add_argument("file", type=Path, metavar="ADMIN.pem")
    new.set_defaults(run=admin_key_new)
    public = inner.add_parser("public", help="show the public key", description="Print the public key of a key file.")
    public.add_argument("file", type=Path, metavar="ADMIN.pem")
    public.set_defaults(run=admin_key_public)


def admin_key_new(arguments: argparse.Namespace) -> int:
    """Make a key."""
    try:
        print_lines([new_key(arguments.file)])
    except OSError as error:
        raise UsageError(str(error)) from None
    note(f"{arguments.file}: the private key; the line on stdout is the public one")
    return DONE


def admin_key_public(arguments: argparse.Namespace) -> int:
    """Show a public key."""
    try:
        print_lines([public_text(read_key(arguments.file))])
    except OSError as error:
        raise UsageError(str(error)) from None
    return DONE


def add_quorum(commands: Any) -> Any:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate quorum``; returns where more of its commands are added."""
    parser = commands.add_parser("quorum", help="who approves policies", description="Who approves.")
    inner = parser.add_subparsers(dest="quorum_command", required=True, metavar="COMMAND", title="commands")
    make = inner.add_parser(
        "make",
        help="quorum.cbor for the image",
        description="Write quorum.cbor, which goes into the enclave's image and so into its measurement: how many of"
        " which administrators approve policies, credentials and the end of a halt.",
    )
    make.add_argument("--deployment", required=True, type=_name, metavar="NAME", help="as in the policy")
    make.add_argument("--threshold", required=True, type=int, metavar="M", help="how many it takes")
    make.add_argument(
        "--key", action="append", required=True, metavar="PUB", help="public key, hexadecimal; repeat for each"
    )
    make.add_argument(
        "--after", type=Path, metavar="FILE", help="the quorum that this one succeeds: makes it of the next generation"
    )
    make.add_argument("-o", "--output", type=Path, default=Path("quorum.cbor"), metavar="FILE", help="quorum.cbor")
    make.set_defaults(run=make_quorum)
    sign = inner.add_parser(
        "sign-resume",
        help="approve the end of a halt",
        description="Add one administrator's approval of the end of a halt, for one boot of one enclave, on an offline"
        " machine. `casemate status` shows boot key and number, which is the host's word: `casemate attest verify`"
        " proves the boot key (receipt_key).",
    )
    sign.add_argument("--deployment", required=True, type=_name, metavar="NAME", help="as in the policy")
    sign.add_argument("--boot", required=True, type=_public_key, metavar="HEX", help="the boot's key, from the status")
    add_scope(sign)
    sign.add_argument(
        "--last",
        required=True,
        type=_whole,
        metavar="N",
        help="number of the newest halt that ends, from the status: a later one stands, however long this is held back",
    )
    add_signing(sign, "1h", "now, in milliseconds; the others then give the one that the first one printed")
    sign.set_defaults(run=sign_resume)
    return inner


def make_quorum(arguments: argparse.Namespace) -> int:
    """Write a quorum file."""
    try:
        generation = _generation(arguments)
        data = quorum_bytes(arguments.deployment, arguments.threshold, arguments.key, generation)
        arguments.output.write_bytes(data)
    except (QuorumError, OSError) as error:
        raise UsageError(str(error)) from None
    if arguments.threshold == 1:
        note("a threshold of 1: any one administrator can do everything alone")
    print_lines([f"{arguments.output}: {arguments.threshold} of {len(arguments.key)} for {arguments.deployment}"])
    return DONE


def _generation(arguments: argparse.Namespace) -> int:
    if arguments.after is None:
        return 0
    before = read_quorum(arguments.after.read_bytes())
    if before["deployment"] != arguments.deployment:
        message = f"--after: a quorum of deployment {before['deployment']}"
        raise QuorumError(message)
    return int(before["generation"]) + 1


def sign_resume(arguments: argparse.Namespace) -> int:
    """Approve a RESUME."""
    halt = scope_of(arguments)
    if arguments.sequence is None:
        # Rises by itself: nobody has to keep count.
        arguments.sequence = time.time_ns() // _NS_IN_MS
        note(f"the other administrators sign the same statement: --sequence {arguments.sequence}")
    fields = resume_fields(
        halt.scope.name, halt.account, halt.venue, halt.symbol, last=arguments.last, boot=arguments.boot
    )
    return sign(arguments, RESUME, arguments.deployment, fields, f"resume-{models.HaltScope(halt.scope).name.lower()}")


def add_signing(parser: argparse.ArgumentParser, valid: str, sequence: str = "") -> None:
    """Add the options of everything that one administrator signs."""
    parser.add_argument("--key", required=True, type=Path, metavar="ADMIN.pem", help="your own key")
    parser.add_argument(
        "--sequence",
        required=not sequence,
        type=_whole,
        metavar="N",
        help="number of the statement, the same for every administrator; rises with each of its kind"
        + (f" (default: {sequence})" if sequence else ""),
    )
    parser.add_argument("--not-before", type=_whole, metavar="NS", help="nanoseconds since 1970 (default: now)")
    parser.add_argument(
        "--valid", type=_duration, default=valid, metavar="TIME", help=f"such as 30m, 24h or 90d (default {valid})"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where the approval goes")


def sign(arguments: argparse.Namespace, kind: str, deployment: str, fields: Mapping[str, Any], name: str) -> int:
    """Sign one statement into a file, and say in words what it was."""
    not_before = arguments.not_before or time.time_ns()
    sequence: int = arguments.sequence or fields["version"]
    terms = Terms(
        deployment=deployment,
        sequence=sequence,
        not_before=not_before,
        not_after=not_before + arguments.valid * _SECOND,
    )
    try:
        key = read_key(arguments.key)
        text = approval_text(approve(key, kind, terms, fields))
        output = arguments.output or Path(f"{name}-{sequence}-{public_text(key)[:8]}.approval")
        output.write_text(text, encoding="utf-8")
    except (QuorumError, OSError) as error:
        raise UsageError(str(error)) from None
    if getattr(arguments, "json", False):
        print_json({"output": str(output), "statement": {"kind": kind, "sequence": sequence, **fields}})
    else:
        print_lines(line.removeprefix("# ") for line in text.splitlines()[:2])
        print_lines([f"{output}: your approval"])
    return DONE


def add_approvals(parser: argparse.ArgumentParser) -> None:
    """Add --approval."""
    parser.add_argument(
        "--approval",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="repeat for each; names that end in .approval may follow one another, as a shell's *.approval does",
    )


def each_approval(words: Sequence[str]) -> list[str]:
    """Write ``--approval A.approval B.approval`` as argparse reads it, without taking what follows for one of them."""
    spread: list[str] = []
    following = 0
    for word in words:
        more = following > 1 and word.endswith(_ENDING) and not word.startswith("-")
        spread += [_OPTION, word] if more else [word]
        following = 1 if word == _OPTION else 2 if following == 1 or more else 0
    return spread


def approvals_of(arguments: argparse.Namespace) -> list[bytes]:
    """Read the approvals that --approval names; raises UsageError."""
    return [_approval(path) for path in arguments.approval]


def _approval(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return read_approval_file(file.read(MAX_FILE))
    except OSError as error:
        raise UsageError(str(error)) from None
    except QuorumError as error:
        message = f"{path}: {error}"
        raise UsageError(message) from None


def _public_key(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text.lower(), re.ASCII):
        message = f"{shown(text)} ({len(text)} characters): expected a public key, 64 hexadecimal digits"
        raise argparse.ArgumentTypeError(message)
    return text.lower()


def _duration(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([mhd])", text, re.ASCII)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= seconds <= _LONGEST_S:
        message = (
            f'"{text}": expected minutes, hours or days such as 30m, 24h or 90d, at most {_LONGEST_S // _UNITS["d"]}d'
        )
        raise argparse.ArgumentTypeError(message)
    return seconds
