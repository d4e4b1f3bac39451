"""``make vm-test`` without machines: what it says when it cannot, and that its stand-in cannot ship or be fooled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from casemate.errors import NotAttested
from casemate_mock.nitro import FakeChain, FakeNsm
from tools.vm import __main__ as driver
from tools.vm import loopback, parts
from tools.vm.guest.emulated import UnsignedEmulatedNsmPins, payload
from tools.vm.parts import Machine
from tools.vm.report import Disproved, Report, expect

ROOT = Path(__file__).resolve().parent.parent.parent
NOW_NS = 1_800_000_000_000_000_000


def test_missing_parts_are_said_plainly_and_are_no_success(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    names = ("KERNEL", "MODULES", "QEMU", "GRPCIO", "QEMU_NITRO", "VSOCK")
    environment = os.environ | {f"CASEMATE_VM_{name}": nowhere for name in names}
    done = subprocess.run(
        [sys.executable, "-m", "tools.vm"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line.startswith("NOT DONE")]
    assert [line.split(":")[0] for line in lines] == [
        "NOT DONE  (a) AF_VSOCK loopback in one guest",
        "NOT DONE  (b) our image on an emulated Nitro machine",
    ]
    assert "vm-test NOT PASSED: 0 steps proved, 0 failed, 2 not done" in done.stdout


def test_a_failed_step_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with pytest.raises(Disproved, match="PCR0: 1, expected 2"), report.step("registers"):
        expect(1, 2, "PCR0")
    assert report.end(0.0) == 1
    assert "FAIL registers" in capsys.readouterr().out


def test_a_run_without_failures_is_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.step("registers") as found:
        expect(1, 1, "PCR0")
        found.append("PCR0 is right")
    assert report.end(0.0) == 0
    assert "PCR0 is right" in capsys.readouterr().out


@pytest.mark.parametrize("error", [OSError("no such program"), RuntimeError("unforeseen")])
def test_a_part_that_ends_between_two_steps_is_no_success(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def ends(*_: object) -> None:
        raise error

    monkeypatch.setattr(parts, "machine", lambda: Machine(*[tmp_path / "part"] * 4))
    monkeypatch.setattr(driver, "parent_ramdisk", lambda *_: tmp_path / "part")
    monkeypatch.setattr(loopback, "run", ends)
    (tmp_path / "part").touch()
    report = Report()
    driver._run(["a"], tmp_path, report)
    assert report.end(0.0) == 1


def test_s8_the_stand_in_for_qemus_module_takes_no_signed_document() -> None:
    """It is for documents that are visibly unsigned: one that AWS, or a mock, signed is for the verifier alone."""
    nsm = FakeNsm(chain=FakeChain(), now_ms=lambda: NOW_NS // 1_000_000, random_bytes=bytes, measurements={})
    signed = nsm.attestation(nonce=b"n" * 32)
    pins = UnsignedEmulatedNsmPins(pcrs={0: bytes(48)}, deployment="demo")
    with pytest.raises(NotAttested, match="signed"):
        pins.check(signed, b"n" * 32, NOW_NS)


def test_the_stand_in_compares_registers_nonce_and_age() -> None:
    claims = {"pcrs": {0: b"a" * 48}, "nonce": b"n" * 32, "timestamp": NOW_NS // 1_000_000, "user_data": b""}
    document = cbor2.dumps([b"", {}, cbor2.dumps(claims), bytes(64)])
    assert payload(document)["nonce"] == b"n" * 32
    right = UnsignedEmulatedNsmPins(pcrs={0: b"a" * 48}, deployment="demo")
    for pins, nonce, now in (
        (UnsignedEmulatedNsmPins(pcrs={0: b"b" * 48}, deployment="demo"), b"n" * 32, NOW_NS),
        (right, b"m" * 32, NOW_NS),
        (right, b"n" * 32, NOW_NS + 120_000_000_000),
    ):
        with pytest.raises(NotAttested):
            pins.check(document, nonce, now)


def test_nothing_that_ships_can_import_the_stand_in() -> None:
    for part in ("enclave", "host", "client", "mock", "proto"):
        for path in (ROOT / part).rglob("*.py"):
            assert "tools" not in path.parts[len(ROOT.parts) : -1] or part == "client", path
            assert "tools.vm" not in path.read_text(encoding="utf-8"), path
