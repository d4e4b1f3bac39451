"""Which 32 bytes are a sound Ed25519 public key (RFC 8032, section 5.1.3).

The signature check itself takes keys that it should not: a point of small order verifies forged signatures, and a
point with a small-order part verifies some signatures of another key, so that one administrator could count twice.
Only the canonical encoding of a point of the prime-order group passes here. Slow and not constant-time: public keys
alone, once at start.
"""

from __future__ import annotations

from typing import Final

_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ROOT: Final = pow(2, (_P - 1) // 4, _P)
_BYTES: Final = 32
# Extended coordinates X, Y, Z, T (RFC 8032, section 5.1.4).
_Point = tuple[int, int, int, int]
_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def is_sound(key: bytes) -> bool:
    """Say whether the key is the canonical encoding of a point of prime order."""
    point = _decompressed(key)
    return point is not None and not _is_neutral(point) and _is_neutral(_times(_ORDER, point))


def _decompressed(key: bytes) -> _Point | None:
    if len(key) != _BYTES:
        return None
    number = int.from_bytes(key, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _times(count: int, point: _Point) -> _Point:
    total = _NEUTRAL
    while count:
        if count & 1:
            total = _sum(total, point)
        point = _sum(point, point)
        count >>= 1
    return total


def _sum(left: _Point, right: _Point) -> _Point:
    a = (left[1] - left[0]) * (right[1] - right[0]) % _P
    b = (left[1] + left[0]) * (right[1] + right[0]) % _P
    c = 2 * left[3] * right[3] * _D % _P
    d = 2 * left[2] * right[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _is_neutral(point: _Point) -> bool:
    return point[0] % _P == 0 and (point[1] - point[2]) % _P == 0
