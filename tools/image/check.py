"""`make image-check`: two builds, in different places at different times: equal files, layers, registers (PCR0 to 2).

The registers are those of `make eif` with the kernel that CASEMATE_VM_KERNEL names or `make vm-parts` fetched; where
there is none, some fixed bytes stand in for it, and the last line says so.

Without a wheel of grpcio that speaks vsock the official one stands in for it, and the last line says so: the comparison
is the same, the image is not to be deployed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import cbor2

from tools.distributions import ROOT
from tools.image.build import CannotBuild, builder
from tools.vm.parts import Missing, kernel

_EPOCH: Final = "1700000000"
_BASE: Final = "localhost/casemate-base:bookworm"
_STAND_IN: Final = b"in a kernel's place\n" * 64
# Public keys of nobody: the quorum's place is compared, not its use.
_QUORUM: Final = {
    "format": "casemate.quorum.v1",
    "deployment": "image-check",
    "threshold": 1,
    "admins": [],
}


def main() -> int:
    """Build twice and compare: 0 if equal, 1 if not or if no image can be built here."""
    try:
        name = builder("buildah")
    except CannotBuild as error:
        sys.stderr.write(f"image-check: not done: {error}\n")
        return 1
    wheel = os.environ.get("GRPCIO_WHEEL")
    grpcio = [f"--grpcio-wheel={wheel}"] if wheel else ["--without-vsock"]
    with tempfile.TemporaryDirectory(prefix="casemate-image-") as place:
        first, second = Path(place, "one"), Path(place, "second", "and", "deeper")
        quorum = Path(place, "quorum.cbor")
        quorum.write_bytes(cbor2.dumps(_QUORUM, canonical=True))
        _build(first, [f"--builder={name}", f"--quorum={quorum}", *grpcio, "--local-base"])
        _build(second, [f"--builder={name}", f"--quorum={quorum}", *grpcio, f"--base={_BASE}"])
        chosen, said = _kernel(Path(place))
        registers = [_measure(each, chosen) for each in (first, second)]
        wrong = _compare(first / "build" / "image", second / "build" / "image")
        wrong += [f"{name}: {registers[0][name]} and {registers[1][name]}" for name in _differing(*registers)]
    for line in wrong:
        sys.stderr.write(f"image-check: {line}\n")
    vsock = "" if wheel else "; with the official grpcio, which speaks no vsock"
    sys.stderr.write(f"image-check: PCR0 {registers[0]['PCR0']} ({said})\n")
    sys.stderr.write(f"image-check: {'DIFFERENT' if wrong else 'equal: files, layers, PCR0, PCR1, PCR2'}{vsock}\n")
    return 1 if wrong else 0


def _build(directory: Path, arguments: list[str]) -> None:
    _copy_tree(directory)
    _run(directory, "tools.image", *arguments)


def _run(directory: Path, module: str, *arguments: str) -> None:
    """Run one of the tools of a copy, with the copy's own code."""
    path = os.pathsep.join(str(directory / each) for each in (".", "proto", "client"))
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=directory, env=environment, check=True)


def _kernel(place: Path) -> tuple[Path, str]:
    """Return a kernel, and what to say of it."""
    try:
        found = kernel()
    except Missing:
        found = place / "kernel"
        found.write_bytes(_STAND_IN)
        return found, "no kernel is here: some bytes stand in for it"
    return found, f"kernel {found.name}"


def _measure(directory: Path, chosen: Path) -> dict[str, str]:
    _run(directory, "tools.image.eif", "--kernel", str(chosen))
    return dict(json.loads((directory / "build" / "image" / "casemate.pcrs.json").read_text("utf-8")))


def _differing(one: dict[str, str], two: dict[str, str]) -> list[str]:
    return [name for name in ("PCR0", "PCR1", "PCR2") if one[name] != two[name]]


def _copy_tree(directory: Path) -> None:
    """Copy what the repository holds, with the times of now."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)


def _compare(one: Path, two: Path) -> list[str]:
    files = [(each / "files.sha256").read_text("utf-8").splitlines() for each in (one, two)]
    wrong = [f"only in one of the two: {line}" for line in sorted(set(files[0]) ^ set(files[1]))]
    manifests = [_manifest(each / "enclave.oci.tar") for each in (one, two)]
    return wrong + ([] if manifests[0] == manifests[1] else [f"manifests: {manifests[0]} and {manifests[1]}"])


def _manifest(archive: Path) -> str:
    with tarfile.open(archive) as outer:
        index = outer.extractfile("index.json")
        return str(json.load(index)["manifests"][0]["digest"]) if index else ""


if __name__ == "__main__":
    sys.exit(main())
