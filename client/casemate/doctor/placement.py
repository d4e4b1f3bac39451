"""The host's configuration: who can reach it, where the journal lies, and where the venues are."""

from __future__ import annotations

import os
import stat
import tomllib
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from casemate.doctor.findings import note, ok, serious, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from casemate.doctor.findings import Finding

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LEAST_FREE: Final = 5 << 30
_GIB: Final = 1 << 30


class BadConfig(Exception):
    """The file is no configuration of a host; the text says why."""


class HostConfig(NamedTuple):
    """What the doctor needs of ``casemate-host``'s file; the host itself reports its mistakes."""

    listen: tuple[str, ...]
    enclave: str
    journal: str
    # Authority of a signed URL -> where the host connects for it.
    endpoints: Mapping[str, str]
    # Where Prometheus scrapes; "" for nowhere.
    metrics: str = ""


def read_config(path: Path) -> HostConfig:
    """Read ``casemate-host``'s file; raises BadConfig."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise BadConfig(message) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: is no TOML: {error}"
        raise BadConfig(message) from None
    listen, journal, venues = document.get("listen"), document.get("journal"), document.get("venues", {})
    if not isinstance(listen, list) or not isinstance(journal, dict) or not isinstance(venues, dict):
        message = f"{path}: expected the file of casemate-host: listen, [journal], [venues.NAME]"
        raise BadConfig(message)
    metrics = document.get("metrics", {})
    return HostConfig(
        tuple(map(str, listen)),
        str(document.get("enclave", "")),
        str(journal.get("path", "")),
        _endpoints(venues),
        str(metrics.get("listen", "")) if isinstance(metrics, dict) else "",
    )


def _endpoints(venues: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for venue in venues.values():
        if isinstance(venue, dict):
            found |= {str(name): f"https://{name}" for name in venue.get("warm", ())}
            found |= {str(name): str(url) for name, url in dict(venue.get("connect", {})).items()}
    return found


def check(config: HostConfig) -> Iterator[Finding]:
    """Engines, enclave, metrics, journal."""
    yield _engines(config)
    yield _link(config)
    yield _metrics(config)
    yield from _journal(config)


def _engines(config: HostConfig) -> Finding:
    if all(map(_is_local, config.listen)):
        text = "engines reach the gateway from this machine alone: an engine's key is on it, and root has the key"
        remedy = "listen on HOST:PORT with [tls] and run engines elsewhere, or accept it: --accept co_location"
        return serious("co_location", text, remedy)
    return ok("co_location", "engines can connect from other machines")


def _is_local(address: str) -> bool:
    """Whether nobody on another machine can connect there: a socket file, or the loopback's addresses."""
    name = address.rpartition(":")[0].strip("[]").lower()
    if address.startswith("unix:") or name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _link(config: HostConfig) -> Finding:
    if config.enclave.startswith("vsock:"):
        return ok("enclave_link", config.enclave)
    remedy = 'enclave = "vsock:CID:PORT"; anything else is a stand-in for development'
    return serious("enclave_link", f"the enclave is at {config.enclave or 'no address'}: not behind vsock", remedy)


def _metrics(config: HostConfig) -> Finding:
    if not config.metrics or _is_local(config.metrics):
        return ok("metrics", config.metrics or "served nowhere")
    text = f"served at {config.metrics} to whoever reaches it: accounts, rules and counts, without TLS"
    return note("metrics", text, "listen on 127.0.0.1 with a collector beside it, or let a firewall name who scrapes")


def _journal(config: HostConfig) -> Iterator[Finding]:
    directory = os.path.dirname(config.journal)  # noqa: PTH120 - a plain string of a file
    try:
        space = os.statvfs(directory)
        mode = os.stat(directory).st_mode  # noqa: PTH116 - as above
    except OSError as error:
        yield unknown("journal", f"{directory or 'no directory'}: {error.strerror}", "name a directory that exists")
        return
    free = space.f_bavail * space.f_frsize
    text = f"{free / _GIB:.1f} GiB are free in {directory}"
    if free < _LEAST_FREE:
        yield serious("journal_space", text, "a journal that is full stops all new orders: give it a disk of its own")
    else:
        yield ok("journal_space", text)
    if mode & _OTHERS:
        yield note("journal_mode", f"others than its owner can enter {directory}", f"chmod 700 {directory}")
    else:
        yield ok("journal_mode", f"{directory} is its owner's alone")
