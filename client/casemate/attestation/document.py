"""From bytes to the claims of an attestation document. Nothing here is verified yet.

A document is a COSE_Sign1 (RFC 9052): ``[protected, unprotected, payload, signature]``, untagged from the
NSM, tag 18 allowed. The protected header must be exactly {1: -35} (ES384) and the unprotected one exactly
empty, so every byte outside the payload is fixed, a length, or part of the signature. The payload is a map,
definite (NSMs of 2025 and before) or indefinite (after). Limits follow AWS's ``attestation_process.md``,
except that ``user_data`` and ``nonce`` may have 1,024 bytes, as the real NSM allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn, TypedDict, cast

from casemate.attestation.cbor import Reader
from casemate.attestation.errors import MalformedDocument, Reason, UnexpectedDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The NSM driver's response buffer: no document can be longer.
MAX_DOCUMENT_BYTES: Final = 0x3000
MAX_CERTIFICATES: Final = 8
MAX_FIELD_BYTES: Final = 1024
PCR_COUNT: Final = 32
# SHA-384 is the only digest, so the only length.
PCR_BYTES: Final = 48
SIGNATURE_BYTES: Final = 96

_COSE_TAG: Final = 0xD2
_EMPTY_MAP: Final = 0xA0
_COSE_ITEMS: Final = 4
_PROTECTED_ES384: Final = bytes.fromhex("a1013822")
# The array head, "Signature1", the protected header and an empty external_aad (RFC 9052, section 4.4).
_TO_BE_SIGNED_HEAD: Final = b"\x84\x6aSignature1\x44" + _PROTECTED_ES384 + b"\x40"
_MODULE_ID: Final = re.compile(r"i-[0-9a-f]{1,32}-enc[0-9a-f]{1,32}")
_CODE_PCRS: Final = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Document:
    """The unverified claims. Lengths in bytes, ``timestamp_ms`` in milliseconds since 1970, UTC."""

    to_be_signed: bytes
    signature: bytes
    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None

    @property
    def debug(self) -> bool:
        """Whether PCR0, PCR1 or PCR2 is zero. PCR3 and PCR4 are real in debug mode too."""
        return any(index in self.pcrs and not any(self.pcrs[index]) for index in _CODE_PCRS)


class _Fields(TypedDict):
    module_id: str
    digest: str
    timestamp: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


def parse(document: bytes) -> Document:
    """Read a document's claims without verifying them; raises MalformedDocument or UnexpectedDocument."""
    if len(document) > MAX_DOCUMENT_BYTES:
        explanation = f"{len(document)} bytes; an NSM answers at most {MAX_DOCUMENT_BYTES}"
        raise MalformedDocument(Reason.TOO_LARGE, explanation)
    reader = Reader(document, "the document")
    _envelope_head(reader)
    start = reader.offset
    payload = reader.byte_string()
    # The head of the payload has its only possible form, so the received bytes are the bytes to be signed.
    to_be_signed = _TO_BE_SIGNED_HEAD + document[start : reader.offset]
    signature = reader.byte_string()
    if len(signature) != SIGNATURE_BYTES:
        _invalid("signature", f"{len(signature)} bytes, expected {SIGNATURE_BYTES} (r and s of P-384)")
    reader.end()
    fields = _payload(payload)
    return Document(
        to_be_signed=to_be_signed,
        signature=signature,
        module_id=fields["module_id"],
        timestamp_ms=fields["timestamp"],
        pcrs=fields["pcrs"],
        certificate=fields["certificate"],
        cabundle=fields["cabundle"],
        public_key=fields["public_key"],
        user_data=fields["user_data"],
        nonce=fields["nonce"],
    )


def _envelope_head(reader: Reader) -> None:
    reader.skip(_COSE_TAG)
    if not reader.skip(0x80 | _COSE_ITEMS):
        raise MalformedDocument(Reason.NOT_COSE_SIGN1, "the document is not a CBOR array of four items")
    protected = reader.byte_string()
    if protected != _PROTECTED_ES384:
        explanation = f"the protected header must be {_PROTECTED_ES384.hex()} (ES384 alone), found {protected.hex()}"
        raise MalformedDocument(Reason.PROTECTED_HEADER, explanation)
    if not reader.skip(_EMPTY_MAP):
        raise MalformedDocument(Reason.UNPROTECTED_HEADER, "the unprotected header must be the empty map a0")


def _payload(payload: bytes) -> _Fields:
    reader = Reader(payload, "the payload")
    fields: dict[str, object] = {}
    for _ in reader.entries(allow_indefinite=True):
        name = reader.text()
        if name in fields:
            raise MalformedDocument(Reason.DUPLICATE_KEY, f"the payload has {name!r} twice", field=name)
        fields[name] = _reader_of(name)(reader)
    reader.end()
    for name in _READERS.keys() - fields.keys():
        if name not in _OPTIONAL:
            raise MalformedDocument(Reason.MISSING_FIELD, f"the payload has no {name!r}", field=name)
        fields[name] = None
    return cast("_Fields", fields)


def _reader_of(name: str) -> Callable[[Reader], object]:
    found = _READERS.get(name)
    if found is not None:
        return found
    if name == "nitrotpm_pcrs":
        explanation = "this is a NitroTPM document of an EC2 instance, not one of an enclave"
        raise UnexpectedDocument(Reason.NOT_AN_ENCLAVE, explanation, field=name)
    raise MalformedDocument(Reason.UNKNOWN_FIELD, f"the payload has an unknown field {name[:64]!r}", field=name[:64])


def _module_id(reader: Reader) -> str:
    module_id = reader.text()
    if not _MODULE_ID.fullmatch(module_id):
        explanation = f"module_id must have the form i-<instance>-enc<hex> of an enclave, found {module_id[:80]!r}"
        raise UnexpectedDocument(Reason.NOT_AN_ENCLAVE, explanation, field="module_id")
    return module_id


def _digest(reader: Reader) -> str:
    digest = reader.text()
    if digest != "SHA384":
        _invalid("digest", f"must be 'SHA384', found {digest[:32]!r}")
    return digest


def _timestamp(reader: Reader) -> int:
    timestamp = reader.uint()
    if timestamp == 0:
        _invalid("timestamp", "must be milliseconds since 1970, found 0")
    return timestamp


def _pcrs(reader: Reader) -> Mapping[int, bytes]:
    pcrs: dict[int, bytes] = {}
    for _ in reader.entries():
        index = reader.uint()
        if index >= PCR_COUNT:
            _invalid("pcrs", f"an index must be below {PCR_COUNT}, found {index}")
        if index in pcrs:
            raise MalformedDocument(Reason.DUPLICATE_KEY, f"PCR{index} is there twice", field="pcrs")
        value = reader.byte_string()
        if len(value) != PCR_BYTES:
            _invalid("pcrs", f"PCR{index} must have {PCR_BYTES} bytes, found {len(value)}")
        pcrs[index] = value
    if not pcrs:
        _invalid("pcrs", "there is none")
    return MappingProxyType(pcrs)


def _certificate(reader: Reader) -> bytes:
    return _sized(reader, "certificate", 1)


def _cabundle(reader: Reader) -> tuple[bytes, ...]:
    count = reader.array()
    if not 1 <= count <= MAX_CERTIFICATES:
        _invalid("cabundle", f"must have 1 to {MAX_CERTIFICATES} certificates, found {count}")
    return tuple(_sized(reader, "cabundle", 1) for _ in range(count))


def _sized(reader: Reader, name: str, least: int) -> bytes:
    value = reader.byte_string()
    if not least <= len(value) <= MAX_FIELD_BYTES:
        _invalid(name, f"must have {least} to {MAX_FIELD_BYTES} bytes, found {len(value)}")
    return value


def _public_key(reader: Reader) -> bytes | None:
    return None if reader.null() else _sized(reader, "public_key", 1)


def _user_data(reader: Reader) -> bytes | None:
    return None if reader.null() else _sized(reader, "user_data", 0)


def _nonce(reader: Reader) -> bytes | None:
    return None if reader.null() else _sized(reader, "nonce", 0)


def _invalid(field: str, problem: str) -> NoReturn:
    raise MalformedDocument(Reason.INVALID_FIELD, f"{field}: {problem}", field=field)


_READERS: Final[Mapping[str, Callable[[Reader], object]]] = {
    "module_id": _module_id,
    "digest": _digest,
    "timestamp": _timestamp,
    "pcrs": _pcrs,
    "certificate": _certificate,
    "cabundle": _cabundle,
    "public_key": _public_key,
    "user_data": _user_data,
    "nonce": _nonce,
}
# AWS's text calls these optional, the NSM writes null: both mean the same.
_OPTIONAL: Final = ("public_key", "user_data", "nonce")
