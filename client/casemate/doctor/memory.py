"""Memory: the enclave's huge pages, swap, dumps, and what the kernel does with pages under way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from casemate.doctor.findings import note, ok, serious, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate.doctor.findings import Finding
    from casemate.doctor.machine import Machine

_PAGES: Final = "/sys/kernel/mm/hugepages"
_LEAST_OPEN_FILES: Final = 65_536
_MIB_IN_KIB: Final = 1_024
_CHOSEN: Final = re.compile(r"\[([a-z]+)\]")


def check(machine: Machine) -> Iterator[Finding]:
    """Huge pages, transparent ones, swap, core dumps, open files."""
    yield _reserved(machine)
    yield _transparent(machine)
    yield _swap(machine)
    yield _dumps(machine)
    yield _files(machine)


def _reserved(machine: Machine) -> Finding:
    sizes = {path: machine.whole(f"{path}/nr_hugepages") or 0 for path in machine.find(f"{_PAGES}/hugepages-*kB")}
    held = sum(int(path.rpartition("-")[2][:-2]) * count for path, count in sizes.items()) // _MIB_IN_KIB
    if held:
        return ok("huge_pages", f"{held} MiB are reserved for enclaves")
    remedy = "set memory_mib in /etc/nitro_enclaves/allocator.yaml and start nitro-enclaves-allocator"
    return serious("huge_pages", "no huge pages are reserved: no enclave can start", remedy)


def _transparent(machine: Machine) -> Finding:
    text = machine.read("/sys/kernel/mm/transparent_hugepage/enabled")
    chosen = _CHOSEN.search(text or "")
    if chosen is None:
        return unknown("transparent_huge_pages", "the kernel does not say")
    if chosen[1] == "always":
        remedy = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, or tuned-adm profile casemate"
        return note("transparent_huge_pages", "always: pages are gathered while orders wait", remedy)
    return ok("transparent_huge_pages", chosen[1])


def _swap(machine: Machine) -> Finding:
    text = machine.read("/proc/swaps")
    if text is None:
        return unknown("swap", "/proc/swaps cannot be read")
    devices = [line.split()[0] for line in text.splitlines()[1:] if line.strip()]
    if devices:
        return note("swap", f"on {', '.join(devices)}: live signatures may reach the disk", "swapoff -a")
    return ok("swap", "off")


def _dumps(machine: Machine) -> Finding:
    pattern = machine.read("/proc/sys/kernel/core_pattern")
    if pattern is None:
        return unknown("core_dumps", "the kernel does not say where dumps go")
    if pattern.startswith("|") and "false" not in pattern:
        remedy = "LimitCORE=0 in the unit (deploy/systemd has it), and kernel.core_pattern=|/bin/false"
        return note("core_dumps", f"a crash is handed to {pattern.split()[0][1:]}, live signatures included", remedy)
    return ok("core_dumps", pattern)


def _files(machine: Machine) -> Finding:
    found = machine.open_files()
    if 0 <= found < _LEAST_OPEN_FILES:
        text = f"{found} open files at most, here: connections and streams are counted among them"
        return note("open_files", text, "LimitNOFILE=1048576 in the unit (deploy/systemd has it)")
    return ok("open_files", "no limit" if found < 0 else str(found))
