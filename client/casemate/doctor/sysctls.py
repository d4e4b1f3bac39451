"""Kernel settings, each with the reason why it matters here. ``deploy/`` sets the same ones.

Popular ones that are left out on purpose: fs.file-max (would lower the default), net.ipv4.ip_local_port_range,
buffers of 16 MB (orders are small) and TCP fast open (venues do not offer it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from casemate.doctor.findings import note, ok, serious, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate.doctor.findings import Finding
    from casemate.doctor.machine import Machine


class Sysctl(NamedTuple):
    """One setting: its name, the wanted value (``at_least`` allows more), why, and whether it is about safety."""

    name: str
    wanted: int
    why: str
    at_least: bool = False
    at_most: bool = False
    is_serious: bool = False


SYSCTLS: Final = (
    Sysctl("net.ipv4.tcp_slow_start_after_idle", 0, "a connection that was idle starts slowly again"),
    Sysctl("net.core.busy_poll", 50, "replies wait for an interrupt", at_least=True),
    Sysctl("net.core.busy_read", 50, "reads wait for an interrupt", at_least=True),
    Sysctl("net.ipv4.tcp_keepalive_time", 300, "a dead idle connection is noticed late", at_most=True),
    Sysctl("net.ipv4.tcp_keepalive_intvl", 15, "a dead idle connection is noticed late", at_most=True),
    Sysctl("net.ipv4.tcp_keepalive_probes", 5, "a dead idle connection is noticed late", at_most=True),
    Sysctl("kernel.yama.ptrace_scope", 2, "other processes can attach to the host's", at_least=True),
    Sysctl("kernel.numa_balancing", 0, "pages are moved, and faulted in, under way"),
    Sysctl("vm.swappiness", 1, "memory of an idle service is swapped out", at_most=True),
    Sysctl("fs.suid_dumpable", 0, "a crash may write live signatures to disk", is_serious=True),
)


def check(machine: Machine) -> Iterator[Finding]:
    """One finding a setting."""
    for each in SYSCTLS:
        yield _one(machine, each)


def _one(machine: Machine, each: Sysctl) -> Finding:
    check_name = f"sysctl:{each.name}"
    found = machine.whole("/proc/sys/" + each.name.replace(".", "/"))
    if found is None:
        return unknown(check_name, "this kernel has no such setting")
    if found == each.wanted or (each.at_least and found > each.wanted) or (each.at_most and found < each.wanted):
        return ok(check_name, str(found))
    say = serious if each.is_serious else note
    return say(check_name, f"{found}: {each.why}", f"sysctl -w {each.name}={each.wanted} (deploy/sysctl.d has it)")
