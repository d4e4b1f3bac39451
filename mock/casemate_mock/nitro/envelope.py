"""Writes KMS's ``CiphertextForRecipient``: CMS EnvelopedData in BER, in the shapes seen from AWS.

Written from the byte layout of real envelopes, not from the reader in the enclave.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_der_public_key

_ENVELOPED_DATA: Final = bytes.fromhex("06092a864886f70d010703")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")
_OAEP_SHA256: Final = bytes.fromhex(
    "303c06092a864886f70d010107302fa00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500"
)
_VERSION_2: Final = bytes.fromhex("020102")
_END: Final = b"\x00\x00"
_AES_BLOCK_BITS: Final = 128


class EnvelopeForm(Enum):
    """The shapes: AWS writes the first two; the others are the same value in other BER."""

    PARTS = "indefinite, content in one octet string"
    PRIMITIVE = "indefinite, content primitive"
    MANY_PARTS = "indefinite, content in several octet strings"
    DEFINITE = "definite throughout"


def seal_envelope(
    plaintext: bytes,
    public_key: bytes,
    *,
    content_key: bytes,
    initialisation_vector: bytes,
    form: EnvelopeForm = EnvelopeForm.PARTS,
) -> bytes:
    """Encrypt to a DER SubjectPublicKeyInfo of RSA with a 32-byte content key and a 16-byte vector."""
    key = load_der_public_key(public_key)
    if not isinstance(key, rsa.RSAPublicKey):
        message = "the recipient's key must be RSA"
        raise TypeError(message)
    encrypted_key = key.encrypt(content_key, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    padder = PKCS7(_AES_BLOCK_BITS).padder()
    padded = padder.update(plaintext) + padder.finalize()
    encryptor = Cipher(algorithms.AES(content_key), modes.CBC(initialisation_vector)).encryptor()
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    key_id = hashlib.sha256(public_key).digest()
    return write_envelope(key_id, encrypted_key, initialisation_vector, ciphertext, form=form)


def write_envelope(
    key_id: bytes,
    encrypted_key: bytes,
    initialisation_vector: bytes,
    ciphertext: bytes,
    *,
    form: EnvelopeForm,
) -> bytes:
    """Write the structure around four byte strings, whatever they are."""
    recipient = _tlv(0x30, _VERSION_2, _tlv(0x80, key_id), _OAEP_SHA256, _tlv(0x04, encrypted_key))
    algorithm = _tlv(0x30, _AES_256_CBC, _tlv(0x04, initialisation_vector))
    outer = _tlv if form is EnvelopeForm.DEFINITE else _indefinite
    content = outer(0x30, _DATA, algorithm, _content(ciphertext, form))
    enveloped = outer(0x30, _VERSION_2, _tlv(0x31, recipient), content)
    return outer(0x30, _ENVELOPED_DATA, outer(0xA0, enveloped))


def _content(ciphertext: bytes, form: EnvelopeForm) -> bytes:
    match form:
        case EnvelopeForm.PRIMITIVE:
            return _tlv(0x80, ciphertext)
        case EnvelopeForm.PARTS:
            return _indefinite(0xA0, _tlv(0x04, ciphertext))
        case EnvelopeForm.MANY_PARTS:
            return _indefinite(0xA0, *(_tlv(0x04, ciphertext[at : at + 10]) for at in range(0, len(ciphertext), 10)))
        case EnvelopeForm.DEFINITE:
            return _tlv(0xA0, _tlv(0x04, ciphertext))


def _indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes([tag, 0x80]) + b"".join(parts) + _END


def _tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:  # noqa: PLR2004 - the short form's bound (X.690, 8.1.3.4)
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
