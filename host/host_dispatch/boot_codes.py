"""Hears why the enclave came up or went down, and logs it (docs/operate.md explains each code).

The enclave's init connects to port 9001 of its parent and sends two bytes: 0xB7 and a code of a closed list. Whatever
else somebody sends there is logged as no code, and its bytes are not.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT: Final = 9001
MARK: Final = 0xB7
NAMES: Final[Mapping[int, str]] = {
    0x01: "RUNNING",
    0x10: "MOUNT",
    0x11: "MODULE",
    0x12: "NO_NSM",
    0x13: "ENTROPY",
    0x14: "HEARTBEAT",
    0x15: "COMMAND",
    0x16: "CONFINE",
    0x17: "EXEC",
    0x18: "FORK",
    0x20: "STOPPED",
    0x21: "FAULT",
    0x22: "WRONG_USE",
    0x23: "QUORUM",
    0x24: "LISTEN",
    0x25: "BUNDLE",
    0x2F: "OTHER_STATUS",
    0x30: "KILLED",
    0x31: "CRASHED",
    0x32: "SIGNALLED",
}
_RUNNING: Final = 0x01
_FRAME: Final = 2
_PATIENCE_S: Final = 5.0

_log = logging.getLogger("casemate.host.boot")


async def start(line: socket.socket | None = None) -> asyncio.Server | None:
    """Listen; None, and a warning, where there is no vsock or another process listens. ``line`` replaces the port."""
    try:
        return await asyncio.start_server(hear, sock=line or _bound())
    except OSError as error:
        _log.warning("boot codes of the enclave are not heard", extra={"fields": {"error": error.strerror}})
        return None


def _bound() -> socket.socket:
    line = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        line.bind((socket.VMADDR_CID_ANY, PORT))
    except OSError:
        line.close()
        raise
    return line


async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take one message, which is a code or nothing."""
    said = b""
    cid = _peer(writer.get_extra_info("peername"))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            said = await reader.readexactly(_FRAME)
    except (TimeoutError, asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()
    if len(said) != _FRAME or said[0] != MARK or said[1] not in NAMES:
        _log.warning("what came to the port of boot codes is no code")
        return
    level = logging.INFO if said[1] == _RUNNING else logging.ERROR
    _log.log(level, "boot code of the enclave", extra={"fields": {"code": said[1], "name": NAMES[said[1]], "cid": cid}})


def _peer(address: object) -> int:
    """Return the context id of who connected: the kernel's word, not the enclave's; 0 where it is no vsock."""
    match address:
        case (int(cid), int()):
            return cid
        case _:
            return 0
