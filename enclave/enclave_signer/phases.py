"""Which message is answered in which phase; what is not in the table has no route."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Phase(IntEnum):
    """How far the enclave has come; values of ``signer_api/v1/signer.proto``."""

    AWAITING_POLICY = 1
    # A policy is live and some account still has no credential. The others are served: adding an account to the
    # policy stops nobody, and a HALT is heard before the last key is there.
    AWAITING_CREDENTIALS = 2
    READY = 3
    # A sealed bundle could not be opened. There is no way out of this one: the process ends.
    ENDED = 4


_ALWAYS: Final = frozenset({"load_policy", "status", "receipts"})
_WITH_POLICY: Final = (
    _ALWAYS
    | {"sign", "sign_batch", "derived", "provision", "resume", "halt", "attest", "open_session"}
    | {
        "grant",
        "checkpoint",
        "retire",
    }
)

ANSWERED: Final = {
    # PCR16 commits to the quorum with the first policy: no succession after it.
    Phase.AWAITING_POLICY: _ALWAYS | {"succeed"},
    Phase.AWAITING_CREDENTIALS: _WITH_POLICY,
    Phase.READY: _WITH_POLICY,
    Phase.ENDED: frozenset({"status"}),
}
