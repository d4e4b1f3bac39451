"""A chain of a real enclave with a pretended security module, and a second implementation of what makes it whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cbor2

from casemate.audit.audit import Audit, Expected, audit
from casemate.audit.evidence import Boot, Evidence
from casemate.audit.witness import Seen
from signer_api.v1 import signer_pb2
from tests.session.session_rig import SECOND, Clock, Rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from casemate.audit.evidence import Claim


@dataclass
class Story:
    """What one boot did, as a host would have stored it, and what a witness would have seen."""

    rig: Rig
    receipts: list[bytes] = field(default_factory=list)
    heads: list[tuple[bytes, bytes]] = field(default_factory=list)
    witness: list[Seen] = field(default_factory=list)
    document: bytes = b""

    @property
    def key(self) -> bytes:
        return self.rig.sessions.keys.receipt_public

    def boot(self, receipts: Sequence[bytes] | None = None, heads: Sequence[tuple[bytes, bytes]] | None = None) -> Boot:
        """Return the boot as evidence, with other receipts or heads if they are given."""
        stored = self.receipts if receipts is None else list(receipts)
        numbered = list(enumerate(stored))
        kept = self.heads if heads is None else list(heads)
        return Boot(self.key, 0, self.document, len(stored), lambda: iter(numbered), kept)

    def audited(self, boot: Boot | None = None, **changes: Any) -> Audit:
        """Audit it with its own witness, unless another one is given."""
        options: dict[str, Any] = {"seen": self.witness, "sent": None} | changes
        pins = Expected(pcrs={0: self.rig.measurements[0]}, root=self.rig.chain.root)
        sent: dict[bytes, Claim] | None = options["sent"]
        return audit(Evidence([boot or self.boot()], sent), pins, options["seen"])


def tell(orders: int = 12, *, start: int = 0, refuse_every: int = 3) -> Story:
    """Have a new boot judge some orders, with a head every fourth one; a few are refused."""
    clock = Clock()
    clock.now += start
    rig = Rig(clock=clock)
    rig.load()
    story = Story(rig)
    sealer = rig.opened()
    for number in range(orders):
        clock.now += SECOND
        quantity = "1000000" if number % refuse_every == refuse_every - 1 else "0.5"
        rig.sign(rig.sealed(sealer, quantity=quantity))
        if number % 4 == 3:
            head = rig.ask(receipts=signer_pb2.ReceiptsRequest()).receipts.head
            story.heads.append((head.head, head.signature))
            story.witness.append(Seen(clock.now, head.head, head.signature))
    story.receipts = list(rig.ask(receipts=signer_pb2.ReceiptsRequest(limit=1000)).receipts.receipts)
    story.document = rig.ask(attest=signer_pb2.Attest()).attested.document
    return story


def holds(receipts: Sequence[bytes], seen: Sequence[Seen]) -> bool:
    """Say whether a chain is whole and has what was seen: written anew from docs/receipts.md, sharing no code."""
    previous = b"\0" * 32
    by_number = {}
    for number, data in enumerate(receipts):
        try:
            said = cbor2.loads(data)
        except Exception:  # noqa: BLE001 - as anybody would
            return False
        if not isinstance(said, dict) or said.get("seq") != number or said.get("prev") != previous:
            return False
        previous = hashlib.sha256(b"casemate.receipt.v1" + b"\0" + data).digest()
        by_number[number] = previous
    heads = [cbor2.loads(each.head) for each in seen]
    return all(by_number.get(head["seq"]) == head["hash"] for head in heads)
