"""The key that a boot makes for itself: it names the boot in statements that hold for one boot only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclave_signer.credentials import Ed25519Key

if TYPE_CHECKING:
    from enclave_signer.ports import Randomness

_SEED: Final = 32


def make_boot_key(randomness: Randomness) -> Ed25519Key:
    """Return a fresh Ed25519 key that never leaves this process."""
    return Ed25519Key(Ed25519PrivateKey.from_private_bytes(randomness.bytes(_SEED)))
