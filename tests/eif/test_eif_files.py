"""Image files: what is written is read, what is measured is what was computed by hand, and nothing else passes."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import random
import tempfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.eif.errors import EifError, Reason
from casemate.eif.layout import Architecture
from casemate.eif.measures import NOT_MEASURED
from casemate.eif.read import Image, read_image
from casemate.eif.signature import Signer
from casemate.eif.write import Parts, metadata_of, write_image
from tests.eif.eif_rig import (
    CMDLINE,
    HEADER,
    KERNEL,
    METADATA,
    RAMDISK,
    SECTION,
    SIGNATURE,
    register,
    registers,
    with_right_crc,
)
from tests.eif.eif_rig import image as by_hand

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemate.eif.measures import Measurements

PLAIN = [(KERNEL, b"kernel"), (CMDLINE, b"quiet"), (RAMDISK, b"boot"), (RAMDISK, b"application")]
METADATA_SECTION = (METADATA, b'{"ImageName":"x"}')
blobs = st.binary(min_size=1, max_size=300)
lines = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80)


def read(raw: bytes) -> Image:
    return read_image(BytesIO(raw))


def refused(raw: bytes) -> Reason:
    with pytest.raises(EifError) as caught:
        read(raw)
    return caught.value.reason


def written(folder: Path, **parts: Any) -> tuple[bytes, Measurements]:
    """Write an image of small files; ``kernel`` and ``ramdisks`` are their contents."""
    kernel = folder / "kernel"
    kernel.write_bytes(parts.pop("kernel", b"kernel"))
    ramdisks = []
    for number, content in enumerate(parts.pop("ramdisks", (b"boot", b"application"))):
        ramdisks.append(folder / f"ramdisk{number}")
        ramdisks[-1].write_bytes(content)
    out = BytesIO()
    measured = write_image(Parts(kernel, parts.pop("cmdline", "quiet"), ramdisks, **parts), out)
    return out.getvalue(), measured


def signer(curve: ec.EllipticCurve | None = None) -> Signer:
    key = ec.generate_private_key(curve or ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "release")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = builder.not_valid_before(day).not_valid_after(day + dt.timedelta(days=1)).sign(key, hashes.SHA384())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Signer.load(made.public_bytes(Encoding.PEM), pem)


@given(
    kernel=blobs,
    cmdline=lines,
    ramdisks=st.lists(blobs, min_size=1, max_size=6),
    named=st.booleans(),
    architecture=st.sampled_from(Architecture),
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_what_a_second_writer_writes_and_what_is_read(
    kernel: bytes,
    cmdline: str,
    ramdisks: list[bytes],
    architecture: Architecture,
    *,
    named: bool,
) -> None:
    metadata = metadata_of("enclave", "1", {}, {"revision": 7}) if named else None
    with tempfile.TemporaryDirectory() as folder:
        raw, measured = written(
            Path(folder),
            kernel=kernel,
            cmdline=cmdline,
            ramdisks=ramdisks,
            metadata=metadata,
            architecture=architecture,
        )
    sections = [(KERNEL, kernel), (CMDLINE, cmdline.encode())]
    sections += [(METADATA, json.dumps(metadata, separators=(",", ":")).encode())] if named else []
    sections += [(RAMDISK, each) for each in ramdisks]
    assert raw == by_hand(sections, flags=int(architecture is Architecture.AARCH64))
    found = read(raw)
    assert (found.cmdline, found.metadata, found.header.architecture) == (cmdline, metadata, architecture)
    assert found.measurements == measured
    assert [section.digest for section in found.sections] == [hashlib.sha384(data).digest() for _, data in sections]


@given(blobs, lines, st.lists(blobs, min_size=1, max_size=4))
@settings(max_examples=60)
def test_the_registers_are_those_computed_by_hand(kernel: bytes, cmdline: str, ramdisks: list[bytes]) -> None:
    raw = by_hand([(KERNEL, kernel), (CMDLINE, cmdline.encode()), *((RAMDISK, each) for each in ramdisks)])
    found = read(raw).measurements
    expected = registers(kernel, cmdline.encode(), *ramdisks)
    assert (found.pcr0.hex(), found.pcr1.hex(), found.pcr2.hex(), found.pcr8) == (*expected, None)


def test_the_same_inputs_give_the_same_bytes_signed_or_not(tmp_path: Path) -> None:
    by = signer()
    for parts in ({}, {"signer": by, "metadata": metadata_of("x", "1", {})}):
        first, _ = written(tmp_path, **parts)
        (tmp_path / "kernel").touch()
        again, _ = written(tmp_path, **parts)
        assert first == again


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_a_signed_image_sets_pcr8_to_its_certificate_and_verifies(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    by = signer(curve)
    raw, measured = written(tmp_path, signer=by)
    der = x509.load_pem_x509_certificate(by.certificate).public_bytes(Encoding.DER)
    assert measured.pcr8 is not None
    assert measured.pcr8.hex() == register(der)
    assert read(raw).measurements == measured
    assert measured[:3] == written(tmp_path)[1][:3]


def test_the_signature_is_a_cose_sign1_over_pcr0_as_awss_tools_write_it(tmp_path: Path) -> None:
    by = signer()
    raw, measured = written(tmp_path, signer=by)
    size = read(raw).sections[-1].size
    (entry,) = cbor2.loads(raw[-size:])
    assert bytes(entry["signing_certificate"]) == by.certificate
    protected, unprotected, payload, _ = cbor2.loads(bytes(entry["signature"]))
    assert (cbor2.loads(protected), unprotected) == ({1: -35}, {})
    assert cbor2.loads(payload) == {"register_index": 0, "register_value": list(measured.pcr0)}


def test_a_signature_moved_from_another_image_is_refused(tmp_path: Path) -> None:
    by = signer()
    raw, _ = written(tmp_path, signer=by)
    section = raw[-read(raw).sections[-1].size :]
    other = [(KERNEL, b"other"), *PLAIN[1:], (SIGNATURE, section)]
    assert refused(by_hand(other)) is Reason.SIGNATURE_WRONG


def test_a_signature_by_another_key_than_the_certificates_is_refused(tmp_path: Path) -> None:
    raw, _ = written(tmp_path, signer=signer())
    (entry,) = cbor2.loads(raw[-read(raw).sections[-1].size :])
    entry["signing_certificate"] = list(signer().certificate)
    assert refused(by_hand([*PLAIN, (SIGNATURE, cbor2.dumps([entry]))])) is Reason.SIGNATURE_WRONG


def test_a_key_that_is_not_the_certificates_signs_nothing() -> None:
    one, other = signer(), signer()
    pem = other.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(EifError, match="not that of the certificate"):
        Signer.load(one.certificate, pem)


def _patched(at: int, new: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: with_right_crc(raw[:at] + new + raw[at + len(new) :])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: b"", Reason.NOT_AN_EIF),  # noqa: ARG005
        (lambda raw: b"\x7fELF" + raw[4:], Reason.NOT_AN_EIF),
        (lambda raw: raw[:547], Reason.TRUNCATED),
        (lambda raw: raw[:-1], Reason.TRUNCATED),
        (lambda raw: raw + b"\0", Reason.TRAILING),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), Reason.CRC),
        (lambda raw: raw[:547] + bytes([raw[547] ^ 1]) + raw[548:], Reason.CRC),
        (_patched(4, b"\0\3"), Reason.VERSION),
        (_patched(6, b"\0\2"), Reason.FLAGS),
        (_patched(24, b"\1"), Reason.RESERVED),
        (_patched(26, b"\0\2"), Reason.SECTION_COUNT),
        (_patched(26, b"\0\x21"), Reason.SECTION_COUNT),
        (_patched(28 + 7, b"\1"), Reason.SECTION_PLACE),
        (_patched(28 + 31 * 8, b"\1"), Reason.RESERVED),
        (_patched(28 + 512 - 1, b"\1"), Reason.RESERVED),
        (_patched(540, b"\1"), Reason.RESERVED),
        (_patched(HEADER, b"\0\6"), Reason.SECTION_TYPE),
        (_patched(HEADER + 2, b"\0\1"), Reason.RESERVED),
        (_patched(HEADER + SECTION - 1, b"\7"), Reason.SECTION_SIZE),
        (_patched(HEADER, b"\0\2"), Reason.SECTION_ORDER),
        (_patched(HEADER + SECTION + 6 + SECTION, b"\n"), Reason.CMDLINE),
    ],
)
def test_what_is_not_in_form_is_refused_with_its_reason(change: Callable[[bytes], bytes], reason: Reason) -> None:
    assert refused(change(by_hand(PLAIN))) is reason


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ([PLAIN[1], PLAIN[0], *PLAIN[2:]], Reason.SECTION_ORDER),
        ([PLAIN[0], PLAIN[2], PLAIN[1]], Reason.SECTION_ORDER),
        ([*PLAIN, PLAIN[0]], Reason.SECTION_ORDER),
        ([*PLAIN[:2], METADATA_SECTION], Reason.SECTION_ORDER),
        ([*PLAIN, METADATA_SECTION, METADATA_SECTION], Reason.SECTION_ORDER),
        ([METADATA_SECTION, *PLAIN], Reason.SECTION_ORDER),
        ([*PLAIN[:3], (RAMDISK, b"")], Reason.SECTION_SIZE),
        ([PLAIN[0], (CMDLINE, b"x" * 4_097), PLAIN[2]], Reason.SECTION_SIZE),
        ([*PLAIN, (METADATA, b"[]")], Reason.METADATA),
        ([*PLAIN, (METADATA, b'{"a":1,"a":2}')], Reason.METADATA),
        ([*PLAIN, (METADATA, b'{"a":NaN}')], Reason.METADATA),
        ([*PLAIN, (METADATA, b"[" * 100_000)], Reason.METADATA),
        ([*PLAIN, (METADATA, b"\xff")], Reason.METADATA),
        ([*PLAIN, (SIGNATURE, b"\x80")], Reason.SIGNATURE),
        ([*PLAIN, (SIGNATURE, b"\xff" * 9)], Reason.SIGNATURE),
        ([*PLAIN, (SIGNATURE, b"\x81" * 5_000)], Reason.SIGNATURE),
    ],
)
def test_sections_that_make_no_image_are_refused(sections: list[tuple[int, bytes]], reason: Reason) -> None:
    assert refused(by_hand(sections)) is reason


def test_200_mutations_of_an_image_file_are_each_refused(tmp_path: Path) -> None:
    raw, _ = written(tmp_path, signer=signer(), metadata=metadata_of("x", "1", {}))
    choose = random.Random(7)
    for _ in range(200):
        at, bit = choose.randrange(len(raw)), 1 << choose.randrange(8)
        refused(raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :])


def test_200_mutations_with_a_repaired_checksum_are_refused_or_measured_differently_or_shown_as_unmeasured(
    tmp_path: Path,
) -> None:
    """Anyone can repair a CRC. What is left then is the registers; the rest is shown under "not measured"."""
    raw, _ = written(tmp_path, signer=signer(), metadata=metadata_of("x", "1", {}))
    original, choose = read(raw), random.Random(11)
    outcomes = {"refused": 0, "measured": 0, "shown": 0}
    for round_ in range(600):
        # Each part of the file gets its share, else the signature would get nearly all.
        low, high = [(0, HEADER - 4), (HEADER, HEADER + 250), (HEADER, len(raw))][round_ % 3]
        at, bit = choose.randrange(low, high), 1 << choose.randrange(8)
        try:
            found = read(with_right_crc(raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]))
        except EifError:
            outcomes["refused"] += 1
            continue
        if found.measurements != original.measurements:
            outcomes["measured"] += 1
            continue
        assert _unmeasured(found) != _unmeasured(original), f"byte {at}, bit {bit}: changed without a trace"
        outcomes["shown"] += 1
    assert min(outcomes.values()) > 0, outcomes


def _unmeasured(image: Image) -> tuple[Any, ...]:
    header = image.header
    return header.architecture, header.memory, header.cpus, image.metadata, image.sections


def test_an_unsigned_image_whose_measured_bytes_change_is_always_measured_differently() -> None:
    raw = by_hand(PLAIN)
    original = read(raw).measurements
    for section, (_, data) in enumerate(PLAIN):
        at = HEADER + sum(SECTION + len(each) for _, each in PLAIN[:section]) + SECTION
        for place in range(at, at + len(data)):
            changed = bytearray(raw)
            changed[place] ^= 1
            found = read(with_right_crc(bytes(changed))).measurements
            assert found.pcr0 != original.pcr0
            assert (found.pcr1 == original.pcr1) is (section == 3)
            assert (found.pcr2 == original.pcr2) is (section != 3)


def test_where_kernel_command_line_and_first_ramdisk_part_is_not_measured_and_is_shown() -> None:
    """The registers are of the parts, joined: the start of a command line can become the end of the kernel."""
    original = read(by_hand([(KERNEL, b"kernel"), (CMDLINE, b"panic=-1 quiet"), *PLAIN[2:]]))
    moved = read(by_hand([(KERNEL, b"kernelpanic=-1 "), (CMDLINE, b"quiet"), *PLAIN[2:]]))
    assert moved.measurements == original.measurements
    assert (moved.cmdline, original.cmdline) == ("quiet", "panic=-1 quiet")
    assert moved.sections != original.sections
    assert "boundaries" in NOT_MEASURED
    # Between the first ramdisk and the others the registers do tell: PCR1 ends where PCR2 begins.
    other = read(by_hand([*PLAIN[:2], (RAMDISK, b"boota"), (RAMDISK, b"pplication")])).measurements
    plain = read(by_hand(PLAIN)).measurements
    assert other.pcr0 == plain.pcr0
    assert other.pcr1 != plain.pcr1
    assert other.pcr2 != plain.pcr2


@given(st.binary(max_size=1_500))
@settings(max_examples=200)
def test_any_bytes_are_read_or_refused_and_nothing_else(junk: bytes) -> None:
    for raw in (junk, by_hand([*PLAIN, (SIGNATURE, junk or b"x")]), by_hand([*PLAIN, (METADATA, junk or b"x")])):
        with contextlib.suppress(EifError):
            read(raw)


class Endless:
    """A file that never ends, and counts how much of it was asked for at once."""

    def __init__(self, head: bytes) -> None:
        self.head, self.most, self.total = head, 0, 0

    def read(self, size: int) -> bytes:
        piece, self.head = self.head[:size], self.head[size:]
        piece += bytes(size - len(piece))
        self.most, self.total = max(self.most, size), self.total + size
        return piece


def test_a_large_image_is_read_in_pieces() -> None:
    raw = by_hand(PLAIN)
    size = (200 << 20).to_bytes(8, "big")
    # The kernel says that it has 200 MiB; the table then places the rest after it.
    head = bytearray(raw[: HEADER + SECTION])
    head[28 + 256 : 28 + 264] = head[HEADER + 4 : HEADER + 12] = size
    for number in range(1, 4):
        at = 28 + 8 * number
        head[at : at + 8] = (int.from_bytes(head[at : at + 8], "big") - 6 + (200 << 20)).to_bytes(8, "big")
    file = Endless(bytes(head))
    with pytest.raises(EifError):
        read_image(file)  # type: ignore[arg-type] # the one method that it needs
    assert file.total > 200 << 20
    assert file.most <= 1 << 20


def test_a_file_that_shrinks_while_it_is_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat
    grown = {"kernel": 3}

    def stat(self: Path, **options: Any) -> Any:
        found = real(self, **options)
        if self.name in grown:
            return type("S", (), {"st_size": found.st_size + grown[self.name], "st_mode": found.st_mode})()
        return found

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(EifError, match="size changed"):
        written(tmp_path)
