"""``casemate logon``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from casemate.cli import connection
from casemate.cli.output import DONE, NO, print_json, print_lines
from casemate.cli.usage import UsageError

if TYPE_CHECKING:
    import argparse

    from casemate import models


def add_logon(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate logon``."""
    parser = commands.add_parser(
        "logon",
        help="log a private stream's connection on",
        description="For a read-only account: ask for the message that logs a connection of the venue's private stream"
        " on (send it first on a websocket to the URL that is printed), or for the venue's token. Either is a secret"
        " while it is valid.",
    )
    for name in ("account", "venue"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--out", required=True, metavar="FILE", help="write message or token here (- is stdout)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, without the secret")
    connection.add_options(parser)
    parser.set_defaults(run=logon)


def logon(arguments: argparse.Namespace) -> int:
    """Ask for it; 0 if there is something to log on with."""
    if arguments.json and arguments.out == "-":
        message = "--json and --out - both want stdout"
        raise UsageError(message)
    if arguments.out != "-" and Path(arguments.out).exists():
        raise _cannot_write(arguments.out, "is there already, and is left alone")
    with connection.connect(arguments) as gateway:
        result = gateway.logon(arguments.account, arguments.venue)
    if result.granted:
        _write(arguments.out, result.message or result.token.encode())
    if arguments.json:
        print_json(_document(result))
    elif not result.granted or arguments.out != "-":
        print_lines([_line(result, arguments.out)])
    return DONE if result.granted else NO


def _write(out: str, secret: bytes) -> None:
    if out == "-":
        sys.stdout.buffer.write(secret + b"\n")
        return
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
    except OSError as error:
        raise _cannot_write(out, error.strerror) from None


def _cannot_write(out: str, why: str | None) -> UsageError:
    return UsageError(f"{out}: {why or 'cannot be written'}")


def _document(result: models.LogonResult) -> dict[str, object]:
    verdict = result.verdict
    return {
        "decision": verdict.decision.name,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "authenticated": result.authenticated,
        "kind": "message" if result.message else "token" if result.token else None,
        "url": result.url,
        "valid_until": result.valid_until,
        "error_class": result.error_class.name if result.error_class else None,
        "venue_code": result.venue_code,
        "venue_message": result.venue_message,
    }


def _line(result: models.LogonResult, out: str) -> str:
    if not result.verdict.allowed:
        return f"{result.verdict.decision.name} by {result.verdict.rule}: {result.verdict.reason}"
    if result.message:
        return f"message in {out}: send it first on {result.url}"
    if result.token:
        return f"token (the host's word) in {out}"
    error = result.error_class.name if result.error_class else "UNKNOWN"
    return f"{error} {result.venue_code} {result.venue_message}".rstrip()
