"""[provisioning] bundles: opened for every boot of the enclave, once its policy is live.

Approvals lie beside each bundle as ``casemate credential sign`` names them: ``FILE-*.approval``. Bundles go in the
order of their statements' numbers, for the enclave takes only rising ones. One line in the log tells of each.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import tomllib
from typing import TYPE_CHECKING, Final, NamedTuple

from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.provisioning.bundle import MAX_BUNDLE, read
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from host_dispatch.enclave_link import EnclaveLink
    from host_dispatch.provisioning.unsealing import Unsealer

_MAX_APPROVAL: Final = 65_536
_LOOK_S: Final = 1.0
# A boot whose bundles KMS would not open yet is tried again after this, then twice as long, up to the longest.
_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 60.0

_log = logging.getLogger("casemate.host.provisioning")


class Waiting(NamedTuple):
    """A bundle with its approvals, as read from their files."""

    sequence: int
    path: Path
    account: str
    version: int
    data: bytes
    approvals: tuple[bytes, ...]


def gather(paths: Sequence[Path]) -> list[Waiting]:
    """Read bundles and approvals in the order in which the enclave takes them; tells what cannot be read."""
    found = []
    for path in paths:
        try:
            found.append(_gathered(path))
        except (OSError, ValueError, KeyError, TypeError, NotTakenError) as error:
            text = error.message if isinstance(error, NotTakenError) else f"{type(error).__name__}: cannot be read"
            _log.error("sealed credential not read", extra={"fields": {"file": str(path), "why": text}})
    return sorted(found)


def _gathered(path: Path) -> Waiting:
    with path.open("rb") as file:
        data = file.read(MAX_BUNDLE + 1)
    bundle = read(data)
    signed, sequences = [], {0}
    for approval in sorted(path.parent.glob(f"{path.name}-*.approval")):
        with approval.open("rb") as file:
            said = tomllib.loads(file.read(_MAX_APPROVAL).decode())
        signed.append(base64.b64decode(said["signed"]["approval"], validate=True))
        # The words beside the signed bytes. If they lie, the order is wrong and the enclave says so.
        sequences.add(int(said["statement"]["sequence"]))
    return Waiting(max(sequences), path, bundle.account, bundle.version, data, tuple(signed))


class AtStart:
    """Looks every second whether there is a boot that lacks credentials, and gives it what there is."""

    def __init__(self, link: EnclaveLink, unsealer: Unsealer, paths: Sequence[Path]) -> None:
        """Nothing happens before :meth:`start`."""
        self._link = link
        self._unsealer = unsealer
        self._paths = paths
        self._taken: set[bytes] = set()
        # What ended a boot is not shown to the next one: an enclave that starts again by itself would end for ever.
        self._barred: set[bytes] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._paths:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        # Boot and policy version: a later policy may add an account whose bundle waits.
        seen, served, wait = b"", (b"", 0), _FIRST_WAIT_S
        while True:
            status = await self._status() or signer_pb2.EnclaveStatus()
            now = (status.boot_key, status.policy_version)
            if status.boot_key not in (b"", seen):
                seen, wait = status.boot_key, _FIRST_WAIT_S
                self._taken.clear()
            if now == served or status.phase < signer_pb2.PHASE_AWAITING_CREDENTIALS:
                await asyncio.sleep(_LOOK_S)
            elif status.phase != signer_pb2.PHASE_AWAITING_CREDENTIALS or await self._serve():
                served = now
            else:
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)

    async def _status(self) -> signer_pb2.EnclaveStatus | None:
        with contextlib.suppress(NotTakenError):
            reply = await self._link.call(signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest()))
            return reply.status
        return None

    async def _serve(self) -> bool:
        """Give the enclave every bundle; False, at the first one, if another try can help."""
        for waiting in gather(self._paths):
            if waiting.data in self._taken | self._barred:
                continue
            fields: dict[str, object] = {"account": waiting.account, "version": waiting.version}
            fields |= {"file": str(waiting.path), "approvals": len(waiting.approvals)}
            try:
                loaded = await self._unsealer.unseal(waiting.account, waiting.data, waiting.approvals)
            except NotTakenError as error:
                why = {"reason": error.reason, "why": error.message, "retry": error.retry_can_help}
                _log.error("sealed credential refused", extra={"fields": fields | why})
                if error.reason == Reason.NOT_OPENED:
                    self._barred.add(waiting.data)
                if error.retry_can_help:
                    return False
            except Exception:  # noqa: BLE001 - whatever KMS's library makes of its settings, the next look tries again
                _log.exception("a fault while a sealed credential was opened", extra={"fields": fields})
                return False
            else:
                self._taken.add(waiting.data)
                phase = signer_pb2.Phase.Name(loaded.phase)
                _log.info("sealed credential taken", extra={"fields": fields | {"phase": phase}})
        return True
