"""Runs in the enclave's place: what the NSM and the confinement really are, through the enclave's own NSM client.

Sends one JSON document to the parent, then ends as it is told: by status, or by a signal.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from enclave_signer.nitro import NsmError
from enclave_signer.nitro.nsm import NsmDevice, open_device

_PARENT = 3
_PORT = 9100
_PIECE = 2_000
_REGISTERS = 32


def _found(nsm: NsmDevice) -> dict[str, Any]:
    description = nsm.describe()
    states = [nsm.describe_pcr(index) for index in range(_REGISTERS)]
    extended = [nsm.extend_pcr(16, data).hex() for data in (b"a", b"b")]
    nsm.lock_pcr(16)
    times = []
    document = b""
    for _ in range(20):
        begun = time.perf_counter_ns()
        document = nsm.attestation(user_data=b"u" * 100, nonce=b"n" * 32, public_key=b"k" * 294)
        times.append(time.perf_counter_ns() - begun)
    return {
        "module_id": description.module_id,
        "version": description.version,
        "locked": sorted(description.locked_pcrs),
        "pcrs": {index: state.value.hex() for index, state in enumerate(states)},
        "extended": extended,
        "extend_after_lock": _refused(lambda: nsm.extend_pcr(16, b"c")),
        "lock_of_pcr0": _refused(lambda: nsm.lock_pcr(0)),
        "document": document.hex(),
        "attest_ms": round(sorted(times)[10] / 1e6, 3),
        "random": [nsm.random(1_000).hex() for _ in range(2)],
    }


def _refused(call: Any) -> str:  # noqa: ANN401 - any call of the device
    try:
        call()
    except NsmError as error:
        return str(error.code)
    return "done"


def _confinement() -> dict[str, Any]:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return {
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": os.getgroups(),
        "capabilities": fields["CapEff"],
        "bounding": fields["CapBnd"],
        "no_new_privs": fields["NoNewPrivs"],
        "environment": dict(os.environ),
        "mounts": [line.split()[:4] for line in Path("/proc/mounts").read_text(encoding="ascii").splitlines()],
        "root": sorted(path.name for path in Path("/").iterdir()),
        "writable": [str(path) for path in (Path("/"), Path("/app"), Path("/usr")) if os.access(path, os.W_OK)],
        "entropy": int(Path("/proc/sys/kernel/random/entropy_avail").read_text(encoding="ascii")),
        "clock_ns": time.time_ns(),
        "core": _core(),
    }


def _core() -> str:
    limits = Path("/proc/self/limits").read_text(encoding="ascii").splitlines()
    return next(line for line in limits if line.startswith("Max core file size")).split()[4]


def main() -> int:
    """Report, and end with the status, or by the signal, that is the first argument."""
    found = _confinement() | {"nsm": _found(open_device())}
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as line:
        line.connect((_PARENT, _PORT))
        said = json.dumps(found).encode()
        # Not larger than the daemon that joins the machines can carry between two of them (tools/vm/pump.py).
        for at in range(0, len(said), _PIECE):
            line.sendall(said[at : at + _PIECE])
        line.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            line.recv(1)
    if sys.argv[1].startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[sys.argv[1]])
    return int(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
