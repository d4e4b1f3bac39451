"""The responder's half of ``Noise_NK_25519_ChaChaPoly_SHA256``, as revision 34 of the Noise specification has it.

    <- s
    ...
    -> e, es
    <- e, ee

Held against the official test vector. The names are the specification's.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from enclave_signer.errors import EnclaveError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

# 32 bytes, the length of the hash, so it is the first h as it stands (section 5.2).
PROTOCOL: Final = b"Noise_NK_25519_ChaChaPoly_SHA256"
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
# Of the specification.
MAX_MESSAGE: Final = 65_535


class NoiseError(EnclaveError):
    """A message that this handshake, or this channel, does not accept. There is one text, whatever is wrong."""

    def __init__(self) -> None:
        """Say nothing else."""
        super().__init__("the handshake message was refused")


class CipherState:
    """One direction of the channel: a key and a counter. A message that fails ends it."""

    __slots__ = ("_cipher", "_n")

    def __init__(self, key: bytes) -> None:
        """``key`` has 32 bytes."""
        self._cipher: ChaCha20Poly1305 | None = ChaCha20Poly1305(key)
        self._n = 0

    def __repr__(self) -> str:
        """Show no key."""
        return "<CipherState>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "a key cannot be serialised"
        raise TypeError(message)

    def encrypt(self, ad: bytes, plaintext: bytes) -> bytes:
        """Return ciphertext and tag."""
        if self._cipher is None:
            raise NoiseError
        return self._cipher.encrypt(self._nonce(), plaintext, ad)

    def decrypt(self, ad: bytes, ciphertext: bytes) -> bytes:
        """Return the plaintext, or raise NoiseError for this and every later message."""
        cipher, self._cipher = self._cipher, None
        if cipher is None or len(ciphertext) > MAX_MESSAGE:
            raise NoiseError
        try:
            plaintext = cipher.decrypt(self._nonce(), ciphertext, ad)
        except InvalidTag:
            raise NoiseError from None
        self._cipher = cipher
        return plaintext

    def _nonce(self) -> bytes:
        self._n += 1
        return bytes(4) + (self._n - 1).to_bytes(8, "little")


class SymmetricState:
    """Chaining key, hash and key of a handshake (section 5.2)."""

    __slots__ = ("_cipher", "_ck", "h")

    def __init__(self, prologue: bytes) -> None:
        """Begin with the protocol's name and mix in the prologue."""
        self.h = self._ck = PROTOCOL
        self._cipher: CipherState | None = None
        self.mix_hash(prologue)

    def __repr__(self) -> str:
        """Show no key."""
        return "<SymmetricState>"

    def mix_hash(self, data: bytes) -> None:
        """Set h to HASH(h || data)."""
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, material: bytes) -> None:
        """Take the outcome of a Diffie-Hellman in."""
        self._ck, key = _hkdf(self._ck, material)
        self._cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Encrypt a payload with h as associated data, and mix the ciphertext in."""
        ciphertext = self._keyed().encrypt(self.h, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        """Decrypt a payload and mix its ciphertext in; raises NoiseError."""
        plaintext = self._keyed().decrypt(self.h, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[CipherState, CipherState]:
        """Return the two directions, the initiator's first."""
        first, second = _hkdf(self._ck, b"")
        return CipherState(first), CipherState(second)

    def _keyed(self) -> CipherState:
        # Every payload of NK comes after a Diffie-Hellman.
        if self._cipher is None:
            raise NoiseError
        return self._cipher


class Channel:
    """What a finished handshake leaves: a direction each, and the hash that is its own name (section 11.2)."""

    __slots__ = ("_receive", "_send", "handshake_hash")

    def __init__(self, receive: CipherState, send: CipherState, handshake_hash: bytes) -> None:
        """Take what ``split`` gave."""
        self._receive = receive
        self._send = send
        self.handshake_hash = handshake_hash

    def __repr__(self) -> str:
        """Show no key."""
        return "<Channel>"

    def encrypt(self, plaintext: bytes) -> bytes:
        """Return the next message to the other side."""
        return self._send.encrypt(b"", plaintext)

    def decrypt(self, message: bytes) -> bytes:
        """Return what the other side's next message says, or raise NoiseError."""
        return self._receive.decrypt(b"", message)


def respond(
    static: X25519PrivateKey, ephemeral: X25519PrivateKey, prologue: bytes, message: bytes, payload: bytes = b""
) -> tuple[bytes, bytes, Channel]:
    """Answer the initiator's message; raises NoiseError.

    Returns the message's payload, the answer (which carries ``payload``), and the channel. ``ephemeral`` serves one
    handshake and no second one.
    """
    state = SymmetricState(prologue)
    state.mix_hash(static.public_key().public_bytes_raw())
    remote = message[:KEY_BYTES]
    state.mix_hash(remote)
    state.mix_key(_dh(static, remote))
    said = state.decrypt_and_hash(message[KEY_BYTES:])
    own = ephemeral.public_key().public_bytes_raw()
    state.mix_hash(own)
    state.mix_key(_dh(ephemeral, remote))
    answer = own + state.encrypt_and_hash(payload)
    theirs, ours = state.split()
    return said, answer, Channel(theirs, ours, state.h)


def _dh(private: X25519PrivateKey, public: bytes) -> bytes:
    try:
        # Refuses a public key that would make the outcome all zero.
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise NoiseError from None


def _hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (section 4.3)."""
    temporary = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(temporary, b"\x01", "sha256")
    return first, hmac.digest(temporary, first + b"\x02", "sha256")
