"""Reading a venue's JSON, headers and texts, all of which may be hostile.

* A number stays the text that the venue sent; nothing passes through a binary float.
* JSON with a repeated name, ``NaN`` or ``Infinity`` is not read at all: parsers disagree about it. Nesting
  beyond what the parser bears raises RecursionError, which the frame of every reader treats alike.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final, NoReturn

from host_dispatch.outcome import MESSAGE_CHARACTERS, ErrorClass, OrderState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What JSON becomes here: numbers are texts.
Json = dict[str, "Json"] | list["Json"] | str | bool | None

_PLAIN: Final = re.compile(r"(-?)([0-9]{1,40})(?:\.([0-9]{1,40}))?")
_SCIENTIFIC: Final = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?[eE][+-]?[0-9]{1,2}")
# As long as the shortest signature of these venues (HMAC-SHA256 in base64, 43 characters without its
# padding).
_SIGNATURE_LIKE: Final = re.compile(r"[A-Za-z0-9+/=_.%-]{43,}")
_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_IDENTIFIER: Final = re.compile(r"[!-~]{1,128}")
_AVERAGE_PLACES: Final = Decimal(1).scaleb(-18)
# Enough for the product of any two numbers that :func:`number` lets through, and for sums and quotients of
# them.
_DIGITS: Final = 240
_LONGEST_WAIT_MS: Final = 24 * 3600 * 1000


class UnreadableError(ValueError):
    """A reply is not what its venue documents; the edge of every reader turns it into UNKNOWN."""


def parse(body: bytes) -> Json:
    """Read JSON strictly, every number as the text that was sent. Raises UnreadableError."""
    try:
        value: Json = json.loads(
            body.decode("utf-8"),
            parse_float=str,
            parse_int=str,
            parse_constant=_no_constant,
            object_pairs_hook=_no_repeats,
        )
    except ValueError as error:
        message = "the body is not strict JSON"
        raise UnreadableError(message) from error
    return value


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is no JSON number"
    raise ValueError(message)


def _no_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name appears twice"
        raise ValueError(message)
    return found


def as_object(value: Json) -> dict[str, Json]:
    """Return a JSON object, or raise UnreadableError."""
    if not isinstance(value, dict):
        message = "expected an object"
        raise UnreadableError(message)
    return value


def as_list(value: Json) -> list[Json]:
    """Return a JSON array, or raise UnreadableError."""
    if not isinstance(value, list):
        message = "expected an array"
        raise UnreadableError(message)
    return value


def objects(value: Json) -> list[dict[str, Json]]:
    """Return an array of objects, or raise UnreadableError."""
    return [as_object(item) for item in as_list(value)]


def text(value: Json) -> str:
    """Return a text or number as text, "" for anything else."""
    return value if isinstance(value, str) else ""


def identifier(value: Json) -> str:
    """Return an order id (printable ASCII, at most 128 characters), "" for anything else."""
    found = text(value)
    return found if _IDENTIFIER.fullmatch(found) else ""


def required_identifier(value: Json) -> str:
    """Return an order id, or raise UnreadableError: without one nothing shows that an order exists."""
    found = identifier(value)
    if not found:
        message = "no order id"
        raise UnreadableError(message)
    return found


def number(value: Json, *, signed: bool = False) -> str:
    """Return a decimal as sent ("" if it is none), but with an exponent written out and no needless zeros."""
    sent = text(value)
    plain = _PLAIN.fullmatch(sent)
    if plain is None and _SCIENTIFIC.fullmatch(sent):
        plain = _PLAIN.fullmatch(f"{Decimal(sent):f}")
    if plain is None or (plain[1] and not signed):
        return ""
    whole = plain[2].lstrip("0") or "0"
    return f"{plain[1]}{whole}.{plain[3]}" if plain[3] is not None else f"{plain[1]}{whole}"


def positive(value: Json) -> str:
    """Return a decimal above zero, "" otherwise: venues write 0 where there is no price."""
    found = number(value)
    return found if found.strip("0.") else ""


def is_zero(decimal: str) -> bool:
    """Whether a decimal text of :func:`number` is there and nought."""
    return bool(decimal) and not decimal.strip("-0.")


def average(cost: str, quantity: str) -> str:
    """Divide two decimal texts, to at most 18 places; "" where that says nothing."""
    return _quotient(Decimal(cost), Decimal(quantity)) if cost and quantity else ""


def weighted_average(fills: Iterable[tuple[str, str]]) -> str:
    """Average price of (price, quantity) texts; "" if one of them is missing or there are none."""
    cost = quantity = Decimal(0)
    with localcontext(prec=_DIGITS):
        for price, size in fills:
            if not price or not size:
                return ""
            cost += Decimal(price) * Decimal(size)
            quantity += Decimal(size)
    return _quotient(cost, quantity)


def _quotient(cost: Decimal, quantity: Decimal) -> str:
    if cost <= 0 or quantity <= 0:
        return ""
    with localcontext(prec=_DIGITS):
        return positive(f"{(cost / quantity).quantize(_AVERAGE_PLACES).normalize():f}")


def difference(total: str, part: str) -> str:
    """``total - part`` where both are there and it is not negative; "0" where it would be, "" otherwise."""
    if not total or not part:
        return ""
    with localcontext(prec=_DIGITS):
        found = Decimal(total) - Decimal(part)
        return f"{found:f}" if found > 0 else "0"


def state_of(word: Json, table: Mapping[str, OrderState], filled: str) -> OrderState:
    """Look a venue's word for a state up; an open order that has filled in part is PARTIALLY_FILLED.

    An unknown word raises UnreadableError: a guess about an order's life is worse than asking again.
    """
    state = table.get(text(word))
    if state is None:
        message = "unknown order state"
        raise UnreadableError(message)
    if state is OrderState.OPEN and positive(filled):
        return OrderState.PARTIALLY_FILLED
    return state


def coded(error: ErrorClass, codes: str) -> dict[str, ErrorClass]:
    """Give each of some codes, separated by white space, its class."""
    return dict.fromkeys(codes.split(), error)


def first_of(table: Sequence[tuple[str, ErrorClass]], message: str) -> ErrorClass | None:
    """Class of the first fragment that a message contains, without regard to case."""
    folded = message.casefold()
    return next((error for fragment, error in table if fragment in folded), None)


# --- texts and headers


def clean(message: str) -> str:
    """Drop what does not print, hide what could be an echoed signature, trim to MESSAGE_CHARACTERS."""
    seen = "".join(c if c.isprintable() else " " for c in message[: 4 * MESSAGE_CHARACTERS])
    return _SIGNATURE_LIKE.sub("[hidden]", seen).strip()[:MESSAGE_CHARACTERS]


def whole(value: str | None) -> int | None:
    """Read a header's non-negative whole number of at most 18 digits."""
    if value is None or not _WHOLE.fullmatch(value.strip()):
        return None
    return int(value)


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """Read Retry-After in its form of seconds (RFC 9110, 10.2.3), at most a day; None without one."""
    seconds = whole(headers.get("retry-after"))
    return None if seconds is None else min(seconds * 1000, _LONGEST_WAIT_MS)
