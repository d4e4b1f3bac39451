"""The client of /dev/nsm: one ioctl, CBOR in and out. The only file of the enclave with an ioctl.

The argument of the ioctl is two iovecs (request, response), 32 bytes. The kernel overwrites the response's
length with the true one and silently cuts what does not fit, so the buffer always has the driver's maximum.
The driver serialises its callers and may take up to 120 s: call it where waiting hurts nobody.

Requests and answers are Rust enums in serde's form: a text for a variant without fields, else a map of one
key. An answer must be exactly the variant and the fields that were asked for; anything else is
NsmError(InvalidResponse).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

import cbor2

from enclave_signer.nitro import (
    MAX_RANDOM_BYTES,
    PCR_BYTES,
    PCR_COUNT,
    NsmCode,
    NsmDescription,
    NsmError,
    PcrState,
)

DEVICE: Final = "/dev/nsm"
# _IOWR(0x0A, 0, 32 bytes)
NSM_IOCTL: Final = 0xC0200A00
MAX_REQUEST_BYTES: Final = 0x1000
MAX_RESPONSE_BYTES: Final = 0x3000

_ARGUMENT: Final = struct.Struct("=QQQQ")
_U16_MAX: Final = 0xFFFF
# An answer is a map in a map with an array.
_MAX_DEPTH: Final = 4
_UINT: Final = 0
_BYTES: Final = 2
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5
_SIMPLE: Final = {0xF4: False, 0xF5: True, 0xF6: None}
_INDEFINITE_MAP: Final = 0xBF
_BREAK: Final = b"\xff"
_ONE_BYTE_FOLLOWS: Final = 24
_EIGHT_BYTES_FOLLOW: Final = 27

# (descriptor, request code, argument of 32 bytes, changed in place) -> 0; raises OSError.
Ioctl = Callable[[int, int, bytearray], int]


def open_device(path: str = DEVICE) -> NsmDevice:
    """Open the NSM; OSError if there is none."""
    return NsmDevice(os.open(path, os.O_RDWR | os.O_CLOEXEC))


class NsmDevice:
    """The port ``Nsm`` over an open descriptor of the device."""

    def __init__(self, descriptor: int, ioctl: Ioctl = fcntl.ioctl) -> None:
        """Take the descriptor; ``ioctl`` is replaced in tests."""
        self._descriptor = descriptor
        self._ioctl = ioctl

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def describe(self) -> NsmDescription:
        """Return the module's id, version and locked registers."""
        answer = _Answer(self._call("DescribeNSM"), "DescribeNSM")
        version = (answer.u16("version_major"), answer.u16("version_minor"), answer.u16("version_patch"))
        description = NsmDescription(
            version,
            answer.text("module_id"),
            answer.u16("max_pcrs"),
            answer.u16_set("locked_pcrs"),
            answer.text("digest"),
        )
        answer.done()
        if description.digest != "SHA384" or description.max_pcrs != PCR_COUNT or not description.module_id:
            _invalid("DescribeNSM", "not an NSM with 32 registers of SHA-384")
        return description

    def describe_pcr(self, index: int) -> PcrState:
        """Return register ``index``."""
        answer = _Answer(self._call({"DescribePCR": {"index": index}}), "DescribePCR")
        state = PcrState(answer.flag("lock"), answer.sized("data", PCR_BYTES))
        answer.done()
        return state

    def extend_pcr(self, index: int, data: bytes) -> bytes:
        """Set register ``index`` to SHA-384(old value || ``data``) and return the new value."""
        answer = _Answer(self._call({"ExtendPCR": {"index": index, "data": data}}), "ExtendPCR")
        value = answer.sized("data", PCR_BYTES)
        answer.done()
        return value

    def lock_pcr(self, index: int) -> None:
        """Make register ``index`` read-only."""
        self._expect("LockPCR", self._call({"LockPCR": {"index": index}}))

    def lock_pcrs(self, count: int) -> None:
        """Make the registers 0 to ``count`` - 1 read-only."""
        self._expect("LockPCRs", self._call({"LockPCRs": {"range": count}}))

    def attestation(
        self, *, user_data: bytes | None = None, nonce: bytes | None = None, public_key: bytes | None = None
    ) -> bytes:
        """Return a signed attestation document that carries these fields."""
        fields = {"user_data": user_data, "nonce": nonce, "public_key": public_key}
        answer = _Answer(self._call({"Attestation": fields}), "Attestation")
        document = answer.octets("document")
        answer.done()
        if not document:
            _invalid("Attestation", "an empty document")
        return document

    def random(self, count: int) -> bytes:
        """Return ``count`` random bytes, in as many requests as it takes."""
        collected = bytearray()
        while len(collected) < count:
            answer = _Answer(self._call("GetRandom"), "GetRandom")
            part = answer.octets("random")
            answer.done()
            if not 0 < len(part) <= MAX_RANDOM_BYTES:
                _invalid("GetRandom", f"{len(part)} random bytes")
            collected += part
        return bytes(collected[:count])

    def _expect(self, variant: str, answer: object) -> None:
        if answer != variant:
            _invalid(variant, "not the plain acknowledgement")

    def _call(self, request: object) -> object:
        encoded = cbor2.dumps(request)
        if len(encoded) > MAX_REQUEST_BYTES:
            raise NsmError(NsmCode.INPUT_TOO_LARGE, f"a request of {len(encoded)} bytes")
        return _refuse_errors(decode_answer(self._exchange(encoded)))

    def _exchange(self, encoded: bytes) -> bytes:
        # Both buffers stay referenced here until the ioctl is over: the kernel sees only their addresses.
        request = ctypes.create_string_buffer(encoded, len(encoded))
        response = ctypes.create_string_buffer(MAX_RESPONSE_BYTES)
        addresses = (ctypes.addressof(request), len(encoded), ctypes.addressof(response), MAX_RESPONSE_BYTES)
        argument = bytearray(_ARGUMENT.pack(*addresses))
        try:
            self._ioctl(self._descriptor, NSM_IOCTL, argument)
        except OSError as error:
            code = NsmCode.INPUT_TOO_LARGE if error.errno == errno.EMSGSIZE else NsmCode.INTERNAL_ERROR
            raise NsmError(code, f"the ioctl failed with errno {error.errno}") from None
        length = _ARGUMENT.unpack(argument)[3]
        if not 0 < length <= MAX_RESPONSE_BYTES:
            raise NsmError(NsmCode.INVALID_RESPONSE, f"an answer of {length} bytes")
        return response.raw[:length]


class _Answer:
    """The fields of one answer, taken out one by one; what is left at the end is an error."""

    def __init__(self, answer: object, variant: str) -> None:
        fields = answer.get(variant) if isinstance(answer, Mapping) and len(answer) == 1 else None
        if not isinstance(fields, Mapping):
            _invalid(variant, "another variant")
        self._variant = variant
        self._fields = dict(fields)

    def u16(self, name: str) -> int:
        value = self._take(name)
        if type(value) is not int or not 0 <= value <= _U16_MAX:
            _invalid(self._variant, f"{name} is not a 16-bit number")
        return value

    def flag(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            _invalid(self._variant, f"{name} is not a boolean")
        return value

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str):
            _invalid(self._variant, f"{name} is not a text")
        return value

    def octets(self, name: str) -> bytes:
        value = self._take(name)
        if not isinstance(value, bytes):
            _invalid(self._variant, f"{name} is not a byte string")
        return value

    def sized(self, name: str, size: int) -> bytes:
        value = self.octets(name)
        if len(value) != size:
            _invalid(self._variant, f"{name} has {len(value)} bytes, expected {size}")
        return value

    def u16_set(self, name: str) -> frozenset[int]:
        value = self._take(name)
        if not isinstance(value, list) or not all(type(item) is int and 0 <= item < PCR_COUNT for item in value):
            _invalid(self._variant, f"{name} is not a list of registers")
        return frozenset(value)

    def done(self) -> None:
        if self._fields:
            _invalid(self._variant, f"unknown fields {sorted(map(str, self._fields))}")

    def _take(self, name: str) -> object:
        if name not in self._fields:
            _invalid(self._variant, f"{name} is missing")
        return self._fields.pop(name)


def decode_answer(data: bytes) -> object:
    """Decode one CBOR item strictly; NsmError for duplicate keys, trailing bytes, other types.

    Maps may be indefinite: newer modules write documents so. A general decoder would keep the last of two
    equal keys and ignore what follows the item.
    """
    value, end = _item(data, 0, _MAX_DEPTH)
    if end != len(data):
        _invalid("the request", f"{len(data) - end} bytes too many")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[object, int]:
    if depth == 0 or at >= len(data):
        _invalid("the request", "CBOR that ends too early or goes too deep")
    if data[at] in _SIMPLE:
        return _SIMPLE[data[at]], at + 1
    if data[at] == _INDEFINITE_MAP:
        return _map(data, at + 1, None, depth)
    major = data[at] >> 5
    number, at = _number(data, at)
    if major == _UINT:
        return number, at
    if major in (_BYTES, _TEXT):
        return _string(data, at, number, is_text=major == _TEXT)
    if major == _ARRAY:
        return _array(data, at, number, depth)
    if major != _MAP:
        _invalid("the request", f"CBOR major type {major}")
    return _map(data, at, number, depth)


def _number(data: bytes, at: int) -> tuple[int, int]:
    additional = data[at] & 0x1F
    if additional < _ONE_BYTE_FOLLOWS:
        return additional, at + 1
    size = 1 << (additional - _ONE_BYTE_FOLLOWS)
    if additional > _EIGHT_BYTES_FOLLOW or at + 1 + size > len(data):
        _invalid("the request", "a CBOR length that cannot be read")
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size


def _string(data: bytes, at: int, length: int, *, is_text: bool) -> tuple[object, int]:
    end = at + length
    if end > len(data):
        _invalid("the request", "a string longer than the answer")
    if not is_text:
        return data[at:end], end
    try:
        return data[at:end].decode(), end
    except UnicodeDecodeError:
        _invalid("the request", "a text that is not UTF-8")


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[object, int]:
    items: list[object] = []
    for _ in range(count):
        item, at = _item(data, at, depth - 1)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int | None, depth: int) -> tuple[object, int]:
    entries: dict[str, object] = {}
    while count is None or len(entries) < count:
        if count is None and data[at : at + 1] == _BREAK:
            return entries, at + 1
        key, at = _item(data, at, depth - 1)
        if not isinstance(key, str) or key in entries:
            _invalid("the request", "a map key that is no text, or is there twice")
        entries[key], at = _item(data, at, depth - 1)
    return entries, at


def _refuse_errors(answer: object) -> object:
    if not (isinstance(answer, Mapping) and "Error" in answer):
        return answer
    code = answer["Error"]
    if len(answer) == 1 and code in set(NsmCode):
        raise NsmError(NsmCode(code), "the NSM refused the request")
    raise NsmError(NsmCode.INVALID_RESPONSE, "an error without a known code")


def _invalid(variant: str, problem: str) -> NoReturn:
    message = f"the answer to {variant}: {problem}"
    raise NsmError(NsmCode.INVALID_RESPONSE, message) from None
