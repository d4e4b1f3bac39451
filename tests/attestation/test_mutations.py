"""No other bytes pass for a document: every prefix, changed, inserted and deleted byte is refused.

By default each byte is changed in three ways; ``CASEMATE_EXHAUSTIVE=1`` tries all 255 other values of every
byte (about a million verifications, a quarter of an hour). Two things that are *not* the same bytes are
accepted, and no others: the COSE tag in front (which COSE allows), and the other of the two signatures (r, s)
and (r, n - s) that ECDSA takes for one.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.attestation import AttestationError, verify
from casemate_mock.nitro.document import P384_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from casemate_mock.nitro.forge import Forge

EXHAUSTIVE = os.environ.get("CASEMATE_EXHAUSTIVE") == "1"


def accepts(check: Callable[[bytes], object], document: bytes) -> bool:
    """Whether the document passes; anything but a refusal of the error tree is an error of the test."""
    try:
        check(document)
    except AttestationError:
        return False
    return True


def against(forge: Forge) -> Callable[[bytes], object]:
    def check(candidate: bytes) -> object:
        return verify(candidate, at=forge.now_ms, pcrs={}, nonce=None, max_age_ms=None, root=forge.chain.root)

    return check


def mutations(document: bytes, deltas: Iterable[int]) -> Iterator[bytes]:
    changed = bytearray(document)
    for delta in deltas:
        for at, original in enumerate(document):
            changed[at] = original ^ delta
            yield bytes(changed)
            changed[at] = original


def twin(document: bytes) -> bytes:
    return document[:-48] + (P384_ORDER - int.from_bytes(document[-48:], "big")).to_bytes(48, "big")


@pytest.fixture(scope="module")
def made(forge: Forge) -> tuple[bytes, Callable[[bytes], object]]:
    document = forge.nsm().attestation(nonce=b"nonce", public_key=bytes(range(200)))
    check = against(forge)
    assert accepts(check, document)
    return document, check


@pytest.fixture(scope="module")
def real(shared: Path, real_entries: list[dict[str, Any]]) -> tuple[bytes, Callable[[bytes], object]]:
    entry = next(entry for entry in real_entries if entry["file"].startswith("MystenLabs"))
    at = datetime.fromisoformat(entry["verify_at_utc"])
    document = (shared / entry["file"]).read_bytes()

    def check(candidate: bytes) -> object:
        return verify(candidate, at=at, pcrs={}, nonce=None, max_age_ms=None)

    assert accepts(check, document)
    return document, check


@pytest.fixture(params=["made", "real"])
def good(request: pytest.FixtureRequest) -> tuple[bytes, Callable[[bytes], object]]:
    chosen: tuple[bytes, Callable[[bytes], object]] = request.getfixturevalue(request.param)
    return chosen


def test_s8_every_prefix_is_refused(good: tuple[bytes, Callable[[bytes], object]]) -> None:
    document, check = good
    assert [size for size in range(len(document)) if accepts(check, document[:size])] == []


def test_s8_every_changed_byte_is_refused(made: tuple[bytes, Callable[[bytes], object]]) -> None:
    document, check = made
    deltas = range(1, 256) if EXHAUSTIVE else (0x01, 0x10, 0x80)
    assert not any(accepts(check, changed) for changed in mutations(document, deltas))


def test_s8_every_changed_byte_of_a_real_document_is_refused(
    real: tuple[bytes, Callable[[bytes], object]],
) -> None:
    document, check = real
    deltas = range(1, 256) if EXHAUSTIVE else (0x20,)
    assert not any(accepts(check, changed) for changed in mutations(document, deltas))


def test_s8_every_other_value_of_every_byte_outside_the_signed_payload_and_the_signature_is_refused(
    good: tuple[bytes, Callable[[bytes], object]],
) -> None:
    document, check = good
    outside = [*range(10), len(document) - 98, len(document) - 97]
    for at in outside:
        others = [document[:at] + bytes([value]) + document[at + 1 :] for value in range(256) if value != document[at]]
        assert not any(accepts(check, other) for other in others), at


def test_s8_every_inserted_or_deleted_byte_is_refused_but_the_cose_tag(
    good: tuple[bytes, Callable[[bytes], object]],
) -> None:
    document, check = good
    for byte in (b"\x00", b"\xd2", b"\xf6", b"\xff"):
        inserted = (at for at in range(len(document) + 1) if accepts(check, document[:at] + byte + document[at:]))
        assert list(inserted) == ([0] if byte == b"\xd2" else [])
    assert not any(accepts(check, document[:at] + document[at + 1 :]) for at in range(len(document)))


def test_the_twin_signature_is_accepted_since_real_modules_write_both(
    good: tuple[bytes, Callable[[bytes], object]],
) -> None:
    document, check = good
    assert twin(document) != document
    assert twin(twin(document)) == document
    assert accepts(check, twin(document))
    assert not any(accepts(check, twin(changed)) for changed in mutations(document[:20], (0x01,)))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_s8_no_edit_of_several_bytes_is_accepted(forge: Forge, data: st.DataObject) -> None:
    document = forge.nsm().attestation(nonce=b"nonce")
    edited = bytearray(document)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(edited) - 1))
        edited[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    if bytes(edited) not in (document, twin(document), b"\xd2" + document):
        assert not accepts(against(forge), bytes(edited))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: bytes.fromhex("8444a1013822a0") + tail))
def test_s8_arbitrary_bytes_are_refused_within_the_error_tree(forge: Forge, content: bytes) -> None:
    assert not accepts(against(forge), content)
