"""What an enclave's parent has to have: the devices, and a grpcio that speaks vsock."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from casemate.doctor.findings import ok, serious

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemate.doctor.findings import Finding
    from casemate.doctor.machine import Machine

# Any context id and any port. The wheels that were built without vsock do not know the scheme, and say so on stderr
# from C: hence a process of its own.
_TRY: Final = "import grpc; grpc.server(None).add_insecure_port('vsock:4294967295:4294967295')"
_TRY_S: Final = 30


def check(machine: Machine, speaks_vsock: Callable[[], bool]) -> Iterator[Finding]:
    """Devices and transport; ``speaks_vsock`` tells whether the grpcio at hand does."""
    remedy = "launch the instance with enclaves enabled, and install aws-nitro-enclaves-cli"
    yield _device(machine, "/dev/nitro_enclaves", "nitro_enclaves", remedy)
    yield _device(machine, "/dev/vsock", "vsock", "modprobe vsock vhost_vsock")
    if machine.exists("/dev/nsm"):
        yield serious("nsm", "/dev/nsm is here: this is the inside of an enclave", "run it on the enclave's parent")
    else:
        yield ok("nsm", "/dev/nsm is not here, as it should be on a parent")
    if speaks_vsock():
        yield ok("grpc_vsock", "this grpcio speaks vsock")
    else:
        remedy = "install the wheel that `make grpcio-vsock` builds of grpcio's source distribution"
        yield serious("grpc_vsock", "this grpcio has no vsock: the official wheels are built without it", remedy)


def _device(machine: Machine, path: str, name: str, remedy: str) -> Finding:
    if machine.exists(path):
        return ok(name, f"{path} is there")
    return serious(name, f"there is no {path}", remedy)


def grpc_speaks_vsock() -> bool:
    """Let this Python's grpcio bind a vsock address."""
    found = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", _TRY], capture_output=True, timeout=_TRY_S, check=False
    )
    return found.returncode == 0
