"""`make grpcio-vsock`: grpcio built from its source distribution, so that it speaks vsock. Up to an hour, once.

The official wheels are built for a glibc older than 2.18, and gRPC's core leaves AF_VSOCK out there.
The wheel is kept by the hash of what it was made from; a change of version, compiler or Python makes another one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tools.distributions import ROOT
from tools.image.fetch import GRPCIO_CACHE, LOCK, CannotFetch, grpcio_lines, grpcio_version


def state() -> str:
    """Return a hash of everything that the wheel is made from."""
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=True).stdout
    inputs = (grpcio_lines(), sys.version, sysconfig.get_platform(), compiler.splitlines()[0])
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def main() -> int:
    """Build the wheel unless it is there; 0 if it is there at the end and speaks vsock."""
    if shutil.which("c++") is None:
        sys.stderr.write("grpcio-vsock: needs a C++ compiler: apt-get install g++ python3-dev\n")
        return 1
    stamp = GRPCIO_CACHE / "made-from"
    GRPCIO_CACHE.mkdir(parents=True, exist_ok=True)
    if not stamp.is_file() or stamp.read_text() != state():
        sys.stderr.write(f"grpcio-vsock: building grpcio {grpcio_version()} from source: up to an hour\n")
        _build()
        stamp.write_text(state())
    wheel = next(GRPCIO_CACHE.glob("grpcio-*.whl"))
    if not speaks_vsock(wheel):
        sys.stderr.write(f"grpcio-vsock: {wheel} does not speak vsock: is the C library older than 2.18?\n")
        return 1
    sys.stderr.write(f"grpcio-vsock: {wheel.relative_to(ROOT)} {hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return 0


def _build() -> None:
    for old in GRPCIO_CACHE.glob("*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as place:
        requirements = Path(place) / "requirements.txt"
        requirements.write_text(grpcio_lines())
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "--no-binary=grpcio"]
        command += ["--require-hashes", "--disable-pip-version-check", "--wheel-dir", str(GRPCIO_CACHE)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "CFLAGS": "-O2 -g0", "LDFLAGS": "-Wl,--strip-all"}
        environment["GRPC_PYTHON_BUILD_EXT_COMPILER_JOBS"] = str(os.cpu_count() or 1)
        done = subprocess.run([*command, "--requirement", str(requirements)], env=environment, check=False)
    if done.returncode:
        message = f"grpcio could not be built ({LOCK.name} pins {grpcio_version()}): see above"
        raise CannotFetch(message)


def speaks_vsock(wheel: Path) -> bool:
    """Let the wheel's own grpcio bind a vsock address."""
    code = "import grpc; grpc.server(None).add_insecure_port('vsock:4294967295:4294967295')"
    with tempfile.TemporaryDirectory() as place:
        shutil.unpack_archive(wheel, place, "zip")
        path = os.pathsep.join((place, sysconfig.get_path("purelib")))
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
        )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
