"""Canonical CBOR put together from parts that are encoded already, so that what did not change is not encoded again."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cbor2

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_ARRAY: Final = 4
_MAP: Final = 5
_INLINE: Final = 24
_BYTE: Final = 1 << 8
_SHORT: Final = 1 << 16


def piece(value: object) -> bytes:
    """Encode one value."""
    return cbor2.dumps(value, canonical=True)


def list_of(parts: Collection[bytes]) -> bytes:
    """Return the array of these encoded values."""
    return b"".join((_head(_ARRAY, len(parts)), *parts))


def map_of(parts: Mapping[str, bytes]) -> bytes:
    """Return the map of these encoded values, its keys in canonical order."""
    pairs = sorted((_key(name), part) for name, part in parts.items())
    return b"".join((_head(_MAP, len(pairs)), *_flat(pairs)))


@lru_cache(maxsize=4096)
def _key(name: str) -> bytes:
    return cbor2.dumps(name)


def _flat(pairs: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for key, part in pairs:
        yield key
        yield part


def _head(major: int, count: int) -> bytes:
    first = major << 5
    if count < _INLINE:
        return bytes((first | count,))
    if count < _BYTE:
        return bytes((first | _INLINE, count))
    if count < _SHORT:
        return bytes((first | 25,)) + count.to_bytes(2, "big")
    return bytes((first | 26,)) + count.to_bytes(4, "big")
