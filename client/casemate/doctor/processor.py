"""The processor: whether this machine has one to itself, and how fast it wakes up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from casemate.doctor.findings import note, ok, serious, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate.doctor.findings import Finding
    from casemate.doctor.machine import Machine

_LOOK_S: Final = 1.0
# proc(5): the eighth number of /proc/stat's first line.
_STEAL_AT: Final = 7
_SERIOUS_STEAL: Final = 1.0
# What is left to the host when the enclave has taken its own.
_LEAST_CPUS: Final = 2
# T instances run on credits; when those are spent, they run at a fraction.
_BURSTABLE: Final = re.compile(r"t[0-9][a-z]*\.")
_CPUS: Final = "/sys/devices/system/cpu"
_DEEP_US: Final = 50


def check(machine: Machine) -> Iterator[Finding]:
    """Steal, kind of instance, count, governor, sleep states."""
    yield _steal(machine)
    yield _instance(machine)
    yield _count(machine)
    yield _governor(machine)
    yield _sleep(machine)


def _steal(machine: Machine) -> Finding:
    before = _ticks(machine)
    machine.sleep(_LOOK_S)
    after = _ticks(machine)
    if before is None or after is None:
        return unknown("cpu_steal", "/proc/stat cannot be read")
    passed = [late - early for early, late in zip(before, after, strict=True)]
    share = 100 * passed[_STEAL_AT] / max(sum(passed), 1)
    text = f"{share:.1f} % of the processor's time went to other machines in one second"
    if share >= _SERIOUS_STEAL:
        return serious("cpu_steal", text, "use an instance that is not burstable, or a dedicated one")
    return ok("cpu_steal", text)


def _ticks(machine: Machine) -> list[int] | None:
    line = (machine.read("/proc/stat") or "").partition("\n")[0].split()
    if len(line) <= _STEAL_AT + 1 or line[0] != "cpu":
        return None
    # The guests' times that follow are counted in the first two already.
    return [int(number) for number in line[1 : _STEAL_AT + 2]]


def _instance(machine: Machine) -> Finding:
    vendor = machine.read("/sys/class/dmi/id/sys_vendor")
    kind = machine.read("/sys/class/dmi/id/product_name")
    if vendor != "Amazon EC2" or not kind:
        return unknown("instance", "this is no EC2 instance, or it does not say which type")
    if _BURSTABLE.match(kind):
        remedy = "use a compute-optimised type (c7i.2xlarge, c7g.2xlarge): burstable ones cannot run enclaves either"
        return serious("instance", f"{kind} is burstable: it runs at a fraction once its credits are spent", remedy)
    return ok("instance", kind)


def _count(machine: Machine) -> Finding:
    online = [path for path in machine.find(f"{_CPUS}/cpu[0-9]*") if path.rpartition("cpu")[2].isdigit()]
    if not online:
        return unknown("cpus", "the kernel does not list its processors")
    text = f"{len(online)} processors, those of the enclave not counted"
    if len(online) < _LEAST_CPUS:
        return serious("cpus", text, "an instance with four or more: the enclave takes two for itself")
    return ok("cpus", text)


def _governor(machine: Machine) -> Finding:
    governors = {machine.read(path) for path in machine.find(f"{_CPUS}/cpu[0-9]*/cpufreq/scaling_governor")}
    if not governors:
        return ok("governor", "the hypervisor decides about frequencies")
    if governors != {"performance"}:
        names = ", ".join(sorted(each or "unknown" for each in governors))
        return note("governor", f"{names}: frequencies change under way", "tuned-adm profile casemate")
    return ok("governor", "performance")


def _sleep(machine: Machine) -> Finding:
    exits = {path: machine.whole(path) for path in machine.find(f"{_CPUS}/cpu0/cpuidle/state*/latency")}
    deep = [latency for path, latency in exits.items() if latency is not None and _is_used(machine, path, latency)]
    if deep:
        remedy = "boot with intel_idle.max_cstate=1 processor.max_cstate=1, or tuned-adm profile casemate"
        return note("sleep_states", f"waking up may take {max(deep)} us", remedy)
    return ok("sleep_states", "no deep ones" if exits else "none are offered")


def _is_used(machine: Machine, path: str, latency: int) -> bool:
    return latency > _DEEP_US and machine.read(path.replace("/latency", "/disable")) != "1"
