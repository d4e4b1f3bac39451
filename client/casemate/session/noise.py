"""The initiator's half of ``Noise_NK_25519_ChaChaPoly_SHA256``, as revision 34 of the Noise specification has it.

    <- s
    ...
    -> e, es
    <- e, ee

Held against the official test vector. The names are the specification's.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

# 32 bytes, the length of the hash, so it is the first h as it stands (section 5.2).
PROTOCOL: Final = b"Noise_NK_25519_ChaChaPoly_SHA256"
KEY_BYTES: Final = 32


class NoiseError(Exception):
    """A message that this handshake, or this channel, does not accept."""


class Cipher:
    """One direction of the channel: a key and a counter."""

    __slots__ = ("_cipher", "_n")

    def __init__(self, key: bytes) -> None:
        """``key`` has 32 bytes."""
        self._cipher = ChaCha20Poly1305(key)
        self._n = 0

    def __repr__(self) -> str:
        """Show no key."""
        return "<Cipher>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "a key cannot be serialised"
        raise TypeError(message)

    def encrypt(self, plaintext: bytes, ad: bytes = b"") -> bytes:
        """Return ciphertext and tag."""
        return self._cipher.encrypt(self._nonce(), plaintext, ad)

    def decrypt(self, ciphertext: bytes, ad: bytes = b"") -> bytes:
        """Return the plaintext, or raise NoiseError."""
        try:
            return self._cipher.decrypt(self._nonce(), ciphertext, ad)
        except InvalidTag:
            message = "not a message of this handshake"
            raise NoiseError(message) from None

    def _nonce(self) -> bytes:
        self._n += 1
        return bytes(4) + (self._n - 1).to_bytes(8, "little")


class Channel:
    """A finished handshake: a direction each, and the hash that is its own name (section 11.2)."""

    __slots__ = ("handshake_hash", "receive", "send")

    def __init__(self, send: Cipher, receive: Cipher, handshake_hash: bytes) -> None:
        """Take what Split gave."""
        self.send = send
        self.receive = receive
        self.handshake_hash = handshake_hash

    def __repr__(self) -> str:
        """Show no key."""
        return "<Channel>"


class Initiator:
    """One handshake with a responder whose static key is known."""

    __slots__ = ("_ck", "_ephemeral", "_h", "message")

    def __init__(self, static: bytes, ephemeral: bytes, prologue: bytes, payload: bytes = b"") -> None:
        """``static``: the responder's public key; ``ephemeral``: 32 random bytes that serve this handshake alone.

        ``message`` is the first message then. Raises NoiseError for a key that is none.
        """
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        own = self._ephemeral.public_key().public_bytes_raw()
        self._ck = PROTOCOL
        self._h = hashlib.sha256(PROTOCOL + prologue).digest()
        self._mix_hash(static)
        self._mix_hash(own)
        self.message = own + self._encrypted(self._mix_key(static), payload)

    def __repr__(self) -> str:
        """Show no key."""
        return "<Initiator>"

    def finish(self, answer: bytes) -> tuple[bytes, Channel]:
        """Take the responder's message; returns its payload and the channel, or raises NoiseError."""
        remote, ciphertext = answer[:KEY_BYTES], answer[KEY_BYTES:]
        self._mix_hash(remote)
        payload = self._mix_key(remote).decrypt(ciphertext, self._h)
        self._mix_hash(ciphertext)
        first, second = _hkdf(self._ck, b"")
        return payload, Channel(Cipher(first), Cipher(second), self._h)

    def _encrypted(self, cipher: Cipher, payload: bytes) -> bytes:
        ciphertext = cipher.encrypt(payload, self._h)
        self._mix_hash(ciphertext)
        return ciphertext

    def _mix_hash(self, data: bytes) -> None:
        self._h = hashlib.sha256(self._h + data).digest()

    def _mix_key(self, public: bytes) -> Cipher:
        try:
            # Refuses a public key that would make the outcome all zero.
            shared = self._ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            message = "not an X25519 public key"
            raise NoiseError(message) from None
        self._ck, key = _hkdf(self._ck, shared)
        return Cipher(key)


def _hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (section 4.3)."""
    temporary = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(temporary, b"\x01", "sha256")
    return first, hmac.digest(temporary, first + b"\x02", "sha256")
