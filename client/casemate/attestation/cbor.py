"""A strict reader for the little CBOR (RFC 8949) that an attestation document uses.

The caller says what comes next, so no input chooses the shape, the depth or the memory. Rules:

- every length and integer in its shortest form;
- definite lengths only, except a map where the caller allows the other form (newer NSMs write it so);
- no tags, floats or simple values but null;
- nothing after the last item (:meth:`Reader.end`).

A general decoder does not do: it keeps the last of two equal keys and ignores what follows the first item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from casemate.attestation.errors import MalformedDocument, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

UINT: Final = 0
BYTES: Final = 2
TEXT: Final = 3
ARRAY: Final = 4
MAP: Final = 5

_NAMES: Final = {
    UINT: "an unsigned integer",
    BYTES: "a byte string",
    TEXT: "a text",
    ARRAY: "an array",
    MAP: "a map",
}
_INDEFINITE_MAP: Final = 0xBF
_BREAK: Final = 0xFF
_NULL: Final = 0xF6
_ONE_BYTE_FOLLOWS: Final = 24
_EIGHT_BYTES_FOLLOW: Final = 27
# The smallest value that needs 1, 2, 4 or 8 following bytes.
_SHORTEST: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}


class Reader:
    """Reads one byte string from front to back; every failure is MalformedDocument and names the offset."""

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        """Begin at the front; ``what`` names the bytes in explanations, as in "the payload"."""
        self._data = data
        self._what = what
        self._at = 0

    @property
    def offset(self) -> int:
        """The offset of the next byte."""
        return self._at

    def uint(self) -> int:
        """Read an unsigned integer below 2**64."""
        return self._head(UINT)

    def byte_string(self) -> bytes:
        """Read a definite byte string."""
        return self._take(self._head(BYTES))

    def text(self) -> str:
        """Read a definite text of valid UTF-8."""
        at = self._at
        octets = self._take(self._head(TEXT))
        try:
            return octets.decode()
        except UnicodeDecodeError:
            self._refuse("a text that is not UTF-8", at)

    def array(self) -> int:
        """Read the head of a definite array and return its number of items."""
        return self._head(ARRAY)

    def entries(self, *, allow_indefinite: bool = False) -> Iterator[None]:
        """Read the head of a map and yield once before each of its entries, which the caller then reads."""
        if allow_indefinite and self.skip(_INDEFINITE_MAP):
            while not self.skip(_BREAK):
                yield
        else:
            for _ in range(self._head(MAP)):
                yield

    def null(self) -> bool:
        """Step over a null if there is one, and say whether there was."""
        return self.skip(_NULL)

    def skip(self, byte: int) -> bool:
        """Step over ``byte`` if it comes next, and say whether it did; at the end of the bytes, refuse."""
        if self._at >= len(self._data):
            self._refuse("the bytes end too early", self._at)
        if self._data[self._at] != byte:
            return False
        self._at += 1
        return True

    def end(self) -> None:
        """Refuse whatever is left."""
        left = len(self._data) - self._at
        if left:
            explanation = f"{left} bytes follow {self._what}, which ends at offset {self._at}"
            raise MalformedDocument(Reason.TRAILING_BYTES, explanation)

    def _head(self, major: int) -> int:
        at = self._at
        if at >= len(self._data):
            self._refuse("the bytes end too early", at)
        initial = self._data[at]
        additional = initial & 0x1F
        if initial >> 5 != major or additional > _EIGHT_BYTES_FOLLOW:
            self._refuse(f"expected {_NAMES[major]} of definite length, found byte 0x{initial:02x}", at)
        self._at = at + 1
        if additional < _ONE_BYTE_FOLLOWS:
            return additional
        value = int.from_bytes(self._take(1 << (additional - _ONE_BYTE_FOLLOWS)), "big")
        if value < _SHORTEST[additional]:
            self._refuse("a length or integer that is not in its shortest form", at)
        return value

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            self._refuse(f"{count} bytes announced, {len(self._data) - self._at} left", self._at)
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _refuse(self, problem: str, at: int) -> NoReturn:
        explanation = f"{self._what}, offset {at}: {problem}"
        raise MalformedDocument(Reason.MALFORMED_CBOR, explanation) from None
