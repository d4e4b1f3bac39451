"""``casemate eif build | describe | measure``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import casemate
from casemate.cli.output import DONE, NO, note, print_json, print_lines, table
from casemate.cli.usage import UsageError
from casemate.eif import cpio
from casemate.eif.errors import EifError
from casemate.eif.layout import Architecture
from casemate.eif.measures import NOT_MEASURED, PCR_BYTES
from casemate.eif.read import read_image, read_metadata
from casemate.eif.signature import Signer
from casemate.eif.write import DEFAULT_CPUS, DEFAULT_MEMORY, Parts, metadata_of, write_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate.eif.read import Image

_MIB: Final = 1 << 20
_MAX_PEM: Final = 64 << 10
_REGISTERS: Final = (0, 1, 2, 8)


def add_eif(commands: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """``casemate eif``."""
    parser = commands.add_parser("eif", help="enclave image files", description="Enclave image files.")
    inner = parser.add_subparsers(dest="eif_command", required=True, metavar="COMMAND", title="commands")
    _add_build(inner)
    describe = inner.add_parser(
        "describe",
        help="everything that an image file says",
        description="Check a whole image file (form, checksum, signature) and show what it holds, what it measures and"
        " what nothing measures. Exit code 1 and a reason if it is not in form.",
    )
    describe.add_argument("file", type=Path, metavar="FILE.eif")
    describe.add_argument("--json", action="store_true", help="print one JSON document")
    describe.set_defaults(run=describe_eif)
    measure = inner.add_parser(
        "measure",
        help="the registers that an image file sets",
        description="Check a whole image file and print its PCR0, PCR1, PCR2 and, if it is signed, PCR8, in the form"
        " of nitro-cli. With --pcr exit code 1 if one differs.",
    )
    measure.add_argument("file", type=Path, metavar="FILE.eif")
    measure.add_argument(
        "--pcr",
        action="append",
        default=[],
        type=_pcr,
        metavar="N=HEX",
        help="expect this value; repeat for each, and of one N any of the values will do",
    )
    measure.add_argument("--json", action="store_true", help="print one JSON document")
    measure.set_defaults(run=measure_eif)


def _add_build(inner: Any) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    build = inner.add_parser(
        "build",
        help="make an image file",
        description="Make an enclave image file from a kernel, a command line and ramdisks. The same inputs give the"
        " same bytes, wherever and whenever: no time and no path gets in unless you give it.",
    )
    build.add_argument("--kernel", required=True, type=Path, metavar="FILE", help="bzImage, or Image on aarch64")
    build.add_argument("--cmdline", required=True, metavar="TEXT", help="the kernel's command line")
    build.add_argument(
        "--ramdisk",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="a cpio archive, or a directory to make one of; repeat in order. The first is the one that boots (PCR1)",
    )
    build.add_argument(
        "--rootfs", type=Path, metavar="DIR", help="the application's root, as the last ramdisk, for our init"
    )
    build.add_argument("--command", metavar="TEXT", help="what the init starts in --rootfs, in words as a shell's")
    build.add_argument("--arch", choices=[str(each) for each in Architecture], default="x86_64", help="default x86_64")
    build.add_argument("--memory", type=_positive, default=DEFAULT_MEMORY // _MIB, metavar="MIB", help="not measured")
    build.add_argument("--cpus", type=_positive, default=DEFAULT_CPUS, metavar="N", help="not measured")
    build.add_argument("--name", metavar="TEXT", help="write metadata with this name; not measured")
    build.add_argument("--image-version", default="", metavar="TEXT", help="in the metadata")
    build.add_argument("--build-time", default="", metavar="TEXT", help="in the metadata; none is made up")
    build.add_argument("--metadata", type=Path, metavar="FILE", help="a JSON object of your own in the metadata")
    build.add_argument("--certificate", type=Path, metavar="PEM", help="sign PCR0; the certificate becomes PCR8")
    build.add_argument("--key", type=Path, metavar="PEM", help="the certificate's key, unencrypted, P-256 to P-521")
    build.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.eif")
    build.add_argument("--json", action="store_true", help="print one JSON document")
    build.set_defaults(run=build_eif)


def build_eif(arguments: argparse.Namespace) -> int:
    """Make an image; it takes its name only when it has been read back."""
    if (arguments.name is None) and (arguments.metadata or arguments.image_version or arguments.build_time):
        raise UsageError("--image-version, --build-time and --metadata need --name")
    if (arguments.rootfs is None) != (arguments.command is None):
        raise UsageError("--rootfs and --command go together")
    with _refusals(arguments) as refused, tempfile.TemporaryDirectory(dir=_folder(arguments.output)) as work:
        made = Path(work) / "image.eif"
        parts = _parts(arguments, Path(work))
        with made.open("wb") as out:
            measured = write_image(parts, out)
        image = _image(made)
        if image.measurements != measured:
            raise UsageError("an input changed while the image was written; nothing was kept")
        made.replace(arguments.output)
        _print_measurements(image, arguments)
    return NO if refused else DONE


def describe_eif(arguments: argparse.Namespace) -> int:
    """Show an image."""
    with _refusals(arguments) as refused:
        image = _image(arguments.file)
        if arguments.json:
            print_json(_described(image))
        else:
            print_lines(_lines(image))
    return NO if refused else DONE


def measure_eif(arguments: argparse.Namespace) -> int:
    """Print the registers, and compare them."""
    different: list[int] = []
    with _refusals(arguments) as refused:
        image = _image(arguments.file)
        values = _registers(image)
        different = sorted({index for index, _ in arguments.pcr if (index, values[index]) not in arguments.pcr})
        _print_measurements(image, arguments, different)
        for index in different:
            note(f"PCR{index} is another than expected")
    return NO if refused or different else DONE


@contextlib.contextmanager
def _refusals(arguments: argparse.Namespace) -> Iterator[list[EifError]]:
    """Say why an image is refused, and remember it; what cannot be read at all is wrong use."""
    refused: list[EifError] = []
    try:
        yield refused
    except EifError as error:
        refused.append(error)
        if arguments.json:
            print_json({"ok": False, "reason": str(error.reason), "explanation": error.explanation})
        else:
            print_lines([f"REFUSED {error.reason}: {error.explanation}"])
    except OSError as error:
        raise UsageError(str(error)) from None


def _parts(arguments: argparse.Namespace, work: Path) -> Parts:
    ramdisks = [_ramdisk(path, work / f"{number}.cpio") for number, path in enumerate(arguments.ramdisk)]
    if arguments.rootfs is not None:
        ramdisks.append(work / "rootfs.cpio")
        with ramdisks[-1].open("wb") as out:
            cpio.write_application(arguments.rootfs, _words(arguments.command), out)
    return Parts(
        kernel=arguments.kernel,
        cmdline=arguments.cmdline,
        ramdisks=ramdisks,
        metadata=_metadata(arguments),
        signer=_signer(arguments),
        architecture=Architecture(arguments.arch),
        memory=arguments.memory * _MIB,
        cpus=arguments.cpus,
    )


def _ramdisk(path: Path, packed: Path) -> Path:
    if not path.is_dir():
        return path
    with packed.open("wb") as out:
        cpio.write_tree(path, out)
    return packed


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        message = f"--command: {error}"
        raise UsageError(message) from None


def _metadata(arguments: argparse.Namespace) -> dict[str, Any] | None:
    if arguments.name is None:
        return None
    custom = None if arguments.metadata is None else read_metadata(arguments.metadata.read_bytes())
    build = {"time": arguments.build_time, "tool_version": casemate.__version__}
    return metadata_of(arguments.name, arguments.image_version, build, custom)


def _signer(arguments: argparse.Namespace) -> Signer | None:
    if (arguments.certificate is None) != (arguments.key is None):
        raise UsageError("--certificate and --key go together")
    if arguments.certificate is None:
        return None
    return Signer.load(*(path.read_bytes()[:_MAX_PEM] for path in (arguments.certificate, arguments.key)))


def _folder(output: Path) -> Path:
    # Beside the image, so that it can be moved into place in one step.
    return Path(os.path.abspath(output)).parent  # noqa: PTH100 - a link in the path stays one


def _image(path: Path) -> Image:
    with path.open("rb") as file:
        return read_image(file)


def _print_measurements(image: Image, arguments: argparse.Namespace, different: list[int] | None = None) -> None:
    registers = image.measurements.as_json()
    if arguments.json:
        document = {"ok": not different, "Measurements": {"HashAlgorithm": "Sha384 { ... }", **registers}}
        print_json(document | ({"different": [f"PCR{index}" for index in different]} if different else {}))
    else:
        print_lines(f"{name}  {value}" for name, value in registers.items())


def _registers(image: Image) -> dict[int, bytes]:
    measured = image.measurements
    return {0: measured.pcr0, 1: measured.pcr1, 2: measured.pcr2, 8: measured.pcr8 or bytes(PCR_BYTES)}


def _described(image: Image) -> dict[str, Any]:
    return {
        "ok": True,
        "version": 4,
        "architecture": str(image.header.architecture),
        "memory": image.header.memory,
        "cpus": image.header.cpus,
        "crc": f"{image.header.crc:08x}",
        "bytes": image.header.file_bytes,
        "sections": [
            {"kind": section.kind.name.lower(), "bytes": section.size, "sha384": section.digest.hex()}
            for section in image.sections
        ],
        "cmdline": image.cmdline,
        "signed": image.signed,
        "metadata": image.metadata,
        "not_measured": list(NOT_MEASURED),
        "Measurements": image.measurements.as_json(),
    }


def _lines(image: Image) -> Iterator[str]:
    header = image.header
    signed = "signed" if image.signed else "not signed"
    yield f"EIF version 4, {header.file_bytes} bytes, CRC {header.crc:08x}, {signed}"
    yield from table(
        ("section", "bytes", "sha384"),
        [(each.kind.name.lower(), str(each.size), each.digest.hex()[:16]) for each in image.sections],
    )
    yield f"command line: {image.cmdline}"
    yield from (f"{name}  {value}" for name, value in image.measurements.as_json().items())
    yield f"not measured: {header.architecture}, memory {header.memory // _MIB} MiB, {header.cpus} CPUs"
    yield "not measured: where kernel, command line and first ramdisk part"
    if image.metadata is not None:
        # As JSON, in ASCII: an image of a stranger must not write to the terminal.
        yield f"not measured: metadata {json.dumps(image.metadata)}"


def _pcr(text: str) -> tuple[int, bytes]:
    found = re.fullmatch(r"([0-9])=([0-9a-fA-F]{96})", text, re.ASCII)
    if found is None or int(found[1]) not in _REGISTERS:
        message = f"expected 0, 1, 2 or 8, = and {2 * PCR_BYTES} hexadecimal digits, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(found[1]), bytes.fromhex(found[2])


def _positive(text: str) -> int:
    value = int(text)
    if not 1 <= value < 1 << 40:
        raise ValueError
    return value


_positive.__name__ = "whole number"
