"""Builds ``Dockerfile.enclave`` with whatever builder is there, into an OCI archive and one flat tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from typing import IO, TYPE_CHECKING, Any, Final

from tools.distributions import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TAG: Final = "localhost/casemate-enclave"
BUILDERS: Final = ("docker", "podman", "buildah")


class CannotBuild(Exception):
    """What is missing or went wrong, and what to do about it."""


def builder(wanted: str = "") -> str:
    """Return the first builder that works here, or the one that is wanted. Raises CannotBuild."""
    for name in [wanted] if wanted else BUILDERS:
        if name in BUILDERS and shutil.which(name) and _works(name):
            return name
    message = f"none of {', '.join([wanted] if wanted else BUILDERS)} works here; on Debian: apt-get install buildah"
    raise CannotBuild(message)


def _works(name: str) -> bool:
    # Docker without its daemon is no builder.
    probe = [name, "info"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def has(name: str, tag: str) -> bool:
    """Whether an image of this name is here."""
    command = [name, "inspect", *(["--type", "image"] if name == "buildah" else []), tag]
    return subprocess.run(command, capture_output=True, check=False, env=_environment()).returncode == 0


def import_base(name: str, tarball: Path, tag: str) -> str:
    """Make an image of a root file system's archive; returns its tag."""
    if name == "buildah":
        container = _run(name, "from", "scratch").strip()
        _run(name, "add", "-q", container, str(tarball), "/")
        _run(name, "commit", "-q", "--timestamp", "0", *_trust(name), container, tag)
        _run(name, "rm", container)
    else:
        _run(name, "import", str(tarball), tag)
    return tag


def build(name: str, base: str, epoch: int, archive: Path) -> None:
    """Build the image into an OCI archive; raises CannotBuild."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.unlink(missing_ok=True)
    arguments = ["--build-arg", f"SOURCE_DATE_EPOCH={epoch}", "--file", str(ROOT / "Dockerfile.enclave")]
    if base:
        arguments += ["--build-arg", f"BASE={base}"]
    if name == "docker":
        output = f"type=oci,dest={archive},rewrite-timestamp=true"
        _run(name, "buildx", "build", *arguments, "--output", output, str(ROOT), show=True)
        return
    local = ["--pull-never"] if base.startswith("localhost/") else []
    own = ["--no-cache", "--format=oci", "--timestamp", str(epoch), *_trust(name), "--tag", TAG]
    _run(name, "build", *arguments, *own, *local, str(ROOT), show=True)
    _run(name, "push", "-q", *_trust(name), TAG, f"oci-archive:{archive}")


def _trust(name: str) -> list[str]:
    # buildah of Debian has no policy of its own unless containers-common is installed; bases are named by digest.
    if name != "buildah":
        return []
    policy = ROOT / "build" / "image" / "policy.json"
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}\n')
    return ["--signature-policy", str(policy)]


def _run(*command: str, show: bool = False) -> str:
    output = None if show else subprocess.PIPE
    done = subprocess.run(command, stdout=output, text=True, env=_environment(), check=False)
    if done.returncode:
        message = f"{' '.join(command[:2])} failed with {done.returncode}: see above"
        raise CannotBuild(message)
    return done.stdout or ""


def _environment() -> dict[str, str]:
    driver = os.environ.get("STORAGE_DRIVER", "vfs")
    return {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": driver}


def flatten(archive: Path, tree: Path) -> None:
    """Unpack an OCI archive's layers, in order, into one tree. Whiteouts cannot occur: each layer only adds."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    with tarfile.open(archive) as outer:
        index = json.load(_file(outer, "index.json"))
        manifest = json.load(_file(outer, _blob(index["manifests"][0]["digest"])))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=_file(outer, _blob(layer["digest"]))) as inner:
                inner.extractall(tree, filter="tar")


def image_config(archive: Path) -> dict[str, Any]:
    """Return an OCI archive's configuration: what it starts, as whom."""
    with tarfile.open(archive) as outer:
        index = json.load(_file(outer, "index.json"))
        manifest = json.load(_file(outer, _blob(index["manifests"][0]["digest"])))
        return dict(json.load(_file(outer, _blob(manifest["config"]["digest"]))))


def _blob(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value}"


def _file(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    if found is None:
        message = f"{name}: not a file of the archive"
        raise CannotBuild(message)
    return found
