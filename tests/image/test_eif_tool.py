"""``make eif``: the image's own command, the same bytes in any place, and nitro-cli's word held against our reading."""

import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from tools.distributions import ROOT
from tools.image import build, eif
from tools.vm import images

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the init")
COMMAND = ["/bin/program", "--listen", "vsock:4294967295:5005"]


def an_image(folder: Path) -> Path:
    """What `make image` leaves, in small."""
    config = json.dumps({"config": {"Entrypoint": COMMAND[:1], "Cmd": COMMAND[1:]}}).encode()
    manifest = json.dumps({"config": {"digest": digest(config)}, "layers": []}).encode()
    index = json.dumps({"manifests": [{"digest": digest(manifest)}]}).encode()
    files = {"index.json": index, build._blob(digest(manifest)): manifest, build._blob(digest(config)): config}
    (folder / "rootfs" / "bin").mkdir(parents=True)
    (folder / "rootfs" / "bin" / "program").write_bytes(b"program")
    with tarfile.open(folder / "enclave.oci.tar", "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return folder


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def a_start(folder: Path) -> eif.Start:
    (folder / "kernel").write_bytes(b"kernel" * 100)
    return eif.Start(folder / "kernel")


def test_it_starts_what_the_image_names(tmp_path: Path) -> None:
    assert eif.command_of(an_image(tmp_path)) == COMMAND
    with pytest.raises(build.CannotBuild, match="no image of `make image`"):
        eif.command_of(tmp_path / "nowhere")


def test_image_host_pages_and_machines_name_one_port() -> None:
    (cmd,) = re.findall(r"vsock:4294967295:(\d+)", (ROOT / "Dockerfile.enclave").read_text(encoding="utf-8"))
    assert int(cmd) == images.PORT
    for page in ("docs/deploy.md", "docs/host.md", "docs/image.md"):
        named = re.findall(r"vsock:(?:\d+|CID):(\d+)", (ROOT / page).read_text(encoding="utf-8"))
        assert set(named) == {cmd}, page


@needs_compiler
def test_two_places_give_the_same_registers_and_another_program_others(tmp_path: Path) -> None:
    start = a_start(tmp_path)
    one, two = an_image(tmp_path / "one"), an_image(tmp_path / "second" / "and" / "deeper")
    first = eif.build(one, [], start, tmp_path / "one.eif")
    assert eif.build(two, [], start, tmp_path / "two.eif") == first
    assert (tmp_path / "one.eif").read_bytes() == (tmp_path / "two.eif").read_bytes()
    (two / "rootfs" / "bin" / "program").write_bytes(b"progrXm")
    other = eif.build(two, [], start, tmp_path / "two.eif")
    assert other["PCR1"] == first["PCR1"]
    assert other["PCR0"] != first["PCR0"]
    assert other["PCR2"] != first["PCR2"]


@needs_compiler
def test_the_registers_are_printed_and_left_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = eif.build(an_image(tmp_path), [], a_start(tmp_path), tmp_path / "casemate.eif")
    eif.say(measured, tmp_path / "casemate.eif")
    assert json.loads((tmp_path / "casemate.pcrs.json").read_text(encoding="utf-8")) == measured
    assert f"PCR0 {measured['PCR0']}\n" in capsys.readouterr().out


@needs_compiler
@pytest.mark.parametrize("honest", [True, False])
def test_what_nitro_cli_prints_has_to_be_what_its_file_measures(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    honest: bool,  # noqa: FBT001 - a case
) -> None:
    image = an_image(tmp_path / "image")
    measured = eif.build(image, [], a_start(tmp_path), tmp_path / "theirs.eif")
    said = measured | ({} if honest else {"PCR2": "0" * 96})
    output = f"Start building the Enclave Image...\n{json.dumps({'Measurements': said})}"
    programs = {
        "docker": "print('Loaded image ID: sha256:abc' if sys.argv[1] == 'load' else '')",
        "nitro-cli": f"shutil.copy({str(tmp_path / 'theirs.eif')!r}, sys.argv[-1]); print({output!r})",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!{sys.executable}\nimport shutil, sys\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    if honest:
        assert eif.by_nitro_cli(image / "enclave.oci.tar", tmp_path / "made.eif", None)["PCR0"] == measured["PCR0"]
    else:
        with pytest.raises(build.CannotBuild, match="PCR2: nitro-cli says"):
            eif.by_nitro_cli(image / "enclave.oci.tar", tmp_path / "made.eif", None)


def test_without_a_kernel_it_says_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(eif, "BLOBS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["eif", "--image", str(tmp_path)])
    assert eif.main() == 1
    assert "--kernel" in capsys.readouterr().err
