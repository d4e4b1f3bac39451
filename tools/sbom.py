"""`make sbom`: a CycloneDX bill of materials for each deployable, from its hash-locked list: same inputs, same bytes.

That of the enclave also names what the image takes from its base, file by file, once the image has been built.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.distributions import ROOT, project
from tools.lock import entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEPLOYABLES: Final = ("enclave", "host", "client")
_OUT: Final = ROOT / "build" / "sbom"
_LISTING: Final = ROOT / "build" / "image" / "files.sha256"
_HASH: Final = "--hash=sha256:"
# What the image takes from its base: all but our code and the wheels' files, which their packages stand for.
_OF_PACKAGES: Final = "-packages/"


def bom(folder: str, base_files: Iterable[tuple[str, str]] = ()) -> str:
    """Return one deployable's bill of materials as JSON; ``base_files`` are (path, SHA-256) besides its packages."""
    table = project(folder)
    root = Component(
        name=table["name"],
        version=table["version"],
        type=ComponentType.APPLICATION,
        bom_ref=table["name"],
        purl=PackageURL("pypi", name=table["name"], version=table["version"]),
    )
    document = Bom(components=[*_packages(folder), *_files(base_files)])
    document.metadata.component = root
    document.metadata.timestamp = dt.datetime.fromtimestamp(0, dt.UTC)
    document.dependencies.add(Dependency(root.bom_ref, [Dependency(each.bom_ref) for each in document.components]))
    document.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, _state(document))
    made: dict[str, Any] = json.loads(JsonV1Dot6(document).output_as_string())
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def _packages(folder: str) -> Iterator[Component]:
    lock = (ROOT / folder / "requirements.lock").read_text("utf-8")
    for name, (version, hashes) in sorted(entries(lock).items()):
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"pkg:pypi/{name}@{version}",
            purl=PackageURL("pypi", name=name, version=version),
            hashes=[_sha256(each.removeprefix(_HASH)) for each in sorted(hashes)],
        )


def _files(files: Iterable[tuple[str, str]]) -> Iterator[Component]:
    for path, digest in sorted(files):
        yield Component(name=path, type=ComponentType.FILE, bom_ref=f"file:{path}", hashes=[_sha256(digest)])


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _state(document: Bom) -> str:
    parts = (f"{each.bom_ref} {sorted(one.content for one in each.hashes)}" for each in document.components)
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def base_files(listing: str) -> Iterator[tuple[str, str]]:
    """Return path and digest of what an image's listing has from its base; links and our own files are left out."""
    for line in listing.splitlines():
        _, digest, path = line.split(" ", 2)
        if digest != "->" and _OF_PACKAGES not in path and not path.startswith("/etc/") and not path.endswith(".pyc"):
            yield path, digest


def main() -> int:
    """Write one file a deployable."""
    parser = argparse.ArgumentParser(
        prog="make sbom", description="Write the bills of materials (CycloneDX 1.6, JSON)."
    )
    parser.add_argument("--output", type=Path, default=_OUT)
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    for folder in DEPLOYABLES:
        has_image = folder == "enclave" and _LISTING.is_file()
        files = list(base_files(_LISTING.read_text("utf-8"))) if has_image else []
        (output / f"{folder}.cdx.json").write_text(bom(folder, files), "utf-8")
        sys.stderr.write(f"sbom: {output / folder}.cdx.json: {len(files)} files of the image besides its packages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
