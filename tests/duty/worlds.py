"""A world for the officer's core: boots with clocks of their own, a network that loses, keeps and repeats."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from casemate.duty.model import Checkpoint, Grant, Retire, Seen, Terms

if TYPE_CHECKING:
    from casemate.duty.model import Send

SECOND: Final = 1_000_000_000
START: Final = 1_790_000_000 * SECOND
MARGIN: Final = 4 * SECOND
TERMS: Final = Terms(
    deployment="rig", accounts=("main",), share=(1, 4), length=60 * SECOND, margin=MARGIN, policy_version=1
)


@dataclass
class Enclave:
    """One boot. ``offset``: how far its clock is ahead of the world's."""

    name: int
    offset: int
    receipts: int = 0
    sequence: int = 0
    started: bool = False
    retired: bool = False
    grant: Grant | None = None
    begun: list[str] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        return hashlib.sha256(b"boot %d" % self.name).digest()

    def hash(self, seq: int) -> bytes:
        return hashlib.sha256(b"%d/%d" % (self.name, seq)).digest()

    def holds(self, now: int) -> bool:
        clock = now + self.offset
        return self.grant is not None and self.grant.not_before <= clock < self.grant.not_after

    def take(self, send: Send, now: int) -> str:
        """Do what the enclave does with a grant or a retirement; returns the field at fault, or nothing."""
        what, clock = send.what, now + self.offset
        if send.boot != self.key:
            return "boot"
        if what.sequence <= self.sequence:
            return "sequence"
        if self.retired or not what.not_before <= clock < what.not_after:
            return "not_before"
        if isinstance(what, Retire):
            self.retired, self.grant = True, None
        else:
            if self.started and (what.fresh or what.continues is not None):
                return "fresh" if what.fresh else "continues"
            if not self.started:
                self.begun.append("fresh" if what.fresh else "continues" if what.continues else "full")
            self.started, self.grant = True, what
        self.sequence = what.sequence
        self.receipts += 1
        return ""

    def checkpoint(self, now: int) -> Checkpoint:
        clock = now + self.offset
        return Checkpoint(
            data=b"%d" % self.receipts,
            signature=b"",
            seq=self.receipts,
            hash=self.hash(self.receipts),
            time=clock,
            retired=self.retired,
            granted=self.grant.sequence if self.grant is not None and self.holds(now) else 0,
            until=self.grant.not_after if self.grant is not None and self.holds(now) else 0,
            covered=self.grant.accounts if self.grant is not None and self.holds(now) else (),
            used=self.sequence,
        )


def seen(enclave: Enclave, now: int, gateway: str = "a", refused: str = "") -> Seen:
    """Return what the officer sees of a boot."""
    return Seen(
        gateway=gateway,
        boot=enclave.key,
        pcr0=bytes(48),
        checkpoint=enclave.checkpoint(now),
        refused=refused,
        field=refused,
    )
