"""Seeds the kernel's random number generator from the security module, before any key is made.

An enclave boots without disk, network or keyboard, so its kernel has little to begin with. Kernels with the driver's
``nsm-hwrng`` feed themselves; for the others the module's bytes are mixed in here and credited. Mixing is harmless
in any case: what the kernel has already is never replaced.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from enclave_signer.nitro import Nsm

RANDOM: Final = "/dev/random"
CURRENT: Final = Path("/sys/class/misc/hw_random/rng_current")
OWN_DRIVER: Final = "nsm-hwrng"
# _IOW('R', 1, int): credit so many bits. linux, include/uapi/linux/random.h
RNDADDTOENTCNT: Final = 0x40045201
SEED_BYTES: Final = 256


def needs_seed(current: Path = CURRENT) -> bool:
    """Say whether the kernel does not feed itself from the security module."""
    try:
        return current.read_text(encoding="ascii", errors="replace").strip() != OWN_DRIVER
    except OSError:
        return True


def seed(module: Nsm, path: str = RANDOM, ioctl: Callable[[int, int, bytes], object] = fcntl.ioctl) -> None:
    """Mix the module's bytes into the kernel's generator and credit them; raises NsmError, OSError."""
    fresh = module.random(SEED_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        written = os.write(descriptor, fresh)
        # What was written, and no bit more.
        ioctl(descriptor, RNDADDTOENTCNT, struct.pack("=i", 8 * written))
    finally:
        os.close(descriptor)
