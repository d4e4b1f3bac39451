"""``casemate bench``: latency and throughput beside the floor, all measured in one run.

Absolute times differ from machine to machine; the ratio to the floor does not so much. The floor of a signed reply
is a raw echo of the same number of bytes over the same kind of socket, twice (engine to host, host to enclave),
plus one bare ``hmac.digest`` of the bytes that are signed.
"""

from __future__ import annotations

import argparse
import asyncio

from casemate.bench import report, run
from casemate.cli.output import DONE, note, print_json, print_lines


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes beside ``--json``."""
    parser.add_argument(
        "--scale", type=_scale, default=1.0, metavar="X", help="multiply the number of orders (default 1)"
    )


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 100:  # noqa: PLR2004 - outside it measures nothing or takes hours
        raise argparse.ArgumentTypeError("expected a positive number from 0.01 to 100")
    return value


def main(arguments: argparse.Namespace) -> int:
    """Measure and print; exit code 0 whatever the numbers say."""
    found = asyncio.run(run.run(arguments.scale, note))
    if arguments.json:
        print_json(found)
    else:
        print_lines(report.lines(found))
    return DONE
