"""One sealed bundle's way in: a document of the enclave's, KMS's answer to it, and that to the enclave."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.provisioning.bundle import read
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from host_dispatch.enclave_link import EnclaveLink
    from host_dispatch.provisioning.kms import Kms


class Unsealer:
    """Opens bundles one after the other: the enclave keeps few keys that wait for an envelope."""

    def __init__(self, link: EnclaveLink, kms: Kms | None) -> None:
        """Without ``kms`` every bundle is refused."""
        self._link = link
        self._kms = kms
        self._one = asyncio.Lock()

    async def unseal(self, account: str, data: bytes, approvals: Sequence[bytes]) -> signer_pb2.Loaded:
        """Have a bundle opened; raises NotTakenError. Nothing of it is logged or journaled."""
        bundle = read(data)
        if account not in ("", bundle.account):
            raise NotTakenError(Reason.MALFORMED, f"account: the bundle is of {bundle.account}", field="account")
        if self._kms is None:
            raise NotTakenError(Reason.KMS_NOT_CONFIGURED, "this host has no [kms]")
        async with self._one:
            attest = signer_pb2.Attest(purpose=signer_pb2.DOCUMENT_PURPOSE_KMS)
            attested = await self._asked("attested", signer_pb2.EnclaveRequest(attest=attest))
            envelope = await self._kms.decrypt(bundle, attested.attested.document)
            provision = signer_pb2.Provision(
                account=bundle.account, bundle=data, envelope=envelope, approvals=approvals
            )
            loaded = await self._asked("loaded", signer_pb2.EnclaveRequest(provision=provision))
        return loaded.loaded

    async def _asked(self, answer: str, request: signer_pb2.EnclaveRequest) -> signer_pb2.EnclaveReply:
        reply = await self._link.call(request)
        if reply.WhichOneof("answer") != answer:
            raise NotTakenError(Reason.INTERNAL, "the enclave's reply does not fit the request")
        return reply
