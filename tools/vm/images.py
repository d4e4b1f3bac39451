"""What the machines boot: the parent's ramdisk, and enclave images made by ``casemate eif build``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from casemate.eif import cpio
from tools.vm import trees
from tools.vm.machines import clock_options
from tools.vm.parts import ENCLAVE_MODULES, PARENT_MODULES, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.vm.parts import Machine

# A real Nitro machine names its devices on the command line; QEMU's says them by ACPI.
_CMDLINE: Final = "console=ttyS0 quiet reboot=k panic=-1 random.trust_cpu=off"
PORT: Final = 5005
# Any context id: the enclave does not know its own.
_LISTEN: Final = f"vsock:4294967295:{PORT}"
QUORUM: Final = "/etc/quorum.cbor"
SERVE: Final = ("-m", "enclave_signer", "--listen", _LISTEN, "--quorum", QUORUM)


def parent_ramdisk(machine: Machine, folder: Path) -> Path:
    """Make the ramdisk of the parent guest."""
    tree, ramdisk = folder / "parent", folder / "parent.cpio"
    trees.parent_tree(tree, machine.wheel)
    trees.modules(tree / "modules", machine.modules, PARENT_MODULES)
    with ramdisk.open("wb") as out:
        cpio.write_tree(tree, out)
    shutil.rmtree(tree)
    return ramdisk


def init(compiler: Path, target: Path) -> None:
    """Compile the enclave's init."""
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s", "-Wl,--build-id=none")
    subprocess.run([compiler, *flags, "-o", target, ROOT / "enclave" / "init" / "init.c"], check=True)


def cmdline() -> str:
    """Return the enclave kernel's command line."""
    return f"{_CMDLINE} {clock_options()}"


@dataclass(frozen=True, slots=True)
class Enclaves:
    """Builds enclave images that differ in what they start."""

    machine: Machine
    folder: Path

    def prepare(self, compiler: Path, quorum: bytes) -> None:
        """Make the boot ramdisk's tree and the application's root."""
        boot, root = self.folder / "boot", self.folder / "root"
        trees.modules(boot / "modules", self.machine.modules, ENCLAVE_MODULES)
        init(compiler, boot / "init")
        trees.enclave_tree(root, self.machine.wheel)
        shutil.copy2(ROOT / "tools" / "vm" / "guest" / "probe.py", root / "app" / "probe.py")
        (root / QUORUM.removeprefix("/")).write_bytes(quorum)

    def build(self, name: str, arguments: Sequence[str], *more: str | Path) -> tuple[Path, dict[str, str]]:
        """Make an image that starts Python with these arguments; returns it and what it measures."""
        image = self.folder / f"{name}.eif"
        command = " ".join((*trees.ENVIRONMENT, trees.PYTHON, *arguments))
        said = casemate(
            *("eif", "build", "--kernel", self.machine.kernel, "--cmdline", cmdline()),
            *("--ramdisk", self.folder / "boot", "--rootfs", self.folder / "root", "--command", command),
            *(*more, "--output", image, "--json"),
        )
        return image, said["Measurements"]


def casemate(*arguments: str | Path) -> dict[str, Any]:
    """Run the command line as a user would; returns the JSON document that it prints."""
    command = [sys.executable, "-m", "casemate", *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))
