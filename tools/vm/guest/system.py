"""What PID 1 of a guest has to do before Python is comfortable: mounts, modules, the loopback interface."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

_FINIT_MODULE: Final = 313  # x86_64
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_UP: Final = 1
_POWER_OFF: Final = 0x4321FEDC
_LOCAL_CID: Final = 0x7B9

_libc = ctypes.CDLL(None, use_errno=True)


def prepare() -> None:
    """Mount, load, and bring up 127.0.0.1; raises OSError."""
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")):  # noqa: S108
        if _libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None) and ctypes.get_errno() != errno.EBUSY:
            raise OSError(ctypes.get_errno(), f"mount {where}")
    for module in sorted(Path("/modules").iterdir()):
        with module.open("rb") as file:
            if _libc.syscall(_FINIT_MODULE, file.fileno(), b"", 0) and ctypes.get_errno() != errno.EEXIST:
                raise OSError(ctypes.get_errno(), f"load {module.name}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh", b"lo", 0).ljust(40, b"\0")
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked), 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | _UP).ljust(40, b"\0"))


def local_cid() -> int:
    """Return this machine's context id."""
    with Path("/dev/vsock").open("rb") as device:
        return int(struct.unpack("I", fcntl.ioctl(device, _LOCAL_CID, bytes(4)))[0])


def power_off() -> None:
    """End the machine."""
    os.sync()
    _libc.reboot(_POWER_OFF)
