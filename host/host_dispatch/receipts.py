"""Keeps the enclave's receipts: takes them off the replies, fills gaps from the enclave's memory, asks for heads.

The host checks none of it: it is untrusted, and whoever audits the journal checks everything. It only wants no gap,
and reads of a receipt no more than its number. A receipt that a lost reply carried is asked for again while the
enclave remembers it; afterwards the gap stays, and the audit shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from host_dispatch.errors import NotTakenError
from host_dispatch.journal.records import BootRow, HeadRow, JournalError, ReceiptRow
from signer_api.v1 import signer_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from host_dispatch.clock import Clock
    from host_dispatch.journal.records import ReceiptStore

    Call = Callable[[wire.EnclaveRequest], Awaitable[wire.EnclaveReply]]

# How long without a head until one is asked for, and until a document is asked for again.
_POLL_SECONDS: Final = 1.0
_DOCUMENT_SECONDS: Final = 30.0
_PAGE: Final = 1024
# Receipts that the enclave remembers: what lies further back is gone.
_RING: Final = 16_384
# "seq" is the first key of every receipt, as the shortest one.
_SEQ: Final = b"\x63seq"
_NUMBER_AT: Final = 1 + len(_SEQ)
_BOOT: Final = b"\x64boot\x58\x20"
_BOOT_BYTES: Final = 32
_INLINE: Final = 24
_ARGUMENT_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}

_log = logging.getLogger("casemate.host.receipts")


class ReceiptKeeper:
    """One for a link. All methods are called on the event loop."""

    def __init__(self, store: ReceiptStore, call: Call, clock: Clock) -> None:
        """``call`` asks the enclave, and raises NotTakenError."""
        self._store = store
        self._call = call
        self._clock = clock
        self._boot = b""
        # The number after the highest that was seen of this boot, and ranges below it that are missing.
        self._next = 0
        self._gaps: list[tuple[int, int]] = []
        # The same by heads; what lies between may still be on its way, and is missing if it is so at the next look.
        self._told = self._due = 0
        self._look_at = 0.0
        self._known: set[bytes] = set()
        self._documented: set[bytes] = set()
        self._ask_document_at = 0.0
        self._caught_up = False
        self._lost = 0
        self._wake = asyncio.Event()

    @property
    def seen(self) -> int:
        """How many receipts this boot has made, as far as they were seen."""
        return self._next

    @property
    def signed(self) -> int:
        """How many of them a head covers."""
        return self._told

    @property
    def missing(self) -> int:
        """How many this process has not got: still asked for, or lost for good, those of earlier boots included."""
        return self._lost + sum(end - start for start, end in self._gaps)

    # --- what replies bring

    def connected(self, status: wire.EnclaveStatus) -> None:
        """Take the first status of a stream: it says which boot all that follows is of."""
        if status.boot_key and status.boot_key != self._boot:
            self._boot, self._next, self._gaps, self._told, self._due = status.boot_key, 0, [], 0, 0
            self._remember(status.boot_key)
        if status.head.head:
            self._on_head(status.head)
        # Nothing is on its way on a new stream.
        self._caught_up, self._next = False, max(self._next, self._told)
        self._wake.set()

    def on_reply(self, reply: wire.EnclaveReply) -> None:
        """Take receipts and head off one reply, whatever becomes of the rest of it."""
        kind = reply.WhichOneof("answer")
        if kind == "judged":
            self._on_receipt(reply.judged.receipt)
        elif kind == "judged_batch":
            for answer in reply.judged_batch.answers:
                self._on_receipt(answer.judged.receipt)
        if reply.HasField("head"):
            self._on_head(reply.head)

    def _on_receipt(self, receipt: bytes) -> None:
        number = sequence_of(receipt)
        if number is None or not self._boot:
            return
        self._store.keep(ReceiptRow(self._boot, number, receipt))
        if number >= self._next:
            self._missing(self._next, number)
            self._next = number + 1

    def _on_head(self, head: wire.SignedHead) -> None:
        named = _head(head.head)
        if named is None:
            return
        boot, sequence = named
        self._remember(boot)
        self._store.keep(HeadRow(boot, sequence, head.head, head.signature))
        if boot == self._boot:
            self._told = max(self._told, sequence + 1)

    def _remember(self, boot: bytes) -> None:
        if boot not in self._known:
            self._known.add(boot)
            self._store.keep(BootRow(boot, self._clock.now_ns(), b""))

    def _missing(self, start: int, end: int) -> None:
        if start < end:
            self._gaps.append((start, end))
            self._wake.set()

    # --- what has to be asked for

    async def run(self) -> None:
        """Fill gaps as they show, and ask for the head when nothing comes by itself; never returns."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                if self._boot:
                    await self._round(loop.time())
            except (NotTakenError, JournalError):
                # The link says so itself, and comes back: then a status brings it here again.
                self._caught_up = False
            except Exception:  # noqa: BLE001 - a fault here must not end the keeping
                _log.exception("a fault while keeping receipts")
                await asyncio.sleep(_POLL_SECONDS)

    async def finish(self) -> None:
        """Ask once more for the head, so that the journal ends with what a signature covers."""
        with contextlib.suppress(NotTakenError, JournalError):
            self._on_page(self._boot, await self._page(0, 0))

    async def _round(self, now: float) -> None:
        if not self._caught_up:
            self._caught_up = True
            await self._catch_up()
        if now >= self._look_at:
            self._look_at = now + _POLL_SECONDS
            self._look()
            self._on_page(self._boot, await self._page(0, 0))
        await self._fill()
        await self._document(now)

    def _look(self) -> None:
        if self._due > self._next:
            self._missing(self._next, self._due)
            self._next = self._due
        self._due = self._told

    async def _catch_up(self) -> None:
        """Find what the journal lacks of this boot, as far back as the enclave remembers."""
        boot, end = self._boot, self._next
        start = max(0, end - _RING)
        stored = set(await self._store.stored_sequences(boot, start, end))
        gaps: list[tuple[int, int]] = []
        for number in range(start, end):
            if number not in stored:
                if gaps and gaps[-1][1] == number:
                    gaps[-1] = (gaps[-1][0], number + 1)
                else:
                    gaps.append((number, number + 1))
        if boot == self._boot:
            self._gaps = gaps + [gap for gap in self._gaps if gap[0] >= end]

    async def _fill(self) -> None:
        boot = self._boot
        while self._gaps and boot == self._boot:
            start, end = self._gaps[0]
            page = await self._page(start, min(_PAGE, end - start))
            if boot != self._boot or self._gaps[:1] != [(start, end)]:
                return
            first = sequence_of(page.receipts[0]) if page.receipts else None
            lost = (end if first is None else min(first, end)) - start
            if lost > 0:
                self._lost += lost
                _log.warning("receipts are lost: the audit will show the gap", extra={"fields": {"count": lost}})
            reached = self._on_page(boot, page)
            if reached < end and first is not None:
                self._gaps[0] = (reached, end)
            else:
                del self._gaps[0]

    def _on_page(self, boot: bytes, page: wire.Receipts) -> int:
        """Keep what a page has, if it is of this boot; returns the number after its last receipt."""
        named, reached = _head(page.head.head), 0
        if named is None or named[0] != boot:
            return reached
        for receipt in page.receipts:
            number = sequence_of(receipt)
            if number is not None:
                self._store.keep(ReceiptRow(boot, number, receipt))
                reached = number + 1
        self._on_head(page.head)
        return reached

    async def _page(self, start: int, limit: int) -> wire.Receipts:
        asked = wire.ReceiptsRequest(from_sequence=start, limit=limit)
        return (await self._call(wire.EnclaveRequest(receipts=asked))).receipts

    async def _document(self, now: float) -> None:
        """Keep one attestation document a boot: it shows whose key signs the heads."""
        boot = self._boot
        if boot in self._documented or now < self._ask_document_at:
            return
        try:
            reply = await self._call(wire.EnclaveRequest(attest=wire.Attest()))
        except NotTakenError:
            # No policy yet, or an enclave that has no documents.
            self._ask_document_at = now + (_POLL_SECONDS if self._next <= 1 else _DOCUMENT_SECONDS)
            return
        if boot == self._boot and reply.attested.document:
            self._store.keep(BootRow(boot, self._clock.now_ns(), reply.attested.document))
            self._documented.add(boot)


def sequence_of(receipt: bytes) -> int | None:
    """Read a receipt's number, which is its first value; None if it is none."""
    if receipt[1:_NUMBER_AT] != _SEQ or len(receipt) <= _NUMBER_AT:
        return None
    first = receipt[_NUMBER_AT]
    if first < _INLINE:
        return first
    size = _ARGUMENT_BYTES.get(first)
    if size is None:
        return None
    number = int.from_bytes(receipt[_NUMBER_AT + 1 : _NUMBER_AT + 1 + size], "big")
    return number if number < 1 << 63 else None


def _head(head: bytes) -> tuple[bytes, int] | None:
    """Read which boot and which receipt a head is of; None if it is none. "boot" is its second key."""
    number = sequence_of(head)
    if number is None:
        return None
    at = _NUMBER_AT + 1 + _ARGUMENT_BYTES.get(head[_NUMBER_AT], 0) + len(_BOOT)
    boot = head[at : at + _BOOT_BYTES]
    return (boot, number) if head[at - len(_BOOT) : at] == _BOOT and len(boot) == _BOOT_BYTES else None
