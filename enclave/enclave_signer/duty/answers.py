"""The three calls about duty, from message to message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enclave_signer.duty.officer import Handed
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from enclave_signer.duty.officer import Officer


class DutyAnswers:
    """Answers for one boot."""

    __slots__ = ("_approvals", "_now", "_officer")

    def __init__(
        self,
        officer: Officer,
        now: Callable[[], int],
        approvals: Callable[[Sequence[bytes]], list[bytes]],
    ) -> None:
        """``approvals`` bounds a list of them."""
        self._officer = officer
        self._now = now
        self._approvals = approvals

    def grant(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        """Take a grant; raises NotApproved."""
        asked, now = envelope.grant, self._now()
        handed = Handed(asked.grant, asked.signature, self._approvals(asked.approvals))
        continues = asked.continues
        self._officer.grant(handed, (continues.checkpoint, continues.signature), now)
        granted = signer_pb2.Granted(duty=self.status())
        return signer_pb2.EnclaveReply(request_id=envelope.request_id, granted=granted).SerializeToString()

    def retire(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        """Sign nothing new any more; answers the last checkpoint. Raises NotApproved."""
        asked = envelope.retire
        handed = Handed(asked.statement, asked.signature, self._approvals(asked.approvals))
        self._officer.retire(handed, self._now())
        return self.checkpoint(envelope)

    def checkpoint(self, envelope: signer_pb2.EnclaveRequest) -> bytes:
        """Answer what this boot has counted."""
        data, signature = self._officer.checkpoint(self._now())
        checkpoint = signer_pb2.Checkpoint(checkpoint=data, signature=signature)
        return signer_pb2.EnclaveReply(request_id=envelope.request_id, checkpoint=checkpoint).SerializeToString()

    def status(self) -> signer_pb2.DutyStatus:
        """Return the state of duty for the status."""
        state = self._officer.state(self._now())
        return signer_pb2.DutyStatus(
            required=state.required,
            sequence=state.sequence,
            not_after=state.not_after,
            accounts=state.accounts,
            retired=state.retired,
        )
