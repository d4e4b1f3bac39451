"""An export: receipts, heads and documents of every boot as JSON Lines, for an archive or another program.

The first line is ``{"format": "casemate.export.v1"}``. A line ``{"boot": hex, "since": nanoseconds, "document": hex}``
begins a boot; the lines ``{"receipt": hex}`` and ``{"head": hex, "signature": hex}`` that follow are of that boot.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from casemate.audit.errors import BadFile
from casemate.audit.evidence import Boot, Evidence
from casemate.audit.forms import NotAReceipt, read_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TextIO

FORMAT: Final = "casemate.export.v1"


def write(evidence: Evidence, file: TextIO, show: Callable[[int, int], None]) -> None:
    """Write everything; ``show`` is told how many receipts of how many are done."""
    _line(file, format=FORMAT)
    done, of = 0, sum(boot.stored for boot in evidence.boots)
    for boot in evidence.boots:
        _line(file, boot=boot.key.hex(), since=boot.since, document=boot.document.hex())
        for _, receipt in boot.receipts():
            _line(file, receipt=receipt.hex())
            done += 1
            show(done, of)
        for head, signature in boot.heads:
            _line(file, head=head.hex(), signature=signature.hex())


def _line(file: TextIO, **said: object) -> None:
    file.write(json.dumps(said) + "\n")


def read(path: Path) -> Evidence:
    """Read an export; raises BadFile with the line."""
    boots: list[Boot] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                _take(path, number, line, boots)
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise BadFile(message) from None
    except UnicodeDecodeError:
        message = f"{path}: neither a journal nor an export"
        raise BadFile(message) from None
    if not boots:
        message = f"{path}: no boot in it"
        raise BadFile(message)
    return Evidence([boot._replace(stored=len(_list(boot))) for boot in boots], None)


class _Listed:
    """The receipts of a boot, numbered by what they say themselves."""

    def __init__(self) -> None:
        self.receipts: list[bytes] = []

    def __call__(self) -> Iterator[tuple[int, bytes]]:
        for at, receipt in enumerate(self.receipts):
            try:
                yield read_receipt(receipt).sequence, receipt
            except NotAReceipt:
                # The check says what is wrong with it.
                yield at, receipt


def _list(boot: Boot) -> list[bytes]:
    assert isinstance(boot.receipts, _Listed)  # noqa: S101 - made below
    return boot.receipts.receipts


def _take(path: Path, number: int, line: str, boots: list[Boot]) -> None:
    try:
        said: Any = json.loads(line)
        if number == 1:
            known = said["format"] == FORMAT
        elif "boot" in said:
            key, document = bytes.fromhex(said["boot"]), bytes.fromhex(said["document"])
            boots.append(Boot(key, int(said["since"]), document, 0, _Listed(), []))
            known = True
        elif "receipt" in said:
            _list(boots[-1]).append(bytes.fromhex(said["receipt"]))
            known = True
        else:
            boots[-1].heads.append((bytes.fromhex(said["head"]), bytes.fromhex(said["signature"])))
            known = True
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        known = False
    if not known:
        what = "neither a journal nor an export" if number == 1 else f"line {number}: not a line of an export"
        message = f"{path}: {what}"
        raise BadFile(message)
