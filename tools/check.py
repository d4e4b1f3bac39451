"""What `make check` runs: every check, also after one has failed, and the names of those that did at the end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tools.distributions import ROOT

BIN = Path(sys.executable).parent

CHECKS: dict[str, list[str]] = {
    "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
    "lint": [str(BIN / "ruff"), "check", "--quiet", "."],
    "types": [str(BIN / "mypy")],
    "imports": [str(BIN / "lint-imports")],
    "locks": [sys.executable, "-m", "tools.lock", "--check"],
    "stubs": [sys.executable, "-m", "tools.stubs", "--check"],
    "protobuf": [sys.executable, "-m", "tools.check_protobuf_runtimes"],
    "terraform": [sys.executable, "-m", "tools.terraform"],
}


def main(arguments: list[str]) -> int:
    """Run the checks named, or all of them."""
    failed = []
    for name in arguments or CHECKS:
        started = time.monotonic()
        done = subprocess.run(CHECKS[name], check=False, cwd=ROOT)
        word = "ok" if done.returncode == 0 else "FAILED"
        sys.stderr.write(f"check {name}: {word} ({time.monotonic() - started:.1f} s)\n")
        if done.returncode:
            failed.append(name)
    if failed:
        sys.stderr.write("failed: " + ", ".join(failed) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
