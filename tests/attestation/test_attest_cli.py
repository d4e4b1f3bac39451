"""``casemate attest verify``: exit 0, 1 or 2, and why."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.attest_cli import main
from casemate.attestation import read_document
from casemate.cli.main import main as cli
from casemate_mock.nitro.forge import MEASUREMENTS, NOW_MS
from signer_api.v1 import signer_pb2
from tests.client.fake_host import FakeHost
from tests.session.session_rig import CHAIN, Rig

if TYPE_CHECKING:
    from pathlib import Path

    from casemate_mock.nitro.forge import Forge

PCR0 = f"0={MEASUREMENTS[0].hex()}"
OTHER_PCR0 = f"0={'ab' * 48}"


@pytest.fixture
def files(forge: Forge, tmp_path: Path) -> Path:
    (tmp_path / "root.pem").write_bytes(forge.chain.root.public_bytes(Encoding.PEM))
    (tmp_path / "doc").write_bytes(forge.nsm().attestation(nonce=b"\x01\x02", user_data=b"hello"))
    (tmp_path / "debug").write_bytes(forge.nsm(debug=True).attestation())
    return tmp_path


def attest(files: Path, *arguments: str, name: str = "doc") -> int:
    root = ("--root", str(files / "root.pem"))
    return main(["verify", str(files / name), *root, *arguments], now_ms=lambda: NOW_MS)


@pytest.mark.parametrize(
    "encode",
    [
        bytes,
        lambda raw: b"\xd2" + raw,
        base64.b64encode,
        base64.encodebytes,
        base64.urlsafe_b64encode,
        lambda raw: base64.b64encode(raw).rstrip(b"="),
        lambda raw: raw.hex().encode(),
        lambda raw: raw.hex().upper().encode() + b"\n",
    ],
)
def test_reads_raw_base64_and_hex(files: Path, encode: Any) -> None:
    (files / "encoded").write_bytes(encode((files / "doc").read_bytes()))
    assert attest(files, "--pcr", PCR0, "--nonce", "0102", name="encoded") == 0


def test_reads_standard_input(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO((files / "doc").read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["verify", "-", "--root", str(files / "root.pem")], now_ms=lambda: NOW_MS) == 0


def test_stray_bits_at_the_end_of_base64_are_not_a_second_form_of_a_document() -> None:
    assert read_document(b"hEQ=") == b"\x84\x44"
    assert read_document(b"hER=") == b"hER="


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--pcr", OTHER_PCR0], "pcr_mismatch"),
        (["--nonce", "0103"], "nonce_mismatch"),
        (["--nonce", ""], "nonce_mismatch"),
        (["--at", "2050-01-01T00:00:00Z"], "certificate_expired"),
        (["--at", "1234567890"], "certificate_not_yet_valid"),
        (["--at", str(NOW_MS + 60_000), "--max-age", "59999ms"], "too_old"),
    ],
)
def test_refuses_with_exit_1_and_says_why(
    files: Path, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attest(files, *arguments) == 1
    assert capsys.readouterr().out.startswith(f"REFUSED {reason}: ")
    assert attest(files, *arguments, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["verified"], report["reason"]) == (False, reason)
    assert report["document"]["user_data"] == b"hello".hex()


def test_two_values_for_one_register_are_alternatives(files: Path) -> None:
    assert attest(files, "--pcr", OTHER_PCR0, "--pcr", PCR0) == 0


def test_s8_debug_mode_needs_its_own_word(files: Path) -> None:
    assert attest(files, name="debug") == 1
    assert attest(files, "--allow-debug", name="debug") == 0


def test_without_the_stand_in_s_root_the_document_is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(files / "doc")], now_ms=lambda: NOW_MS) == 1
    assert "untrusted_root" in capsys.readouterr().out


def test_json_prints_one_document_with_the_decoded_claims(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attest(files, "--json", "--pcr", PCR0) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verified"] is True
    assert report["at"] == "2026-09-21T14:13:20.123Z"
    assert report["document"]["timestamp_ms"] == NOW_MS
    assert report["document"]["pcrs"]["0"] == MEASUREMENTS[0].hex()
    assert len(report["document"]["certificates"]) == 5
    assert report["document"]["certificates"][0]["subject"].startswith("CN=mock.nitro-enclaves")


@pytest.mark.parametrize("content", [b"", b"\x84", b"not a document", b"\xff" * 5000, b"00" * 40_000])
def test_bytes_that_are_no_document_are_a_refusal(
    files: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "junk").write_bytes(content)
    assert attest(files, "--json", name="junk") == 1
    assert json.loads(capsys.readouterr().out)["document"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pcr", "0=zz"],
        ["--pcr", f"32={'00' * 48}"],
        ["--pcr", "0=00"],
        ["--nonce", "0"],
        ["--nonce", "zz"],
        ["--at", "yesterday"],
        ["--max-age", "5"],
        ["--root", "/nonexistent.pem"],
        ["--unknown"],
    ],
)
def test_wrong_use_is_exit_2_with_nothing_on_standard_output(
    files: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert attest(files, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_a_file_that_cannot_be_read_is_exit_2(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attest(files, name="missing") == 2
    assert attest(files, name=".") == 2
    assert "missing" in capsys.readouterr().err
    assert main([]) == 2
    assert main(["verify", "--help"]) == 0


def test_every_real_document_goes_through_the_command_line(shared: Path, real_entries: list[Any]) -> None:
    for entry in real_entries:
        at = entry.get("verify_at_utc", "2025-01-01T00:00:00Z")
        pcr = ["--pcr", f"0={entry['pcr0']}"] if entry.get("pcr0") else []
        arguments = ["verify", str(shared / entry["file"]), "--at", at, *pcr]
        is_real = entry["kind"] == "real"
        assert main(arguments) == (0 if is_real and not entry["debug_mode"] else 1), entry["file"]
        assert main([*arguments, "--allow-debug"]) == (0 if is_real else 1), entry["file"]


def test_without_pcr0_it_is_said_loudly_and_the_exit_code_stays(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attest(files, "--json", "--pcr", f"1={MEASUREMENTS[1].hex()}") == 0
    said = capsys.readouterr()
    assert "PCR0 not pinned: some enclave asked for this, not necessarily yours" in said.err
    report = json.loads(said.out)
    assert report["pinned"] == [1]
    assert "PCR0: NOT PINNED" in report["checked"]
    assert attest(files, "--pcr", PCR0, "--nonce", "0102") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "  PCR0: the value given\n" in said.out
    assert "  nonce: as expected\n" in said.out


def test_what_a_boot_says_of_itself_is_decoded(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = Rig().load()
    (files / "boot").write_bytes(rig.ask(attest=signer_pb2.Attest(nonce=bytes(16))).attested.document)
    (files / "rig.pem").write_bytes(CHAIN.root.public_bytes(Encoding.PEM))
    at = ("--root", str(files / "rig.pem"), "--at", str(rig.clock.now // 1_000_000))
    assert main(["verify", str(files / "boot"), *at, "--json"]) == 0
    boot = json.loads(capsys.readouterr().out)["boot"]
    assert (boot["deployment"], boot["policy_version"], len(boot["quorum"])) == ("rig", 1, 64)
    assert main(["verify", str(files / "boot"), *at]) == 0
    assert "  deployment      rig\n" in capsys.readouterr().out


def test_fetch_writes_what_the_gateway_gave_and_prints_the_nonce_to_verify_it_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = FakeHost(tmp_path)
    host.start()
    host.answers["Attest"] = signer_pb2.Attested(document=b"document")
    asked = ["attest", "fetch", "--gateway", host.target, "-o", str(tmp_path / "got"), "--nonce"]
    try:
        assert cli([*asked, "ab" * 16]) == 0
    finally:
        host.stop()
    assert (tmp_path / "got").read_bytes() == b"document"
    assert signer_pb2.Attest.FromString(host.asked[0][1]).nonce == b"\xab" * 16
    assert capsys.readouterr().out == "ab" * 16 + "\n"
    with pytest.raises(SystemExit):
        cli([*asked, "ab"])
