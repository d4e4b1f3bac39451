"""All checks, in the order of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemate.doctor import clock, memory, parent, placement, processor, sysctls, venues
from casemate.doctor.findings import Finding, Level, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from casemate.doctor.machine import Machine
    from casemate.doctor.placement import HostConfig


def examine(machine: Machine, config: HostConfig | None, speaks_vsock: Callable[[], bool]) -> Iterator[Finding]:
    """Yield every finding as soon as it is known."""
    yield from clock.check(machine)
    yield from processor.check(machine)
    yield from memory.check(machine)
    yield from sysctls.check(machine)
    yield from parent.check(machine, speaks_vsock)
    if config is None:
        yield unknown("config", "co-location, journal and venues were not looked at", "--config, the host's own file")
        return
    yield from placement.check(config)
    yield from venues.check(machine, config.endpoints)


def accepted(finding: Finding, names: Collection[str]) -> Finding:
    """Turn a serious finding that the operator accepts by name into a note that says so."""
    if finding.level is Level.SERIOUS and finding.check in names:
        return finding._replace(level=Level.NOTE, text=f"{finding.text} (accepted)")
    return finding
