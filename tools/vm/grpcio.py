"""Build grpcio from its source distribution, so that it speaks vsock: ``make grpcio-vsock``.

The official wheels are built for glibc 2.17, where ``vsock:`` addresses are compiled out. The wheel is kept under the
hash of what it was made from, and made again only when that changes. 30 to 55 minutes on two cores.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from typing import Final

from tools.vm.parts import CACHE, ROOT

_SETTINGS: Final = {
    "GRPC_PYTHON_BUILD_SYSTEM_OPENSSL": "1",
    "GRPC_PYTHON_BUILD_SYSTEM_ZLIB": "1",
    "GRPC_PYTHON_BUILD_SYSTEM_CARES": "1",
    "GRPC_PYTHON_BUILD_EXT_COMPILER_JOBS": str(os.cpu_count() or 1),
}
_NEEDS: Final = "g++ libssl-dev zlib1g-dev libc-ares-dev"


def main() -> int:
    """Build unless it is there: 0, or 1 with the builder's own words."""
    locked = re.search(
        r"^grpcio==\S+(?: \\\n    --hash=\S+)+",
        (ROOT / "enclave" / "requirements.lock").read_text("utf-8"),
        re.MULTILINE,
    )
    if locked is None:
        sys.stderr.write("enclave/requirements.lock names no grpcio\n")
        return 1
    inputs = f"{locked[0]}|{sorted(_SETTINGS.items())}|{sys.version}|{platform.libc_ver()}|{platform.machine()}"
    folder = CACHE / "wheels" / hashlib.sha256(inputs.encode()).hexdigest()[:16]
    if list(folder.glob("grpcio-*.whl")):
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    requirements = folder / "requirements.txt"
    requirements.write_text(locked[0] + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-binary", "grpcio", "--require-hashes"]
    sys.stderr.write(f"building grpcio; needs {_NEEDS}\n")
    done = subprocess.run(
        ["nice", "-n", "15", *command, "-w", folder, "-r", requirements], env=os.environ | _SETTINGS, check=False
    )
    return min(done.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
