"""Operator: status, halt and resume, pause, policy and credentials. The enclave decides; the host passes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch import __version__
from host_dispatch.api import checks
from host_dispatch.api.duty import DutyCalls, LastCheckpoint
from host_dispatch.api.replies import submit_reply
from host_dispatch.dispatcher.dispatch import END
from host_dispatch.errors import NotTakenError, Reason
from host_dispatch.journal.records import JournalError
from host_dispatch.outcome import Operation
from signer_api.v1 import intent_pb2, signer_pb2

if TYPE_CHECKING:
    from host_dispatch.api.server import ApiServer, Context
    from host_dispatch.collector import Collector
    from host_dispatch.dispatcher.dispatch import Dispatch
    from host_dispatch.dispatcher.runner import Runner
    from host_dispatch.journal.sqlite import SqliteJournal
    from host_dispatch.provisioning.unsealing import Unsealer

_LONGEST_PAUSE_MS: Final = 3_600_000
# A halt's validity is inside its sealed bytes; the host only bounds how long it keeps trying.
_MOST_RECEIPTS: Final = 4096
_LARGEST: Final = (1 << 63) - 1
_HALT_NS: Final = 60_000_000_000


class OperatorService:
    """Handlers take and give serialised messages."""

    def __init__(
        self,
        runner: Runner,
        journal: SqliteJournal,
        unsealer: Unsealer,
        collector: Collector | None = None,
        checkpoint: LastCheckpoint | None = None,
    ) -> None:
        """``journal`` tells the head, ``collector`` its pauses; ``checkpoint`` is where the newest one is kept."""
        self._unsealer = unsealer
        self._runner = runner
        self._journal = journal
        self._collector = collector
        self._duty = DutyCalls(runner.link, checkpoint or LastCheckpoint(None))

    async def status(self, data: bytes, _: Context) -> bytes:
        """Tell how things are; works while the enclave does not."""
        checks.parse(wire.StatusRequest, data)
        return (await self._status()).SerializeToString()

    async def _status(self) -> wire.StatusReply:
        runner = self._runner
        reply = wire.StatusReply(
            venues=[site.status() for site in runner.sites.values()],
            journal_sequence=self._journal.head,
            unresolved=runner.unresolved(),
            paused=runner.intake.paused,
            version=__version__,
        )
        if self._collector is not None:
            gc = self._collector
            reply.gc.CopyFrom(signer_pb2.GcPauses(collections=gc.collections, total=gc.total, longest=gc.longest))
        try:
            answer = await runner.link.call(signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest()))
        except NotTakenError:
            return reply
        reply.enclave_reachable = True
        reply.enclave.CopyFrom(answer.status)
        return reply

    async def halt(self, data: bytes, _: Context) -> bytes:
        """Pass a sealed HALT on and journal it."""
        sealed = checks.parse(intent_pb2.SealedIntent, data)
        checks.check_sealed(sealed, "")
        routing = wire.Routing(operation=Operation.HALT, valid_until=self._runner.clock.now_ns() + _HALT_NS)  # type: ignore[arg-type]
        request = wire.SubmitRequest(sealed=sealed, routing=routing)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def answer(dispatch: Dispatch, *, repeated: bool) -> None:
            if future.done():
                return
            if dispatch.failure is not None:
                future.set_exception(dispatch.failure)
            else:
                future.set_result(submit_reply(dispatch, repeated=repeated).SerializeToString())

        self._runner.take(request, END, answer)
        return await future

    async def resume(self, data: bytes, _: Context) -> bytes:
        """Pass a RESUME with its approvals on; returns the enclave's status."""
        return await self._then_status(signer_pb2.EnclaveRequest(resume=checks.parse(signer_pb2.Resume, data)))

    async def halt_by_administrator(self, data: bytes, _: Context) -> bytes:
        """Pass an administrator's HALT on; returns the enclave's status."""
        return await self._then_status(signer_pb2.EnclaveRequest(halt=checks.parse(signer_pb2.AdminHalt, data)))

    async def succeed(self, data: bytes, _: Context) -> bytes:
        """Pass a successor of the quorum with its approvals on; returns the enclave's status."""
        return await self._then_status(signer_pb2.EnclaveRequest(succeed=checks.parse(signer_pb2.SucceedQuorum, data)))

    async def _then_status(self, request: signer_pb2.EnclaveRequest) -> bytes:
        await self._runner.link.call(request)
        answer = await self._runner.link.call(signer_pb2.EnclaveRequest(status=signer_pb2.StatusRequest()))
        return answer.status.SerializeToString()

    async def load_policy(self, data: bytes, _: Context) -> bytes:
        """Pass a policy with its approvals on."""
        request = signer_pb2.EnclaveRequest(load_policy=checks.parse(signer_pb2.LoadPolicy, data))
        return await self._load(request)

    async def provision(self, data: bytes, _: Context) -> bytes:
        """Pass a credential with its approvals on. Never logged, never journaled."""
        request = signer_pb2.EnclaveRequest(provision=checks.parse(signer_pb2.Provision, data))
        return await self._load(request)

    async def unseal(self, data: bytes, _: Context) -> bytes:
        """Have KMS open a sealed credential for the enclave, and pass on what only the enclave can read."""
        asked = checks.parse(signer_pb2.Provision, data)
        return (await self._unsealer.unseal(asked.account, asked.bundle, asked.approvals)).SerializeToString()

    async def _load(self, request: signer_pb2.EnclaveRequest) -> bytes:
        answer = await self._runner.link.call(request)
        if answer.WhichOneof("answer") != "loaded":
            raise NotTakenError(Reason.INTERNAL, "the enclave's reply does not fit the request")
        return answer.loaded.SerializeToString()

    async def attest(self, data: bytes, _: Context) -> bytes:
        """Pass the enclave's attestation document on; who asked verifies it."""
        asked = checks.parse(signer_pb2.Attest, data)
        if asked.purpose:
            # Each takes the enclave an RSA key, and pushes out an older one that an envelope may be on its way for.
            message = "purpose: only the host's own provisioning asks for it"
            raise NotTakenError(Reason.MALFORMED, message, field="purpose")
        answer = await self._runner.link.call(signer_pb2.EnclaveRequest(attest=asked))
        if answer.WhichOneof("answer") != "attested":
            raise NotTakenError(Reason.INTERNAL, "the enclave's reply does not fit the request")
        return answer.attested.SerializeToString()

    async def receipts(self, data: bytes, _: Context) -> bytes:
        """Serve receipts from the journal, those of earlier boots too."""
        asked = checks.parse(wire.StoredReceiptsRequest, data)
        if asked.limit > _MOST_RECEIPTS:
            message = f"{asked.limit} is more than {_MOST_RECEIPTS}"
            raise NotTakenError(Reason.MALFORMED, message, field="limit")
        if asked.from_sequence > _LARGEST:
            message = f"{asked.from_sequence} is no sequence"
            raise NotTakenError(Reason.MALFORMED, message, field="from_sequence")
        try:
            found = await self._journal.stored_receipts(asked.boot, asked.from_sequence, asked.limit)
        except JournalError as error:
            raise NotTakenError(Reason.JOURNAL_UNAVAILABLE, str(error)) from None
        if found is None:
            raise NotTakenError(Reason.NOT_FOUND, "the journal has no receipts of such a boot", field="boot")
        head = signer_pb2.SignedHead(head=found.head[0], signature=found.head[1]) if found.head[0] else None
        reply = wire.StoredReceipts(
            boot=found.boot, receipts=found.receipts, head=head, document=found.document, boots=found.boots
        )
        return reply.SerializeToString()

    async def pause(self, data: bytes, _: Context) -> bytes:
        """Take no new orders for a while."""
        request = checks.parse(wire.PauseRequest, data)
        if not 1 <= request.for_ms <= _LONGEST_PAUSE_MS:
            message = f"{request.for_ms} is not from 1 to {_LONGEST_PAUSE_MS}"
            raise NotTakenError(Reason.MALFORMED, message, field="for_ms")
        self._runner.intake.pause(request.for_ms)
        return (await self._status()).SerializeToString()

    async def unpause(self, data: bytes, _: Context) -> bytes:
        """Take new orders again."""
        checks.parse(wire.UnpauseRequest, data)
        self._runner.intake.unpause()
        return (await self._status()).SerializeToString()

    def add_to(self, server: ApiServer, service: str) -> None:
        """Register the service."""
        server.add(
            service,
            unary={
                "Status": self.status,
                "Halt": self.halt,
                "Resume": self.resume,
                "Pause": self.pause,
                "Unpause": self.unpause,
                "LoadPolicy": self.load_policy,
                "Provision": self.provision,
                "Unseal": self.unseal,
                "Attest": self.attest,
                "HaltByAdministrator": self.halt_by_administrator,
                "Succeed": self.succeed,
                "Receipts": self.receipts,
                "Grant": self._duty.grant,
                "Checkpoint": self._duty.checkpoint,
                "Retire": self._duty.retire,
            },
        )
