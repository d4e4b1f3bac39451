"""Start a program that dies with its parent: ``python -m casemate_mock.child PARENT_PID PROGRAM [ARGUMENT]...``.

The kernel's parent-death signal survives exec, so nothing that a killed stack started stays behind. Where there
is no such signal (not Linux) the program simply starts.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask for SIGTERM when the parent ends; exit at once if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    """Become the program."""
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - that is the purpose; the caller names the program


if __name__ == "__main__":
    main()
