"""Both sides against the vectors that other implementations hold themselves against (docs/client-protocol.md)."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casemate.session import forms as engine
from casemate.session.noise import Initiator
from enclave_signer.session import forms as enclave
from signer_api.v1 import signer_pb2
from tests.session.vector_play import FILE, play

VECTORS: Any = json.loads(FILE.read_text())
GIVEN, EXPECTED = VECTORS["given"], VECTORS["expected"]
SESSION = bytes.fromhex(GIVEN["session"])


def test_both_sides_make_the_vectors() -> None:
    # What the answers say belongs to policy and venue, and may change; their form is held in the tests below.
    sealed = ("counter", "intent", "mac")
    made, kept = (
        side | {"intents": [{name: one[name] for name in sealed} for one in side["intents"]]}
        for side in (play(GIVEN), EXPECTED)
    )
    assert made == kept


def test_the_engines_side_alone_follows_the_recorded_handshake() -> None:
    expected = [bytes.fromhex(message) for message in EXPECTED["messages"]]
    prologue = engine.prologue(bytes.fromhex(EXPECTED["user_data"]))
    assert prologue.hex() == EXPECTED["prologue"]
    initiator = Initiator(
        bytes.fromhex(EXPECTED["session_public"]), bytes.fromhex(GIVEN["initiator_ephemeral"]), prologue
    )
    assert initiator.message == expected[0]
    payload, channel = initiator.finish(expected[1])
    assert payload == b""
    assert channel.handshake_hash.hex() == EXPECTED["handshake_hash"]
    said = engine.claim(GIVEN["engine"], b"", alone=False)
    assert (engine.CLAIM_TAG + channel.handshake_hash + said).hex() == EXPECTED["claim_signed"]
    assert channel.send.encrypt(bytes.fromhex(EXPECTED["claim_signature"]) + said) == expected[2]
    assert channel.receive.decrypt(expected[3]).hex() == EXPECTED["grant"]


def test_the_forms_are_as_the_document_specifies_them() -> None:
    """Written anew, from the text: what another team would do."""
    policy = bytes.fromhex(GIVEN["policy"])
    digest = hashlib.sha256(policy).digest()
    committed = b"casemate.pcr16.v1\0" + bytes.fromhex(EXPECTED["quorum"]) + digest
    assert hashlib.sha384(bytes(48) + committed).hexdigest() == EXPECTED["pcr16"]
    assert cbor2.loads(bytes.fromhex(EXPECTED["user_data"])) == {
        "format": "casemate.boot.v1",
        "deployment": "rig",
        "policy_version": 1,
        "policy_digest": digest,
        "quorum": bytes.fromhex(EXPECTED["quorum"]),
        "session_key": bytes.fromhex(EXPECTED["session_public"]),
        "receipt_key": bytes.fromhex(EXPECTED["receipt_public"]),
        "provision_key": bytes.fromhex(EXPECTED["provision_public"]),
    }
    signed = bytes.fromhex(EXPECTED["claim_signed"])
    handshake_hash = bytes.fromhex(EXPECTED["handshake_hash"])
    assert signed == b"casemate.session.claim.v1\0" + handshake_hash + b"\0" + bytes(16) + b"mm"
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(EXPECTED["engine_public"]))
    key.verify(bytes.fromhex(EXPECTED["claim_signature"]), signed)
    for name, tag in (("intent_key", b"casemate.session.intent.v1\0"), ("reply_key", b"casemate.session.reply.v1\0")):
        derived = HKDF(SHA256(), 32, handshake_hash, tag).derive(bytes.fromhex(GIVEN["secret"]))
        assert derived.hex() == EXPECTED[name]
    assert len(EXPECTED["intents"]) == 2
    for one in EXPECTED["intents"]:
        counter = struct.pack(">Q", one["counter"])
        text = b"casemate.session.intent.v1\0" + SESSION + counter + bytes.fromhex(one["intent"])
        assert hmac.digest(bytes.fromhex(EXPECTED["intent_key"]), text, "sha256").hex() == one["mac"]
        request_digest = bytes.fromhex(one["request_digest"])
        receipt_digest = hashlib.sha256(b"casemate.receipt.v1\0" + bytes.fromhex(one["receipt"])).digest()
        flags = bytes([one["repeated"], len(request_digest), 32])
        head = b"casemate.session.reply.v1\0" + SESSION + counter + flags
        text = head + request_digest + receipt_digest + bytes.fromhex(one["verdict"])
        assert hmac.digest(bytes.fromhex(EXPECTED["reply_key"]), text, "sha256").hex() == one["reply_mac"]


def test_both_sides_write_the_same_forms() -> None:
    intent_key, reply_key = (bytes.fromhex(EXPECTED[name]) for name in ("intent_key", "reply_key"))
    hash_, secret = bytes.fromhex(EXPECTED["handshake_hash"]), bytes.fromhex(GIVEN["secret"])
    assert engine.keys(secret, hash_) == enclave.keys(secret, hash_) == (intent_key, reply_key)
    claimed = enclave.read_claim(bytes(64) + engine.claim("mm", SESSION, alone=True), hash_)
    assert claimed is not None
    assert claimed[:3] == ("mm", True, SESSION)
    grant = engine.read_grant(enclave.grant(SESSION, secret, 1, 2))
    assert grant == (SESSION, secret, 1, 2)
    assert secret.hex() not in repr(grant)
    for one in EXPECTED["intents"]:
        text = enclave.intent_text(SESSION, one["counter"], bytes.fromhex(one["intent"]))
        assert hmac.digest(intent_key, text, "sha256").hex() == one["mac"]
        proof = signer_pb2.VerdictProof(
            verdict=bytes.fromhex(one["verdict"]),
            request_digest=bytes.fromhex(one["request_digest"]),
            receipt_digest=engine.receipt_hash(bytes.fromhex(one["receipt"])),
            repeated=one["repeated"],
        )
        made = engine.reply_mac(reply_key, SESSION, one["counter"], proof)
        assert made.hex() == one["reply_mac"]


def test_a_claim_with_unknown_flags_or_no_name_is_none() -> None:
    good = bytes(64) + engine.claim("mm", b"", alone=False)
    assert enclave.read_claim(good, bytes(32)) is not None
    for bad in (b"", good[:80], good[:81], good[:64] + b"\2" + good[65:], good + b"x" * 63, good + b"\xff"):
        assert enclave.read_claim(bad, bytes(32)) is None
