"""What the machines boot: the parent's ramdisk, and enclave image files of what ``make image`` makes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from casemate.eif import cpio
from tools.image import eif
from tools.image.build import CannotBuild, builder, has
from tools.image.listing import listing
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
# What the shipped image names; its port is the one above.
_LISTEN: Final = f"vsock:4294967295:{PORT}"
QUORUM: Final = "/etc/casemate/quorum.cbor"
SERVE: Final = ("-m", "enclave_signer", "--listen", _LISTEN, "--quorum", QUORUM)
_BASE: Final = "localhost/casemate-base:bookworm"
_PROBE: Final = "probe.py"


def parent_ramdisk(machine: Machine, folder: Path) -> Path:
    """Make the ramdisk of the parent guest."""
    tree, ramdisk = folder / "parent", folder / "parent.cpio"
    trees.parent_tree(tree, machine.wheel)
    trees.modules(tree / "modules", machine.modules, PARENT_MODULES)
    with ramdisk.open("wb") as out:
        cpio.write_tree(tree, out)
    shutil.rmtree(tree)
    return ramdisk


def cmdline() -> str:
    """Return the enclave kernel's command line."""
    return f"{_CMDLINE} {clock_options()}"


@dataclass(slots=True)
class Enclaves:
    """Builds enclave images: the one that ships, and others that start something else in the same root."""

    machine: Machine
    folder: Path
    # How the interpreter is started.
    _python: tuple[str, ...] = ()
    _shipped: tuple[str, ...] = ()

    def prepare(self, compiler: Path, quorum: bytes) -> str:
        """Make the application's root, and what boots; returns in words what the root is."""
        boot = self.folder / "boot"
        trees.modules(boot / "modules", self.machine.modules, ENCLAVE_MODULES)
        eif.boot_ramdisk(boot, (), compiler)
        try:
            return self._image(quorum)
        except CannotBuild as error:
            return self._tree(quorum, str(error))

    def _image(self, quorum: bytes) -> str:
        """Run `make image`, as a user would."""
        file, image = self.folder / "quorum.cbor", self.folder / "image"
        file.write_bytes(quorum)
        name = builder()
        base = [f"--base={_BASE}"] if has(name, _BASE) else ["--local-base"]
        command = ["--builder", name, "--quorum", file, "--grpcio-wheel", self.machine.wheel, "--output", image, *base]
        done = subprocess.run(
            [sys.executable, "-m", "tools.image", *map(str, command)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotBuild(done.stderr.strip().splitlines()[-1])
        self._shipped = tuple(eif.command_of(image))
        self._python = (self._shipped[0], "-I")
        shutil.copytree(image / "rootfs", self._others, symlinks=True)
        shutil.copy2(ROOT / "tools" / "vm" / "guest" / _PROBE, self._others / _PROBE)
        return f"the image that `make image` makes ({name}, {len(listing(image / 'rootfs'))} files)"

    def _tree(self, quorum: bytes, why: str) -> str:
        """Make a root of what is installed here."""
        root = self._root
        trees.enclave_tree(root, self.machine.wheel)
        (root / QUORUM.removeprefix("/")).parent.mkdir(parents=True)
        (root / QUORUM.removeprefix("/")).write_bytes(quorum)
        self._python = (*trees.ENVIRONMENT, trees.PYTHON)
        self._shipped = (*self._python, *SERVE)
        shutil.copytree(root, self._others, symlinks=True)
        shutil.copy2(ROOT / "tools" / "vm" / "guest" / _PROBE, self._others / _PROBE)
        return f"NOT the shipped image, but this machine's Python: {why}"

    @property
    def _root(self) -> Path:
        return self.folder / "image" / "rootfs"

    @property
    def _others(self) -> Path:
        return self.folder / "others"

    def shipped(self, name: str) -> tuple[Path, dict[str, str]]:
        """Make the file of the image as it ships; returns it and what it measures."""
        return self._built(name, self._root, self._shipped)

    def other(
        self, name: str, arguments: Sequence[str], signer: tuple[Path, Path] | None = None
    ) -> tuple[Path, dict[str, str]]:
        """Make a file that starts Python with these arguments; returns it and what it measures."""
        return self._built(name, self._others, (*self._python, *arguments), signer)

    def _built(
        self, name: str, root: Path, command: Sequence[str], signer: tuple[Path, Path] | None = None
    ) -> tuple[Path, dict[str, str]]:
        file = self.folder / f"{name}.eif"
        start = eif.Start(self.machine.kernel, cmdline(), signer)
        return file, eif.build_with(self.folder / "boot", root, command, start, file)
