"""The committed stubs are what the generator makes of the .proto files."""

import shutil
from pathlib import Path

import pytest

from tools import stubs


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    target = tmp_path_factory.mktemp("stubs")
    return target, stubs.generate(target)


def test_the_committed_stubs_are_fresh(fresh: tuple[Path, list[Path]]) -> None:
    assert stubs.differences(*fresh) == []


def test_a_stale_a_missing_and_an_orphaned_stub_are_seen(
    fresh: tuple[Path, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, generated = fresh
    shutil.copytree(target, tmp_path, dirs_exist_ok=True)
    stale, missing = generated[0], generated[1]
    (tmp_path / stale).write_text("edited by hand")
    (tmp_path / missing).unlink()
    (tmp_path / stale).with_name("gone_pb2.py").write_text("")
    monkeypatch.setattr(stubs, "PROTO", tmp_path)
    assert stubs.differences(target, generated) == [
        f"proto/{stale.with_name('gone_pb2.py')}: no .proto makes it",
        f"proto/{stale}: differs from its .proto",
        f"proto/{missing}: missing",
    ]


def test_the_gencode_is_no_newer_than_the_oldest_runtime(fresh: tuple[Path, list[Path]]) -> None:
    target, generated = fresh
    versions = {
        line.removeprefix("# Protobuf Python Version: ")
        for path in generated
        for line in (target / path).read_text().splitlines()
        if line.startswith("# Protobuf Python Version")
    }
    assert versions == {"6.33.5"}
