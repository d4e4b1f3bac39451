"""The newest checkpoint beside the journal: whole, and the newest, also when two are kept at once."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from host_dispatch.api.duty import LastCheckpoint
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_two_checkpoints_kept_at_once_leave_the_later_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.checkpoint"
    last = LastCheckpoint(path)
    first, second = (signer_pb2.Checkpoint(checkpoint=each * 5000, signature=each * 64) for each in (b"1", b"2"))
    opened, going_on = threading.Event(), threading.Event()
    open_ = os.open

    def slowly(*arguments: object) -> int:
        descriptor = open_(*arguments)  # type: ignore[arg-type]
        if not opened.is_set():
            opened.set()
            going_on.wait(2)
        return descriptor

    monkeypatch.setattr("host_dispatch.api.duty.os.open", slowly)
    one = asyncio.create_task(last.keep(first))
    await asyncio.to_thread(opened.wait, 5)
    other = asyncio.create_task(last.keep(second))
    await asyncio.sleep(0.1)
    going_on.set()
    await asyncio.gather(one, other)
    stored = await LastCheckpoint(path).get()
    assert stored is not None
    assert (stored.checkpoint, stored.signature) == (second.checkpoint, second.signature)
