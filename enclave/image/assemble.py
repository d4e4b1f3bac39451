# ruff: noqa: INP001 - a program of the build stage, no module
"""Puts the enclave's files together, inside the image's build stage: standard library only, and no network.

Five trees, one for each COPY of ``Dockerfile.enclave``: ``python``, ``system``, ``wheels``, ``app``, ``quorum``. Every
file has a fixed time and mode, so that the same inputs give the same bytes. Bytecode is checked against its source at
import (PEP 552), so that there is one thing to review.
"""

from __future__ import annotations

import argparse
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UID: Final = 10001
# Of the standard library: what an enclave has no use for.
_UNUSED: Final = frozenset(
    {
        *(
            "__pycache__",
            "test",
            "tests",
            "idlelib",
            "tkinter",
            "turtledemo",
            "lib2to3",
            "ensurepip",
            "pydoc_data",
            "venv",
        ),
        *("distutils", "site-packages", "dist-packages", "curses", "dbm", "sqlite3", "wsgiref", "xmlrpc", "msilib"),
        *("unittest", "multiprocessing", "__phello__", "xml", "sitecustomize.py", "EXTERNALLY-MANAGED"),
        # Programs, debuggers and profilers.
        *("webbrowser.py", "turtle.py", "pdb.py", "antigravity.py", "this.py", "pydoc.py", "doctest.py", "trace.py"),
        *("cProfile.py", "profile.py", "pstats.py", "tabnanny.py", "timeit.py", "zipapp.py", "__hello__.py", "pty.py"),
        # Clients and servers of networks that an enclave has not got.
        *(
            "ftplib.py",
            "imaplib.py",
            "nntplib.py",
            "poplib.py",
            "smtplib.py",
            "smtpd.py",
            "telnetlib.py",
            "cgi.py",
            "cgitb.py",
        ),
        *(
            "asynchat.py",
            "asyncore.py",
            "mailbox.py",
            "mailcap.py",
            "netrc.py",
            "aifc.py",
            "sunau.py",
            "wave.py",
            "sndhdr.py",
        ),
        *("imghdr.py", "xdrlib.py", "uu.py", "crypt.py", "nis.py"),
    }
)
_UNUSED_BINARY: Final = re.compile(
    r"_(?:sqlite3|tkinter|curses|curses_panel|dbm|gdbm|crypt|lsprof|multiprocessing|posixshmem|bz2|lzma|uuid|ssl"
    r"|codecs_\w+|multibytecodec|xx\w*|test\w*|ctypes_test)\..*\.so"
    r"|(?:readline|nis|ossaudiodev|spwd|audioop|termios|xx\w*)\..*\.so"
)
_LINKED: Final = re.compile(r"(?:(?P<name>\S+) => )?(?P<path>/\S+) \(0x[0-9a-f]+\)")
_MODES: Final = {True: 0o755, False: 0o644}


def main() -> int:
    """Build all five trees below ``--output``."""
    parser = argparse.ArgumentParser(description="Assemble the enclave's files.")
    parser.add_argument("--build", type=Path, required=True, help="where wheels/, app/ and quorum.cbor are")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epoch", type=int, required=True, help="the time of every file, seconds UTC")
    arguments = parser.parse_args()
    build, output = arguments.build, arguments.output
    site = Path(sysconfig.get_path("purelib"))
    python(output / "python")
    wheels(build / "wheels", output / "wheels" / inside(site))
    application(build / "app", output / "app" / inside(site))
    copy(build / "quorum.cbor", output / "quorum/etc/casemate/quorum.cbor")
    system((output / "python", output / "wheels"), output / "system")
    for tree in sorted(output.iterdir()):
        compile_all(tree)
        settle(tree, arguments.epoch)
    return 0


def inside(path: Path) -> str:
    """Return an absolute path as one below another root."""
    return str(path).lstrip("/")


def copy(source: Path, target: Path) -> None:
    """Copy one file's content."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(_MODES[os.access(source, os.X_OK)])


def python(target: Path) -> None:
    """Copy the interpreter and what is used of its standard library, each to its own place."""
    interpreter = Path(sys.executable).resolve()
    copy(interpreter, target / inside(interpreter))
    for library in {Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("platstdlib"))}:
        for path in library_files(library):
            copy(path, target / inside(path))
    # One name on every base.
    link = target / "usr/bin/casemate-python"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(interpreter)


def library_files(library: Path) -> Iterator[Path]:
    """Yield the files of a standard library that are of use."""
    for path in sorted(library.iterdir()):
        if path.name in _UNUSED or path.name.startswith("config-") or _UNUSED_BINARY.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from library_files(path)
        elif path.suffix in {".py", ".so"}:
            yield path


def wheels(source: Path, target: Path) -> None:
    """Install what was fetched, by its hashes; what pip writes down about it stays out."""
    target.mkdir(parents=True)
    command = [
        sys.executable,
        "-I",
        "-m",
        "pip",
        "install",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--require-hashes",
    ]
    command += [
        "--find-links",
        str(source),
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        "--target",
        str(target),
    ]
    subprocess.run([*command, "--requirement", str(source / "requirements.txt")], check=True, cwd=source)  # noqa: S603
    for path in target.iterdir():
        if path.name.endswith(".dist-info") or path.name == "bin":
            shutil.rmtree(path)
    for path in target.rglob("*.pyi"):
        path.unlink()


def application(source: Path, target: Path) -> None:
    """Copy our own packages."""
    for path in sorted(source.rglob("*.py")):
        copy(path, target / path.relative_to(source))


def system(trees: Iterable[Path], target: Path) -> None:
    """Copy every shared library that the files of the trees link to, and make a user."""
    found: dict[Path, Path] = {}
    for tree in trees:
        for path in sorted(tree.rglob("*")):
            if path.is_file() and not path.is_symlink() and is_binary(path):
                found.update(linked(path))
    for place, source in sorted(found.items()):
        if not any((tree / inside(place)).exists() for tree in trees):
            copy(source, target / inside(merged(place)))
    merge(target)
    users = target / "etc/passwd"
    users.parent.mkdir(parents=True)
    users.write_text(f"root:x:0:0:root:/:/nologin\ncasemate:x:{UID}:{UID}:casemate:/:/nologin\n")
    (target / "etc/group").write_text(f"root:x:0:\ncasemate:x:{UID}:\n")


def is_binary(path: Path) -> bool:
    """Whether it is a shared object or a program."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def linked(path: Path) -> dict[Path, Path]:
    """Return where the loader looks for each library that a file needs, and the file that is there now."""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
    said = subprocess.run(["ldd", str(path)], capture_output=True, text=True, env=environment, check=False).stdout  # noqa: S603, S607
    if "not found" in said:
        missing = ", ".join(line.split()[0] for line in said.splitlines() if "not found" in line)
        sys.exit(f"assemble: {path}: its libraries are not on this base: {missing}")
    places = (Path(match["path"]) for match in _LINKED.finditer(said))
    return {place: place.resolve() for place in places}


def merged(place: Path) -> Path:
    """Return the place below /usr of what is reached through the merged directories' links."""
    return Path("/usr") / inside(place) if place.parts[1] in {"lib", "lib64", "bin", "sbin"} else place


def merge(tree: Path) -> None:
    """Make the links of a merged /usr."""
    for name in ("bin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")


def compile_all(tree: Path) -> None:
    """Make bytecode that names no build directory and is checked against its source."""
    for path in sorted(tree.rglob("*.py")):
        shown = "/" + str(path.relative_to(tree))
        py_compile.compile(
            str(path),
            dfile=shown,
            doraise=True,
            optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
        )


def settle(tree: Path, epoch: int) -> None:
    """Give every file its fixed mode and time, the deepest first."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    tree.chmod(0o755)
    os.utime(tree, (epoch, epoch))


if __name__ == "__main__":
    sys.exit(main())
