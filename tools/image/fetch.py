"""The fetch stage: the enclave's wheels, by the hashes of its lock, and the grpcio that was built from source."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tools.distributions import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LOCK: Final = ROOT / "enclave" / "requirements.lock"
# The image's Python, whatever this one is.
PYTHON: Final = "311"
_GLIBC: Final = ("manylinux_2_36", "manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_ENTRY: Final = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)(?P<rest>(?:.*\\\n)*.*\n?)", re.MULTILINE)
GRPCIO_CACHE: Final = ROOT / "build" / "grpcio"


class CannotFetch(Exception):
    """What is missing, and what to do about it."""


def grpcio_wheel(given: Path | None) -> Path:
    """Return the wheel of grpcio that speaks vsock: the one given, or the one in the cache. Raises CannotFetch."""
    found = [given] if given else sorted(GRPCIO_CACHE.glob(f"grpcio-{grpcio_version()}-cp{PYTHON}-*.whl"))
    if not found or not found[0].is_file():
        message = (
            f"there is no grpcio {grpcio_version()} with vsock in build/grpcio: `make grpcio-vsock` builds it "
            "(up to an hour, once), or name one with --grpcio-wheel"
        )
        raise CannotFetch(message)
    return found[0]


def grpcio_version() -> str:
    """Return the version that the lock pins."""
    return next(entry["version"] for entry in _ENTRY.finditer(LOCK.read_text()) if entry["name"] == "grpcio")


def grpcio_lines() -> str:
    """Return the lock's lines of grpcio, hashes and all."""
    return next(entry.group() for entry in _ENTRY.finditer(LOCK.read_text()) if entry["name"] == "grpcio")


def fetch(target: Path, grpcio: Path | None) -> None:
    """Put every wheel and a requirements file with their hashes into ``target``.

    Without ``grpcio`` the official wheel is taken, which speaks no vsock: to look at an image, for nothing else.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    every = _ENTRY.finditer(LOCK.read_text())
    entries = [entry for entry in every if grpcio is None or entry["name"] != "grpcio"]
    from_index = target / "fetched.txt"
    from_index.write_text("".join(entry.group() for entry in entries))
    own = ""
    if grpcio is not None:
        shutil.copyfile(grpcio, target / grpcio.name)
        own = f"grpcio=={grpcio_version()} --hash=sha256:{hashlib.sha256(grpcio.read_bytes()).hexdigest()}\n"
    (target / "requirements.txt").write_text(from_index.read_text() + own)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    command += [f"--platform={each}_{platform.machine()}" for each in _GLIBC]
    command += ["--dest", str(target), "--requirement", str(from_index)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        message = "the wheels could not be fetched: see above"
        raise CannotFetch(message)
    for path in target.iterdir():
        os.chmod(path, 0o644)  # noqa: PTH101 - as the files beside it
