"""`python -m tools.image`: what `make image` runs."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tools.distributions import ROOT
from tools.image.base import make as local_base
from tools.image.build import CannotBuild, build, builder, flatten
from tools.image.fetch import CannotFetch, fetch, grpcio_wheel
from tools.image.listing import differences, intended, listing, own_differences

_OUT: Final = ROOT / "build" / "image"
_MOST_LINES: Final = 20
_IMPORT_ALL: Final = (
    "import importlib, pkgutil, enclave_signer as top; "
    "names = [each.name for each in pkgutil.walk_packages(top.__path__, 'enclave_signer.')]; "
    "[importlib.import_module(name) for name in names]; print(len(names))"
)


def main() -> int:
    """Build the image; 0 if it holds what it is meant to, 1 if not or if it cannot be built."""
    parser = argparse.ArgumentParser(prog="make image", description="Build the enclave's image.")
    parser.add_argument("--quorum", type=Path, required=True, help="quorum.cbor of the deployment (docs/quorum.md)")
    parser.add_argument("--base", default="", help="another base image with Python 3.11, by digest")
    parser.add_argument("--local-base", action="store_true", help="make the base of Debian's packages (mmdebstrap)")
    parser.add_argument("--builder", default="", help="docker, podman or buildah; default: the first that works")
    parser.add_argument("--grpcio-wheel", type=Path, help="a wheel of grpcio that speaks vsock; default: build/grpcio")
    parser.add_argument(
        "--without-vsock",
        action="store_true",
        help="the official grpcio: to look at an image, cannot run in an enclave",
    )
    parser.add_argument("--output", type=Path, default=_OUT, help="directory for archive, tree and listing")
    arguments = parser.parse_args()
    try:
        return _make(arguments)
    except (CannotFetch, CannotBuild) as error:
        sys.stderr.write(f"image: {error}\n")
        return 1


def _make(arguments: argparse.Namespace) -> int:
    begun = time.monotonic()
    name = builder(arguments.builder)
    grpcio = None if arguments.without_vsock else grpcio_wheel(arguments.grpcio_wheel)
    _say("fetching the wheels by the hashes of enclave/requirements.lock")
    fetch(_OUT / "wheels", grpcio)
    shutil.copyfile(arguments.quorum, _OUT / "quorum.cbor")
    archive, tree = arguments.output / "enclave.oci.tar", arguments.output / "rootfs"
    base = arguments.base
    if arguments.local_base:
        _say("making a base of Debian's packages")
        base = local_base(name, _OUT, _epoch())
    _say(f"building with {name}")
    build(name, base, _epoch(), archive)
    flatten(archive, tree)
    entries = listing(tree)
    text = "".join(f"{entry}\n" for entry in entries)
    (arguments.output / "files.sha256").write_text(text)
    wrong = differences((entry.path for entry in entries), intended()) + own_differences(tree)
    _say(_tried(tree))
    for line in wrong[:_MOST_LINES]:
        _say(line)
    if wrong:
        _say(f"{len(wrong)} differences in all: docs/verify.md says how to read the list")
    _say(f"{len(entries)} files, listing {hashlib.sha256(text.encode()).hexdigest()}")
    _say(f"{archive} after {time.monotonic() - begun:.0f} s")
    return 1 if wrong else 0


def _tried(tree: Path) -> str:
    """Import every module of ours inside the tree, which takes root; returns what to say. Raises CannotBuild."""
    if os.geteuid() != 0:
        return "not tried inside its own tree: that takes root"
    done = subprocess.run(
        ["chroot", "--userspec=10001:10001", str(tree), "/bin/casemate-python", "-I", "-c", _IMPORT_ALL],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"its code does not run inside its own tree:\n{done.stderr}"
        raise CannotBuild(message)
    return f"{done.stdout.strip()} modules of ours run inside their own tree"


def _epoch() -> int:
    """Return the time of every file: the last commit's, or what the environment says."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is not None:
        return int(given)
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return int(done.stdout) if done.returncode == 0 else 0


def _say(text: str) -> None:
    sys.stderr.write(f"image: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
