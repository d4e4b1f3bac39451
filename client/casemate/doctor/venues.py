"""How far the venues are: the time of a TCP connection is one round trip."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from casemate.doctor.findings import note, ok, serious, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from casemate.doctor.findings import Finding
    from casemate.doctor.machine import Machine

_TRIES: Final = 5
_FAR_MS: Final = 20.0
_NS_IN_MS: Final = 1_000_000
_PORTS: Final = {"https": 443, "http": 80}


def check(machine: Machine, endpoints: Mapping[str, str]) -> Iterator[Finding]:
    """One finding an endpoint: ``endpoints`` maps the authority of signed URLs to where the host connects for it."""
    if not endpoints:
        yield unknown("venues", "no venue endpoints are configured", "warm = [...] or connect = {...} in [venues.NAME]")
    for authority, url in sorted(endpoints.items()):
        yield _one(machine, authority, url)


def _one(machine: Machine, authority: str, url: str) -> Finding:
    name = f"venue:{authority}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
        took = [machine.connect(host, port) / _NS_IN_MS for _ in range(_TRIES)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return serious(name, f"cannot be reached: {reason}", "check DNS, routes and the security group's egress")
    median, worst = statistics.median(took), max(took)
    text = f"round trip {median:.2f} ms (of {_TRIES}; the worst {worst:.2f} ms)"
    if median > _FAR_MS:
        return note(name, text, "move to the venue's own region and availability zone (availability_zone_id)")
    return ok(name, text)
