"""What `make fuzz` runs: every target of the readers of hostile bytes, for a bounded time each.

With atheris, which has an environment of its own (its wheels lag behind new interpreters); where that cannot be set
up, with the small coverage-guided engine beside the tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.attestation.fuzz.run import TARGETS
from tools import environment
from tools.distributions import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCK = ROOT / "requirements" / "fuzz.lock"
VENV = environment.CACHE / "fuzz"


def engine() -> tuple[str, list[str]]:
    """Return which engine there is, and where it is imported from."""
    try:
        with environment.alone("fuzz"):
            environment.locked(VENV, LOCK)
    except environment.SetUpError as error:
        environment.note(f"no atheris, the engine beside the tests does it: {error}")
        return "builtin", []
    return "atheris", [str(path) for path in VENV.glob("lib/python*/site-packages")]


def main(arguments: Sequence[str]) -> int:
    """Fuzz each target; 1 if any found something."""
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=...", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=list(TARGETS), help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=20, help="for each target (default 20)")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    name, folders = engine()
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT), *folders])
    failed = []
    for target in asked.targets:
        environment.note(f"fuzz {target}, {asked.seconds} s with the {name} engine")
        command = [
            sys.executable, "-m", "tests.attestation.fuzz.run", target,
            "--engine", name, "--seconds", str(asked.seconds), "--seed", str(asked.seed),
        ]  # fmt: skip
        if subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}).returncode:
            failed.append(target)
    if failed:
        environment.note(f"FOUND something: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
