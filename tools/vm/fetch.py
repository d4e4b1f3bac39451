"""Fill ``.cache/vm/packages`` from Debian's archive: ``python -m tools.vm.fetch``.

The kernel is that of bookworm-backports and the vsock daemon that of forky (it is packaged nowhere else, and needs no
newer libc). apt reads a configuration of our own, so the system's sources stay as they are; packages are unpacked,
not installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tools.vm.parts import CACHE

if TYPE_CHECKING:
    from pathlib import Path

_MIRROR: Final = "http://deb.debian.org/debian"
_KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_KERNEL: Final = "linux-image-cloud-amd64"
# The vsock daemon, and what a grpcio built here is linked with (GRPC_PYTHON_BUILD_SYSTEM_CARES).
_OTHERS: Final = (("vhost-device-vsock", "forky"), ("libc-ares2", "bookworm"))


def main() -> int:
    """Fetch and unpack; 0, or 1 with apt's own words."""
    apt = CACHE / "apt"
    (apt / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (apt / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    _configure(apt, ("bookworm", "bookworm-backports", "forky"))
    environment = os.environ | {"APT_CONFIG": str(apt / "apt.conf")}
    try:
        subprocess.run(["apt-get", "update", "-q"], env=environment, check=True, stdout=sys.stderr)
        shown = _output(["apt-cache", "show", f"{_KERNEL}/bookworm-backports"], environment)
        kernel = re.search(r"linux-image-6\.[0-9.]+\S*-cloud-amd64", shown)
        if kernel is None:
            sys.stderr.write(f"{_KERNEL} of bookworm-backports names no kernel\n")
            return 1
        for package, suite in ((kernel[0], "bookworm-backports"), *_OTHERS):
            subprocess.run(["apt-get", "download", "-q", "-t", suite, package], env=environment, check=True, cwd=apt)
        for archive in apt.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", archive, CACHE / "packages"], check=True)
            archive.unlink()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _configure(apt: Path, suites: tuple[str, ...]) -> None:
    lines = [f"deb [signed-by={_KEYS}] {_MIRROR} {suite} main" for suite in suites]
    (apt / "sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "root",
    }
    text = "".join(f'{name} "{value}";\n' for name, value in settings.items())
    (apt / "apt.conf").write_text(text, encoding="utf-8")


def _output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
