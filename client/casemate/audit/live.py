"""Evidence from a running gateway: its journal, page by page. The host may show what it likes: it is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from casemate.audit.evidence import Boot, Evidence
from casemate.audit.forms import NotAReceipt, read_head, read_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dispatch_api.v1 import dispatch_pb2

    # (boot, first sequence, most receipts) -> page
    Ask = Callable[[bytes, int, int], dispatch_pb2.StoredReceipts]

_PAGE: Final = 2048
# A host that repeats itself for ever is not followed for ever.
_MOST: Final = 100_000_000


def fetch(ask: Ask) -> Evidence:
    """Return what the gateway has; raises CasemateError. Receipts are fetched when they are read."""
    newest = ask(b"", 0, 0)
    keys = list(dict.fromkeys(newest.boots)) or [newest.boot]
    return Evidence([_boot(ask, key) for key in keys], None)


def _boot(ask: Ask, key: bytes) -> Boot:
    page = ask(key, 0, 0)
    heads = [(page.head.head, page.head.signature)] if page.HasField("head") else []
    return Boot(key, 0, page.document, _stored(page), lambda: _receipts(ask, key), heads)


def _stored(page: dispatch_pb2.StoredReceipts) -> int:
    """How many there are, by the host's word: for the progress alone."""
    try:
        return read_head(page.head.head).sequence + 1
    except NotAReceipt:
        return 0


def _receipts(ask: Ask, key: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < _MOST:
        reached = start
        for at, receipt in enumerate(ask(key, start, _PAGE).receipts, start):
            number = _number(receipt, at)
            yield number, receipt
            reached = max(reached, number + 1)
        if reached == start:
            return
        start = reached


def _number(receipt: bytes, otherwise: int) -> int:
    try:
        return read_receipt(receipt).sequence
    except NotAReceipt:
        return otherwise
