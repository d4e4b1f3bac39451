"""The reader of KMS's envelopes: both shapes, exactly what KMS sends, and one uniform failure."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import load_der_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate_mock.nitro.envelope import EnvelopeForm, seal_envelope, write_envelope
from enclave_signer.nitro.cms import EnvelopeError, Recipient, new_recipient, open_envelope, parse_envelope

if TYPE_CHECKING:
    from pathlib import Path

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = Recipient(KEY).public_key
KEY_ID = hashlib.sha256(PUBLIC).digest()
CONTENT_KEY = bytes(range(32))
VECTOR = bytes(range(16))
DATA_KEY = bytes(range(100, 132))


def sealed(
    plaintext: bytes = DATA_KEY, form: EnvelopeForm = EnvelopeForm.PARTS, content_key: bytes = CONTENT_KEY
) -> bytes:
    return seal_envelope(plaintext, PUBLIC, content_key=content_key, initialisation_vector=VECTOR, form=form)


def opens(envelope: bytes, length: int = 32) -> bytes | None:
    """Return the plaintext, or None for the one failure."""
    failure = None
    try:
        return open_envelope(envelope, KEY, length=length)
    except EnvelopeError as error:
        failure = error
    assert failure.args == ("the envelope could not be opened",)
    assert failure.__cause__ is None
    assert failure.__context__ is None
    return None


@pytest.fixture(scope="session")
def vectors(shared: Path) -> list[tuple[dict[str, Any], bytes]]:
    folder = shared / "cms"
    return [(entry, (folder / entry["file"]).read_bytes()) for entry in json.loads((folder / "index.json").read_text())]


def test_reads_every_real_envelope(vectors: list[tuple[dict[str, Any], bytes]]) -> None:
    assert vectors
    for entry, envelope in vectors:
        parts = parse_envelope(envelope)
        assert parts is not None
        assert parts.key_id.hex() == entry["rid_hex"]
        assert parts.initialisation_vector.hex() == entry["iv"]
        assert (len(parts.encrypted_key), len(parts.ciphertext)) == (entry["enc_key_len"], entry["ct_len"])
        for name, value in entry.get("expected", {}).items():
            field = "initialisation_vector" if name == "iv" else name
            assert getattr(parts, field).hex() == value


def test_opens_the_real_envelope_whose_key_is_published(
    shared: Path, vectors: list[tuple[dict[str, Any], bytes]]
) -> None:
    opened = 0
    for entry, envelope in vectors:
        if entry["private_key"]:
            key = load_der_private_key((shared / "cms" / entry["private_key"].split()[0]).read_bytes(), None)
            assert isinstance(key, rsa.RSAPrivateKey)
            plaintext = entry["plaintext"].encode()
            assert Recipient(key).open(envelope, length=len(plaintext)) == plaintext
            opened += 1
    assert opened


def test_the_stand_in_writes_real_envelopes_byte_for_byte(vectors: list[tuple[dict[str, Any], bytes]]) -> None:
    for _, envelope in vectors:
        parts = parse_envelope(envelope)
        assert parts is not None
        shapes = (EnvelopeForm.PARTS, EnvelopeForm.PRIMITIVE)
        assert envelope in [write_envelope(*parts, form=form) for form in shapes]


@pytest.mark.parametrize("form", EnvelopeForm)
def test_opens_every_shape(form: EnvelopeForm) -> None:
    assert opens(sealed(form=form)) == DATA_KEY


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 33, 4096])
def test_opens_every_length_that_is_expected_and_no_other(length: int) -> None:
    envelope = sealed(bytes(length))
    assert opens(envelope, length) == bytes(length)
    assert opens(envelope, length + 1) is None
    assert opens(envelope, abs(length - 1) or 2) is None


def test_a_recipient_opens_once() -> None:
    recipient = Recipient(KEY)
    assert recipient.open(sealed()) == DATA_KEY
    with pytest.raises(EnvelopeError):
        recipient.open(sealed())


@pytest.mark.parametrize("first", [b"", b"junk", sealed(bytes(31))])
def test_a_failed_opening_uses_the_key_up_too(first: bytes) -> None:
    recipient = Recipient(KEY)
    for envelope in (first, sealed()):
        with pytest.raises(EnvelopeError, match="could not be opened"):
            recipient.open(envelope)


def test_s1_a_recipient_shows_no_key() -> None:
    recipient = new_recipient()
    assert repr(recipient) == "<Recipient>"
    for leak in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            leak(recipient)
    assert len(recipient.public_key) == 294


def test_a_short_rsa_key_is_not_used() -> None:
    with pytest.raises(ValueError, match="2048"):
        Recipient(rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505 - the mistake


# --- one failure


def _other_rsa() -> bytes:
    other = new_recipient().public_key
    return seal_envelope(DATA_KEY, other, content_key=CONTENT_KEY, initialisation_vector=VECTOR)


def _parts(**changes: bytes) -> bytes:
    parts = parse_envelope(sealed())
    assert parts is not None
    return write_envelope(*parts._replace(**changes), form=EnvelopeForm.PARTS)


def _pkcs1_v1_5() -> bytes:
    return _parts(encrypted_key=KEY.public_key().encrypt(CONTENT_KEY, padding.PKCS1v15()))


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        sealed()[:-1],
        sealed() + b"\x00",
        sealed() + sealed(),
        bytes(8193),
        b"\x30\x80" * 4000,
        _other_rsa(),
        _pkcs1_v1_5(),
        _parts(key_id=bytes(32)),
        _parts(key_id=KEY_ID[:20]),
        _parts(encrypted_key=bytes(256)),
        _parts(encrypted_key=b"\xff" * 256),
        _parts(encrypted_key=bytes(255)),
        _parts(initialisation_vector=bytes(15)),
        _parts(ciphertext=b""),
        _parts(ciphertext=bytes(48)),
        _parts(ciphertext=bytes(47)),
        _parts(ciphertext=bytes(64)),
        sealed(content_key=bytes(16)),
        sealed(content_key=bytes(24)),
        sealed(bytes(31)),
        sealed(bytes(33)),
        sealed(bytes(47)),
        sealed().replace(bytes.fromhex("2a864886f70d010703"), bytes.fromhex("2a864886f70d010702")),
        sealed().replace(bytes.fromhex("60864801650304012a"), bytes.fromhex("60864801650304012e")),
        sealed().replace(bytes.fromhex("2a864886f70d010107"), bytes.fromhex("2a864886f70d010101")),
        sealed().replace(bytes.fromhex("608648016503040201"), bytes.fromhex("608648016503040202")),
        sealed().replace(bytes.fromhex("020102"), bytes.fromhex("020100")),
    ],
)
def test_whatever_is_wrong_fails_in_one_way(envelope: bytes) -> None:
    assert opens(envelope) is None


def test_a_failed_oaep_takes_the_same_way_as_a_good_one_and_its_dummy_key_opens_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[bytes] = []
    algorithm = algorithms.AES
    # Encrypted under the dummy itself: right padding, right length, and still to be refused, as the OAEP fails.
    under_dummy = parse_envelope(sealed(content_key=bytes(32)))
    assert under_dummy is not None
    broken_key = write_envelope(*under_dummy._replace(encrypted_key=bytes(256)), form=EnvelopeForm.PARTS)
    good, short_key = sealed(), sealed(content_key=bytes(24))

    def spy(key: bytes) -> Any:
        used.append(key)
        return algorithm(key)

    monkeypatch.setattr(algorithms, "AES", spy)
    assert [opens(envelope) for envelope in (good, broken_key, short_key)] == [DATA_KEY, None, None]
    assert used == [CONTENT_KEY, bytes(32), bytes(32)]


def test_every_prefix_is_refused() -> None:
    envelope = sealed()
    assert [size for size in range(len(envelope)) if opens(envelope[:size]) is not None] == []


def test_a_changed_byte_is_refused_but_where_cbc_protects_nothing() -> None:
    """CMS has no integrity: the vector and the first block can be altered. That is what the inner bundle is for."""
    envelope = sealed()
    vector, first_block = envelope.index(VECTOR), len(envelope) - 10 - 48
    open_to_change = {*range(vector, vector + 16), *range(first_block, first_block + 16)}
    changed = bytearray(envelope)
    accepted = set()
    for at, original in enumerate(envelope):
        for delta in (0x01, 0x80):
            changed[at] = original ^ delta
            plaintext = opens(bytes(changed))
            if plaintext is not None:
                accepted.add(at)
                assert plaintext != DATA_KEY
        changed[at] = original
    assert accepted == open_to_change


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_arbitrary_edits_of_the_structure_fail_in_one_way(data: st.DataObject) -> None:
    edited = bytearray(sealed())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, min(140, len(edited) - 1)))
        edited[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    plaintext = opens(bytes(edited))
    assert plaintext is None or plaintext == DATA_KEY


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_fail_in_one_way(content: bytes) -> None:
    assert opens(content) is None
