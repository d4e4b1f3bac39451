"""``casemate attest fetch``: asks the gateway for the enclave's attestation document."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any, Final

from casemate.cli import connection
from casemate.cli.output import DONE, note, print_json, print_lines
from casemate.cli.usage import UsageError

_NONCE_BYTES: Final = 32
_LEAST, _MOST = 16, 64


def add_fetch(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """Add it to ``casemate attest``."""
    parser = commands.add_parser(
        "fetch",
        help="ask the enclave for a document",
        description="Ask the enclave, by way of the gateway, for its attestation document, and write it as raw CBOR."
        " Nothing is verified: that is `casemate attest verify`, and this prints how.",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("enclave.attestation"), metavar="FILE",
        help="where it goes (default enclave.attestation)",
    )  # fmt: skip
    parser.add_argument("--nonce", metavar="HEX", type=_nonce, help="16 to 64 bytes for the document (default: random)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    connection.add_options(parser, engine=False)
    parser.set_defaults(run=fetch)


def fetch(arguments: argparse.Namespace) -> int:
    """Fetch; 0 if a document came."""
    nonce: bytes = arguments.nonce or os.urandom(_NONCE_BYTES)
    with connection.connect(arguments) as gateway:
        document = gateway.attest(nonce)
    try:
        arguments.output.write_bytes(document)
    except OSError as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print_json({"output": str(arguments.output), "nonce": nonce.hex(), "bytes": len(document)})
    else:
        print_lines([f"{arguments.output}: {len(document)} bytes, nonce {nonce.hex()}, not verified"])
    note(f"next: casemate attest verify {arguments.output} --pcr 0=HEX --nonce {nonce.hex()} --max-age 5m")
    return DONE


def _nonce(text: str) -> bytes:
    if not re.fullmatch(r"([0-9a-fA-F]{2})*", text) or not _LEAST <= len(text) // 2 <= _MOST:
        message = f"expected {_LEAST} to {_MOST} bytes in hexadecimal, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return bytes.fromhex(text)
