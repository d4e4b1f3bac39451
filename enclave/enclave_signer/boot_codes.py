"""Why an enclave came up or went down: one byte of a closed set, because it has no console to say it on.

The init (``enclave/init/init.c``) sends two bytes, ``0xB7`` and the code, to port 9001 of the parent, beside the
heartbeat. Nothing else leaves that way: no text, no number of ours, nothing of an order or a key. Init chooses the
code from how far it came, or from how the enclave's process ended. ``docs/operate.md`` says what to do about each.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final

MARK: Final = 0xB7


@unique
class BootCode(IntEnum):
    """The vocabulary. QUORUM, LISTEN and BUNDLE are the exit statuses of ``casemate-enclave``, too."""

    RUNNING = 0x01  # the enclave's process was started

    # The init gave up before that.
    MOUNT = 0x10
    MODULE = 0x11
    NO_NSM = 0x12
    ENTROPY = 0x13
    HEARTBEAT = 0x14
    COMMAND = 0x15
    CONFINE = 0x16
    EXEC = 0x17
    FORK = 0x18

    # The enclave's process ended by itself.
    STOPPED = 0x20
    FAULT = 0x21
    WRONG_USE = 0x22
    QUORUM = 0x23
    LISTEN = 0x24
    BUNDLE = 0x25
    OTHER_STATUS = 0x2F

    # The enclave's process was ended by the kernel.
    KILLED = 0x30
    CRASHED = 0x31
    SIGNALLED = 0x32
