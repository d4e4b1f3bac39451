"""What may be asked of the enclave's attestation by way of the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signer_api.v1 import signer_pb2
from tests.host.api.test_api_errors import info
from tests.host.host_rig import running

if TYPE_CHECKING:
    from pathlib import Path


async def test_s10_no_client_of_the_gateway_asks_for_keys_that_only_the_hosts_own_provisioning_uses(
    tmp_path: Path,
) -> None:
    """Eight of them would push out the one that an envelope is on its way for, and that would end the boot."""
    async with running(tmp_path) as rig:
        for_kms = signer_pb2.Attest(purpose=signer_pb2.DOCUMENT_PURPOSE_KMS)
        reason = (await info(rig.api.call("Attest", for_kms, service="Operator")))[1]
        assert reason == "MALFORMED"
