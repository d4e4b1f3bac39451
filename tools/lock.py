"""The hash-locked lists: `make lock` writes them, `make check` runs this with --check.

One list for each deployable and one for development. The development list is resolved first and binds the others, so
what ships is what was tested. No list names an index, a host or a path: where wheels come from is the machine's affair,
the hashes say which ones are right.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import distributions
from tools.distributions import ROOT, canonical

OLDEST_PYTHON = "3.11"
DEVELOPMENT = "requirements/dev.lock"


@dataclass(frozen=True, slots=True)
class Lock:
    """A list and what it was made from."""

    path: str
    inputs: tuple[str, ...]
    bound: bool  # to the versions of the development list

    @property
    def file(self) -> Path:
        """Where the list is."""
        return ROOT / self.path

    @property
    def header(self) -> str:
        """The first line, which names the state of the inputs."""
        state = hashlib.sha256("\n".join(self.inputs).encode()).hexdigest()
        return f"# Made by `make lock`; do not edit. Inputs: sha256:{state}"


def locks() -> list[Lock]:
    """Every list, the development list first."""
    deployables = [
        Lock(f"{folder}/requirements.lock", tuple(distributions.third_party(folder, extras=True)), bound=True)
        for folder in ("enclave", "host", "client", "mock")
    ]
    everything = {line for lock in deployables for line in lock.inputs} | set(distributions.group("dev"))
    alone = [
        Lock(f"requirements/{name}.lock", tuple(distributions.group(name)), bound=False)
        for name in ("stubs", "fuzz", "protobuf-oldest", "protobuf-newest")
    ]
    return [Lock(DEVELOPMENT, tuple(sorted(everything)), bound=False), *deployables, *alone]


def entries(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return version and hashes by name; raise ValueError at anything else that a list could contain."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(
            r"(?P<name>[a-z0-9-]+)==(?P<version>[A-Za-z0-9.]+)(?P<marker> ; [^#:/]+?)?"
            r"(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})+)",
            line,
        )
        if match is None:
            message = f"not a pinned and hashed line: {line[:100]!r}"
            raise ValueError(message)
        hashes = frozenset(match["hashes"].split())
        if match["name"] in found:
            message = f"{match['name']} stands twice"
            raise ValueError(message)
        found[match["name"]] = (match["version"], hashes)
    return found


def mistakes() -> list[str]:
    """Say what is wrong with the lists, without asking any index."""
    told: list[str] = []
    development: dict[str, tuple[str, frozenset[str]]] = {}
    for lock in locks():
        if not lock.file.exists():
            told.append(f"{lock.path}: missing")
            continue
        text = lock.file.read_text()
        if text.splitlines()[0] != lock.header:
            told.append(f"{lock.path}: made from other inputs than the pyproject.toml of today")
        try:
            held = entries(text)
        except ValueError as error:
            told.append(f"{lock.path}: {error}")
            continue
        if lock.path == DEVELOPMENT:
            development = held
        told += [f"{lock.path}: lacks {line}" for line in lock.inputs if canonical(line) not in held]
        if lock.bound:
            told += [
                f"{lock.path}: {name} differs from {DEVELOPMENT}"
                for name, entry in held.items()
                if development.get(name) != entry
            ]
    return told


def write(lock: Lock) -> None:
    """Resolve one list."""
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", "--quiet", "--no-config", "--universal",
        "--python-version", OLDEST_PYTHON, "--only-binary", ":all:", "--generate-hashes",
        "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
    ]  # fmt: skip
    if lock.bound:
        command += ["--constraint", DEVELOPMENT]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_FIND")}
    done = subprocess.run(
        command, input="\n".join(lock.inputs), check=True, capture_output=True, text=True, cwd=ROOT, env=environment
    )
    lock.file.parent.mkdir(exist_ok=True)
    lock.file.write_text(f"{lock.header}\n{done.stdout}")


def main(arguments: list[str]) -> int:
    """Write the lists, or check them."""
    if arguments != ["--check"]:
        for lock in locks():
            write(lock)
    told = mistakes()
    for line in told:
        sys.stderr.write(f"{line}\n")
    if told:
        sys.stderr.write("run `make lock`\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
