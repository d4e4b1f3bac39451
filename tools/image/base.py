"""A base image of Debian's own packages, for where no image registry can be reached: Debian 12 with its Python 3.11."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.image.build import CannotBuild, import_base

if TYPE_CHECKING:
    from collections.abc import Iterable

TAG: Final = "localhost/casemate-base:bookworm"
SUITE: Final = "bookworm"
# Python to assemble with, and what grpcio links to if it was built against Debian's own libraries.
PACKAGES: Final = ("python3", "python3-pip", "libc-ares2", "libssl3", "libstdc++6", "zlib1g")
_SOURCES: Final = (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*")))
_MIRROR: Final = re.compile(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(?P<mirror>\S+/debian/?)(?:\s|$)", re.MULTILINE)


def make(name: str, directory: Path, epoch: int) -> str:
    """Make the base with mmdebstrap and the machine's own mirror; returns its tag. Raises CannotBuild."""
    if shutil.which("mmdebstrap") is None:
        message = "--local-base needs mmdebstrap: apt-get install mmdebstrap"
        raise CannotBuild(message)
    directory.mkdir(parents=True, exist_ok=True)
    tarball = directory / "base.tar"
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        SUITE,
        str(tarball),
        mirror(),
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        message = f"mmdebstrap failed with {done.returncode}: see above"
        raise CannotBuild(message)
    return import_base(name, tarball, TAG)


def mirror(files: Iterable[Path] = _SOURCES) -> str:
    """Return the Debian mirror that this machine installs from; raises CannotBuild."""
    for file in files:
        match = _MIRROR.search(file.read_text("utf-8", "replace")) if file.is_file() else None
        if match is not None:
            return match["mirror"]
    message = "--local-base needs a machine that installs from a Debian mirror"
    raise CannotBuild(message)
