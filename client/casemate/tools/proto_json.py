"""JSON with a message's own field names and enum names without their prefix, read strictly.

Stricter than protobuf's own JSON: no camelCase, no numbers for enums, no numbers where the wire has decimal
strings, and every mistake names its field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor

from enclave_signer.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message

_INT64_LIMIT: Final = 1 << 63


def fill(message: Message, values: Mapping[str, Any], where: str) -> None:
    """Set the fields of ``message`` from ``values``; raise Malformed naming ``where.field``."""
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in values.items():
        path = f"{where}.{name}"
        if name not in fields:
            error = f"{path} is not a field; there are {', '.join(fields)}"
            raise Malformed(error, field=path)
        # As in protobuf's JSON, null is the field left out.
        if value is not None:
            setattr(message, name, _value(fields[name], value, path))


def _value(field: Any, value: object, path: str) -> str | bool | int:  # noqa: ANN401 - protobuf has two such types
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return _string(value, path)
        case FieldDescriptor.TYPE_BOOL:
            return _bool(value, path)
        case FieldDescriptor.TYPE_INT64:
            return _int64(value, path)
        case FieldDescriptor.TYPE_ENUM:
            return _enum(field.enum_type, value, path)
        case _:
            error = f"{path} cannot be given in JSON"
            raise Malformed(error, field=path)


def _string(value: object, path: str) -> str:
    # JSON can escape halves of characters that no message can carry.
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        error = f"{path} must be a string; decimal numbers are strings too"
        raise Malformed(error, field=path)
    return value


def _bool(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        error = f"{path} must be true or false"
        raise Malformed(error, field=path)
    return value


def _int64(value: object, path: str) -> int:
    number = value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_INT64_LIMIT)):
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < _INT64_LIMIT:
        error = f"{path} must be an integer of nanoseconds since 1970"
        raise Malformed(error, field=path)
    return number


def _enum(enum: EnumDescriptor, value: object, path: str) -> int:
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    names = {other.name.removeprefix(prefix): other.number for other in enum.values if other.number}
    if not isinstance(value, str) or value not in names:
        error = f"{path} must be one of {', '.join(names)}"
        raise Malformed(error, field=path)
    return names[value]
