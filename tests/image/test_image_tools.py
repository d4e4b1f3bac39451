"""What the image may hold is a list with reasons, and what assembles it gives the same bytes for the same inputs."""

import hashlib
import importlib.util
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import sbom
from tools.distributions import ROOT
from tools.image import base, build, fetch, listing
from tools.lock import entries

NAMES = st.text("abc.", min_size=1, max_size=4)


def the_assembler() -> ModuleType:
    """Load the file that runs inside the build stage; it is part of no package."""
    spec = importlib.util.spec_from_file_location("assemble", ROOT / "enclave" / "image" / "assemble.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_line_of_the_intended_list_is_a_pattern_with_a_reason() -> None:
    patterns = listing.intended()
    assert len(patterns) > 30
    assert all(len(why) > 3 for why in patterns.values())


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("/usr/bin/sh", "/usr/bin/*", True),
        ("/usr/bin/sub/sh", "/usr/bin/*", False),
        ("/usr/lib/x/y/z.py", "/usr/lib/*/**", True),
        ("/usr/lib/x", "/usr/lib/*/**", False),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/*-linux-gnu/libc.so.6", True),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6.evil", "/usr/lib/*-linux-gnu/libc.so.6", False),
    ],
)
def test_a_star_stays_in_its_directory_and_two_do_not(path: str, pattern: str, fits: bool) -> None:  # noqa: FBT001
    assert listing.fits(path, pattern) is fits


def test_a_file_too_many_and_a_file_too_few_are_both_found() -> None:
    wrong = listing.differences(["/bin/sh", "/lib/a.so"], ["/lib/*", "/etc/passwd", "?/opt/x"])
    assert wrong == [
        "/bin/sh: is in the image and not in the list",
        "/etc/passwd: is in the list and not in the image",
    ]


@pytest.mark.parametrize(
    "program", ["bin/sh", "usr/bin/apt", "usr/bin/pip", "bin/busybox", "usr/bin/dpkg", "usr/bin/env"]
)
def test_no_shell_and_no_package_manager_fits_any_line(program: str) -> None:
    assert not any(listing.fits(f"/{program}", pattern.removeprefix("?")) for pattern in listing.intended())


@given(st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=5), st.integers(0, 2_000_000_000))
def test_the_same_files_settle_to_the_same_modes_and_times(files: dict[str, bytes], epoch: int) -> None:
    import tempfile  # noqa: PLC0415 - hypothesis wants a fresh place each time

    said = []
    for mode in (0o600, 0o664):
        with tempfile.TemporaryDirectory() as place:
            tree = Path(place, "tree")
            for name, content in files.items():
                file = tree / "sub" / f"f{name}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                file.chmod(mode)
            the_assembler().settle(tree, epoch)
            said.append([(each.name, each.stat().st_mode, each.stat().st_mtime) for each in sorted(tree.rglob("*"))])
    assert said[0] == said[1]
    assert {time for _, _, time in said[0]} == {epoch}


def test_bytecode_names_no_build_directory_and_is_checked_against_its_source(tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt" / "module.py").write_text("def f():\n    return 1\n")
    the_assembler().compile_all(tmp_path)
    (made,) = (tmp_path / "opt" / "__pycache__").iterdir()
    content = made.read_bytes()
    # PEP 552: the flags say "hash-based" and "checked".
    assert int.from_bytes(content[4:8], "little") == 0b11
    assert str(tmp_path).encode() not in content
    assert b"/opt/module.py" in content


def test_of_the_standard_library_what_reaches_networks_and_shells_is_left_out() -> None:
    assembler = the_assembler()
    library = Path(os.__file__).parent
    names = {str(path.relative_to(library)) for path in assembler.library_files(library)}
    assert {"os.py", "asyncio/__init__.py", "hmac.py"} <= names
    for unwanted in ("ftplib.py", "smtplib.py", "pdb.py", "pty.py"):
        assert unwanted not in names
    assert not any(name.startswith(("ensurepip/", "idlelib/", "test/", "site-packages/")) for name in names)


def test_what_is_fetched_is_what_the_lock_names_and_grpcio_may_be_our_own_build() -> None:
    named = entries(fetch.LOCK.read_text())
    found = {match["name"]: match["version"] for match in fetch._ENTRY.finditer(fetch.LOCK.read_text())}
    assert found == {name: version for name, (version, _) in named.items()}
    assert f"grpcio=={fetch.grpcio_version()}" in fetch.grpcio_lines()
    assert "cbor2" not in fetch.grpcio_lines()


def test_without_a_grpcio_that_speaks_vsock_no_image_is_made_by_accident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "GRPCIO_CACHE", tmp_path)
    with pytest.raises(fetch.CannotFetch, match="make grpcio-vsock"):
        fetch.grpcio_wheel(None)
    with pytest.raises(fetch.CannotFetch):
        fetch.grpcio_wheel(tmp_path / "missing.whl")


def layer(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_an_archives_layers_come_out_in_their_order(tmp_path: Path) -> None:
    layers = [layer({"a": b"first", "b": b"b"}), layer({"a": b"second"})]
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    manifest = json.dumps({"layers": [{"digest": each} for each in digests]}).encode()
    name = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    blobs = dict(zip(digests, layers, strict=True)) | {name: manifest}
    archive = tmp_path / "image.tar"
    index = json.dumps({"manifests": [{"digest": name}]}).encode()
    archive.write_bytes(layer({"index.json": index} | {build._blob(key): value for key, value in blobs.items()}))
    build.flatten(archive, tmp_path / "tree")
    assert (tmp_path / "tree" / "a").read_bytes() == b"second"
    assert (tmp_path / "tree" / "b").read_bytes() == b"b"


def test_code_that_is_not_the_repositorys_is_found(tmp_path: Path) -> None:
    place = tmp_path / "usr" / "local" / "lib" / "python3.11" / "site-packages"
    for package, source in listing.OWN.items():
        for path in source.rglob("*.py"):
            target = place / package / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert listing.own_differences(tmp_path) == []
    (place / "enclave_signer" / "vault.py").write_text("# nothing")
    (place / "enclave_signer" / "extra.py").write_text("# nothing")
    assert listing.own_differences(tmp_path) == [
        "enclave_signer/extra.py: not as in the repository",
        "enclave_signer/vault.py: not as in the repository",
    ]


def test_what_python_would_load_before_our_own_code_is_found(tmp_path: Path) -> None:
    place = tmp_path / "usr" / "local" / "lib" / "python3.11" / "site-packages"
    for package, source in listing.OWN.items():
        shutil.copytree(source, place / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyi", "*.proto"))
    for path in place.rglob("*"):
        if path.is_file() and path.suffix != ".py":
            path.unlink()
    own = place / "enclave_signer"
    (own / "__pycache__").mkdir()
    (own / "__pycache__" / "vault.cpython-311.pyc").touch()
    assert listing.own_differences(tmp_path) == []
    (own / "vault.cpython-311-x86_64-linux-gnu.so").touch()
    (own / "other.pyc").touch()
    (own / "__pycache__" / "gone.cpython-311.pyc").touch()
    (own / "link").symlink_to(tmp_path)
    assert listing.own_differences(tmp_path) == [
        "enclave_signer/__pycache__/gone.cpython-311.pyc: is no source of ours",
        "enclave_signer/link: is no source of ours",
        "enclave_signer/other.pyc: is no source of ours",
        "enclave_signer/vault.cpython-311-x86_64-linux-gnu.so: is no source of ours",
    ]


def test_the_debian_mirror_is_the_machines_own(tmp_path: Path) -> None:
    new, old = tmp_path / "debian.sources", tmp_path / "sources.list"
    new.write_text("Types: deb\n# URIs: http://no.test/debian\nURIs: http://mirror.test/debian\nSuites: bookworm\n")
    old.write_text("deb [signed-by=/k] http://old.test/debian bookworm main\n")
    assert base.mirror([tmp_path / "none", new]) == "http://mirror.test/debian"
    assert base.mirror([old]) == "http://old.test/debian"
    with pytest.raises(build.CannotBuild):
        base.mirror([])


@pytest.mark.parametrize("folder", sbom.DEPLOYABLES)
def test_a_bill_of_materials_names_every_locked_package_with_its_hashes(folder: str) -> None:
    document = json.loads(sbom.bom(folder))
    found = {
        each["name"]: (each["version"], {one["content"] for one in each["hashes"]}) for each in document["components"]
    }
    lock = entries((ROOT / folder / "requirements.lock").read_text())
    expected = {
        name: (version, {each.rpartition(":")[2] for each in hashes}) for name, (version, hashes) in lock.items()
    }
    assert found == expected
    assert document["bomFormat"] == "CycloneDX"
    assert sbom.bom(folder) == sbom.bom(folder)


def test_the_enclaves_bill_names_what_the_image_has_from_its_base() -> None:
    text = (
        f"0120777 -> usr/bin /bin\n0100755 {'a' * 64} /usr/bin/python3.11\n0100644 {'b' * 64} /etc/passwd\n"
        f"0100644 {'c' * 64} /usr/local/lib/python3.11/site-packages/cbor2/__init__.py\n"
    )
    files = list(sbom.base_files(text))
    assert files == [("/usr/bin/python3.11", "a" * 64)]
    names = {each["name"] for each in json.loads(sbom.bom("enclave", files))["components"]}
    assert "/usr/bin/python3.11" in names
