"""Try the committed stubs with the oldest protobuf that grpcio's packages still accept, and with the newest."""

from __future__ import annotations

import os
import subprocess
import sys

from tools import distributions, environment
from tools.distributions import ROOT

ENDS = ("protobuf-oldest", "protobuf-newest")


def oldest_promised() -> str:
    """Return the lower bound that the wire packages state: the oldest runtime tried must be that one."""
    bounds = {line for line in distributions.third_party("proto/dispatch_api") if line.startswith("protobuf")}
    (bound,) = bounds
    return bound.removeprefix("protobuf>=").partition(",")[0]


def main() -> int:
    """Run the round trip at both ends of the range."""
    if distributions.group(ENDS[0]) != [f"protobuf=={oldest_promised()}"]:
        sys.stderr.write(f"the group {ENDS[0]} is not the lower bound of the wire packages, {oldest_promised()}\n")
        return 1
    codes = []
    for end in ENDS:
        venv = environment.CACHE / end
        with environment.alone(end):
            environment.locked(venv, ROOT / "requirements" / f"{end}.lock")
        done = subprocess.run(
            [venv / "bin" / "python", "-W", "error", ROOT / "tools" / "round_trip.py", ROOT / "proto"],
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / "proto")},
        )
        codes.append(done.returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
