"""Make a virtual environment from a hash-locked list, once for each state of its inputs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tools.distributions import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CACHE = ROOT / ".cache"
STAMP = "casemate-stamp"
PYTHON = Path(sys.executable).resolve()  # now, since the environment that it runs from may be made anew


class SetUpError(Exception):
    """The environment cannot be made; the text says what to do about it."""


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold a lock between processes: of two make targets one builds and the other waits."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def digest(inputs: Iterable[Path]) -> str:
    """Return a hash over the inputs' bytes, the interpreter and the place (an environment cannot be moved)."""
    state = hashlib.sha256()
    state.update(f"{sys.version}|{sys.base_prefix}|{ROOT}".encode())
    for path in inputs:
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def stamped(venv: Path, part: str) -> str:
    """Return the hash that this part of the environment was made from, or nothing."""
    try:
        return (venv / f"{STAMP}-{part}").read_text()
    except FileNotFoundError:
        return ""


def stamp(venv: Path, part: str, value: str) -> None:
    """Remember what this part was made from: written last, so that a broken-off build is done again."""
    (venv / f"{STAMP}-{part}").write_text(value)


def run(*command: str | Path) -> None:
    """Run a command; raise SetUpError with its name if it fails."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_REQUIRE_VIRTUALENV": "0"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([str(word) for word in command], check=False, env=environment, cwd=ROOT)
    if done.returncode != 0:
        message = "failed: " + " ".join(str(word) for word in command)
        raise SetUpError(message)


def locked(venv: Path, lock: Path) -> None:
    """Make the environment anew from the lock, unless it was already made from it."""
    wanted = digest([lock])
    python = venv / "bin" / "python"
    if stamped(venv, "lock") == wanted and python.exists():
        return
    note(f"setting up {venv.relative_to(ROOT)} from {lock.relative_to(ROOT)}")
    if venv.exists():
        shutil.rmtree(venv)
    run(PYTHON, "-m", "venv", venv)
    run(
        python, "-m", "pip", "install", "--quiet", "--no-deps",
        "--require-hashes", "--only-binary", ":all:", "--requirement", lock,
    )  # fmt: skip
    stamp(venv, "lock", wanted)


def note(text: str) -> None:
    """Say on stderr what is going on: stdout belongs to the command that was asked for."""
    sys.stderr.write(f"casemate: {text}\n")
