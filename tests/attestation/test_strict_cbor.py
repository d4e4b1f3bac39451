"""The strict reader takes one encoding of each value, and nothing more."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.attestation import MalformedDocument, Reason
from casemate.attestation.cbor import Reader


@given(st.integers(0, (1 << 64) - 1))
def test_reads_every_integer_that_a_general_encoder_writes(value: int) -> None:
    reader = Reader(cbor2.dumps(value), "the test")
    assert reader.uint() == value
    reader.end()


@given(st.binary(max_size=400), st.text(max_size=100))
def test_reads_every_string_that_a_general_encoder_writes(octets: bytes, text: str) -> None:
    reader = Reader(cbor2.dumps(octets) + cbor2.dumps(text), "the test")
    assert (reader.byte_string(), reader.text()) == (octets, text)
    reader.end()


@given(st.integers(0, (1 << 16) - 1), st.sampled_from([24, 25, 26, 27]))
def test_refuses_every_longer_form_of_an_integer(value: int, additional: int) -> None:
    width = 1 << (additional - 24)
    if value < 1 << (8 * width):
        encoded = bytes([additional]) + value.to_bytes(width, "big")
        if encoded != cbor2.dumps(value):
            with pytest.raises(MalformedDocument, match="shortest form"):
                Reader(encoded, "the test").uint()


@given(st.binary(max_size=12))
def test_what_it_reads_as_an_integer_has_no_other_form(content: bytes) -> None:
    reader = Reader(content, "the test")
    try:
        value = reader.uint()
    except MalformedDocument:
        return
    assert cbor2.dumps(value) == content[: reader.offset]


@pytest.mark.parametrize(
    "encoded", ["", "1c", "1d", "1e", "1f", "18", "1900", "1a000000", "20", "40", "f6", "c100", "ff"]
)
def test_refuses_what_is_no_unsigned_integer(encoded: str) -> None:
    with pytest.raises(MalformedDocument) as refusal:
        Reader(bytes.fromhex(encoded), "the test").uint()
    assert refusal.value.reason is Reason.MALFORMED_CBOR


@pytest.mark.parametrize("encoded", ["61ff", "63e28228", "7f6161ff", "62c3"])
def test_refuses_text_that_is_not_definite_utf8(encoded: str) -> None:
    with pytest.raises(MalformedDocument):
        Reader(bytes.fromhex(encoded), "the test").text()


def test_an_announced_length_costs_no_memory() -> None:
    with pytest.raises(MalformedDocument, match="announced"):
        Reader(b"\x5b" + b"\xff" * 8, "the test").byte_string()
    with pytest.raises(MalformedDocument, match="announced"):
        Reader(b"\x7b" + b"\xff" * 8, "the test").text()


def test_an_indefinite_map_needs_leave_and_a_break() -> None:
    def keys(encoded: str, *, allowed: bool) -> list[int]:
        reader = Reader(bytes.fromhex(encoded), "the test")
        found = [reader.uint() for _ in reader.entries(allow_indefinite=allowed)]
        reader.end()
        return found

    assert keys("bf0102ff", allowed=True) == keys("a20102", allowed=True) == [1, 2]
    assert keys("bfff", allowed=True) == keys("a0", allowed=False) == []
    for encoded, allowed in (
        ("bf0102ff", False),
        ("bf0102", True),
        ("bf", True),
        ("a20102ff", True),
        ("a201", True),
    ):
        with pytest.raises(MalformedDocument):
            keys(encoded, allowed=allowed)
