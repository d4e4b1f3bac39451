"""Set up .venv: third-party wheels by hash-locked list, then our own packages, editable.

Started by the Makefile with any Python from 3.11 on, before anything is installed.
"""

from __future__ import annotations

import sys

from tools import environment
from tools.distributions import FOLDERS, ROOT

VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.lock"


def main() -> int:
    """Bring .venv up to date; do nothing if it is."""
    try:
        with environment.alone("bootstrap"):
            environment.locked(VENV, LOCK)
            install_ours()
    except environment.SetUpError as error:
        environment.note(str(error))
        return 1
    return 0


def install_ours() -> None:
    """Install our distributions where they lie. Their build backend comes from the lock, so nothing is fetched."""
    wanted = environment.digest([ROOT / folder / "pyproject.toml" for folder in FOLDERS])
    if environment.stamped(VENV, "ours") == wanted:
        return
    environment.note("installing " + ", ".join(FOLDERS))
    editable = [word for folder in FOLDERS for word in ("--editable", str(ROOT / folder))]
    environment.run(
        VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index",
        "--no-build-isolation", "--no-deps", *editable,
    )  # fmt: skip
    environment.stamp(VENV, "ours", wanted)


if __name__ == "__main__":
    sys.exit(main())
