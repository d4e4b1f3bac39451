"""A PostgreSQL of our own: a cluster in a temporary directory, on a unix socket, run by somebody who is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def _program(name: str) -> str | None:
    # Debian keeps the servers' programs out of the PATH.
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))]
    return found[-1] if found else shutil.which(name)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of an empty database."""
    initdb, server = _program("initdb"), _program("pg_ctl")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL's initdb is not installed (Debian: postgresql)")
    directory = Path(tempfile.mkdtemp(prefix="casemate-pg-"))
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(directory, user)

    def run(*command: str) -> None:
        done = subprocess.run(
            command,
            check=False,
            user=user if os.geteuid() == 0 else None,
            cwd=directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=(log := (directory.parent / f"{directory.name}.log").open("ab")),
            stderr=log,
        )
        log.close()
        assert done.returncode == 0, (directory.parent / f"{directory.name}.log").read_text()

    data = str(directory / "data")
    try:
        run(initdb, "-D", data, "-U", "casemate", "-A", "trust", "--no-sync", "-E", "UTF8")
        run(server, "-D", data, "-w", "-o", f"-k {directory} -c listen_addresses=''", "start")
        yield f"postgresql:///postgres?host={directory}&user=casemate"
        run(server, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        (directory.parent / f"{directory.name}.log").unlink(missing_ok=True)
