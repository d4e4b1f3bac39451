"""Plays one session between both sides with stated randomness.

``python -m tests.session.vector_play`` writes the vectors.

``tests/vectors/session.json`` was written once; other implementations hold themselves against it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate import AttestedSealer
from casemate.session import forms
from casemate.session.sealer import OPEN
from signer_api.v1 import signer_pb2
from tests.session.session_rig import Clock, Dice, Rig, key_of

if TYPE_CHECKING:
    from casemate.sealing import Step

FILE = Path(__file__).parents[1] / "vectors" / "session.json"
_NAMES = (
    *("session_private", "receipt_private", "provision_private"),
    *("responder_ephemeral", "handle", "secret", "session"),
)


def inputs() -> dict[str, Any]:
    """Everything that the two sides do not compute. Hexadecimal, times in nanoseconds."""
    sizes = (32, 32, 32, 32, 16, 32, 16)
    stated: dict[str, Any] = {
        name: bytes(range(16 * at, 16 * at + size)).hex()
        for at, (name, size) in enumerate(zip(_NAMES, sizes, strict=True), 1)
    }
    return stated | {
        "nonce": bytes(range(32)).hex(),
        "initiator_ephemeral": bytes(range(0x20, 0x40))[::-1].hex(),
        "engine": "mm",
        "engine_private": key_of("mm").private_bytes_raw().hex(),
        "now": Clock().now,
        "policy": Rig().policy().hex(),
        "order": {"client_order_id": "vector-1", "quantity": "0.5", "price": "60000.25"},
    }


def play(given: dict[str, Any]) -> dict[str, Any]:
    """Return what both sides computed and sent, as hexadecimal."""
    rig = Rig(clock=Clock(given["now"]), dice=Dice(b"".join(bytes.fromhex(given[name]) for name in _NAMES)))
    rig.load(bytes.fromhex(given["policy"]))
    dice = Dice(bytes.fromhex(given["nonce"] + given["initiator_ephemeral"]))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given["engine_private"]))
    signed: list[bytes] = []

    def sign(text: bytes) -> bytes:
        signed.append(text)
        return key.sign(text)

    sealer = AttestedSealer(given["engine"], sign, rig.pins(), clock=rig.clock.now_ns, random=dice.bytes)
    sent: list[bytes] = []
    said: list[bytes] = []
    carry = rig.carry

    def listen(step: Step) -> bytes:
        answer = carry(step)
        if step.method == OPEN:
            sent.append(signer_pb2.OpenSession.FromString(step.request).message)
            said.append(signer_pb2.SessionOpened.FromString(answer).message)
        return answer

    rig.carry = listen  # type: ignore[method-assign]
    rig.open(sealer)
    sealed = rig.sealed(sealer, **given["order"])
    judged = rig.sign(sealed)
    assert sealer.proves(sealed.session, sealed.counter, judged.proof, judged.receipt)
    refusal = rig.sealed(sealer, **(given["order"] | {"client_order_id": "vector-2", "price": "5"}))
    refused = rig.sign(refusal)
    (live,) = rig.sessions._table._live.values()
    hash_ = signed[0][len(forms.CLAIM_TAG) :][:32]
    return {
        "session_public": rig.sessions.keys.session_public.hex(),
        "receipt_public": rig.sessions.keys.receipt_public.hex(),
        "provision_public": rig.sessions.keys.provision_public.hex(),
        "engine_public": key.public_key().public_bytes_raw().hex(),
        "quorum": rig.service._authority.digest.hex(),
        "pcr16": rig.nsm.describe_pcr(16).value.hex(),
        "user_data": rig.sessions._statement.hex(),
        "prologue": forms.prologue(rig.sessions._statement).hex(),
        "messages": [sent[0].hex(), said[0].hex(), sent[1].hex(), said[1].hex()],
        "handshake_hash": hash_.hex(),
        "claim_signed": signed[0].hex(),
        "claim_signature": key.sign(signed[0]).hex(),
        "grant": (live.id + bytes.fromhex(given["secret"])).hex()
        + live.opened_at.to_bytes(8, "big").hex()
        + live.expires_at.to_bytes(8, "big").hex(),
        "intent_key": live._intent_key.hex(),
        "reply_key": live._reply_key.hex(),
        "intents": [
            {
                "counter": one.counter,
                "intent": one.intent.hex(),
                "mac": one.mac.hex(),
                "verdict": answer.proof.verdict.hex(),
                "request_digest": answer.proof.request_digest.hex(),
                "receipt": answer.receipt.hex(),
                "repeated": answer.proof.repeated,
                "reply_mac": answer.proof.reply_mac.hex(),
            }
            for one, answer in ((sealed, judged), (refusal, refused))
        ],
    }


if __name__ == "__main__":
    stated = inputs()
    FILE.write_text(json.dumps({"given": stated, "expected": play(stated)}, indent=2) + "\n")
