"""The clock: venues refuse orders whose timestamps are off, and the enclave takes its first time from this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from casemate.doctor.findings import note, ok, serious, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemate.doctor.findings import Finding
    from casemate.doctor.machine import Machine

# adjtimex(2): TIME_ERROR as the state, STA_UNSYNC in the status.
_TIME_ERROR: Final = 5
_UNSYNCHRONISED: Final = 0x40
# The tightest window of a venue at hand is a second ahead; far below that, there is nothing to be gained.
_MOST_ERROR_US: Final = 100_000
_GOOD_SOURCES: Final = ("tsc", "kvm-clock", "arch_sys_counter")
_SOURCE: Final = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
_US_IN_MS: Final = 1_000


def check(machine: Machine) -> Iterator[Finding]:
    """Synchronised, how well, by what, and read from where."""
    yield _synchronised(machine)
    yield _source(machine)
    yield _hardware(machine)


def _synchronised(machine: Machine) -> Finding:
    state = machine.clock()
    remedy = "start chrony with the configuration of deploy/chrony"
    if state is None:
        return unknown("clock", "the kernel does not say whether the clock is synchronised", remedy)
    if state.state == _TIME_ERROR or state.status & _UNSYNCHRONISED:
        return serious("clock", "the clock is not synchronised: venues will refuse orders by their timestamps", remedy)
    error = f"{state.max_error_us / _US_IN_MS:g} ms"
    if state.max_error_us > _MOST_ERROR_US:
        return serious("clock", f"the clock may be off by {error}", remedy)
    return ok("clock", f"synchronised, off by at most {error}")


def _source(machine: Machine) -> Finding:
    source = machine.read(_SOURCE)
    if source is None:
        return unknown("clock_source", "the kernel does not say which clock it reads")
    if source not in _GOOD_SOURCES:
        remedy = "boot with clocksource=tsc, or kvm-clock where there is no stable TSC"
        return note("clock_source", f"reading the time goes through {source}, a system call each", remedy)
    return ok("clock_source", source)


def _hardware(machine: Machine) -> Finding:
    names = {path: machine.read(path) for path in machine.find("/sys/class/ptp/ptp*/clock_name")}
    if not names:
        remedy = "on EC2: ENA driver 2.10 or later with phc_enable=1, and `refclock PHC` in chrony"
        return note(
            "clock_hardware", "no hardware clock (/dev/ptp*): the clock is the network's, within milliseconds", remedy
        )
    return ok("clock_hardware", ", ".join(sorted(name or "unnamed" for name in names.values())))
