"""Ramdisks: the same tree gives the same bytes, and the kernel's own format comes out."""

from __future__ import annotations

import os
import subprocess
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from casemate.eif import cpio
from casemate.eif.errors import EifError, Reason

if TYPE_CHECKING:
    from pathlib import Path


def tree(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "run").write_bytes(b"#!")
    (folder / "bin" / "run").chmod(0o700)
    (folder / "data").write_bytes(b"12345")
    (folder / "link").symlink_to("bin/run")
    (folder / ("b" * 30)).mkdir()
    return folder


def packed(folder: Path) -> bytes:
    out = BytesIO()
    cpio.write_tree(folder, out)
    return out.getvalue()


def entries(raw: bytes) -> list[tuple[str, int, bytes, list[int]]]:
    """Read newc by its specification (linux Documentation/driver-api/early-userspace/buffer-format.rst)."""
    found: list[tuple[str, int, bytes, list[int]]] = []
    at = 0
    while True:
        assert raw[at : at + 6] == b"070701"
        fields = [int(raw[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = raw[at + 110 : at + 110 + fields[11] - 1].decode()
        start = at + (110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            assert start == len(raw)
            return found
        data = raw[start : start + fields[6]]
        found.append((name, fields[1], data, fields))
        at = start + (fields[6] + 3) // 4 * 4


def test_two_trees_made_at_different_times_in_different_places_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "one"), tree(tmp_path / "elsewhere" / "other")
    for path in other.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    (other / "data").chmod(0o600)
    assert packed(one) == packed(other)


def test_owner_times_and_modes_are_fixed_and_names_sorted(tmp_path: Path) -> None:
    found = entries(packed(tree(tmp_path / "t")))
    assert [(name, oct(mode), data) for name, mode, data, _ in found] == [
        ("b" * 30, "0o40755", b""),
        ("bin", "0o40755", b""),
        ("bin/run", "0o100755", b"#!"),
        ("data", "0o100644", b"12345"),
        ("link", "0o120777", b"bin/run"),
    ]
    for _, _, _, fields in found:
        assert fields[2:4] == [0, 0]
        assert fields[5] == 0


def test_an_application_is_its_command_and_its_root(tmp_path: Path) -> None:
    out = BytesIO()
    cpio.write_application(tree(tmp_path / "t"), ["A=1", "/bin/run", "two words"], out)
    found = {name: data for name, _, data, _ in entries(out.getvalue())}
    assert found["command"] == b"A=1\n/bin/run\ntwo words\n"
    assert found["rootfs/bin/run"] == b"#!"


@pytest.mark.parametrize("command", [[], [""], ["/bin/run", "a\nb"]])
def test_a_command_that_the_init_could_not_read_is_refused(tmp_path: Path, command: list[str]) -> None:
    with pytest.raises(EifError):
        cpio.write_application(tree(tmp_path / "t"), command, BytesIO())


def test_a_pipe_or_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EifError) as caught:
        packed(tmp_path)
    assert caught.value.reason is Reason.TREE
    (tmp_path / "pipe").unlink()
    (tmp_path / os.fsdecode(b"\xff")).touch()
    with pytest.raises(EifError, match="UTF-8"):
        packed(tmp_path)


def test_cpio_itself_reads_it_if_it_is_here(tmp_path: Path) -> None:
    try:
        raw = packed(tree(tmp_path / "t"))
        done = subprocess.run(["cpio", "-t", "--quiet"], input=raw, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("no cpio on this machine")
    assert done.stdout.decode().splitlines() == ["b" * 30, "bin", "bin/run", "data", "link"]
