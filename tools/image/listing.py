"""What is in the image, and what is meant to be: ``enclave/image/files.txt`` names what is trusted."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from tools.distributions import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

INTENDED: Final = ROOT / "enclave" / "image" / "files.txt"
OWN: Final = {"enclave_signer": ROOT / "enclave" / "enclave_signer", "signer_api": ROOT / "proto" / "signer_api"}
_LINE: Final = re.compile(r"(?P<pattern>\??/\S*)\s+(?P<why>\S.*)")


class Entry(NamedTuple):
    """One file or link: its path from the root, its mode, and the digest of its content or its target."""

    path: str
    mode: int
    content: str

    def __str__(self) -> str:
        """Write one line."""
        return f"{self.mode:06o} {self.content} {self.path}"


def listing(tree: Path) -> list[Entry]:
    """List every file and link below a directory, sorted."""
    return sorted(_entries(tree))


def _entries(tree: Path) -> Iterator[Entry]:
    for directory, names, files in os.walk(tree):
        for name in files + [each for each in names if os.path.islink(os.path.join(directory, each))]:  # noqa: PTH114, PTH118
            path = tree.__class__(directory) / name
            info = path.lstat()
            shown = f"/{path.relative_to(tree)}"
            if stat.S_ISLNK(info.st_mode):
                yield Entry(shown, info.st_mode, f"-> {os.readlink(path)}")  # noqa: PTH115
            else:
                yield Entry(shown, info.st_mode, hashlib.sha256(path.read_bytes()).hexdigest())


def intended() -> dict[str, str]:
    """Read the intended list: patterns of paths and why each is trusted."""
    found: dict[str, str] = {}
    for line in INTENDED.read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            match = _LINE.fullmatch(line)
            if match is None or match["pattern"] in found:
                message = f"{INTENDED.name}: not a pattern and a reason, or there twice: {line!r}"
                raise ValueError(message)
            found[match["pattern"]] = match["why"]
    return found


def differences(paths: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Say what is there and not meant to be, and what is meant to be there and is not.

    A ``*`` stays in its directory, a final ``/**`` does not; a pattern that begins with ``?`` need not occur.
    """
    there, known = sorted(paths), list(patterns)
    used: set[str] = set()
    wrong = []
    for path in there:
        fitting = [pattern for pattern in known if fits(path, pattern.removeprefix("?"))]
        used.update(fitting)
        if not fitting:
            wrong.append(f"{path}: is in the image and not in the list")
    missing = [pattern for pattern in known if pattern not in used and not pattern.startswith("?")]
    return wrong + [f"{pattern}: is in the list and not in the image" for pattern in missing]


def fits(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern, directory by directory."""
    parts, wanted = path.split("/"), pattern.split("/")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        parts, below = parts[: len(wanted)], parts[len(wanted) :]
        if not below:
            return False
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def own_differences(tree: Path) -> list[str]:
    """Say where our own code in the image is not the repository's, byte for byte, and what is there beside it."""
    wrong = []
    for package, source in OWN.items():
        (place,) = tree.glob(f"usr/local/lib/python3.*/*-packages/{package}")
        there = {path.relative_to(place): path.read_bytes() for path in place.rglob("*.py")}
        meant = {path.relative_to(source): path.read_bytes() for path in source.rglob("*.py")}
        wrong += [
            f"{package}/{name}: not as in the repository"
            for name in sorted(there.keys() | meant.keys())
            if there.get(name) != meant.get(name)
        ]
        wrong += [f"{package}/{name}: is no source of ours" for name in sorted(_strays(place, there))]
    return wrong


def _strays(place: Path, sources: Iterable[Path]) -> Iterator[Path]:
    """Find what is neither a source nor its bytecode: an extension is loaded before a source of the same name."""
    bytecode = {(name.parent / "__pycache__", name.stem) for name in sources}
    for path in place.rglob("*"):
        name = path.relative_to(place)
        if path.is_symlink() or (path.is_file() and name.suffix != ".py"):
            own = name.suffix == ".pyc" and (name.parent, name.name.partition(".")[0]) in bytecode
            if path.is_symlink() or not own:
                yield name
