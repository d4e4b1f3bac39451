"""Operator's calls about duty: the host passes them on, and keeps the newest checkpoint that it sees.

The checkpoint is signed by the enclave, so keeping it takes no trust: when the enclave is gone, its last one is here
for the duty daemon. It is what was asked for last, not more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import TYPE_CHECKING, Final

from host_dispatch.api import checks
from host_dispatch.errors import NotTakenError, Reason
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from host_dispatch.api.server import Context
    from host_dispatch.enclave_link import EnclaveLink

_AWAY: Final = frozenset({Reason.ENCLAVE_UNAVAILABLE, Reason.ENCLAVE_TIMEOUT})
# As much as one message between host and enclave bears.
_MOST: Final = 4 << 20

_log = logging.getLogger("casemate.host.duty")


class LastCheckpoint:
    """The newest checkpoint, in a file beside the journal so that it outlives this process."""

    def __init__(self, path: Path | None) -> None:
        """Without a path it is kept in memory only."""
        self._path = path
        self._bytes = b""
        # One writes at a time, in the order in which they came.
        self._one = asyncio.Lock()

    async def keep(self, checkpoint: signer_pb2.Checkpoint) -> None:
        """Keep it; a file that cannot be written is logged and costs nothing but what it is for."""
        self._bytes = checkpoint.SerializeToString()
        if self._path is not None:
            async with self._one:
                await asyncio.to_thread(_write, self._path, self._bytes)

    async def get(self) -> signer_pb2.Checkpoint | None:
        """Return the newest one, marked as stored."""
        if not self._bytes and self._path is not None:
            self._bytes = await asyncio.to_thread(_read, self._path)
        if not self._bytes:
            return None
        checkpoint = signer_pb2.Checkpoint.FromString(self._bytes)
        checkpoint.stored = True
        return checkpoint


class DutyCalls:
    """Handlers take and give serialised messages."""

    def __init__(self, link: EnclaveLink, last: LastCheckpoint) -> None:
        """``link`` leads to the enclave."""
        self._link = link
        self._last = last

    async def grant(self, data: bytes, _: Context) -> bytes:
        """Pass a grant on."""
        answer = await self._link.call(signer_pb2.EnclaveRequest(grant=checks.parse(signer_pb2.DutyGrant, data)))
        if answer.WhichOneof("answer") != "granted":
            raise _unfit()
        return answer.granted.SerializeToString()

    async def retire(self, data: bytes, _: Context) -> bytes:
        """Pass a retirement on; returns the last checkpoint."""
        request = signer_pb2.EnclaveRequest(retire=checks.parse(signer_pb2.Retire, data))
        return (await self._checkpoint(request)).SerializeToString()

    async def checkpoint(self, data: bytes, _: Context) -> bytes:
        """Return the enclave's checkpoint; while the enclave is away the newest that was seen, marked as stored."""
        request = signer_pb2.EnclaveRequest(checkpoint=checks.parse(signer_pb2.CheckpointRequest, data))
        try:
            found = await self._checkpoint(request)
        except NotTakenError as error:
            stored = await self._last.get() if error.reason in _AWAY else None
            if stored is None:
                raise
            found = stored
        return found.SerializeToString()

    async def _checkpoint(self, request: signer_pb2.EnclaveRequest) -> signer_pb2.Checkpoint:
        answer = await self._link.call(request)
        if answer.WhichOneof("answer") != "checkpoint":
            raise _unfit()
        await self._last.keep(answer.checkpoint)
        return answer.checkpoint


def _unfit() -> NotTakenError:
    return NotTakenError(Reason.INTERNAL, "the enclave's reply does not fit the request")


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        part.replace(path)
    except OSError as error:
        _log.warning("the checkpoint cannot be stored", extra={"fields": {"error": error.strerror}})


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError), path.open("rb") as file:
        data = file.read(_MOST)
        with contextlib.suppress(Exception):
            signer_pb2.Checkpoint.FromString(data)
            return data
    return b""
