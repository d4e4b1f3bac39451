"""From a dispatch to the message that its caller gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatch_api.v1 import dispatch_pb2 as wire
from host_dispatch.api.status import not_taken

if TYPE_CHECKING:
    from host_dispatch.dispatcher.dispatch import Dispatch


def submit_reply(dispatch: Dispatch, *, repeated: bool) -> wire.SubmitReply:
    """Return verdict and latest report; before the first report of its own the order is as the INTENT recorded it."""
    report = dispatch.report
    if report is None:
        report = dispatch.new_report(dispatch.intent, 0, dispatch.state, None)
    return wire.SubmitReply(
        verdict=dispatch.verdict,
        report=report,
        repeated=repeated or dispatch.repeated,
        proof=dispatch.proof,
        receipt=dispatch.receipt,
    )


def item_reply(dispatch: Dispatch, *, repeated: bool) -> wire.ItemReply:
    """Return the same for one item of a batch."""
    if dispatch.failure is not None:
        return wire.ItemReply(not_taken=not_taken(dispatch.failure))
    return wire.ItemReply(reply=submit_reply(dispatch, repeated=repeated))
