"""Within v1 no field changes its meaning: what was once on the wire keeps its number, name and type.

`wire_v1.txt` has a line for every field and enum value. A new one is added there with the change that brings it; an
existing line never changes and never goes.
"""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from dispatch_api.v1 import agent_pb2, dispatch_pb2
from signer_api.v1 import intent_pb2, signer_pb2

SNAPSHOT = Path(__file__).with_name("wire_v1.txt")
TYPES = {
    value: name.removeprefix("TYPE_").lower()
    for name, value in vars(FieldDescriptor).items()
    if name.startswith("TYPE_") and isinstance(value, int)
}


def _fields(message: Descriptor) -> Iterator[str]:
    for field in message.fields:
        of = field.message_type or field.enum_type
        kind = of.full_name if of else TYPES[field.type]
        many = "repeated " if field.is_repeated else ""
        inside = f" in {field.containing_oneof.name}" if field.containing_oneof else ""
        yield f"{field.full_name} = {field.number}: {many}{kind}{inside}"
    for nested in message.nested_types:
        yield from _fields(nested)


def _values(enum: EnumDescriptor) -> Iterator[str]:
    for value in enum.values:
        yield f"{enum.full_name}.{value.name} = {value.number}"


def _methods(file: FileDescriptor) -> Iterator[str]:
    for service in file.services_by_name.values():
        for method in service.methods:
            asked = "stream " * method.client_streaming + method.input_type.full_name
            told = "stream " * method.server_streaming + method.output_type.full_name
            yield f"{method.full_name}({asked}) -> {told}"


def wire() -> list[str]:
    lines: list[str] = []
    for module in (intent_pb2, signer_pb2, dispatch_pb2, agent_pb2):
        file = module.DESCRIPTOR
        for message in file.message_types_by_name.values():
            lines += _fields(message)
        for enum in file.enum_types_by_name.values():
            lines += _values(enum)
        lines += _methods(file)
    return sorted(lines)


def test_nothing_that_was_on_the_wire_has_changed_or_gone() -> None:
    assert sorted(set(SNAPSHOT.read_text().splitlines()) - set(wire())) == []


def test_what_is_new_on_the_wire_is_written_down() -> None:
    assert sorted(set(wire()) - set(SNAPSHOT.read_text().splitlines())) == []


def test_the_first_value_of_every_enum_says_that_nothing_was_said() -> None:
    zeros = {line.split(" = ")[0].rsplit(".", 1)[1] for line in wire() if line.endswith(" = 0")}
    assert {zero for zero in zeros if not zero.endswith(("_UNSPECIFIED", "_UNDECIDED"))} == set()
