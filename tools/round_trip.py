"""Import every stub and send every message through bytes and JSON and back, with whatever protobuf is installed.

Run by tools.check_protobuf_runtimes in environments that hold a protobuf and nothing else; proto/ is on the path.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import google.protobuf
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

DEPTH = 4  # of nested messages that are filled


def descriptors(proto: Path) -> Iterator[Descriptor]:
    """Every message of every stub."""
    for path in sorted(proto.glob("*/v*/*_pb2.py")):
        name = ".".join(path.relative_to(proto).with_suffix("").parts)
        waiting = list(importlib.import_module(name).DESCRIPTOR.message_types_by_name.values())
        while waiting:
            found = waiting.pop()
            waiting += found.nested_types
            if not found.GetOptions().map_entry:
                yield found


def sample(field: FieldDescriptor) -> object:
    """Return a value other than the field's default."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"\x00\xff" if field.type == FieldDescriptor.TYPE_BYTES else "Ω1.5"
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return True
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return 0.5
    narrow = field.cpp_type in {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32}
    return 2**31 - 1 if narrow else 2**63 - 1


def filled(descriptor: Descriptor, depth: int = DEPTH) -> Message:
    """Return the message with every field set; of a oneof the last one stays."""
    message = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            if value.message_type is None:
                getattr(message, field.name)[sample(key)] = sample(value)
        elif field.message_type is not None:
            if depth and field.is_repeated:
                getattr(message, field.name).add().CopyFrom(filled(field.message_type, depth - 1))
            elif depth:
                getattr(message, field.name).CopyFrom(filled(field.message_type, depth - 1))
        elif field.is_repeated:
            getattr(message, field.name).append(sample(field))
        else:
            setattr(message, field.name, sample(field))
    return message


def main() -> int:
    """Fail at the first message that does not come back as it went."""
    count = 0
    for descriptor in descriptors(Path(sys.argv[1])):
        there = filled(descriptor)
        back = type(there).FromString(there.SerializeToString())
        through_json = json_format.Parse(json_format.MessageToJson(there), type(there)())
        if not there == back == through_json:
            sys.stderr.write(f"{descriptor.full_name} does not survive a round trip\n")
            return 1
        count += 1
    sys.stdout.write(f"protobuf {google.protobuf.__version__}: {count} messages\n")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
