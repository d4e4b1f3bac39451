"""NAMED STAND-IN, for emulated machines alone: engines' pins that trust QEMU's NSM, whose documents nobody signed.

The shipped verifier refuses those documents, and a step of the run shows that first. This one compares what it can
(registers, nonce, age, deployment) and believes the rest. Nothing that ships can import it: it is one of the tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cbor2

from casemate.duty.gateway import Gateway
from casemate.errors import NotAttested
from casemate.session import Pins, forms
from signer_api.v1 import signer_pb2

if TYPE_CHECKING:
    from casemate.session.forms import Boot

# What QEMU writes where the signature belongs (hw/core/eif.c and virtio-nsm.c of 10.0): nothing.
_UNSIGNED: Final = bytes(64)
_NS_IN_MS: Final = 1_000_000


class UnsignedEmulatedNsmPins(Pins):
    """Pins for QEMU's emulated NSM: takes a document only if it is visibly unsigned, so never a real one."""

    def check(self, document: bytes, nonce: bytes, now: int) -> tuple[Boot, bytes]:
        """Return what the document says of its boot; raises NotAttested."""
        said = payload(document)
        differs = [index for index, value in self.pcrs.items() if said["pcrs"].get(index) != value]
        if differs or said["nonce"] != nonce:
            message = f"registers {differs} differ, or the nonce does"
            raise NotAttested(message)
        if abs(now // _NS_IN_MS - said["timestamp"]) > self.max_age_ms:
            raise NotAttested("too old")
        statement = bytes(said["user_data"])
        boot = forms.read_boot(statement)
        if boot.deployment != self.deployment:
            raise NotAttested("another deployment")
        return boot, statement


class UnsignedEmulatedNsmGateway(Gateway):
    """The duty officer's view of an enclave with QEMU's NSM: as above, and PCR0 as the document says it."""

    async def _attest(self, now: int) -> None:
        nonce = self._random(32)
        document = (await self._call("Attest", signer_pb2.Attest(nonce=nonce), signer_pb2.Attested)).document
        boot, _ = self._pins.check(document, nonce, now)
        self._pcr0 = payload(document)["pcrs"][0]
        if boot.receipt_key != self._boot:
            self._refusals = 0
        self._boot, self._attested_at = boot.receipt_key, now


def payload(document: bytes) -> dict[str, Any]:
    """Return the claims of an unsigned document; raises NotAttested for one that carries any signature."""
    _, _, raw, signature = cbor2.loads(document)
    if signature != _UNSIGNED:
        raise NotAttested("this document is signed: it is for the real verifier")
    return dict(cbor2.loads(raw))
