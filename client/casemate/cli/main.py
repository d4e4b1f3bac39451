"""The parser and the exit codes: 0 done, 1 the answer is no, 2 wrong use."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import casemate
from casemate import attest_cli
from casemate.cli import (
    agent,
    approving,
    audit,
    doctor,
    duty,
    eif,
    logon,
    operate,
    policy,
    provision,
    quorum,
    seal,
    status,
    succession,
    tools,
    trade,
)
from casemate.cli.fetch import add_fetch
from casemate.cli.output import NO, WRONG_USE, note, print_json
from casemate.cli.usage import UsageError
from casemate.errors import BadRequest, CasemateError, InvalidIntentError, NotJudged

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION: Final = "Casemate: exchange orders whose keys live in an enclave."
_EPILOG: Final = (
    "Exit codes: 0 done, 1 the answer is no, 2 wrong use. --json prints one JSON document on stdout and nothing"
    " else there; progress and logs go to stderr."
)


def parser() -> argparse.ArgumentParser:
    """Build the parser of every command."""
    root = argparse.ArgumentParser(prog="casemate", description=_DESCRIPTION, epilog=_EPILOG)
    root.add_argument("--version", action="version", version=f"casemate {casemate.__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    tools.add_demo(commands)
    tools.add_dry_run(commands)
    tools.add_venues(commands)
    policy.add_policy(commands)
    seal.add_seal(commands)
    provision.add_provision(commands)
    approving.add_credential(commands)
    succession.add_succession(quorum.add_quorum(commands))
    quorum.add_admin_key(commands)
    trade.add_submit(commands)
    trade.add_cancel(commands)
    trade.add_orders(commands)
    logon.add_logon(commands)
    status.add_status(commands)
    operate.add_halt(commands)
    operate.add_resume(commands)
    duty.add_duty(commands)
    _add_attest(commands)
    agent.add_agent(commands)
    audit.add_audit(commands)
    doctor.add_doctor(commands)
    eif.add_eif(commands)
    tools.add_bench(commands)
    return root


def _add_attest(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    text = "Fetch and verify an enclave's attestation document."
    command = commands.add_parser("attest", help="fetch and verify attestation documents", description=text)
    add_fetch(attest_cli.add_arguments(command))
    command.set_defaults(run=attest_cli.run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = quorum.each_approval(sys.argv[1:] if argv is None else argv)
    if not words:
        parser().print_help(sys.stderr)
        return WRONG_USE
    arguments = parser().parse_args(words)
    try:
        return int(arguments.run(arguments))
    except (UsageError, InvalidIntentError) as error:
        note(str(error))
        return WRONG_USE
    except CasemateError as error:
        _say_no(error, as_json=getattr(arguments, "json", False))
        # What host or enclave call malformed is wrong use as well: sending it again cannot help.
        return WRONG_USE if isinstance(error, BadRequest) else NO
    except BrokenPipeError:
        # The reader of our output went away (a pager, head): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return NO


def _say_no(error: CasemateError, *, as_json: bool) -> None:
    if not as_json:
        note(str(error))
        return
    document: dict[str, object] = {"reason": type(error).__name__, "message": str(error)}
    if isinstance(error, NotJudged):
        document |= {"reason": error.reason, "field": error.field, "message": error.message}
        document["retry_can_help"] = error.retry_can_help
    print_json({"error": document})
