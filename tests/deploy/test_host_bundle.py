"""The bundle of the host's software: complete, hashed, the same twice."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from tools import distributions, host_bundle, lock

if TYPE_CHECKING:
    from pathlib import Path


def test_what_host_and_client_have_locked_is_in_it_and_the_official_grpcio_is_not() -> None:
    held = lock.entries(host_bundle.wanted())
    expected = lock.entries((distributions.ROOT / "host/requirements.lock").read_text())
    assert expected.keys() - held.keys() == {"grpcio"}
    assert all(held[name] == entry for name, entry in expected.items() if name != "grpcio")


def test_a_wheel_s_line_has_its_hash(tmp_path: Path) -> None:
    wheel = tmp_path / "casemate_host-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    line = host_bundle.line_of(wheel)
    assert line == f"casemate-host==0.1.0 --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}\n"
    assert lock.entries(line)


def test_the_same_files_give_the_same_bytes_in_whatever_order() -> None:
    one = host_bundle.packed({"a": b"1", "wheels/b": b"2"})
    assert one == host_bundle.packed({"wheels/b": b"2", "a": b"1"})
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        assert [(entry.name, entry.mtime, entry.uid, entry.mode) for entry in archive] == [
            ("a", 0, 0, 0o644),
            ("wheels/b", 0, 0, 0o644),
        ]


@pytest.mark.parametrize("name", ["grpcio-1.85.1-cp311-cp311-manylinux2014_x86_64.whl", "aiohttp-3.14.3-cp311.whl"])
def test_an_official_grpcio_or_something_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(host_bundle.CannotBundle):
        host_bundle.checked_grpcio(tmp_path / name)
