"""What there is to check, from wherever it comes: for each boot its receipts, heads and document."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Boot(NamedTuple):
    """One boot of an enclave, as somebody stored it. Nothing here is checked.

    ``receipts`` yields (number, bytes) in the order of the numbers that the store gives; ``count`` is how many, and
    ``heads`` are (bytes, signature). ``since`` is when the host first met the boot, nanoseconds UTC.
    """

    key: bytes
    since: int
    document: bytes
    count: int
    receipts: Callable[[], Iterator[tuple[int, bytes]]]
    heads: list[tuple[bytes, bytes]]


class Claim(NamedTuple):
    """An intent that the host says it sent to the venue: its own word."""

    account: str
    client_order_id: str
    operation: int
    time: int


class Evidence(NamedTuple):
    """Everything. ``sent``: by the SHA-256 of the intent, what the host says it sent; None where it says nothing."""

    boots: list[Boot]
    sent: Mapping[bytes, Claim] | None
