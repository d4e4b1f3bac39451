"""``casemate eif``: exit codes, one JSON document, and nothing left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from casemate.cli.main import main
from tests.eif.eif_rig import CMDLINE, KERNEL, METADATA, RAMDISK, image, registers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    (tmp_path / "kernel").write_bytes(b"kernel")
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "init").write_bytes(b"init")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "program").write_bytes(b"program")
    return tmp_path


def build(inputs: Path, name: str, *more: str) -> int:
    command = ["eif", "build", "--kernel", str(inputs / "kernel"), "--cmdline", "quiet"]
    command += ["--ramdisk", str(inputs / "boot"), "--rootfs", str(inputs / "root"), "--command", "A=1 /program 'b c'"]
    return main([*command, "-o", str(inputs / name), *more])


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def test_build_measure_and_describe_agree(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(inputs, "a.eif", "--json", "--name", "enclave") == 0
    built = document(capsys)["Measurements"]
    assert main(["eif", "measure", str(inputs / "a.eif"), "--json"]) == 0
    assert document(capsys)["Measurements"] == built
    assert main(["eif", "describe", str(inputs / "a.eif"), "--json"]) == 0
    described = document(capsys)
    assert built.items() >= described["Measurements"].items()
    assert [each["kind"] for each in described["sections"]] == ["kernel", "cmdline", "metadata", "ramdisk", "ramdisk"]
    assert (described["cmdline"], described["metadata"]["BuildMetadata"]["BuildTime"]) == ("quiet", "")
    assert described["not_measured"] == ["architecture", "memory", "cpus", "metadata", "boundaries"]


def test_a_second_build_is_the_same_and_leaves_nothing_else(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(inputs, "a.eif")
    before = sorted(path.name for path in inputs.iterdir())
    build(inputs, "b.eif")
    capsys.readouterr()
    assert (inputs / "a.eif").read_bytes() == (inputs / "b.eif").read_bytes()
    assert sorted(path.name for path in inputs.iterdir()) == sorted([*before, "b.eif"])


def test_metadata_memory_and_architecture_change_no_register(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(inputs, "a.eif", "--json")
    plain = document(capsys)
    build(inputs, "b.eif", "--json", "--name", "x", "--build-time", "now", "--memory", "4096", "--arch", "aarch64")
    assert document(capsys) == plain


def test_measure_compares_and_says_which_register_differs(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = image([(KERNEL, b"k"), (CMDLINE, b"c"), (RAMDISK, b"r")])
    (inputs / "x.eif").write_bytes(raw)
    values = registers(b"k", b"c", b"r")
    right = [
        "--pcr",
        f"0={values.pcr0}",
        "--pcr",
        f"1={values.pcr1}",
        "--pcr",
        f"2={values.pcr2}",
        "--pcr",
        "8=" + "0" * 96,
    ]
    assert main(["eif", "measure", str(inputs / "x.eif"), *right]) == 0
    capsys.readouterr()
    assert main(["eif", "measure", str(inputs / "x.eif"), *right[:2], "--pcr", f"1={values.pcr2}", "--json"]) == 1
    said = document(capsys)
    assert (said["ok"], said["different"]) == (False, ["PCR1"])
    either = ["--pcr", f"1={values.pcr2}", "--pcr", f"1={values.pcr1}"]
    assert main(["eif", "measure", str(inputs / "x.eif"), *either]) == 0


def test_a_broken_image_is_exit_code_1_with_its_reason(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inputs / "x.eif").write_bytes(b"no image")
    for command in ("describe", "measure"):
        assert main(["eif", command, str(inputs / "x.eif"), "--json"]) == 1
        assert document(capsys)["reason"] == "not_an_eif"
        assert main(["eif", command, str(inputs / "x.eif")]) == 1
        assert capsys.readouterr().out.startswith("REFUSED not_an_eif: ")


def test_a_description_shows_a_strangers_metadata_without_control_characters(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = (METADATA, b'{"ImageName":"\\u001b[31m\xc2\x9b"}')
    (inputs / "x.eif").write_bytes(image([(KERNEL, b"k"), (CMDLINE, b"c"), (RAMDISK, b"r"), evil]))
    assert main(["eif", "describe", str(inputs / "x.eif")]) == 0
    shown = capsys.readouterr().out
    assert all(character == "\n" or " " <= character <= "~" for character in shown)


@pytest.mark.parametrize(
    "more",
    [
        ["--key", "k.pem"],
        ["--image-version", "1"],
        ["--ramdisk", "nowhere.cpio"],
        ["--memory", "0"],
    ],
)
def test_wrong_use_is_exit_code_2_and_makes_no_file(
    inputs: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    try:
        code = build(inputs, "x.eif", *more)
    except SystemExit as leaving:
        code = int(str(leaving.code))
    assert code == 2
    assert capsys.readouterr().err
    assert not (inputs / "x.eif").exists()


def test_an_image_that_cannot_be_is_exit_code_1(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inputs / "kernel").write_bytes(b"")
    assert build(inputs, "x.eif", "--json") == 1
    assert document(capsys)["reason"] == "section_size"
    assert not (inputs / "x.eif").exists()
