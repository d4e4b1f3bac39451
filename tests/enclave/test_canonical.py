"""The strict reader takes exactly what is canonical."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave_signer.canonical import NotCanonical, decode

VALUES = st.recursive(
    st.one_of(st.integers(0, 2**64 - 1), st.text(max_size=30), st.binary(max_size=30), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=8), inner, max_size=5)),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_it_reads_what_another_encoder_writes_canonically(value: Any) -> None:
    data = cbor2.dumps(value, canonical=True)
    try:
        assert decode(data) == value
    except NotCanonical as error:
        assert "deeply" in str(error)  # noqa: PT017 - the one thing that it may refuse here


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_it_takes_encodes_to_the_same_bytes_again(data: bytes) -> None:
    try:
        value = decode(data)
    except NotCanonical:
        return
    assert cbor2.dumps(value, canonical=True) == data


@settings(max_examples=200, deadline=None)
@given(VALUES, st.data())
def test_no_other_bytes_mean_the_same(value: Any, data: st.DataObject) -> None:
    good = cbor2.dumps(value, canonical=True)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([good[at] ^ (1 << data.draw(st.integers(0, 7)))]) + good[at + 1 :]
    try:
        read = decode(bad)
    except NotCanonical:
        return
    # repr, because True equals 1.
    assert repr(read) != repr(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x18\x17",  # 23 in two bytes
        b"\x19\x00\xff",  # 255 in three
        b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
        b"\x20",  # -1
        b"\x58\x01a",  # bytes whose length is not in its shortest form
        b"\x42a",  # bytes that are cut off
        b"\xc0\x60",  # a tag
        b"\xf9\x00\x00",  # a float
        b"\xf7",  # undefined
        b"\x1c",  # reserved
        b"\x5f\xff",
        b"\x9f\xff",
        b"\xbf\xff",
        b"\xa2\x61b\x00\x61a\x00",  # keys not sorted
        b"\xa2\x61a\x00\x61a\x00",  # a key twice
        b"\xa1\x00\x00",  # a key that is no text
        b"\x62\xc3\x28",  # not UTF-8
        b"\x62a",  # cut off
        b"\x00\x00",  # two values
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",  # a list longer than memory
        b"\x81" * 100 + b"\x00",  # nested
    ],
)
def test_it_refuses(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        decode(data)
