"""``casemate attest verify DOC``: asks whether this is the attestation document of the enclave that I expect.

Exit codes: 0 verified, 1 refused (and why), 2 wrong use. With ``--json`` one JSON document goes to standard
output: ``{"verified", "at", "reason", "explanation", "field", "pinned", "checked", "boot", "document"}``; ``document``
holds the decoded claims, null if they cannot be read, and is worth something only where ``verified`` is true.
``pinned`` are the registers that had to have a value: without 0 among them, verified means that some enclave asked
for this document, not that it is yours; standard error says so. ``boot`` is what Casemate's enclave says of itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from casemate import attest_report
from casemate.attestation import AttestationError, Document, parse, read_document, verify
from casemate.attestation.document import MAX_FIELD_BYTES, PCR_BYTES, PCR_COUNT
from casemate.attestation.times import readable, to_milliseconds
from casemate.attestation.view import as_json
from casemate.quorum.errors import QuorumError
from casemate.quorum.files import read_quorum
from casemate.quorum.statements import read_policy
from casemate.session.forms import POLICY_PCR, first_policy_register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from casemate.attestation import Attestation

VERIFIED: Final = 0
REFUSED: Final = 1
WRONG_USE: Final = 2

# Base64 and hexadecimal with line breaks stay well below this; longer input is no document.
_MAX_INPUT_BYTES: Final = 1 << 20
# Seconds since 1970 have ten digits until the year 2286, milliseconds thirteen.
_LARGEST_SECONDS: Final = 10**11
_DESCRIPTION: Final = "Exit codes: 0 verified, 1 refused (and why), 2 wrong use."
_DURATION_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


def system_now_ms() -> int:
    """Return the wall clock in milliseconds since 1970: the only clock that this command reads."""
    return time.time_ns() // 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Give ``casemate attest`` ``verify``, for :func:`run`; returns where more commands are added."""
    commands = parser.add_subparsers(dest="attest_command", required=True, metavar="COMMAND")
    command = commands.add_parser("verify", help="verify an attestation document", description=__doc__)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("document", metavar="DOC", help="a file with raw CBOR, base64 or hex; - is standard input")
    add_pins(command)
    command.add_argument(
        "--policy", metavar="FILE", type=_policy, help="PCR16 must commit to this compiled policy, the boot's first one"
    )
    command.add_argument("--quorum", metavar="FILE", type=_quorum, help="and to this quorum.cbor; both or neither")
    command.add_argument("--nonce", metavar="HEX", type=_nonce, help="the document must carry this nonce")
    command.add_argument("--at", metavar="TIME", type=_time, help="verify at this ISO 8601 or epoch time, not now")
    command.add_argument("--max-age", metavar="DURATION", type=_duration, help="as in 500ms, 60s, 5m, 3h")
    command.add_argument(
        "--allow-debug", action="store_true", help="accept an enclave in debug mode, which its host can read"
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    return commands


def add_pins(parser: argparse.ArgumentParser) -> None:
    """Add --pcr and --root, which other commands take too."""
    parser.add_argument(
        "--pcr", metavar="N=HEX", type=pcr_option, action="append", default=[],
        help="the register N must have this value; given twice for one N, any of the values",
    )  # fmt: skip
    parser.add_argument("--root", metavar="PEM", type=root_option, help="trust this root instead of AWS's (stand-ins)")


def expected_pcrs(pairs: Iterable[tuple[int, bytes]]) -> dict[int, set[bytes]]:
    """Return the values that --pcr names, by register."""
    pcrs: dict[int, set[bytes]] = {}
    for index, value in pairs:
        pcrs.setdefault(index, set()).add(value)
    return pcrs


def main(argv: Sequence[str], *, now_ms: Callable[[], int] = system_now_ms) -> int:
    """Run ``casemate attest`` with the arguments after ``attest``; returns the exit code."""
    parser = argparse.ArgumentParser(prog="casemate attest")
    add_arguments(parser)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else WRONG_USE
    return run(arguments, now_ms=now_ms)


def run(arguments: argparse.Namespace, *, now_ms: Callable[[], int] = system_now_ms) -> int:
    """Verify what the parsed arguments name, print the answer and return the exit code."""
    if (arguments.policy is None) != (arguments.quorum is None):
        sys.stderr.write("casemate attest verify: PCR16 covers both: give --policy and --quorum\n")
        return WRONG_USE
    try:
        content = _read(arguments.document)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"casemate attest verify: cannot read {arguments.document}: {error}\n")
        return WRONG_USE
    document = read_document(content)
    at_ms = now_ms() if arguments.at is None else arguments.at
    pcrs = _pcrs(arguments)
    found = _verify(document, arguments, pcrs, at_ms)
    report = _report(document, arguments, pcrs, at_ms, found)
    if not isinstance(found, AttestationError) and 0 not in pcrs:
        sys.stderr.write(f"casemate attest verify: {attest_report.NOT_PINNED}\n")
    if arguments.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    elif isinstance(found, AttestationError):
        sys.stdout.write(f"REFUSED {found.reason}: {found.explanation}\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _summary(parse(document), report)))
    return REFUSED if isinstance(found, AttestationError) else VERIFIED


def _pcrs(arguments: argparse.Namespace) -> dict[int, set[bytes]]:
    pcrs = expected_pcrs(arguments.pcr)
    if arguments.policy is not None:
        pcrs[POLICY_PCR] = {first_policy_register(arguments.quorum, arguments.policy)}
    return pcrs


def _verify(
    document: bytes, arguments: argparse.Namespace, pcrs: dict[int, set[bytes]], at_ms: int
) -> Attestation | AttestationError:
    try:
        return verify(
            document,
            at=at_ms,
            root=arguments.root,
            pcrs=pcrs,
            nonce=arguments.nonce,
            max_age_ms=arguments.max_age,
            allow_debug=arguments.allow_debug,
        )
    except AttestationError as refusal:
        return refusal


def _report(
    document: bytes,
    arguments: argparse.Namespace,
    pcrs: dict[int, set[bytes]],
    at_ms: int,
    found: Attestation | AttestationError,
) -> dict[str, Any]:
    refusal = found if isinstance(found, AttestationError) else None
    proved = None if isinstance(found, AttestationError) else found
    return {
        "verified": refusal is None,
        "at": readable(at_ms),
        "reason": None if refusal is None else str(refusal.reason),
        "explanation": None if refusal is None else refusal.explanation,
        "field": None if refusal is None else refusal.field or None,
        "pinned": sorted(pcrs),
        "checked": [] if proved is None else list(attest_report.checked(proved, arguments, pcrs, at_ms)),
        "boot": None if proved is None else attest_report.boot_of(proved),
        "document": _claims(document),
    }


def _claims(document: bytes) -> dict[str, object] | None:
    try:
        return as_json(parse(document))
    except AttestationError:
        return None


def _summary(document: Document, report: dict[str, Any]) -> list[str]:
    shown = [f"VERIFIED at {report['at']}", *(f"  {line}" for line in report["checked"])]
    shown.append(f"module_id  {document.module_id}")
    shown.append(f"timestamp  {readable(document.timestamp_ms)}")
    if document.debug:
        shown.append("debug      YES: the host can read this enclave's memory")
    shown += [f"PCR{index:<7} {value.hex()}" for index, value in document.pcrs.items() if any(value)]
    for name in ("public_key", "user_data", "nonce"):
        value = getattr(document, name)
        if value is not None:
            shown.append(f"{name:<10} {value.hex()}")
    boot: dict[str, object] = report["boot"] or {}
    shown += ["user_data says, of the boot:"] if boot else []
    shown += [f"  {name:<15} {value}" for name, value in boot.items()]
    return shown


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(_MAX_INPUT_BYTES)
    with Path(name).open("rb") as file:
        return file.read(_MAX_INPUT_BYTES)


def pcr_option(text: str) -> tuple[int, bytes]:
    """Read N=HEX; raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,2})=(?:0x)?([0-9a-fA-F]+)", text)
    if match is None or int(match[1]) >= PCR_COUNT or len(match[2]) != 2 * PCR_BYTES:
        message = f"expected N=HEX with N below {PCR_COUNT} and {2 * PCR_BYTES} hexadecimal digits, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(match[1]), bytes.fromhex(match[2])


def _nonce(text: str) -> bytes:
    digits = text.removeprefix("0x")
    if not re.fullmatch(r"([0-9a-fA-F]{2})*", digits) or len(digits) > 2 * MAX_FIELD_BYTES:
        message = f"expected at most {MAX_FIELD_BYTES} bytes in hexadecimal, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return bytes.fromhex(digits)


def _time(text: str) -> int:
    """Read ISO 8601 (UTC if no zone is given), or seconds or milliseconds since 1970."""
    if re.fullmatch(r"[0-9]{1,15}", text):
        number = int(text)
        return number * 1_000 if number < _LARGEST_SECONDS else number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"expected a time as in 2025-12-25T13:15:37Z, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None
    return to_milliseconds(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)


def _duration(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h)", text)
    if match is None:
        message = f"expected a duration as in 500ms, 60s, 5m or 3h, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(match[1]) * _DURATION_MS[match[2]]


def _policy(text: str) -> bytes:
    """Return the SHA-256 of a compiled policy."""
    return _digest(text, read_policy)


def _quorum(text: str) -> bytes:
    """Return the SHA-256 of a quorum file."""
    return _digest(text, read_quorum)


def _digest(text: str, check: Callable[[bytes], object]) -> bytes:
    try:
        with Path(text).open("rb") as file:
            content = file.read(_MAX_INPUT_BYTES + 1)
        check(content)
    except (OSError, QuorumError) as error:
        message = f"{text}: {error}"
        raise argparse.ArgumentTypeError(message) from None
    return hashlib.sha256(content).digest()


def root_option(text: str) -> x509.Certificate:
    """Load a root certificate from a PEM file; raises ArgumentTypeError."""
    try:
        return x509.load_pem_x509_certificate(Path(text).read_bytes())
    except (OSError, ValueError) as error:
        message = f"cannot read a PEM certificate from {text!r}: {error}"
        raise argparse.ArgumentTypeError(message) from None
