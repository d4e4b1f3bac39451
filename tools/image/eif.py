"""``make eif``: the image that ``make image`` left becomes an enclave image file, and says what it measures.

With our own init (``enclave/init``) and a kernel of yours; or, with ``--nitro-cli``, by AWS's own tool with its kernel
and its init. What starts in it is what the image itself names (ENTRYPOINT and CMD of ``Dockerfile.enclave``).
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tools.distributions import ROOT
from tools.image.build import TAG, CannotBuild, image_config

if TYPE_CHECKING:
    from collections.abc import Sequence

_OUT: Final = ROOT / "build" / "image"
# Where nitro-cli keeps its kernel: a good one for ours, too.
BLOBS: Final = Path("/usr/share/nitro_enclaves/blobs")
# A crash ends the machine, there is no PCI, and no trust in the processor's random numbers: the init credits the NSM's.
CMDLINE: Final = "console=ttyS0 quiet reboot=k panic=-1 pci=off random.trust_cpu=off"
_FLAGS: Final = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s", "-Wl,--build-id=none")
_REGISTERS: Final = ("PCR0", "PCR1", "PCR2", "PCR8")


def main() -> int:
    """Make the file; 0, or 1 with what is missing."""
    parser = argparse.ArgumentParser(prog="make eif", description="Make an enclave image file of the image.")
    parser.add_argument("--image", type=Path, default=_OUT, help="what `make image` left (default build/image)")
    parser.add_argument("--kernel", type=Path, help=f"bzImage; default: nitro-cli's, {BLOBS}/bzImage")
    parser.add_argument("--cmdline", default=CMDLINE, help=f"the kernel's command line; default: {CMDLINE}")
    parser.add_argument(
        "--module",
        type=Path,
        action="append",
        help=f"a kernel module for the init to load, in order; default: {BLOBS}/nsm.ko if --kernel is left out",
    )
    parser.add_argument("--nitro-cli", action="store_true", help="have nitro-cli build it, with its kernel and init")
    parser.add_argument("--certificate", type=Path, help="sign it: PCR8 is of this certificate")
    parser.add_argument("--key", type=Path, help="the certificate's key")
    parser.add_argument("-o", "--output", type=Path, help="default: casemate.eif beside the image")
    arguments = parser.parse_args()
    output = arguments.output or arguments.image / "casemate.eif"
    signer = (arguments.certificate, arguments.key) if arguments.certificate and arguments.key else None
    try:
        if arguments.nitro_cli:
            measured = by_nitro_cli(arguments.image / "enclave.oci.tar", output, signer)
        else:
            kernel, modules = _kernel(arguments)
            measured = build(arguments.image, modules, Start(kernel, arguments.cmdline, signer), output)
    except CannotBuild as error:
        sys.stderr.write(f"eif: {error}\n")
        return 1
    say(measured, output)
    return 0


def say(measured: dict[str, str], output: Path) -> None:
    """Print the registers, and write them as JSON beside the image."""
    beside = output.with_suffix(".pcrs.json")
    beside.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    for name in _REGISTERS:
        if name in measured:
            sys.stdout.write(f"{name} {measured[name]}\n")
    sys.stderr.write(f"eif: {output}; its registers are in {beside}\n")


def _kernel(arguments: argparse.Namespace) -> tuple[Path, list[Path]]:
    if arguments.kernel is not None:
        return arguments.kernel, arguments.module or []
    if not (BLOBS / "bzImage").is_file():
        message = f"no kernel: name one with --kernel, or install nitro-cli's ({BLOBS}; docs/image.md)"
        raise CannotBuild(message)
    return BLOBS / "bzImage", arguments.module or [BLOBS / "nsm.ko"]


@dataclass(frozen=True, slots=True)
class Start:
    """What boots it, and who signs it (certificate and key, PEM)."""

    kernel: Path
    cmdline: str = CMDLINE
    signer: tuple[Path, Path] | None = None


def build(image: Path, modules: Sequence[Path], start: Start, output: Path) -> dict[str, str]:
    """Make the file of the image's tree and our init; returns its registers. Raises CannotBuild."""
    with tempfile.TemporaryDirectory(prefix="casemate-eif-") as place:
        boot_ramdisk(Path(place), modules)
        return build_with(Path(place), image / "rootfs", command_of(image), start, output)


def build_with(boot: Path, root: Path, command: Sequence[str], start: Start, output: Path) -> dict[str, str]:
    """Make the file of a boot ramdisk's tree and a root; returns its registers. Raises CannotBuild."""
    signed: list[str | Path] = ["--certificate", start.signer[0], "--key", start.signer[1]] if start.signer else []
    said = casemate(
        *("eif", "build", "--kernel", start.kernel, "--cmdline", start.cmdline, "--ramdisk", boot),
        *("--rootfs", root, "--command", shlex.join(command), *signed, "--output", output, "--json"),
    )
    return dict(said["Measurements"])


def boot_ramdisk(folder: Path, modules: Sequence[Path], compiler: str | Path | None = None) -> None:
    """Fill a folder with what boots: our init, and kernel modules numbered in their order. Raises CannotBuild."""
    compiler = compiler or shutil.which("cc")
    if compiler is None:
        message = "no C compiler for the init: apt-get install gcc libc6-dev"
        raise CannotBuild(message)
    place = folder / "modules"
    place.mkdir(parents=True, exist_ok=True)
    for number, module in enumerate(modules):
        shutil.copyfile(module, place / f"{number:02}-{module.name}")
    source = ROOT / "enclave" / "init" / "init.c"
    done = subprocess.run([compiler, *_FLAGS, "-o", folder / "init", source], check=False)
    if done.returncode:
        message = "the init does not compile: see above"
        raise CannotBuild(message)


def command_of(image: Path) -> list[str]:
    """Return what the image starts: its ENTRYPOINT and CMD. Raises CannotBuild."""
    try:
        config = image_config(image / "enclave.oci.tar")["config"]
        return [*config["Entrypoint"], *config.get("Cmd", ())]
    except (OSError, KeyError, TypeError, tarfile.TarError, json.JSONDecodeError) as error:
        message = f"{image}: no image of `make image`: {error}"
        raise CannotBuild(message) from None


def by_nitro_cli(archive: Path, output: Path, signer: tuple[Path, Path] | None) -> dict[str, str]:
    """Have nitro-cli build the file from the archive, by way of docker; hold its registers against our own reading."""
    for program in ("nitro-cli", "docker"):
        if shutil.which(program) is None:
            message = f"--nitro-cli needs {program}: docs/image.md"
            raise CannotBuild(message)
    said = _run("docker", "load", "--input", str(archive))
    # "Loaded image ID: sha256:..." or, where it has one, its name.
    _run("docker", "tag", said.split()[-1], TAG)
    signed = ["--signing-certificate", str(signer[0]), "--private-key", str(signer[1])] if signer else []
    said = _run("nitro-cli", "build-enclave", "--docker-uri", f"{TAG}:latest", "--output-file", str(output), *signed)
    theirs: dict[str, str] = json.loads(said[said.index("{") :])["Measurements"]
    ours = dict(casemate("eif", "measure", output, "--json")["Measurements"])
    for name in _REGISTERS:
        if theirs.get(name) != ours.get(name):
            message = f"{name}: nitro-cli says {theirs.get(name)}, the file measures {ours.get(name)}"
            raise CannotBuild(message)
    return ours


def casemate(*arguments: str | Path) -> dict[str, Any]:
    """Run the command line as a user would; returns the JSON document that it prints. Raises CannotBuild."""
    done = subprocess.run(
        [sys.executable, "-m", "casemate", *map(str, arguments)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise CannotBuild(done.stderr.strip() or done.stdout.strip())
    return dict(json.loads(done.stdout))


def _run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(command[:2])} failed with {done.returncode}: see above"
        raise CannotBuild(message)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
