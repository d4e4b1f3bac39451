"""Both halves of the handshake against the official vector, against each other, and against any single change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from casemate.session import noise as engine
from enclave_signer.session import noise as enclave

_VECTOR: Any = json.loads((Path(__file__).parents[1] / "vectors" / "noise_nk.json").read_text())
_MESSAGES = [{name: bytes.fromhex(text) for name, text in each.items()} for each in _VECTOR["messages"]]
PROLOGUE = bytes.fromhex(_VECTOR["prologue"])
STATIC = X25519PrivateKey.from_private_bytes(bytes.fromhex(_VECTOR["responder_static"]))
PUBLIC = STATIC.public_key().public_bytes_raw()
EPHEMERAL = X25519PrivateKey.from_private_bytes(bytes.fromhex(_VECTOR["responder_ephemeral"]))
INITIATOR_EPHEMERAL = bytes.fromhex(_VECTOR["initiator_ephemeral"])


def test_the_initiator_makes_the_official_vectors_messages() -> None:
    assert PUBLIC.hex() == _VECTOR["responder_static_public"]
    initiator = engine.Initiator(PUBLIC, INITIATOR_EPHEMERAL, PROLOGUE, _MESSAGES[0]["payload"])
    assert initiator.message == _MESSAGES[0]["ciphertext"]
    payload, channel = initiator.finish(_MESSAGES[1]["ciphertext"])
    assert payload == _MESSAGES[1]["payload"]
    assert channel.handshake_hash.hex() == _VECTOR["handshake_hash"]
    for index in (2, 4):
        assert channel.send.encrypt(_MESSAGES[index]["payload"]) == _MESSAGES[index]["ciphertext"]
        assert channel.receive.decrypt(_MESSAGES[index + 1]["ciphertext"]) == _MESSAGES[index + 1]["payload"]


def test_the_responder_makes_the_official_vectors_messages() -> None:
    said, answer, channel = enclave.respond(
        STATIC, EPHEMERAL, PROLOGUE, _MESSAGES[0]["ciphertext"], _MESSAGES[1]["payload"]
    )
    assert said == _MESSAGES[0]["payload"]
    assert answer == _MESSAGES[1]["ciphertext"]
    assert channel.handshake_hash.hex() == _VECTOR["handshake_hash"]
    for index in (2, 4):
        assert channel.decrypt(_MESSAGES[index]["ciphertext"]) == _MESSAGES[index]["payload"]
        assert channel.encrypt(_MESSAGES[index + 1]["payload"]) == _MESSAGES[index + 1]["ciphertext"]


@given(
    prologue=st.binary(max_size=64),
    payload=st.binary(max_size=64),
    seeds=st.lists(st.binary(min_size=32, max_size=32), min_size=3, max_size=3),
)
def test_the_halves_agree_on_everything(prologue: bytes, payload: bytes, seeds: list[bytes]) -> None:
    static, ephemeral = (X25519PrivateKey.from_private_bytes(seed) for seed in seeds[:2])
    initiator = engine.Initiator(static.public_key().public_bytes_raw(), seeds[2], prologue)
    said, answer, theirs = enclave.respond(static, ephemeral, prologue, initiator.message, payload)
    heard, ours = initiator.finish(answer)
    assert (said, heard) == (b"", payload)
    assert ours.handshake_hash == theirs.handshake_hash
    assert theirs.decrypt(ours.send.encrypt(b"question")) == b"question"
    assert ours.receive.decrypt(theirs.encrypt(b"answer")) == b"answer"


@given(place=st.integers(0, 47), change=st.integers(1, 255))
def test_s3_any_changed_byte_of_the_first_message_is_refused(place: int, change: int) -> None:
    message = bytearray(engine.Initiator(PUBLIC, INITIATOR_EPHEMERAL, PROLOGUE).message)
    message[place] ^= change
    # The highest bit too, which X25519 ignores in a public key: the transcript does not.
    with pytest.raises(enclave.NoiseError):
        enclave.respond(STATIC, EPHEMERAL, PROLOGUE, bytes(message))


@given(place=st.integers(0, 47), change=st.integers(1, 255))
def test_s3_any_changed_byte_of_the_second_message_is_refused(place: int, change: int) -> None:
    initiator = engine.Initiator(PUBLIC, INITIATOR_EPHEMERAL, PROLOGUE)
    _, answer, _ = enclave.respond(STATIC, EPHEMERAL, PROLOGUE, initiator.message)
    altered = bytearray(answer)
    altered[place] ^= change
    with pytest.raises(engine.NoiseError):
        initiator.finish(bytes(altered))


@pytest.mark.parametrize("length", [0, 1, 31, 32, 47])
def test_a_message_that_ends_early_is_refused(length: int) -> None:
    initiator = engine.Initiator(PUBLIC, INITIATOR_EPHEMERAL, PROLOGUE)
    with pytest.raises(enclave.NoiseError):
        enclave.respond(STATIC, EPHEMERAL, PROLOGUE, initiator.message[:length])
    _, answer, _ = enclave.respond(STATIC, EPHEMERAL, PROLOGUE, initiator.message)
    with pytest.raises(engine.NoiseError):
        initiator.finish(answer[:length])


def test_a_point_of_low_order_is_refused() -> None:
    for point in (bytes(32), b"\x01" + bytes(31)):
        with pytest.raises(enclave.NoiseError):
            enclave.respond(STATIC, EPHEMERAL, PROLOGUE, point + bytes(16))
        with pytest.raises(engine.NoiseError):
            engine.Initiator(point, INITIATOR_EPHEMERAL, PROLOGUE)


def test_another_prologue_or_key_is_refused() -> None:
    message = engine.Initiator(PUBLIC, INITIATOR_EPHEMERAL, PROLOGUE).message
    with pytest.raises(enclave.NoiseError):
        enclave.respond(STATIC, EPHEMERAL, PROLOGUE + b"x", message)
    with pytest.raises(enclave.NoiseError):
        enclave.respond(EPHEMERAL, STATIC, PROLOGUE, message)


def test_a_channel_that_failed_once_stays_closed() -> None:
    initiator = engine.Initiator(PUBLIC, INITIATOR_EPHEMERAL, PROLOGUE)
    _, answer, theirs = enclave.respond(STATIC, EPHEMERAL, PROLOGUE, initiator.message)
    good = initiator.finish(answer)[1].send.encrypt(b"claim")
    with pytest.raises(enclave.NoiseError):
        theirs.decrypt(good[:-1])
    with pytest.raises(enclave.NoiseError):
        theirs.decrypt(good)
