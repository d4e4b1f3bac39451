"""``casemate attest fetch``: a document of a running enclave, for whoever wants to verify it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

from casemate.cli import connection
from casemate.cli.output import DONE, print_json, print_lines
from casemate.cli.usage import UsageError

_NONCE_BYTES: Final = 32
_SHORTEST: Final = 16
_LONGEST: Final = 64


def add_fetch(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """Add the command to those of ``casemate attest``."""
    parser = commands.add_parser(
        "fetch",
        help="ask a running enclave for a document",
        description="Ask the enclave behind a gateway for an attestation document with a fresh nonce, and write it as"
        " it came. Verifies nothing: `casemate attest verify` does, with the nonce that this prints.",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DOC", help="raw CBOR")
    parser.add_argument("--nonce", type=_nonce, metavar="HEX", help="16 to 64 bytes (default: 32 random ones)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=fetch)


def fetch(arguments: argparse.Namespace) -> int:
    """Write the document; 0."""
    nonce = arguments.nonce or os.urandom(_NONCE_BYTES)
    with connection.connect(arguments, seals=False) as gateway:
        document = gateway.attest(nonce)
    try:
        arguments.output.write_bytes(document)
    except OSError as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print_json({"output": str(arguments.output), "nonce": nonce.hex()})
    else:
        print_lines([nonce.hex()])
    return DONE


def _nonce(text: str) -> bytes:
    try:
        nonce = bytes.fromhex(text)
    except ValueError:
        nonce = b""
    if not _SHORTEST <= len(nonce) <= _LONGEST:
        message = f'"{text}": expected {_SHORTEST} to {_LONGEST} bytes in hexadecimal'
        raise argparse.ArgumentTypeError(message)
    return nonce
