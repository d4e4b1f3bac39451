"""Divides the processors: the last ones to the enclave, the first to interrupts, those between to the host.

Writes nitro-cli's allocator file, a drop-in of the host's unit, and irqbalance's ban. Run once, before the allocator.
"""

from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path
from typing import NamedTuple

_CPUS = Path("/sys/devices/system/cpu")


class CannotDivide(Exception):
    """The machine is too small; the text says what is missing."""


class Division(NamedTuple):
    """Processor numbers, each set sorted."""

    system: list[int]
    host: list[int]
    enclave: list[int]


def divide(cores: list[list[int]], enclave_cpus: int) -> Division:
    """Divide cores (each a list of its threads); whole cores only, since threads of one core share its caches.

    Raises CannotDivide.
    """
    ordered = sorted(sorted(core) for core in cores)
    taken: list[list[int]] = []
    while ordered and sum(map(len, taken)) < enclave_cpus:
        taken.append(ordered.pop())
    if sum(map(len, taken)) != enclave_cpus:
        message = f"{enclave_cpus} processors are no whole number of cores with {len(cores[0])} threads"
        raise CannotDivide(message)
    # The first core is the kernel's: the allocator does not give it away.
    if len(ordered) < 2:  # noqa: PLR2004 - one for interrupts, one for the host
        message = f"{len(cores)} cores: the enclave's, one for interrupts and one for the host are needed"
        raise CannotDivide(message)
    return Division(ordered[0], sorted(chain(*ordered[1:])), sorted(chain(*taken)))


def files(division: Division, memory_mib: int) -> dict[str, str]:
    """Return what is written where."""
    host, enclave = (",".join(map(str, each)) for each in (division.host, division.enclave))
    return {
        "/etc/nitro_enclaves/allocator.yaml": f"---\nmemory_mib: {memory_mib}\ncpu_pool: {enclave}\n",
        "/etc/systemd/system/casemate-host.service.d/10-cpus.conf": f"[Service]\nCPUAffinity={host}\n",
        # Interrupts stay balanced over the rest; the host's processors are left alone.
        "/etc/sysconfig/irqbalance": f"IRQBALANCE_BANNED_CPULIST={host}\n",
    }


def cores_of(root: Path) -> list[list[int]]:
    """Read the cores that are online from sysfs."""
    lists = {path.read_text().strip() for path in root.glob("cpu[0-9]*/topology/thread_siblings_list")}
    return sorted(_numbers(text) for text in lists)


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main(settings: Path) -> int:
    """Write the files; 1 if the machine is too small."""
    wanted = json.loads(settings.read_text())
    try:
        division = divide(cores_of(_CPUS), wanted["enclave_cpus"])
    except CannotDivide as error:
        sys.stderr.write(f"casemate cpus: {error}\n")
        return 1
    for name, text in files(division, wanted["enclave_memory_mib"]).items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    sys.stderr.write(f"casemate cpus: {division}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
