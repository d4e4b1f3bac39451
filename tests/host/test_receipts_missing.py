"""What the host counts as missing receipts is what it asks for, and what the enclave has forgotten stays counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import cbor2
import pytest

from host_dispatch.clock import SystemClock
from host_dispatch.receipts import ReceiptKeeper
from signer_api.v1 import signer_pb2
from tests.host.host_rig import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from host_dispatch.journal.records import BootRow, HeadRow, ReceiptRow

BOOT = bytes(range(32))


class Kept:
    """A store that remembers the numbers of what it was given."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def keep(self, row: BootRow | HeadRow | ReceiptRow) -> None:
        if type(row).__name__ == "ReceiptRow":
            self.numbers.append(row.sequence)  # type: ignore[union-attr]


def receipt(number: int) -> bytes:
    return bytes(cbor2.dumps({"seq": number, "kind": "decision"}, canonical=True))


def head(number: int) -> signer_pb2.SignedHead:
    said = {"seq": number, "boot": BOOT, "hash": bytes(32)}
    return signer_pb2.SignedHead(head=cbor2.dumps(said, canonical=True), signature=b"s")


def an_enclave(known: Sequence[int], newest: int) -> ReceiptKeeper:
    """A keeper of an enclave that remembers only these receipts."""

    async def call(request: signer_pb2.EnclaveRequest) -> signer_pb2.EnclaveReply:
        asked = request.receipts
        if not request.HasField("receipts"):
            return signer_pb2.EnclaveReply()
        found = [receipt(each) for each in known if each >= asked.from_sequence][: asked.limit]
        return signer_pb2.EnclaveReply(receipts=signer_pb2.Receipts(receipts=found, head=head(newest)))

    return ReceiptKeeper(Kept(), call, SystemClock())  # type: ignore[arg-type]  # nothing is read back here


@pytest.mark.asyncio
@pytest.mark.parametrize(("known", "lost"), [(range(10), 0), (range(4, 10), 2)])
async def test_a_gap_is_counted_until_it_is_filled_and_what_is_forgotten_for_good(known: range, lost: int) -> None:
    keeper = an_enclave(known, 9)
    keeper.connected(signer_pb2.EnclaveStatus(boot_key=BOOT))
    for number in (0, 1, 6):
        keeper.on_reply(signer_pb2.EnclaveReply(judged=signer_pb2.Judged(receipt=receipt(number))))
    assert (keeper.seen, keeper.missing) == (7, 4)
    keeping = asyncio.create_task(keeper.run())
    try:
        await eventually(lambda: keeper.missing == lost)
        await eventually(lambda: keeper.signed == 10)
    finally:
        keeping.cancel()
