"""Build only QEMU's nitro-enclave machine: ``make qemu-nitro``. About six minutes on two idle cores.

No distribution's QEMU has that machine: it needs libcbor, and they build without. The source is Debian's, by hash.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Final

from tools.vm.parts import CACHE

if TYPE_CHECKING:
    from pathlib import Path

_URL: Final = "http://deb.debian.org/debian/pool/main/q/qemu/qemu_10.0.2+ds.orig.tar.xz"
_SHA256: Final = "0901da33844a331bf8b3602b9c1fbd178e60b737c8e3ade678255bd090c9b9f1"
_NEEDS: Final = (
    "ninja-build pkg-config libglib2.0-dev libfdt-dev libgnutls28-dev libcbor-dev flex bison zlib1g-dev xz-utils gcc"
)
# Debian takes the wheels out of the source.
_PYTHON: Final = ("meson==1.5.0", "pycotap==1.3.1", "setuptools", "wheel")
_DEVICES: Final = "CONFIG_NITRO_ENCLAVE=y\nCONFIG_MICROVM=y\n"
_FIRMWARE: Final = "if unpack_edk2_blobs"
_OPTIONS: Final = (
    *("--target-list=x86_64-softmmu", "--without-default-features", "--without-default-devices"),
    *("--with-devices-x86_64=nitro", "--enable-tcg", "--enable-system", "--enable-fdt=system", "--enable-gnutls"),
    *("--enable-libcbor", "--enable-vhost-user", "--enable-vhost-kernel", "--disable-tools", "--disable-docs"),
    *("--disable-guest-agent", "--disable-user", "--disable-install-blobs", "--disable-debug-info"),
)


def main() -> int:
    """Build unless it is there: 0, or 1 with what is missing."""
    work = CACHE / "qemu-nitro"
    program = work / "build" / "qemu-system-x86_64"
    if program.exists():
        return 0
    try:
        source = _unpacked(work)
        python = _environment(work)
        (work / "build").mkdir(exist_ok=True)
        _run(work / "build", source / "configure", f"--python={python}", *_OPTIONS)
        _run(work / "build", "ninja", f"-j{os.cpu_count() or 1}", program.name)
        machines = subprocess.run([program, "-M", "help"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\nneeds: apt-get install {_NEEDS}\n")
        return 1
    if "nitro-enclave" not in machines:
        sys.stderr.write("it was built without its machine: is libcbor-dev there?\n")
        return 1
    return 0


def _unpacked(work: Path) -> Path:
    source, archive = work / "source", work / "qemu.tar.xz"
    source.mkdir(parents=True, exist_ok=True)
    urllib.request.urlretrieve(_URL, archive)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != _SHA256:
        raise OSError(f"{_URL} is not what it was")
    _run(work, "tar", "-C", source, "--strip-components=1", "-xf", archive)
    recipe = source / "pc-bios" / "meson.build"
    text = recipe.read_text(encoding="utf-8").replace(_FIRMWARE, f"if false and {_FIRMWARE.removeprefix('if ')}")
    recipe.write_text(text, encoding="utf-8")
    (source / "configs" / "devices" / "x86_64-softmmu" / "nitro.mak").write_text(_DEVICES, encoding="utf-8")
    return source


def _environment(work: Path) -> Path:
    python = work / "venv" / "bin" / "python"
    _run(work, sys.executable, "-m", "venv", work / "venv")
    _run(work, python, "-m", "pip", "install", "-q", *_PYTHON)
    return python


def _run(folder: Path, *command: str | Path) -> None:
    subprocess.run(["nice", "-n", "15", *command], cwd=folder, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
