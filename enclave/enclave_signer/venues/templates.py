"""Plans written as data: fields in the venue's order, each a fixed text, a nested object, or a slot.

Fixed text is written once, escaped for its encoding; a slot takes the order's own decimals and checked identifiers,
which need no escape in either encoding.
"""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from enclave_signer.venues.shapes import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from enclave_signer.model import Order


class Slot(NamedTuple):
    """A dotted attribute of the order, e.g. ``price.text``."""

    attribute: str
    # JSON only: whether it is a string there.
    quoted: bool = True


class Expiry(NamedTuple):
    """Where ``expire_at`` goes, and how the venue writes it; always the last slot."""

    write: Callable[[int], str]
    # JSON only: whether it is a string there.
    quoted: bool = True


QUANTITY: Final = Slot("quantity.text")
QUOTE_QUANTITY: Final = Slot("quote_quantity.text")
PRICE: Final = Slot("price.text")
STOP_PRICE: Final = Slot("stop_price.text")
CLIENT_ORDER_ID: Final = Slot("client_order_id")

# A value of None leaves the field out.
Value = str | bool | int | Slot | Expiry | None | dict[str, Any] | list[Any]


def form_plan(fields: Iterable[tuple[str, Value]]) -> Plan:
    """Make a plan of ``name=value&name=value``."""
    slots: list[str] = []
    expiry: list[Expiry] = []
    parts = [f"{name}={_form(value, slots, expiry)}" for name, value in fields if value is not None]
    return _plan("&".join(parts), slots, expiry)


def json_plan(body: Mapping[str, Value]) -> Plan:
    """Make a plan of a JSON object without blanks."""
    slots: list[str] = []
    expiry: list[Expiry] = []
    return _plan(_json(dict(body), slots, expiry), slots, expiry)


def compact(body: Mapping[str, object]) -> str:
    """Write JSON without blanks, as the plans do."""
    return json.dumps(body, separators=(",", ":"))


def _plan(template: str, slots: list[str], expiry: list[Expiry]) -> Plan:
    return Plan(template, _getter(slots), expiry[0].write if expiry else None)


def _getter(slots: list[str]) -> Callable[[Order], tuple[str, ...]]:
    # attrgetter returns a bare value for one name; every order has at least a size and an id.
    if len(slots) < 2:  # noqa: PLR2004 - see above
        message = "a plan needs at least two slots"
        raise ValueError(message)
    return attrgetter(*slots)


def _form(value: Value, slots: list[str], expiry: list[Expiry]) -> str:
    match value:
        case Slot(attribute=attribute):
            slots.append(attribute)
            return "%s"
        case Expiry():
            expiry.append(value)
            return "%s"
        case bool():
            return "true" if value else "false"
        case _:
            return quote(str(value), safe="").replace("%", "%%")


def _json(value: Value, slots: list[str], expiry: list[Expiry]) -> str:
    match value:
        case Slot(attribute, quoted):
            slots.append(attribute)
            return '"%s"' if quoted else "%s"
        case Expiry(quoted=quoted):
            expiry.append(value)
            return '"%s"' if quoted else "%s"
        case dict():
            members = (
                f"{json.dumps(name)}:{_json(inner, slots, expiry)}"
                for name, inner in value.items()
                if inner is not None
            )
            return "{" + ",".join(members) + "}"
        case _:
            return json.dumps(value).replace("%", "%%")
