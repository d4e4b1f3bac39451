"""``casemate audit verify | export``."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.attest_cli import pcr_option, root_option
from casemate.audit import export, journal, live, view, witness
from casemate.audit.audit import Audit, Expected, audit
from casemate.audit.evidence import together
from casemate.cli import connection
from casemate.cli.output import DONE, NO, print_json, print_lines, progress
from casemate.cli.usage import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from casemate.audit.evidence import Evidence

_DAY_NS: Final = 86_400_000_000_000

_VERIFY: Final = (
    "Check the enclave's receipts: every link of the chain, its gaps, the signatures of its heads, the attestation of"
    " the key that signed them, and what a witness off the host saw; and hold what the host says it sent against them."
    " Then show what was decided. Exit code 0 only if nothing is wrong and a witness was given: without one a chain"
    " that was cut off at its end looks whole."
)


def add_audit(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate audit``."""
    parser = commands.add_parser(
        "audit", help="check the enclave's receipts", description="Check the enclave's receipts, or copy them out."
    )
    inner = parser.add_subparsers(dest="audit_command", required=True, metavar="COMMAND")
    _add_verify(inner)
    _add_export(inner)


def _add_verify(inner: Any) -> None:  # noqa: ANN401 - as above
    parser = inner.add_parser("verify", help="check chain, signatures, attestation and witness", description=_VERIFY)
    parser.add_argument(
        "file", nargs="*", type=Path, metavar="FILE",
        help="a journal or an export, of every host that the witness saw; without any, what --gateway shows",
    )  # fmt: skip
    parser.add_argument(
        "--witness",
        type=Path,
        metavar="FILE",
        help="the heads that somebody off the host saw (casemate duty writes it)",
    )
    parser.add_argument(
        "--pcr", metavar="N=HEX", type=pcr_option, action="append", default=[],
        help="the register N must have this value in every document; given twice for one N, any of the values",
    )  # fmt: skip
    parser.add_argument("--root", metavar="PEM", type=root_option, help="trust this root instead of AWS's (stand-ins)")
    parser.add_argument(
        "--allow-debug", action="store_true", help="accept an enclave in debug mode, which its host can read"
    )
    parser.add_argument("--day", type=_day, metavar="YYYY-MM-DD", help="show this day alone (UTC); all is checked")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=verify)


def _add_export(inner: Any) -> None:  # noqa: ANN401 - as above
    parser = inner.add_parser(
        "export",
        help="copy receipts, heads and documents out as JSON Lines",
        description="Copy receipts, heads and attestation documents out of a journal or a gateway, as JSON Lines"
        " (docs/receipts.md). Checks nothing: audit verify does.",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="JOURNAL", help="without it, what --gateway shows")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="a new file")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=export_)


def _day(text: str) -> int:
    """Return a day's first nanosecond."""
    import argparse  # noqa: PLC0415 - for the error alone

    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        message = f'"{text}": expected YYYY-MM-DD'
        raise argparse.ArgumentTypeError(message) from None
    return int(day.timestamp()) * 1_000_000_000


def verify(arguments: argparse.Namespace) -> int:
    """Check everything; 0 only if nothing is wrong and nothing was left unchecked."""
    seen = None if arguments.witness is None else witness.read(arguments.witness)
    with _evidences(arguments) as evidence, progress("receipts") as show:
        outcome = audit(evidence, _expected(arguments), seen, show)
    span = None if arguments.day is None else (arguments.day, arguments.day + _DAY_NS)
    _print(outcome, span, as_json=arguments.json)
    return DONE if outcome.sound else NO


def _print(outcome: Audit, span: tuple[int, int] | None, *, as_json: bool) -> None:
    if as_json:
        print_json(view.as_json(outcome, span))
    else:
        print_lines(view.lines(outcome, span))


def export_(arguments: argparse.Namespace) -> int:
    """Copy everything out."""
    with _evidence(arguments, arguments.file) as evidence, progress("receipts") as show:
        try:
            with arguments.output.open("x", encoding="utf-8") as file:
                export.write(evidence, file, show)
        except OSError as error:
            message = f"{arguments.output}: {error.strerror}"
            raise UsageError(message) from None
    sys.stdout.write(f"{arguments.output}\n")
    return DONE


def _expected(arguments: argparse.Namespace) -> Expected:
    pcrs: dict[int, set[bytes]] = {}
    for index, value in arguments.pcr:
        pcrs.setdefault(index, set()).add(value)
    return Expected(pcrs=pcrs, root=arguments.root, allow_debug=arguments.allow_debug)


@contextlib.contextmanager
def _evidences(arguments: argparse.Namespace) -> Iterator[Evidence]:
    with contextlib.ExitStack() as stack:
        yield together([stack.enter_context(_evidence(arguments, file)) for file in arguments.file or [None]])


@contextlib.contextmanager
def _evidence(arguments: argparse.Namespace, file: Path | None) -> Iterator[Evidence]:
    if file is None:
        with connection.connect(arguments) as gateway:
            yield live.fetch(gateway.receipts)
    elif journal.is_journal(file):
        with journal.opened(file) as evidence:
            yield evidence
    else:
        yield export.read(file)
