"""Why an image file is refused: a closed set."""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Reason(StrEnum):
    """What is wrong with an image file, or with what one is to be made of."""

    NOT_AN_EIF = "not_an_eif"  # does not begin with the magic bytes
    VERSION = "version"  # a version other than 4
    TRUNCATED = "truncated"  # ends before what the headers announce
    TRAILING = "trailing"  # goes on after the last section
    FLAGS = "flags"  # a flag without a meaning is set
    RESERVED = "reserved"  # a field that has to be zero is not
    SECTION_COUNT = "section_count"  # fewer than three sections, or more than 32
    SECTION_PLACE = "section_place"  # the header's table does not name the sections one after the other
    SECTION_TYPE = "section_type"  # a section of an unknown type
    SECTION_SIZE = "section_size"  # the header's table and the section disagree, or a section is empty or too large
    SECTION_ORDER = "section_order"  # not: kernel, command line, then ramdisks, and at most one of the others
    CRC = "crc"  # the checksum is not that of the content
    CMDLINE = "cmdline"  # not printable ASCII, or too long for a kernel
    METADATA = "metadata"  # not one JSON object
    SIGNATURE = "signature"  # not in the form of a signature of PCR0
    SIGNATURE_WRONG = "signature_wrong"  # in form, but not made over this PCR0 by this certificate's key
    TREE = "tree"  # a directory holds what a ramdisk does not get: a socket, a device, a name that is no text


class EifError(Exception):
    """An image file is refused. ``reason`` is for programs, ``explanation`` for people."""

    def __init__(self, reason: Reason, explanation: str) -> None:
        """Explain without quoting the content."""
        super().__init__(f"{reason}: {explanation}")
        self.reason = reason
        self.explanation = explanation
