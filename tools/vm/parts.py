"""What a run on emulated machines is made of, and where it is found.

Each part is looked for in this order: its environment variable, a directory of ready-made ones (``CASEMATE_SHARED`` or
``../shared``, in ``prebuilt/``), the cache (``.cache/vm``), the PATH. ``python -m tools.vm.fetch`` fills the cache from
Debian's archive; nothing is installed, and what is missing is said with its reason.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent.parent
CACHE: Final = ROOT / ".cache" / "vm"
# Loaded by the init in this order; the kernel has the rest built in.
ENCLAVE_MODULES: Final = (
    "virtio_mmio",
    "nsm",
    "vsock",
    "vmw_vsock_virtio_transport_common",
    "vmw_vsock_virtio_transport",
)
PARENT_MODULES: Final = (*ENCLAVE_MODULES[2:], "vsock_loopback")


class Missing(Exception):
    """A part cannot be had here; the text says which, and how to get it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What both runs need: an emulator, a kernel with its modules, and a grpcio that speaks vsock."""

    qemu: Path
    kernel: Path
    modules: Path
    wheel: Path


@dataclass(frozen=True, slots=True)
class Nitro:
    """What only the emulated Nitro machine needs: QEMU's machine, a vsock daemon, and a C compiler for the init."""

    qemu: Path
    daemon: Path
    compiler: Path


def kernel() -> Path:
    """Return the guests' kernel; raises Missing."""
    images = (CACHE / "packages").glob("boot/vmlinuz-6.1[2-9]*")
    return _found("CASEMATE_VM_KERNEL", images, "a Linux 6.12 cloud kernel")


def machine() -> Machine:
    """Return the parts of a plain guest; raises Missing."""
    if platform.machine() != "x86_64":
        message = f"the emulated machines are x86_64, this one is {platform.machine()}"
        raise Missing(message)
    packages = CACHE / "packages"
    modules = _found("CASEMATE_VM_MODULES", packages.glob("lib/modules/*"), "its modules")
    wheels = [*_prebuilt("grpcio-*.whl"), *(ROOT / "build" / "grpcio").glob("grpcio-*.whl")]
    return Machine(
        _program("CASEMATE_VM_QEMU", "qemu-system-x86_64", "apt-get install --no-install-recommends qemu-system-x86"),
        kernel(),
        modules,
        _found("CASEMATE_VM_GRPCIO", wheels, "a grpcio that speaks vsock", "make grpcio-vsock (up to an hour)"),
    )


def nitro() -> Nitro:
    """Return the parts of an emulated Nitro machine; raises Missing."""
    emulators = [*_prebuilt("qemu-system-x86_64-nitro"), CACHE / "qemu-nitro" / "build" / "qemu-system-x86_64"]
    daemons = [CACHE / "packages" / "usr" / "bin" / "vhost-device-vsock"]
    return Nitro(
        _found("CASEMATE_VM_QEMU_NITRO", emulators, "QEMU's nitro-enclave machine", "make qemu-nitro (6 minutes)"),
        _found("CASEMATE_VM_VSOCK", [*daemons, *_on_path("vhost-device-vsock")], "vhost-device-vsock"),
        _program("CC", "cc", "apt-get install gcc libc6-dev"),
    )


def shared() -> Path:
    """Where ready-made parts would be; it need not exist."""
    return Path(os.environ.get("CASEMATE_SHARED", ROOT.parent / "shared"))


def _prebuilt(pattern: str) -> list[Path]:
    return sorted((shared() / "prebuilt").glob(pattern))


def _on_path(name: str) -> Iterator[Path]:
    found = shutil.which(name)
    if found:
        yield Path(found)


def _program(variable: str, name: str, how: str) -> Path:
    return _found(variable, _on_path(name), name, how)


def _found(
    variable: str, places: Iterator[Path] | list[Path], what: str, how: str = "python -m tools.vm.fetch"
) -> Path:
    given = os.environ.get(variable)
    path = next((each for each in ([Path(given)] if given else places) if each.exists()), None)
    if path is None:
        message = f"{what} is not here: {how}, or name it in {variable}"
        raise Missing(message)
    return path
