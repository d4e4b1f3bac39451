"""``casemate demo | dry-run | venues | bench``."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from casemate.cli.output import DONE, NO, note, print_json, print_lines, progress
from casemate.cli.usage import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from casemate.demo.steps import Step

_ORDERS: Final = 1_200
_SEED: Final = 7
_NO_TAPE: Final = "-"
_DIGITS: Final = 10


def add_demo(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate demo``."""
    parser = commands.add_parser(
        "demo",
        help="the whole system on this machine",
        description="Start mock enclave, host and six simulated venues; verify the enclave, open sessions, play orders"
        " through the public gRPC API, cancel what rests, and account for every order. One line for each step. Exit"
        " code 0 only if no order is missing.",
    )
    parser.add_argument(
        "--tape",
        metavar="FILE",
        help="CSV of trades: time_s,side,type,price,quantity (default: environment CASEMATE_TAPE, a tape beside the"
        " repository, else generated bursts; - forces those)",
    )
    parser.add_argument("--orders", type=_positive, default=_ORDERS, metavar="N", help=f"default {_ORDERS}")
    parser.add_argument("--seed", type=int, default=_SEED, metavar="N", help="of everything random but keys and ids")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=demo)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS and int(text)):
        message = f'"{text}": expected a positive number'
        raise argparse.ArgumentTypeError(message)
    return int(text)


def demo(arguments: argparse.Namespace) -> int:
    """Play the demonstration; 0 if every order is accounted for."""
    # Here: the other commands start faster without it.
    from casemate.demo import report, run, tape  # noqa: PLC0415

    def step(done: Step) -> None:
        if arguments.json:
            note(done.line())
        else:
            print_lines([done.line()])
            sys.stdout.flush()

    options = run.Options(tape=_tape(arguments.tape), orders=arguments.orders, seed=arguments.seed)
    try:
        with progress("orders") as show:
            outcome = asyncio.run(run.run(options, run.Show(note, step, show)))
    except (tape.TapeError, OSError) as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print_json(outcome.as_json())
    else:
        print_lines(report.lines(outcome))
    return NO if outcome.problems else DONE


def _tape(asked: str | None) -> Path | None:
    """Find the tape: the one asked for, or one beside the repository; None for the generator."""
    if asked == _NO_TAPE:
        return None
    chosen = asked or os.environ.get("CASEMATE_TAPE")
    if chosen:
        return Path(chosen)
    shared = os.environ.get("CASEMATE_SHARED")
    beside = Path(shared) if shared else Path(__file__).resolve().parents[4] / "shared"
    return next(iter(sorted((beside / "tape").glob("*.csv"))), None)


def add_dry_run(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate dry-run``."""
    parser = commands.add_parser(
        "dry-run",
        help="exactly what would be sent",
        description="Read JSON Lines, write JSON Lines: what exactly would be sent to the venue? No network, no"
        " daemon, no policy. A bad line answers an error on its own line and does not stop the rest, so the exit"
        " code is 0 all the same.",
    )
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="default -, stdin")
    parser.set_defaults(run=dry_run)


def dry_run(arguments: argparse.Namespace) -> int:
    """Answer every line. An error is the answer to its line, and no reason for another exit code."""
    answers = tool("dry_run")
    try:
        file = sys.stdin if arguments.file == "-" else Path(arguments.file).open(encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UsageError(str(error)) from None
    with file:
        for line in answers.run(file):
            print_lines([line])
    return DONE


def add_venues(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate venues``."""
    parser = commands.add_parser(
        "venues",
        help="what each venue can do, and what its signatures leave open",
        description="List every venue: signing scheme, operations, order types, times in force, limits, and the words"
        " that a policy must accept because the venue's signature leaves something open.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=venues)


def venues(arguments: argparse.Namespace) -> int:
    """List the venues."""
    known = tool("venues")
    if arguments.json:
        print_json(known.describe())
    else:
        print_lines([known.table()])
    return DONE


def add_bench(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate bench``."""
    parser = commands.add_parser(
        "bench",
        help="latency and throughput beside the floor",
        description="Measure order to signed reply and order to acknowledgement, beside the floor of the same run: a"
        " raw echo over the same kind of socket plus the bare cryptography.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    if importlib.util.find_spec("casemate.bench") is not None:
        module = importlib.import_module("casemate.bench")
        if hasattr(module, "add_options"):
            module.add_options(parser)
    parser.set_defaults(run=bench)


def bench(arguments: argparse.Namespace) -> int:
    """Run the benchmark."""
    if importlib.util.find_spec("casemate.bench") is None:
        message = "this installation has no benchmark"
        raise UsageError(message)
    return int(importlib.import_module("casemate.bench").main(arguments))


def tool(name: str) -> ModuleType:
    """Import a tool that needs the enclave's pure modules, or say what to install."""
    try:
        return importlib.import_module(f"casemate.tools.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "enclave_signer":
            message = 'this command needs the enclave\'s pure modules: pip install "casemate[tools]"'
            raise UsageError(message) from None
        raise
