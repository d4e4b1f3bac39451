"""A strict reader of canonical CBOR (RFC 7049, section 3.9), for policies, statements, bundles and keys.

Only what those need: unsigned integers, bytes, text, arrays, maps with text keys, false, true, null. There is exactly
one encoding of each value, so whatever is not in it is refused: long integers, unsorted or repeated keys,
indefinite lengths, tags, floats, trailing bytes. Depth and size are bounded before anything is built.
"""

from __future__ import annotations

from typing import Any, Final

from enclave_signer.errors import EnclaveError

_MAX_DEPTH: Final = 8
_UNSIGNED: Final = 0
_BYTES: Final = 2
_TEXT: Final = 3
_ARRAY: Final = 4
_MAP: Final = 5
_SIMPLE: Final = {0xF4: False, 0xF5: True, 0xF6: None}
# Additional information of an initial byte -> how many bytes of argument follow (RFC 7049, section 2.1).
_ARGUMENT_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_INLINE: Final = 24


class NotCanonical(EnclaveError):
    """Bytes that are not one canonical value; the text says where and why, never what was there."""


def decode(data: bytes | bytearray) -> Any:  # noqa: ANN401 - a CBOR value; every caller checks each part of it
    """Return the one value that ``data`` encodes, or raise NotCanonical."""
    reader = _Reader(data)
    value = reader.value(_MAX_DEPTH)
    if reader.at != len(data):
        message = f"{len(data) - reader.at} bytes after the end"
        raise NotCanonical(message)
    return value


class _Reader:
    """A position in the bytes."""

    __slots__ = ("_data", "at")

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self.at = 0

    def value(self, depth: int) -> Any:  # noqa: ANN401 - as decode
        if depth == 0:
            raise self._wrong("nested too deeply")
        first = self._take(1)[0]
        if first in _SIMPLE:
            return _SIMPLE[first]
        major, argument = first >> 5, self._argument(first & 0x1F)
        if major == _UNSIGNED:
            return argument
        if major == _BYTES:
            return bytes(self._take(argument))
        if major == _TEXT:
            return self._text(argument)
        if major == _ARRAY:
            return [self.value(depth - 1) for _ in range(self._count(argument))]
        if major == _MAP:
            return self._map(argument, depth)
        raise self._wrong("a type that is not used here")

    def _argument(self, info: int) -> int:
        if info < _INLINE:
            return info
        size = _ARGUMENT_BYTES.get(info)
        if size is None:
            raise self._wrong("an indefinite or reserved length")
        argument = int.from_bytes(self._take(size), "big")
        if argument < (_INLINE if size == 1 else 1 << (4 * size)):
            raise self._wrong("a number that is not in its shortest form")
        return argument

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise self._wrong("text that is not UTF-8") from None

    def _map(self, length: int, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        previous = b""
        for _ in range(self._count(length)):
            start = self.at
            key = self.value(1)
            encoded = bytes(self._data[start : self.at])
            if not isinstance(key, str) or encoded <= previous:
                raise self._wrong("map keys must be text, sorted, each once")
            previous = encoded
            made[key] = self.value(depth - 1)
        return made

    def _count(self, length: int) -> int:
        # An item takes at least one byte: a count beyond that is a lie, found before memory is spent on it.
        if length > len(self._data) - self.at:
            raise self._wrong("more items than bytes")
        return length

    def _take(self, count: int) -> bytes | bytearray:
        piece = self._data[self.at : self.at + count]
        if len(piece) != count:
            raise self._wrong("cut off")
        self.at += count
        return piece

    def _wrong(self, reason: str) -> NotCanonical:
        return NotCanonical(f"not canonical CBOR at byte {self.at}: {reason}")
