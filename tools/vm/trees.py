"""Root directories for guests: this interpreter, its library, chosen packages, and the shared objects they need.

For tests alone: the shipped image has a root of its own. Programs that a guest does not need are not there either;
there is no shell.
"""

from __future__ import annotations

import compileall
import lzma
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.vm.parts import CACHE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEFT_OUT: Final = (
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "site-packages", "config-*"),
    *("__pycache__", "*.a", "pydoc_data", "_tkinter*", "_test*", "_xxtest*", "xx*", "_curses*", "readline*"),
    *("_dbm*", "_gdbm*", "unittest", "distutils"),
)
_ENCLAVE: Final = ("cbor2", "cryptography", "cffi", "_cffi_backend*", "google", "typing_extensions.py")
_PARENT: Final = (
    *_ENCLAVE,
    *("aiohttp", "aiohttp_fast_zlib", "aiohappyeyeballs", "aiosignal", "attr", "attrs", "frozenlist", "multidict"),
    *("propcache", "yarl", "idna", "certifi", "orjson", "uvloop", "rich", "pygments", "markdown_it", "mdurl"),
    *("grpc_health", "grpc_reflection", "prometheus_client", "zlib_ng", "isal", "*__mypyc*.so"),
)
PYTHON: Final = "/usr/bin/python3"
ENVIRONMENT: Final = ("PYTHONHOME=/usr", "PYTHONPATH=/app", "PYTHONDONTWRITEBYTECODE=1", "PATH=/usr/bin", "HOME=/tmp")


def enclave_tree(tree: Path, wheel: Path) -> None:
    """Make the enclave's root: the interpreter and what ``casemate-enclave`` imports."""
    _python(tree)
    _packages(tree, _ENCLAVE, wheel)
    for name in ("enclave/enclave_signer", "proto/signer_api"):
        _copy(ROOT / name, tree / "app" / Path(name).name)
    _finish(tree)


def parent_tree(tree: Path, wheel: Path) -> None:
    """Make the parent's root: everything but the tests."""
    _python(tree)
    _packages(tree, _PARENT, wheel)
    parts = ("enclave/enclave_signer", "host/host_dispatch", "client/casemate", "mock/casemate_mock", "tools")
    for name in (*parts, "proto/signer_api", "proto/dispatch_api"):
        _copy(ROOT / name, tree / "app" / Path(name).name)
    _finish(tree)


def modules(folder: Path, source: Path, names: Iterable[str]) -> None:
    """Unpack kernel modules, numbered in the order in which they are to be loaded."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        file = next(source.rglob(f"{name}.ko*"))
        data = file.read_bytes()
        if file.suffix == ".xz":
            data = lzma.decompress(data)
        (folder / f"{number:02}-{name}.ko").write_bytes(data)


def _python(tree: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = Path(os.path.realpath(sys.executable))
    for folder in ("usr/bin", "usr/lib", "app", "etc", "dev", "proc", "sys", "tmp"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, tree / PYTHON.removeprefix("/"))
    library = tree / "usr" / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True)
    # Debian keeps the extensions of a system interpreter beside the library.
    dynamic = Path(sysconfig.get_config_var("DESTSHARED"))
    shutil.copytree(dynamic, library / "lib-dynload", dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))


def _packages(tree: Path, patterns: Iterable[str], wheel: Path) -> None:
    site = Path(sysconfig.get_path("purelib"))
    for pattern in patterns:
        for found in site.glob(pattern):
            _copy(found, tree / "app" / found.name)
    # The distributions' names are read at run time; their contents are not.
    for found in site.glob("*.dist-info"):
        (tree / "app" / found.name).mkdir()
        shutil.copy2(found / "METADATA", tree / "app" / found.name / "METADATA")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("grpc/")]
        archive.extractall(tree / "app", names)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _finish(tree: Path) -> None:
    objects = [tree / PYTHON.removeprefix("/"), *(path for path in tree.rglob("*.so*") if path.is_file())]
    for each in objects:
        for needed in _needs(each):
            # What was fetched, not installed, goes where it would have been installed.
            place = needed.removeprefix(str(CACHE / "packages"))
            target = tree / place.lstrip("/")
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(Path(needed).resolve(), target)
    if shutil.which("strip"):
        subprocess.run(["strip", "--strip-unneeded", *objects], check=False, stderr=subprocess.DEVNULL)
    # Emulated machines are slow at compiling.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(tree, quiet=2, stripdir=str(tree), invalidation_mode=mode)


def _needs(path: Path) -> list[str]:
    fetched = CACHE / "packages" / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    environment = os.environ | {"LD_LIBRARY_PATH": str(fetched)}
    listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=False, env=environment).stdout
    lost = re.findall(r"(\S+) => not found", listed)
    if lost:
        sys.stderr.write(f"{path.name} needs {', '.join(lost)}, which this machine has not\n")
    return re.findall(r"(/\S+) \(0x", listed)
