"""Grants, checkpoints and retirements pass through the host, which keeps the newest checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signer_api.v1 import signer_pb2
from tests.host.api.test_api_errors import info
from tests.host.host_rig import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.host_rig import Rig

ASK = signer_pb2.CheckpointRequest()


async def checkpoint(rig: Rig) -> signer_pb2.Checkpoint:
    found: signer_pb2.Checkpoint = await rig.api.call("Checkpoint", ASK, signer_pb2.Checkpoint, "Operator")
    return found


async def test_s13_grants_and_retirements_are_passed_on(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        granted = await rig.api.call("Grant", signer_pb2.DutyGrant(grant=b"g"), signer_pb2.Granted, "Operator")
        assert granted.duty.sequence == 3
        last = await rig.api.call("Retire", signer_pb2.Retire(statement=b"r"), signer_pb2.Checkpoint, "Operator")
        assert (last.checkpoint, last.stored) == (b"retire", False)


async def test_s13_the_last_checkpoint_outlives_the_enclave_and_says_that_it_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert not (await checkpoint(rig)).stored
        await rig.enclave.stop()
        found = await checkpoint(rig)
        assert (found.checkpoint, found.signature, found.stored) == (b"checkpoint", b"signed", True)
    stored = tmp_path / "journal.db.checkpoint"
    assert stored.stat().st_mode & 0o777 == 0o600
    async with running(tmp_path) as rig:
        await rig.enclave.stop()
        assert (await checkpoint(rig)).stored


async def test_s13_without_an_enclave_and_without_a_stored_checkpoint_the_host_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.enclave.stop()
        reason = (await info(rig.api.call("Checkpoint", ASK, service="Operator")))[1]
        assert reason == "ENCLAVE_UNAVAILABLE"
