"""Open what KMS encrypts for an attested key: one CMS EnvelopedData (RFC 5652) in BER.

KMS sends exactly one shape, and nothing else is read: version 2, one key-transport recipient named by the
SHA-256 of our public key, RSAES-OAEP with SHA-256 and MGF1-SHA-256, AES-256-CBC, and the content either
primitive or in parts. Constructed values have definite or indefinite lengths.

The envelope proves nothing about its sender: anyone can encrypt to a public key. The caller authenticates the
content.

No oracle. Everything that can go wrong is one ``EnvelopeError`` with one text and no cause. What depends on
the private key is not branched upon: after a failed OAEP the work goes on with a dummy key, the padding is
not parsed but compared with the only one that the expected length allows, and a single decision at the end
uses all results. Besides, :class:`Recipient` opens once: an attacker gets one question per key.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, NamedTuple, NoReturn

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from enclave_signer.errors import EnclaveError

RSA_BITS: Final = 2048
# KMS encrypts at most 4,096 bytes itself; the rest of an envelope is below 600 bytes.
MAX_ENVELOPE_BYTES: Final = 8192
DATA_KEY_BYTES: Final = 32

_BLOCK: Final = 16
_AES_KEY_BYTES: Final = 32
_MAX_DEPTH: Final = 12

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_OID: Final = 0x06
_CONTEXT_0: Final = 0x80
_CONTEXT_0_CONSTRUCTED: Final = 0xA0
_CONSTRUCTED: Final = 0x20
_MANY_BYTE_TAG: Final = 0x1F
_INDEFINITE: Final = 0x80
_MAX_LENGTH_BYTES: Final = 3

_ENVELOPED_DATA: Final = bytes.fromhex("2a864886f70d010703")  # 1.2.840.113549.1.7.3
_DATA: Final = bytes.fromhex("2a864886f70d010701")  # 1.2.840.113549.1.7.1
_AES_256_CBC: Final = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42
# AlgorithmIdentifier contents of RSAES-OAEP (1.2.840.113549.1.1.7): SHA-256 [0], MGF1 with SHA-256 [1], no
# label. DER gives one encoding; the NULL parameters of SHA-256 are there in every envelope seen.
_SHA256: Final = bytes.fromhex("300d06096086480165030402010500")
_OAEP_SHA256: Final = (
    bytes.fromhex("06092a864886f70d010107302f") + b"\xa0\x0f" + _SHA256 + b"\xa1\x1c"
    + bytes.fromhex("301a06092a864886f70d010108") + _SHA256
)  # fmt: skip
_VERSION_2: Final = b"\x02"


class EnvelopeError(EnclaveError):
    """The envelope could not be opened. There is one text, whatever went wrong."""

    def __init__(self) -> None:
        """Say nothing else."""
        super().__init__("the envelope could not be opened")


class Recipient:
    """An RSA key that opens one envelope, once. It shows its public half and nothing else."""

    __slots__ = ("_key", "public_key")

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        """Use :func:`new_recipient`, or give a key of RSA-2048 or longer; ValueError for a shorter one."""
        if key.key_size < RSA_BITS:
            message = f"an RSA key of at least {RSA_BITS} bits is needed, got {key.key_size}"
            raise ValueError(message)
        self._key: rsa.RSAPrivateKey | None = key
        # DER SubjectPublicKeyInfo: what the attestation document carries as public_key.
        self.public_key: bytes = _spki(key)

    def __repr__(self) -> str:
        """Show no key."""
        return "<Recipient>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "a recipient cannot be serialised"
        raise TypeError(message)

    def open(self, envelope: bytes, *, length: int = DATA_KEY_BYTES) -> bytes:
        """Return a plaintext of exactly ``length`` bytes, or raise EnvelopeError; never twice."""
        key, self._key = self._key, None
        if key is None:
            raise EnvelopeError
        return open_envelope(envelope, key, length=length)


def new_recipient() -> Recipient:
    """Make a key of RSA-2048, which every KMS accepts, from the operating system's randomness."""
    return Recipient(rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))


def open_envelope(envelope: bytes, key: rsa.RSAPrivateKey, *, length: int) -> bytes:
    """Return the plaintext of exactly ``length`` bytes, or raise EnvelopeError.

    Opens as often as it is called: outside tests use :class:`Recipient`.
    """
    plaintext = None
    parts = parse_envelope(envelope)
    # The shape is public knowledge, so leaving early on it tells nobody anything about the key.
    if parts is not None and _meant_for(parts, key, length):
        plaintext = _decrypt(parts, key, length)
    if plaintext is None:
        raise EnvelopeError
    return plaintext


class Envelope(NamedTuple):
    """What an envelope holds: the recipient's key id, the RSA ciphertext, AES vector and ciphertext."""

    key_id: bytes
    encrypted_key: bytes
    initialisation_vector: bytes
    ciphertext: bytes


def parse_envelope(envelope: bytes) -> Envelope | None:
    """Read the public structure; None if it is not exactly what KMS sends."""
    if len(envelope) > MAX_ENVELOPE_BYTES:
        return None
    try:
        return _parse(envelope)
    except _ShapeError:
        return None


def _meant_for(parts: Envelope, key: rsa.RSAPrivateKey, length: int) -> bool:
    return (
        parts.key_id == hashlib.sha256(_spki(key)).digest()
        and len(parts.encrypted_key) == key.key_size // 8
        and len(parts.ciphertext) == _padded(length)
    )


def _decrypt(parts: Envelope, key: rsa.RSAPrivateKey, length: int) -> bytes | None:
    content_key, key_is_good = _content_key(parts.encrypted_key, key)
    decryptor = Cipher(algorithms.AES(content_key), modes.CBC(parts.initialisation_vector)).decryptor()
    padded = decryptor.update(parts.ciphertext) + decryptor.finalize()
    pad = _padded(length) - length
    padding_is_good = hmac.compare_digest(padded[length:], bytes([pad]) * pad)
    return padded[:length] if key_is_good & padding_is_good else None


def _content_key(encrypted_key: bytes, key: rsa.RSAPrivateKey) -> tuple[bytes, bool]:
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    try:
        content_key = key.decrypt(encrypted_key, oaep)
    except ValueError:
        content_key = b""
    is_good = len(content_key) == _AES_KEY_BYTES
    # The dummy lets the rest take the same way; what it decrypts is never released.
    return (content_key if is_good else bytes(_AES_KEY_BYTES)), is_good


def _padded(length: int) -> int:
    return length + _BLOCK - length % _BLOCK


def _spki(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class _ShapeError(Exception):
    """Another shape; never leaves this file."""


class _Value(NamedTuple):
    """One BER value: ``content`` for a primitive one, ``children`` for a constructed one."""

    tag: int
    content: bytes
    children: tuple[_Value, ...]


def _parse(envelope: bytes) -> Envelope:
    root, end = _value(envelope, 0, len(envelope), _MAX_DEPTH)
    _require(end == len(envelope))
    content_type, wrapped = _children(root, _SEQUENCE, 2)
    _require(_primitive(content_type, _OID) == _ENVELOPED_DATA)
    (enveloped,) = _children(wrapped, _CONTEXT_0_CONSTRUCTED, 1)
    version, recipients, content = _children(enveloped, _SEQUENCE, 3)
    _require(_primitive(version, _INTEGER) == _VERSION_2)
    (recipient,) = _children(recipients, _SET, 1)
    key_id, encrypted_key = _recipient(recipient)
    vector, ciphertext = _encrypted_content(content)
    return Envelope(key_id, encrypted_key, vector, ciphertext)


def _recipient(recipient: _Value) -> tuple[bytes, bytes]:
    version, key_id, algorithm, encrypted_key = _children(recipient, _SEQUENCE, 4)
    _require(_primitive(version, _INTEGER) == _VERSION_2)
    _require(algorithm.tag == _SEQUENCE and _der(algorithm.children) == _OAEP_SHA256)
    return _primitive(key_id, _CONTEXT_0), _primitive(encrypted_key, _OCTETS)


def _encrypted_content(content: _Value) -> tuple[bytes, bytes]:
    content_type, algorithm, encrypted = _children(content, _SEQUENCE, 3)
    _require(_primitive(content_type, _OID) == _DATA)
    name, parameters = _children(algorithm, _SEQUENCE, 2)
    _require(_primitive(name, _OID) == _AES_256_CBC)
    vector = _primitive(parameters, _OCTETS)
    _require(len(vector) == _BLOCK)
    if encrypted.tag == _CONTEXT_0:
        return vector, encrypted.content
    _require(encrypted.tag == _CONTEXT_0_CONSTRUCTED)
    return vector, b"".join(_primitive(part, _OCTETS) for part in encrypted.children)


def _children(value: _Value, tag: int, count: int) -> tuple[_Value, ...]:
    _require(value.tag == tag and len(value.children) == count)
    return value.children


def _primitive(value: _Value, tag: int) -> bytes:
    _require(value.tag == tag)
    return value.content


def _der(values: tuple[_Value, ...]) -> bytes:
    """Encode again with definite lengths; only for values below 128 bytes."""
    encoded = b""
    for value in values:
        content = _der(value.children) if value.tag & _CONSTRUCTED else value.content
        _require(len(content) < _INDEFINITE)
        encoded += bytes([value.tag, len(content)]) + content
    return encoded


def _value(data: bytes, at: int, end: int, depth: int) -> tuple[_Value, int]:
    _require(depth > 0 and at + 2 <= end)
    tag = data[at]
    _require(tag & _MANY_BYTE_TAG != _MANY_BYTE_TAG)
    if data[at + 1] == _INDEFINITE:
        _require(tag & _CONSTRUCTED)
        children, after = _until_end_of_contents(data, at + 2, end, depth)
        return _Value(tag, b"", children), after
    length, start = _length(data, at + 1, end)
    after = start + length
    _require(after <= end)
    if not tag & _CONSTRUCTED:
        return _Value(tag, data[start:after], ()), after
    return _Value(tag, b"", _all(data, start, after, depth)), after


def _length(data: bytes, at: int, end: int) -> tuple[int, int]:
    first = data[at]
    if first < _INDEFINITE:
        return first, at + 1
    size = first & 0x7F
    start = at + 1 + size
    _require(0 < size <= _MAX_LENGTH_BYTES and start <= end)
    return int.from_bytes(data[at + 1 : start], "big"), start


def _all(data: bytes, at: int, end: int, depth: int) -> tuple[_Value, ...]:
    values = []
    while at < end:
        value, at = _value(data, at, end, depth - 1)
        values.append(value)
    return tuple(values)


def _until_end_of_contents(data: bytes, at: int, end: int, depth: int) -> tuple[tuple[_Value, ...], int]:
    values = []
    while data[at : min(at + 2, end)] != b"\x00\x00":
        value, at = _value(data, at, end, depth - 1)
        values.append(value)
    return tuple(values), at + 2


def _require(condition: object) -> None:
    """Assert, in code that stays in."""
    if not condition:
        raise _ShapeError
