"""The kernel is given the security module's entropy, credited bit for bit, and only where it does not feed itself."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from casemate_mock.nitro import FakeChain, FakeNsm
from enclave_signer.nitro.entropy import RNDADDTOENTCNT, SEED_BYTES, needs_seed, seed

if TYPE_CHECKING:
    from pathlib import Path

NSM = FakeNsm(chain=FakeChain(), now_ms=lambda: 0, random_bytes=lambda count: b"\x5a" * count, measurements={})


def test_what_is_mixed_in_is_the_modules_and_is_credited(tmp_path: Path) -> None:
    device = tmp_path / "random"
    device.touch()
    asked: list[tuple[int, bytes]] = []
    seed(NSM, str(device), lambda _, code, argument: asked.append((code, argument)))
    assert device.read_bytes() == b"\x5a" * SEED_BYTES
    # linux/random.h: _IOW('R', 0x01, int)
    assert (1 << 30 | 4 << 16 | ord("R") << 8 | 1) == RNDADDTOENTCNT
    assert asked == [(RNDADDTOENTCNT, struct.pack("=i", 8 * SEED_BYTES))]


def test_a_credit_that_is_not_allowed_is_an_error_and_leaves_no_descriptor(tmp_path: Path) -> None:
    device = tmp_path / "random"
    device.touch()
    opened: list[int] = []

    def forbidden(descriptor: int, _: int, __: bytes) -> None:
        opened.append(descriptor)
        raise PermissionError(1, "Operation not permitted")

    with pytest.raises(PermissionError):
        seed(NSM, str(device), forbidden)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_a_kernel_that_feeds_itself_needs_none(tmp_path: Path) -> None:
    current = tmp_path / "rng_current"
    assert needs_seed(current)
    current.write_text("virtio_rng.0\n")
    assert needs_seed(current)
    current.write_text("nsm-hwrng\n")
    assert not needs_seed(current)
