"""A directory as a cpio archive (newc), the form of a Linux ramdisk: the same tree gives the same bytes.

Sorted by name, owned by root, without times, numbered in order; 0755 for directories and what the owner may execute,
0644 for the rest. Hard links are written out as files of their own. What a ramdisk does not need is refused by name:
devices, pipes and sockets. The kernel makes the devices that the init wants.
"""

from __future__ import annotations

import os
import stat
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from casemate.eif.errors import EifError, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_ALIGN: Final = 4
_TRAILER: Final = "TRAILER!!!"
# Before each file is copied; a ramdisk of gigabytes passes through this.
CHUNK: Final = 1 << 20
_DIRECTORY: Final = stat.S_IFDIR | 0o755
_PROGRAM: Final = stat.S_IFREG | 0o755
_FILE: Final = stat.S_IFREG | 0o644
_LINK: Final = stat.S_IFLNK | 0o777
# The size has eight hexadecimal digits.
_LARGEST_FILE: Final = 0xFFFFFFFF


class _Entry(NamedTuple):
    name: str
    mode: int
    size: int
    source: Path | bytes


def write_tree(tree: Path, out: BinaryIO) -> None:
    """Write what the directory holds; raises EifError and OSError."""
    _write_all(out, _walk(tree, tree, ""))


def write_application(root: Path, command: Sequence[str], out: BinaryIO) -> None:
    """Write a ramdisk for our init: the root below ``rootfs/``, and ``command``, one argument on each line."""
    if not command or any(not word or "\n" in word for word in command):
        raise EifError(Reason.TREE, "the command's words must be neither empty nor of more than one line")
    lines = "".join(f"{word}\n" for word in command).encode()
    top = (_Entry("command", _FILE, len(lines), lines), _Entry("rootfs", _DIRECTORY, 0, b""))
    _write_all(out, chain(top, _walk(root, root, "rootfs/")))


def _write_all(out: BinaryIO, entries: Iterable[_Entry]) -> None:
    number = 0
    for number, entry in enumerate(entries, 1):
        _write(out, number, entry)
    _write(out, number + 1, _Entry(_TRAILER, 0, 0, b""))


def _walk(tree: Path, folder: Path, prefix: str) -> Iterator[_Entry]:
    for path in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        entry = _entry(path, prefix + path.relative_to(tree).as_posix())
        yield entry
        if entry.mode == _DIRECTORY:
            yield from _walk(tree, path, prefix)


def _entry(path: Path, name: str) -> _Entry:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise EifError(Reason.TREE, f"{name!r}: a name that is not UTF-8") from None
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        target = os.fsencode(path.readlink())
        return _Entry(name, _LINK, len(target), target)
    if stat.S_ISDIR(status.st_mode):
        return _Entry(name, _DIRECTORY, 0, b"")
    if not stat.S_ISREG(status.st_mode):
        raise EifError(Reason.TREE, f"{name}: neither file, directory nor symbolic link")
    if status.st_size > _LARGEST_FILE:
        raise EifError(Reason.TREE, f"{name}: {status.st_size} bytes; an archive's file has at most 4 GiB")
    return _Entry(name, _PROGRAM if status.st_mode & stat.S_IXUSR else _FILE, status.st_size, path)


def _write(out: BinaryIO, number: int, entry: _Entry) -> None:
    name = entry.name.encode() + b"\0"
    links = 2 if entry.mode == _DIRECTORY else 1
    # Inode, mode, user, group, links, time, size, four device numbers, the name's length, no checksum.
    fields = (number, entry.mode, 0, 0, links, 0, entry.size, 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    out.write(head + bytes(-len(head) % _ALIGN))
    if isinstance(entry.source, bytes):
        out.write(entry.source)
    else:
        _copy(entry.source, entry.size, out)
    out.write(bytes(-entry.size % _ALIGN))


def _copy(source: Path, size: int, out: BinaryIO) -> None:
    left = size
    with source.open("rb") as file:
        while left and (piece := file.read(min(CHUNK, left))):
            out.write(piece)
            left -= len(piece)
    if left:
        raise EifError(Reason.TREE, f"{source.name}: became shorter while it was read")
