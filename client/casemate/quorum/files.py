"""Files of administrators: approvals with their meaning in words beside the signed bytes, and the quorum itself."""

from __future__ import annotations

import base64
import re
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from casemate.errors import shown
from casemate.quorum.errors import QuorumError
from casemate.quorum.statements import CREDENTIAL, POLICY, QUORUM, RESUME, read_approval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT: Final = "casemate.approval.v1"
QUORUM_FORMAT: Final = "casemate.quorum.v1"
MAX_ADMINS: Final = 16
MAX_FILE: Final = 65_536
_SECOND: Final = 1_000_000_000
# A name with a line break in it could put words into the file that nobody signed.
_FIELD: Final = re.compile(r"[a-z_]{1,32}", re.ASCII)


def approval_text(approval: bytes) -> str:
    """Write an approval down: what it says in words, and the signed bytes. Raises QuorumError."""
    said = read_approval(approval)
    if not all(map(_is_field, said)):
        message = "a statement's fields have plain names"
        raise QuorumError(message)
    fields = "".join(f"{name} = {_shown(said[name])}\n" for name in sorted(said) if name != "format")
    return (
        f"# {_words(said)}\n#\n"
        "# Everything here is for people. The enclave sees `approval` alone, and `casemate` refuses a file\n"
        "# whose words are not what was signed.\n"
        f'format = "{FORMAT}"\n\n[statement]\n{fields}\n[signed]\n'
        f'approval = "{base64.b64encode(approval).decode()}"\n'
    )


def read_approval_file(data: bytes) -> bytes:
    """Return the approval of a file whose words are those of its signed bytes; raises QuorumError."""
    try:
        text = data.decode()
        approval = base64.b64decode(tomllib.loads(text)["signed"]["approval"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        message = "expected a file that `casemate ... sign` wrote"
        raise QuorumError(message) from None
    if text.replace("\r\n", "\n") != approval_text(approval):
        message = "the words in the file are not what was signed"
        raise QuorumError(message)
    return approval


def quorum_bytes(deployment: str, threshold: int, keys: Sequence[str], generation: int = 0) -> bytes:
    """Write ``quorum.cbor``: keys in hexadecimal, in any order; a successor has a generation. Raises QuorumError."""
    wanted = [key.lower() for key in keys]
    for key in wanted:
        _check_key(key)
    if len(set(wanted)) != len(wanted):
        message = "a key is named twice: M counts distinct keys"
        raise QuorumError(message)
    if len(wanted) > MAX_ADMINS or not 1 <= threshold <= len(wanted):
        message = f"expected 1 to {MAX_ADMINS} keys and a threshold from 1 to their number"
        raise QuorumError(message)
    document = {
        "format": QUORUM_FORMAT,
        "deployment": deployment,
        "threshold": threshold,
        "admins": sorted(wanted),
    }
    if generation:
        document["generation"] = generation
    return cbor2.dumps(document, canonical=True)


def read_quorum(data: bytes) -> dict[str, Any]:
    """Read a quorum file; its ``generation`` is there in any case. Raises QuorumError."""
    said: Any = None
    try:
        said = cbor2.loads(data)
        again = quorum_bytes(said["deployment"], said["threshold"], said["admins"], said.get("generation", 0))
    except (cbor2.CBORError, ValueError, TypeError, KeyError, AttributeError, EOFError, RecursionError):
        again = b""
    if not again or again != data:
        message = "not a quorum file: `casemate quorum make` writes one"
        raise QuorumError(message)
    return {"generation": 0, **said}


def _check_key(text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        message = f"{shown(text)} ({len(text)} characters): expected an Ed25519 public key, 64 hexadecimal digits"
        raise QuorumError(message) from None


def _is_field(name: object) -> bool:
    return isinstance(name, str) and _FIELD.fullmatch(name) is not None


def _shown(value: object) -> str:
    # What a hostile file could hold beyond this grammar is refused rather than escaped.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isprintable() and not set(value) & {'"', "\\"}:
        return f'"{value}"'
    message = "a statement holds whole numbers and plain text only"
    raise QuorumError(message)


def _words(said: Mapping[str, Any]) -> str:
    try:
        return (
            f"Administrator {said['signer'][:16]}... of deployment {said['deployment']} approves: {_what(said)}.\n"
            f"# Statement number {said['sequence']}, good from {_time(said['not_before'])}"
            f" until {_time(said['not_after'])}."
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        message = "the statement lacks what its kind must say"
        raise QuorumError(message) from None


def _what(said: Mapping[str, Any]) -> str:
    match said["kind"]:
        case value if value == POLICY:
            return f"POLICY version {said['version']}, the file with sha256 {said['subject']}"
        case value if value == CREDENTIAL:
            return f"CREDENTIAL version {said['version']} of account {said['account']}, sha256 {said['subject']}"
        case value if value == QUORUM:
            who = f"the file with sha256 {said['subject']}, in place of {said['predecessor']}"
            return f"QUORUM of generation {said['generation']}, {who}"
        case value if value == RESUME:
            where = " ".join(said[name] for name in ("account", "venue", "symbol") if said[name])
            until = f", none after HALT number {said['last']}, in boot {said['boot'][:16]}... alone"
            return f"RESUME of HALT {said['scope']} {where}".rstrip() + until
    raise KeyError


def _time(moment: int) -> str:
    return datetime.fromtimestamp(moment // _SECOND, UTC).isoformat().replace("+00:00", "Z")
