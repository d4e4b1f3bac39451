"""The software of an enclave's parent in one file: `python -m tools.host_bundle --grpcio-wheel FILE`.

Our own wheels, the locked ones of others, and a list with the hash of each, so that casemate-install needs no index.
The same inputs give the same bytes. grpcio is the one that was built from source: the official one speaks no vsock.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from tools.distributions import ROOT, canonical, project
from tools.lock import entries

# Amazon Linux 2023: Python 3.11, glibc 2.34.
_PYTHON: Final = "3.11"
_PLATFORMS: Final = (*(f"manylinux_2_{minor}_x86_64" for minor in (34, 31, 28, 24, 17)), "manylinux2014_x86_64")
_OURS: Final = ("proto/signer_api", "proto/dispatch_api", "host", "client")
_LISTS: Final = ("host/requirements.lock", "client/requirements.lock")
# Zip files know no time before 1980.
_EPOCH: Final = "315532800"


class CannotBundle(Exception):
    """The text says what is missing."""


def wanted() -> str:
    """Return the locked lines of host and client together, grpcio left out; both lists are bound to one."""
    held: dict[str, tuple[str, frozenset[str]]] = {}
    for name in _LISTS:
        held |= entries((ROOT / name).read_text())
    lines = [f"{name}=={version} {' '.join(sorted(hashes))}" for name, (version, hashes) in sorted(held.items())]
    return "\n".join(line for line in lines if not line.startswith("grpcio==")) + "\n"


def checked_grpcio(wheel: Path) -> Path:
    """Refuse the official wheels, which have no vsock. Raises CannotBundle."""
    if not wheel.is_file() or not wheel.name.startswith("grpcio-"):
        message = f"{wheel}: expected a wheel of grpcio (`make grpcio-vsock`, on the system that the host runs)"
        raise CannotBundle(message)
    if "manylinux" in wheel.name:
        message = f"{wheel.name} is an official one: it speaks no vsock"
        raise CannotBundle(message)
    return wheel


def line_of(wheel: Path) -> str:
    """Return a wheel's line for pip: name, version, hash."""
    name, version = wheel.name.split("-")[:2]
    return f"{canonical(name)}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def packed(files: dict[str, bytes]) -> bytes:
    """Return a .tar.gz of them that depends on nothing else."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)


def _pip(*words: str | Path) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, words)], check=False, env=environment)
    if done.returncode != 0:
        message = f"pip {words[0]} failed"
        raise CannotBundle(message)


def _gather(wheels: Path, work: Path) -> None:
    (work / "wanted.txt").write_text(wanted())
    platforms = [word for platform in _PLATFORMS for word in ("--platform", platform)]
    _pip(
        "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--python-version", _PYTHON,
        "--implementation", "cp", *platforms, "--dest", wheels, "--requirement", work / "wanted.txt",
    )  # fmt: skip
    for folder in _OURS:
        # On a copy: building leaves things behind.
        copy = shutil.copytree(ROOT / folder, work / folder, ignore=shutil.ignore_patterns("*.egg-info", "build"))
        _pip("wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", wheels, copy)


def bundle(grpcio: Path) -> bytes:
    """Return the bundle; raises CannotBundle."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        wheels = work / "wheels"
        wheels.mkdir()
        _gather(wheels, work)
        shutil.copy(checked_grpcio(grpcio), wheels)
        found = sorted(wheels.glob("*.whl"))
        files = {f"wheels/{wheel.name}": wheel.read_bytes() for wheel in found}
        return packed({**files, "bundle.lock": "".join(map(line_of, found)).encode()})


def main(arguments: list[str]) -> int:
    """Write the bundle; 1 if it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m tools.host_bundle", description=project("host")["description"])
    parser.add_argument("--grpcio-wheel", type=Path, required=True, metavar="FILE", help="built from source, for 3.11")
    parser.add_argument("-o", "--output", type=Path, default=Path("host-bundle.tar.gz"), metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        made = bundle(options.grpcio_wheel)
    except CannotBundle as error:
        sys.stderr.write(f"host bundle: {error}\n")
        return 1
    options.output.write_bytes(made)
    sys.stderr.write(f"{options.output}: {len(made) >> 20} MiB, sha256 {hashlib.sha256(made).hexdigest()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
