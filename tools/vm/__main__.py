"""``python -m tools.vm [--part a|b] [--keep]``: ``make vm-test``."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tools.vm import loopback, pair, parts
from tools.vm.images import parent_ramdisk
from tools.vm.machines import GuestError
from tools.vm.report import Disproved, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS = {"a": "(a) AF_VSOCK loopback in one guest", "b": "(b) our image on an emulated Nitro machine"}


def main() -> int:
    """Run the parts that were asked for; 0 only if every step of them proved what it should."""
    parser = argparse.ArgumentParser(prog="tools.vm", description="Real boots on emulated machines.")
    parser.add_argument("--part", choices=sorted(_PARTS), action="append", help="only this part; repeat for more")
    parser.add_argument("--keep", action="store_true", help="leave images and consoles where they are")
    arguments = parser.parse_args()
    wanted = sorted(set(arguments.part or _PARTS))
    report, begun = Report(), time.monotonic()
    with _folder(keep=arguments.keep) as folder:
        _run(wanted, Path(folder), report)
        if arguments.keep:
            sys.stderr.write(f"kept: {folder}\n")
    return report.end(begun)


@contextlib.contextmanager
def _folder(*, keep: bool) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="casemate-vm-")
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder)


def _run(wanted: list[str], folder: Path, report: Report) -> None:
    try:
        machine = parts.machine()
    except parts.Missing as error:
        for part in wanted:
            report.cannot(_PARTS[part], str(error))
        return
    with report.step("the parent's ramdisk") as found:
        ramdisk = parent_ramdisk(machine, folder)
        found.append(f"{ramdisk.stat().st_size >> 20} MiB; {machine.kernel.name}; {machine.wheel.name}")
    for part in wanted:
        try:
            if part == "a":
                loopback.run(machine, ramdisk, folder, report)
            else:
                pair.run(machine, parts.nitro(), ramdisk, folder, report)
        except parts.Missing as error:
            report.cannot(_PARTS[part], str(error))
        except (Disproved, GuestError, OSError) as error:
            report.broke(_PARTS[part])
            sys.stdout.write(f"       {error}\n")
        except Exception:  # noqa: BLE001 - the other part is still worth its time
            report.broke(_PARTS[part])
            sys.stdout.write(traceback.format_exc())


if __name__ == "__main__":
    sys.exit(main())
